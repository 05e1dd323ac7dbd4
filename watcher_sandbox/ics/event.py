"""One VEVENT as the body of a Google event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
from icalendar.prop import vBroken

from watcher_sandbox.ics.file import Block
from watcher_sandbox.ics.zones import Zones

_TEXTS = (("SUMMARY", "summary"), ("DESCRIPTION", "description"), ("LOCATION", "location"))
_DAY = timedelta(days=1)


class LeftOut(Exception):
    """An event that Google cannot have; the message says why."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A day, or an instant with its wall time in ``zone``, the IANA zone it is meant in."""

    at: date
    zone: str = "UTC"
    note: str = ""

    @property
    def is_day(self) -> bool:
        return not isinstance(self.at, datetime)

    @property
    def day(self) -> date:
        return self.wall.date() if isinstance(self.at, datetime) else self.at

    @property
    def wall(self) -> datetime:
        """Naive, in the zone; midnight of a day."""
        if isinstance(self.at, datetime):
            return self.at.astimezone(ZoneInfo(self.zone)).replace(tzinfo=None)
        return datetime.combine(self.at, time())

    @property
    def utc(self) -> datetime:
        """A day is its midnight in UTC, for comparing and for Google's lists."""
        aware = self.at if isinstance(self.at, datetime) else datetime.combine(self.at, time(), UTC)
        return aware.astimezone(UTC)

    def body(self) -> dict[str, str]:
        if isinstance(self.at, datetime):
            moment = self.at.astimezone(ZoneInfo(self.zone))
            return {"dateTime": moment.isoformat(), "timeZone": self.zone}
        return {"date": self.at.isoformat()}

    @classmethod
    def of_wall(cls, wall: datetime, zone: str, note: str = "") -> Moment:
        return cls(wall.replace(tzinfo=ZoneInfo(zone)), zone, note)

    def later(self, by: timedelta) -> Moment:
        """The moment after ``by`` of elapsed time, whatever the clocks did meanwhile."""
        if isinstance(self.at, datetime):
            return Moment(self.at.astimezone(UTC) + by, self.zone)
        return Moment(self.at + by, self.zone)


