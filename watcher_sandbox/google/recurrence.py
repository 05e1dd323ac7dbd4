"""Series: the starts that RRULE, EXRULE, RDATE and EXDATE lines stand for.

Rules run in wall time of the event's zone, so 09:00 stays 09:00 over a change of clocks; a start
inside the gap moves as RFC 5545 section 3.3.5 says (the offset before the gap holds).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from dateutil.rrule import rrule, rruleset, rrulestr

from watcher_sandbox.google.errors import GoogleError, invalid
from watcher_sandbox.google.times import Json, day_of_id, is_all_day, moment_of_id, wall, zone

MAX_STARTS = 20_000
"""No series is followed further than this: an endless MINUTELY rule must not hang the server."""

_LINE = re.compile(r"^(RRULE|EXRULE|RDATE|EXDATE)((?:;[^:]*)?):(.+)$", re.IGNORECASE)
_UNTIL = re.compile(r"UNTIL=([0-9TZ]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Series:
    """What decides a series' starts. ``first`` is naive wall time of ``zone_name``."""

    first: datetime
    zone_name: str
    all_day: bool
    lines: tuple[str, ...]


def series_of(start: Json, lines: list[str]) -> Series:
    return Series(wall(start), start.get("timeZone") or "UTC", is_all_day(start), tuple(lines))


def check(series: Series) -> None:
    """400 ``invalid`` unless the lines can be read and give at least one start."""
    for _ in starts(series, None, None):
        return
    raise invalid("recurrence", "Invalid recurrence rule.")


def starts(series: Series, after: datetime | None, before: datetime | None) -> Iterator[datetime]:
    """Wall-time starts within [after, before], both naive and inclusive; None: no bound."""
    rules = _rules(series)
    source = iter(rules) if after is None else rules.xafter(after, inc=True)
    for count, start in enumerate(source):
        if (before is not None and start > before) or count >= MAX_STARTS:
            return
        yield start


def to_utc(series: Series, start: datetime) -> datetime:
    """A wall-time start as the instant it names."""
    return start.replace(tzinfo=zone(series.zone_name)).astimezone(UTC)


def suffix(series: Series, start: datetime) -> str:
    """What an instance's id has after the series' id: its original start."""
    if series.all_day:
        return day_of_id(start)
    return moment_of_id(to_utc(series, start))


def from_suffix(series: Series, text: str) -> datetime | None:
    """The wall-time start that ``text`` names, if it is one of this series; else None."""
    try:
        if series.all_day:
            start = datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007 - wall time
        else:
            moment = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            start = moment.astimezone(zone(series.zone_name)).replace(tzinfo=None)
    except ValueError:
        return None
    margin = timedelta(hours=3)  # a start in a gap has another wall time when read back
    for candidate in starts(series, start - margin, start + margin):
        if suffix(series, candidate) == text:
            return candidate
    return None


def trimmed(series: Series, start: datetime) -> list[str]:
    """The lines of the series that ends just before ``start``, as "this and following" writes."""
    if series.all_day:
        until = f"{start.date() - timedelta(days=1):%Y%m%d}"
    else:
        until = f"{to_utc(series, start) - timedelta(seconds=1):%Y%m%dT%H%M%SZ}"
    return [_with_until(line, until) for line in series.lines]


def following(series: Series, start: datetime) -> list[str]:
    """The lines of the series that begins at ``start``: a COUNT loses what lies before it."""
    rules = tuple(line for line in series.lines if line.upper().startswith("RRULE"))
    bare = Series(series.first, series.zone_name, series.all_day, rules)
    gone = sum(1 for _ in starts(bare, None, start - timedelta(seconds=1)))

    def rest(match: re.Match[str]) -> str:
        return f"COUNT={max(1, int(match[1]) - gone)}"

    return [re.sub(r"COUNT=(\d+)", rest, line, flags=re.IGNORECASE) for line in series.lines]


def _with_until(line: str, until: str) -> str:
    if not line.upper().startswith("RRULE"):
        return line
    bare = re.sub(r";?(UNTIL|COUNT)=[^;]*", "", line, flags=re.IGNORECASE)
    return f"{bare.replace('RRULE:;', 'RRULE:')};UNTIL={until}"


@lru_cache(maxsize=4096)
def _rules(series: Series) -> rruleset:
    found = rruleset(cache=True)
    has_rule = False
    try:
        for line in series.lines:
            match = _LINE.match(line.strip())
            if match is None:
                raise invalid("recurrence", "Invalid recurrence rule.")
            kind, parameters, value = match[1].upper(), match[2], match[3]
            if kind == "RRULE":
                has_rule = True
                found.rrule(_rule(series, value))
            elif kind == "EXRULE":
                found.exrule(_rule(series, value))
            else:
                add = found.rdate if kind == "RDATE" else found.exdate
                for each in value.split(","):
                    add(_moment(series, parameters, each.strip()))
        if not has_rule:
            found.rdate(series.first)
    except GoogleError:
        raise
    except (ValueError, TypeError, KeyError):
        raise invalid("recurrence", "Invalid recurrence rule.") from None
    return found


def _rule(series: Series, value: str) -> rrule:
    upper = value.upper()
    if "COUNT=" in upper and "UNTIL=" in upper:
        raise invalid("recurrence", "Invalid recurrence rule.")
    text = _UNTIL.sub(lambda match: f"UNTIL={_until(series, match[1].upper())}", value)
    rule = rrulestr(text, dtstart=series.first)
    if not isinstance(rule, rrule):
        raise invalid("recurrence", "Invalid recurrence rule.")
    return rule


def _until(series: Series, text: str) -> str:
    """UNTIL as wall time; a bare date includes that whole day."""
    if series.all_day:
        return text[:8]
    if "T" not in text:
        return f"{text}T235959"
    if text.endswith("Z"):
        moment = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return f"{moment.astimezone(zone(series.zone_name)):%Y%m%dT%H%M%S}"
    return text


def _moment(series: Series, parameters: str, text: str) -> datetime:
    """One RDATE or EXDATE value as wall time of the series."""
    if "T" not in text:
        day = date(int(text[:4]), int(text[4:6]), int(text[6:8]))
        return datetime.combine(day, series.first.time())
    if text.endswith("Z"):
        moment = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    else:
        named = re.search(r"TZID=([^;:]+)", parameters, re.IGNORECASE)
        name = named[1].strip('"') if named else series.zone_name
        moment = datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=zone(name))
    found = moment.astimezone(zone(series.zone_name)).replace(tzinfo=None)
    return datetime.combine(found.date(), series.first.time()) if series.all_day else found
