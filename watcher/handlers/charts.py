"""The hours of a day as plots, in the units of the SVG that templates/charts.html draws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from watcher.handlers import speech
from watcher.ledger.hours import SLOT_HOURS, Hour

_ = speech.gettext

WIDTH, HEIGHT, FOOT, HEAD = 480, 130, 14, 14
EDGE = 14
"""Half of a label, so that the last one is not cut off."""
KINDS = ("first", "second", "third", "fourth")
"""Classes of the style sheet."""
MOST_CAUSES = 3


@dataclass(frozen=True, slots=True)
class Series:
    """``points`` and ``dots`` of a line, ``boxes`` (x, y, height) of bars."""

    name: str
    kind: str
    points: str = ""
    dots: Sequence[tuple[float, float]] = ()
    boxes: Sequence[tuple[float, float, float]] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """Without ``series`` there is nothing to show. ``said`` is for who cannot see the plot."""

    series: Sequence[Series] = ()
    said: str = ""
    grid: Sequence[tuple[float, str]] = ()
    hours: Sequence[tuple[float, str]] = ()
    bar: float = 0.0
    width: int = field(default=WIDTH)
    height: int = field(default=HEIGHT)


@dataclass(frozen=True, slots=True)
class Charts:
    freshness: Chart
    writes: Chart
    failures: Chart
    found: Chart
    ends: Chart


def draw(
    hours: Sequence[Hour], failures: Mapping[str, Sequence[int]], ends: Sequence[int], now: datetime
) -> Charts:
    """One chart for each question that the dashboard answers. ``failures`` are by cause and hour,
    the most frequent first; ``ends`` are of channels, by six hours from ``now`` on."""
    marks = _marks(hours)

    def of(names: dict[str, str]) -> dict[str, Sequence[int]]:
        return {
            name: [getattr(hour, attribute) for hour in hours] for name, attribute in names.items()
        }

    written = {_("new"): "created", _("changed"): "updated", _("cancelled"): "cancelled"}
    found = {_("pushes heard"): "pushes", _("found by a poll"): "by_poll"}
    in_a_week = _("%(all)s end within seven days", all=speech.number(sum(ends)))
    return Charts(
        freshness=_lines(hours, {_("half within"): "p50", _("95 percent within"): "p95"}),
        writes=_bars(of(written), marks),
        failures=_bars(_most_frequent(failures), marks),
        found=_bars(of(found), marks),
        ends=_bars({_("channels"): ends}, _days(len(ends), now), in_a_week),
    )


def _most_frequent(failures: Mapping[str, Sequence[int]]) -> dict[str, Sequence[int]]:
    """The rest is one series, whatever its causes are."""
    names = list(failures)
    shown = {speech.in_words(name): failures[name] for name in names[:MOST_CAUSES]}
    rest = [failures[name] for name in names[MOST_CAUSES:]]
    return shown | (
        {_("other causes"): [sum(each) for each in zip(*rest, strict=True)]} if rest else {}
    )


def _lines(hours: Sequence[Hour], names: dict[str, str]) -> Chart:
    known = [[getattr(hour, attribute) for hour in hours] for attribute in names.values()]
    values = [value for line in known for value in line if value is not None]
    if not values:
        return Chart()
    top = _round_up(max(values))
    series = []
    for (name, _attribute), kind, line in zip(names.items(), KINDS, known, strict=False):
        dots = [
            (_middle(place, len(hours)), _y(value, top))
            for place, value in enumerate(line)
            if value is not None
        ]
        series.append(Series(name, kind, " ".join(f"{x:g},{y:g}" for x, y in dots), dots))
    return Chart(
        series, _("at most %(many)s", many=speech.number(max(values), 1)), _grid(top), _marks(hours)
    )


def _bars(
    values: Mapping[str, Sequence[int]], marks: Sequence[tuple[float, str]], said: str = ""
) -> Chart:
    """One bar above the other. Where nothing is ``said`` it is the sum of all and of this hour."""
    totals = [sum(each) for each in zip(*values.values(), strict=True)]
    if not any(totals):
        return Chart()
    top = _round_up(max(totals))
    slot = WIDTH / len(totals)
    below = [0] * len(totals)
    series = []
    for (name, numbers), kind in zip(values.items(), KINDS, strict=False):
        boxes = []
        for place, value in enumerate(numbers):
            if value:
                upper, lower = _y(below[place] + value, top), _y(below[place], top)
                boxes.append((round(place * slot + 2, 1), upper, round(lower - upper, 1)))
                below[place] += value
        series.append(Series(name, kind, boxes=boxes))
    in_all = {"all": speech.number(sum(totals)), "last": speech.number(totals[-1])}
    text = said or _("%(all)s in all, %(last)s in this hour", **in_all)
    return Chart(series, text, _grid(top), marks, bar=round(slot - 4, 1))


def _y(value: float, top: float) -> float:
    return round(HEIGHT - FOOT - (HEIGHT - FOOT - HEAD) * value / top, 1)


def _middle(place: int, many: int) -> float:
    return round((place + 0.5) * WIDTH / many, 1)


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50 ..."""
    power = 10.0 ** math.floor(math.log10(max(value, 0.1)))
    return next(power * step for step in (1, 2, 5, 10) if value <= power * step * (1 + 1e-9))


def _grid(top: float) -> list[tuple[float, str]]:
    return [(_y(top, top), speech.number(top)), (_y(top / 2, top), speech.number(top / 2))]


def _marks(hours: Sequence[Hour]) -> list[tuple[float, str]]:
    return [
        (min(_middle(place, len(hours)), WIDTH - EDGE), f"{hour.begins:%H}:00")
        for place, hour in enumerate(hours)
        if hour.begins.hour % 6 == 0
    ]


def _days(slots: int, now: datetime) -> list[tuple[float, str]]:
    """The middle of each day (UTC) of which a slot of six hours begins at noon."""
    begins = now.replace(hour=now.hour // SLOT_HOURS * SLOT_HOURS, minute=0)
    slot = timedelta(hours=SLOT_HOURS)
    noons = [place for place in range(slots) if (begins + place * slot).hour == 12]
    return [(round(n * WIDTH / slots, 1), speech.weekday(begins + n * slot)) for n in noons]
