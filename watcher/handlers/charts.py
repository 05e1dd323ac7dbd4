"""Pure: the hours of a day as plots, in the units of the SVG that templates/charts.html draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from watcher.ledger.hours import Hour

WIDTH, HEIGHT, FOOT, HEAD = 480, 130, 14, 14
KINDS = ("first", "second", "third")
"""Classes of the style sheet."""


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
    found: Chart


def draw(hours: Sequence[Hour]) -> Charts:
    """One chart for each question that the dashboard answers."""
    return Charts(
        freshness=_lines(hours, {"half within": "p50", "95 % within": "p95"}),
        writes=_bars(hours, {"new": "created", "changed": "updated", "cancelled": "cancelled"}),
        found=_bars(hours, {"told by a push": "by_push", "found by a poll": "by_poll"}),
    )


def _lines(hours: Sequence[Hour], names: dict[str, str]) -> Chart:
    known = [[getattr(hour, attribute) for hour in hours] for attribute in names.values()]
    values = [value for line in known for value in line if value is not None]
    if not values:
        return Chart()
    top = _round_up(max(values))
    series = []
    for (name, _), kind, line in zip(names.items(), KINDS, known, strict=False):
        dots = [
            (_middle(number, len(hours)), _y(value, top))
            for number, value in enumerate(line)
            if value is not None
        ]
        series.append(Series(name, kind, " ".join(f"{x:g},{y:g}" for x, y in dots), dots))
    return Chart(series, f"at most {max(values):.1f}", _grid(top), _marks(hours))


def _bars(hours: Sequence[Hour], names: dict[str, str]) -> Chart:
    totals = [sum(getattr(hour, each) for each in names.values()) for hour in hours]
    if not any(totals):
        return Chart()
    top = _round_up(max(totals))
    slot = WIDTH / len(hours)
    below = [0] * len(hours)
    series = []
    for (name, attribute), kind in zip(names.items(), KINDS, strict=False):
        boxes = []
        for number, hour in enumerate(hours):
            value: int = getattr(hour, attribute)
            if value:
                upper, lower = _y(below[number] + value, top), _y(below[number], top)
                boxes.append((round(number * slot + 2, 1), upper, round(lower - upper, 1)))
                below[number] += value
        series.append(Series(name, kind, boxes=boxes))
    said = f"{sum(totals):,} in all, {totals[-1]:,} in this hour"
    return Chart(series, said, _grid(top), _marks(hours), bar=round(slot - 4, 1))


def _y(value: float, top: float) -> float:
    return round(HEIGHT - FOOT - (HEIGHT - FOOT - HEAD) * value / top, 1)


def _middle(number: int, many: int) -> float:
    return round((number + 0.5) * WIDTH / many, 1)


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50 ..."""
    power = 10.0 ** math.floor(math.log10(max(value, 0.1)))
    return next(power * step for step in (1, 2, 5, 10) if value <= power * step * (1 + 1e-9))


def _grid(top: float) -> list[tuple[float, str]]:
    return [(_y(top, top), f"{top:g}"), (_y(top / 2, top), f"{top / 2:g}")]


def _marks(hours: Sequence[Hour]) -> list[tuple[float, str]]:
    return [
        (_middle(number, len(hours)), f"{hour.begins:%H}:00")
        for number, hour in enumerate(hours)
        if hour.begins.hour % 6 == 0
    ]