@dataclass(slots=True)
class Event:
    """A VEVENT and the zones of its calendar. The attributes hold for events of any kind; the
    methods raise ``LeftOut`` for what cannot be read."""

    component: Any
    zones: Zones
    block_title: str
    cancelled: bool = False
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, block: Block, zones: Zones, cancelled: bool) -> Event:
        """``cancelled``: the whole calendar is a cancellation."""
        try:
            component = icalendar.Event.from_ical(block.text)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            component = None
        if component is None or not block.whole:
            return cls(None, zones, block.title)
        found = cls(component, zones, block.title)
        found.cancelled = cancelled or found.word("STATUS") == "CANCELLED"
        if any(name is None for name, _ in component.errors):
            found.notes.append("a line that cannot be read is missing")
        return found

    # --- single lines ---------------------------------------------------------------------

    def first(self, name: str) -> Any:
        """The property, the first of several; None when there is none."""
        value = self.component.get(name) if self.component is not None else None
        return value[0] if isinstance(value, list) else value

    def all(self, name: str) -> list[Any]:
        value = self.component.get(name)
        values = value if isinstance(value, list) else [] if value is None else [value]
        if any(isinstance(each, vBroken) for each in values):
            raise LeftOut(f"its {name} cannot be read")
        return values

    def word(self, name: str) -> str:
        return str(self.first(name) or "").strip().upper()

    @property
    def title(self) -> str:
        return str(self.first("SUMMARY") or self.block_title)

    @property
    def uid(self) -> str:
        return str(self.first("UID") or "").strip()

    @property
    def sequence(self) -> int:
        text = self.word("SEQUENCE")
        return int(text) if text.isdecimal() else 0

    @property
    def is_override(self) -> bool:
        return self.first("RECURRENCE-ID") is not None

    @property
    def named_instance(self) -> str:
        """RECURRENCE-ID as text, for an order in time."""
        value = self.first("RECURRENCE-ID")
        return "" if isinstance(value, vBroken) else str(getattr(value, "dt", ""))

    @property
    def and_following(self) -> bool:
        value = self.first("RECURRENCE-ID")
        return str(getattr(value, "params", {}).get("RANGE", "")).upper() == "THISANDFUTURE"

    # --- times ----------------------------------------------------------------------------

    def start(self) -> Moment:
        found = self._moment("DTSTART")
        if found is None:
            raise LeftOut("it has no start")
        return self._outlook_day(found)

    def end(self, start: Moment) -> Moment:
        """DTEND, or DTSTART and DURATION, or what RFC 5545 says for neither. A day that ends
        where it begins is one day."""
        found = self._moment("DTEND")
        end = self._outlook_day(found) if found else start.later(self._length(start))
        if end.is_day != start.is_day:
            raise LeftOut("it begins as a day and ends at a time, or the other way round")
        if end.utc < start.utc:
            raise LeftOut("it ends before it begins")
        return Moment(start.day + _DAY) if start.is_day and end.day == start.day else end

    def original(self, like: Moment) -> Moment:
        """Which instance RECURRENCE-ID names, in a series that begins ``like`` this."""
        found = self._moment("RECURRENCE-ID", like)
        if found is None:
            raise LeftOut("its RECURRENCE-ID cannot be read")
        return self._in_series(found, like)

    def _moment(self, name: str, like: Moment | None = None) -> Moment | None:
        prop = self.first(name)
        if prop is None:
            return None
        if isinstance(prop, vBroken):
            raise LeftOut(f"its {name} cannot be read")
        found = self._read(getattr(prop, "dt", None), prop.params, like, name)
        if found.note and found.note not in self.notes:
            self.notes.append(found.note)
        return found

    def _read(self, value: Any, params: Any, like: Moment | None, name: str) -> Moment:
        if not isinstance(value, date):
            raise LeftOut(f"its {name} cannot be read")
        if not isinstance(value, datetime):
            return Moment(value)
        if str(params.get("VALUE", "")).upper() == "DATE":
            return Moment(value.date())
        if value.tzinfo is not None:
            return Moment(value.astimezone(UTC))
        tzid = params.get("X-TZID")
        if tzid:
            found = self.zones.find(str(tzid), value.year)
            return Moment(value.replace(tzinfo=found.tz), found.name, found.note)
        zone = like.zone if like is not None and not like.is_day else self.zones.default
        note = "" if like is not None else f"no zone at its time: read as {zone}"
        return Moment.of_wall(value, zone, note)

    def _length(self, start: Moment) -> timedelta:
        prop = self.first("DURATION")
        if prop is None:
            return _DAY if start.is_day else timedelta()
        length = None if isinstance(prop, vBroken) else getattr(prop, "dt", None)
        if not isinstance(length, timedelta):
            raise LeftOut("its DURATION cannot be read")
        return -(-length // _DAY) * _DAY if start.is_day else length  # whole days, rounded up

    def _outlook_day(self, found: Moment) -> Moment:
        """Outlook writes whole days from midnight to midnight, with a mark of its own."""
        if found.is_day or self.word("X-MICROSOFT-CDO-ALLDAYEVENT") != "TRUE":
            return found
        wall = found.wall
        if wall.time() != time() and found.zone == "UTC":
            wall = Moment(found.at, self.zones.default).wall
        return Moment(wall.date()) if wall.time() == time() else found

    def _in_series(self, found: Moment, first: Moment) -> Moment:
        """A day of a series of times is that day's time, a time in one of days is its day."""
        if found.is_day == first.is_day:
            return found
        if found.is_day:
            return Moment.of_wall(datetime.combine(found.day, first.wall.time()), first.zone)
        if found.zone == "UTC" and found.wall.time() != time():
            return Moment(Moment(found.at, self.zones.default).day)
        return Moment(found.day)

    # --- the whole ------------------------------------------------------------------------

    def body(self) -> dict[str, Any]:
        """The body of the event, without its recurrence."""
        if self.component is None:
            raise LeftOut("it is cut off or cannot be read")
        start = self.start()
        found: dict[str, Any] = {"start": start.body(), "end": self.end(start).body()}
        for field_name, name in _TEXTS:
            if self.first(field_name):
                found[name] = str(self.first(field_name))
        if self.word("CLASS") not in ("", "PUBLIC", "DEFAULT"):
            found["visibility"] = "private"  # RFC 5545: an unknown word counts as this one
        if self.word("TRANSP") == "TRANSPARENT":
            found["transparency"] = "transparent"
        if self.word("STATUS") == "TENTATIVE":
            found["status"] = "tentative"
        return found

    def recurrence(self, start: Moment) -> list[str]:
        """Google's lines; EXDATE and RDATE as instants in UTC, or as days."""
        rules = [
            f"{name}:{each.to_ical().decode()}"
            for name in ("RRULE", "EXRULE")
            for each in self.all(name)
        ]
        more = [moment for moment, _ in self.dates("RDATE", start)]
        if not more and not any(rule.startswith("RRULE") for rule in rules):
            return []
        less = [moment for moment, _ in self.dates("EXDATE", start)]
        return [*rules, *_line("RDATE", more), *_line("EXDATE", less)]

    def dates(self, name: str, start: Moment) -> Iterator[tuple[Moment, timedelta | None]]:
        """The values of RDATE or EXDATE; of a PERIOD with its length."""
        for prop in self.all(name):
            for each in getattr(prop, "dts", ()):
                value, length = each.dt, None
                if isinstance(value, tuple):
                    value, until = value
                    length = until if isinstance(until, timedelta) else until - value
                found = self._read(value, prop.params, start, name)
                yield self._in_series(found, start), length


def _line(name: str, moments: list[Moment]) -> list[str]:
    form = "%Y%m%d" if moments and moments[0].is_day else "%Y%m%dT%H%M%SZ"
    texts = [f"{moment.utc:{form}}" for moment in moments]
    return [f"{name}:{','.join(texts)}"] if texts else []
