"""What a calendar file calls a zone, as an IANA zone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from operator import eq
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import icalendar
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from watcher_sandbox.ics.file import Block

_SPOKEN = re.compile(
    r"^\(?\s*(?:GMT|UTC)?\s*(?:([+-])(\d{1,2})(?:[:.]?(\d{2}))?)?\s*\)?(?P<places>.*)$",
    re.IGNORECASE,
)
_BROKEN = (ValueError, KeyError, IndexError, TypeError, AttributeError)
"""What icalendar and dateutil raise for a component that makes no sense."""


@dataclass(frozen=True, slots=True)
class Found:
    """``tz`` gives the instants, ``name`` is the IANA zone in which a series runs; ``note`` says
    what had to be guessed."""

    tz: tzinfo
    name: str
    note: str = ""


class Zones:
    """The zones of one VCALENDAR: those that the file explains (``own``), and ``default`` for
    times without one."""

    def __init__(self, own: Mapping[str, tzinfo], default: str) -> None:
        self.default = default
        self._own = own
        self._found: dict[tuple[str, int], Found] = {}

    def find(self, tzid: str, year: int) -> Found:
        key = (tzid, year)
        if key not in self._found:
            self._found[key] = self._find(tzid, year)
        return self._found[key]

    def _find(self, tzid: str, year: int) -> Found:
        """A name of the IANA's own means that zone, even if the file explains it otherwise; then
        the file's explanation counts; then what the name says; then the calendar's zone."""
        name = _clean(tzid)
        listed = _listed(name)
        own = self._own.get(name.lower())
        if own is not None and name.lower() not in _iana():
            return self._like(own, name, year)
        if listed is not None:
            return Found(ZoneInfo(listed), listed)
        return _spoken(name, year) or self._unknown(name)

    def _like(self, own: tzinfo, name: str, year: int) -> Found:
        """The first zone with the same offsets; a fixed one would move a series by an hour twice
        a year."""
        spoken = _spoken(name, year)
        first = [_listed(name), spoken.name if spoken else None, self.default]
        offsets = tuple(own.utcoffset(probe) for probe in _probes(year))
        found = _zone_with(offsets, year, tuple(filter(None, first)))
        if found is not None:
            return Found(own, found)
        return Found(own, "UTC", f'zone "{name}" is like no other: a series keeps its first offset')

    def _unknown(self, name: str) -> Found:
        note = f'zone "{name}" is not known, and not explained in the file: read as {self.default}'
        return Found(ZoneInfo(self.default), self.default, note)


def explained(blocks: Iterable[Block]) -> dict[str, tzinfo]:
    """VTIMEZONEs by name; the last of a name counts."""
    return dict(filter(None, map(_own, blocks)))


def known(name: str) -> str | None:
    """The IANA zone that a name stands for by itself, if any."""
    name = _clean(name)
    spoken = _spoken(name, datetime.now(UTC).year)
    return _listed(name) or (spoken.name if spoken else None)


def _clean(tzid: str) -> str:
    return tzid.replace("\\", "").replace("\N{MINUS SIGN}", "-").strip(" \t\"'")


def _own(block: Block) -> tuple[str, tzinfo] | None:
    """None for a VTIMEZONE that cannot be read; it is then treated as missing."""
    try:
        component: Any = icalendar.Timezone.from_ical(block.text)
        zone: tzinfo = component.to_tz(lookup_tzid=False)
        zone.utcoffset(_probes(2026)[0])
    except _BROKEN:
        return None
    return _clean(str(component["TZID"])).lower(), zone


@cache
def _iana() -> dict[str, str]:
    return {name.lower(): name for name in sorted(available_timezones()) if name != "Factory"}


@cache
def _windows() -> dict[str, str]:
    return {name.lower(): zone for name, zone in WINDOWS_TO_OLSON.items()}


def _listed(name: str) -> str | None:
    """IANA's and Microsoft's names, also behind a maker's, as in ``/mozilla.org/.../Asia/Tokyo``
    or ``tzone://Microsoft/Utc``."""
    parts = name.lower().strip("/").split("/")
    starts = range(len(parts)) if name.startswith("/") or "://" in name else range(1)
    for start in starts:
        tail = "/".join(parts[start:])
        found = _iana().get(tail) or _windows().get(tail)
        if found is not None:
            return found
    return None


def _spoken(name: str, year: int) -> Found | None:
    """``GMT+0100``, ``UTC+05:30``, ``(UTC+01:00) Amsterdam, Berlin``: a place that has the offset,
    else the offset all year."""
    match = _SPOKEN.match(name)
    if match is None or not re.match(r"\(?\s*(GMT|UTC|[+-]\d)", name, re.IGNORECASE):
        return None
    sign, hours, minutes, rest = match.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    offset = -offset if sign == "-" else offset
    places = _places(rest)
    for place in places:
        for zone in _at(place):
            if offset in {ZoneInfo(zone).utcoffset(probe) for probe in _probes(year)}:
                return Found(ZoneInfo(zone), zone)
    fixed = _fixed(offset, year)
    if fixed is None or (sign is None and places and not _universal(rest)):
        return None
    note = f'zone "{name}" is read as an offset all year' if places and sign else ""
    return Found(ZoneInfo(fixed), fixed, note)


def _universal(words: str) -> bool:
    return "universal" in words.lower() or "greenwich" in words.lower()


def _places(words: str) -> list[str]:
    bare = re.sub(r"\(.*?(\)|$)", "", words)
    return [place for part in re.split(r"[,/;:&]", bare) if (place := part.strip(" .-").lower())]


def _at(place: str) -> list[str]:
    """Zones named by a city, or by words such as ``Eastern Time``."""
    last = place.replace(" ", "_")
    cities = [zone for name, zone in _iana().items() if name.rpartition("/")[2] == last]
    windows = _windows().get(re.sub(r"\btime$", "standard time", place))
    return [windows, *cities] if windows else cities


def _fixed(offset: timedelta, year: int) -> str | None:
    hours, rest = divmod(offset, timedelta(hours=1))
    if not hours and not rest:
        return "UTC"
    if not rest and -12 <= hours <= 14:
        return f"Etc/GMT{-hours:+d}"  # there, west of Greenwich is positive
    return _zone_with((offset,) * len(_probes(year)), year, ())


def _probes(year: int) -> list[datetime]:
    first = datetime(year, 1, 1, 12, tzinfo=UTC).replace(tzinfo=None)
    return [first + timedelta(days=15 * number) for number in range(24)]


@cache
def _zone_with(
    offsets: tuple[timedelta | None, ...], year: int, first: tuple[str, ...]
) -> str | None:
    """A zone with these offsets in this year: one of ``first``, else one that Windows knows."""
    probes = _probes(year)
    places = (n for n in sorted(available_timezones()) if "/" in n and not n.startswith("Etc/"))
    for name in (*first, *WINDOWS_TO_OLSON.values(), *places):
        if all(map(eq, offsets, map(ZoneInfo(name).utcoffset, probes))):
            return name
    return None
