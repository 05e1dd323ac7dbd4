"""A week of events of every kind, and on which days Frappe's calendar draws each.

The days count from today on the site's clock. ``days`` are those on which Google shows the event;
where a version of Frappe draws others, ``Frappe`` says which, and why it is none of ours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Json = dict[str, Any]
Days = dict[str, list[date]]
"""By title: a day for each time that something of that title is drawn on it."""

ONE_SHORT = "16 takes an all-day end for the first day after: frappe#38425, mended by #41497"
UNTIL_NINE = "a month of 15 counts a night until 9 o'clock for the evening, as Google's own does"
NEW_YORK = ZoneInfo("America/New_York")


@dataclass(frozen=True)
class Frappe:
    """What one version draws, in the month, the week or both, other than Google."""

    version: int
    days: list[int]
    why: str
    views: tuple[str, ...] = ("month", "week")


@dataclass(frozen=True)
class Case:
    """One event, or series, under a title of its own."""

    title: str
    body: Json
    days: list[int] | list[date]
    but: tuple[Frappe, ...] = ()
    shown: str = ""
    """The title that the Desk shows, where it is another."""
    after: Json = field(default_factory=dict)
    """What is changed once it is mirrored; ``{"status": "cancelled"}`` deletes it."""
    closed: bool = False
    """Frappe's daily job closes the row before that change."""

    def drawn(self, version: int, view: str) -> list[int] | list[date]:
        for other in self.but:
            if other.version == version and view in other.views:
                return other.days
        return self.days


class MixedWeek:
    """The events of one week on a site, in their order. ``today`` is the site's."""

    def __init__(self, zone: ZoneInfo, today: date) -> None:
        self.zone, self.today = zone, today
        self.cases = [*self._days(), *self._hours(), *self._changed(), *self._texts()]

    @property
    def last(self) -> date:
        return max(max(days) for days in self.expected(15, "week").values())

    def day(self, number: int | date) -> date:
        return number if isinstance(number, date) else self.today + timedelta(days=number)

    def expected(self, version: int, view: str) -> Days:
        """All that this version draws, by the title that it shows."""
        found = {c.shown or c.title: c.drawn(version, view) for c in self.cases}
        return {title: sorted(map(self.day, days)) for title, days in found.items() if days}

    # --- kinds ----------------------------------------------------------------------------

    def _days(self) -> Iterator[Case]:
        """All-day events, and what lasts whole days without being one."""
        yield Case("All day", self.whole(2), [2])
        yield Case("All day today", self.whole(0), [0])
        yield Case("Two days", self.whole(2, 3), [2, 3], (Frappe(16, [2], ONE_SHORT),))
        yield Case("Trip", self.whole(3, 5), [3, 4, 5], (Frappe(16, [3, 4], ONE_SHORT),))
        fair, short = list(range(5, 14)), list(range(5, 13))
        yield Case("Fair", self.whole(5, 13), fair, (Frappe(16, short, ONE_SHORT),))
        out = self.timed(4, "00:00", 6, "00:00") | {"eventType": "outOfOffice"}
        yield Case("Out of office", out, [4, 5], (Frappe(16, [4], ONE_SHORT),))
        yield Case("Midnight to midnight", self.timed(6, "00:00", 7, "00:00"), [6])

    def _hours(self) -> Iterator[Case]:
        yield Case("Tonight", self.timed(0, "23:15", 0, "23:45"), [0])
        yield Case("Tomorrow", self.timed(1, "10:00", 1, "11:00"), [1])
        yield Case("No length", self.timed(2, "09:00", 2, "09:00"), [2])
        yield Case("Half a minute", self.timed(2, "11:00", 2, "11:00:30"), [2])
        yield Case("Five minutes", self.timed(2, "13:00", 2, "13:05"), [2])
        yield Case("An hour", self.timed(3, "10:00", 3, "11:00"), [3])
        night = Frappe(15, [3], UNTIL_NINE, ("month",))
        yield Case("Night shift", self.timed(3, "22:00", 4, "06:00"), [3, 4], (night,))
        yield Case("Until midnight", self.timed(4, "22:00", 5, "00:00"), [4])
        yield Case("Over noon", self.timed(4, "20:00", 5, "12:30"), [4, 5])
        yield self._clock_change()

    def _clock_change(self) -> Case:
        """From noon to noon in New York over the night in which its clocks go forward."""
        change = _second_sunday_of_march(self.today)
        first = datetime.combine(change - timedelta(days=1), time(12, 30))
        last = datetime.combine(change, time(14))
        body = {"start": _google(first, NEW_YORK), "end": _google(last, NEW_YORK)}
        ends = [each.replace(tzinfo=NEW_YORK).astimezone(self.zone) for each in (first, last)]
        return Case("Clock change", body, sorted({end.date() for end in ends}))

    def _changed(self) -> Iterator[Case]:
        """Events that change after they were mirrored."""
        past = self.timed(-2, "10:00", -2, "11:00")
        moved = self.timed(4, "12:00", 4, "13:00")
        yield Case("Closed, then moved", past, [4], after=moved, closed=True)
        gone = self.timed(5, "09:00", 5, "10:00")
        yield Case("Cancelled", gone, [], after={"status": "cancelled"})
        yield Case("Moved", self.timed(5, "10:00", 5, "11:00"), [6], after=self.whole(6))
        daily = {"recurrence": ["RRULE:FREQ=DAILY;COUNT=5"]}
        yield Case("Stand-up", self.timed(2, "16:00", 2, "16:15") | daily, [2, 3, 5, 6])

    def _texts(self) -> Iterator[Case]:
        private = {"visibility": "private", "description": "CANARY", "location": "CANARY"}
        yield Case("CANARY", self.timed(5, "14:00", 5, "15:00") | private, [5], shown="Busy")
        free = private | {"transparency": "transparent"}
        yield Case("CANARY 2", self.timed(6, "14:00", 6, "15:00") | free, [6], shown="Private")
        meeting = {
            "description": "First line\nSecond line: a < b & c\n\nhttps://example.com/agenda",
            "hangoutLink": "https://meet.google.com/abc-defg-hij",
            "location": "Room 4, Kochi",
        }
        yield Case("Tom & Jerry", self.timed(1, "12:00", 1, "13:00") | meeting, [1])
        yield Case("a < b", self.timed(1, "14:00", 1, "15:00"), [1])
        marked = self.timed(1, "16:00", 1, "17:00")
        yield Case("<b>L</b> & co", marked, [1], shown="‹b›L‹/b› & co")

    # --- bodies ---------------------------------------------------------------------------

    def whole(self, first: int, last: int | None = None) -> Json:
        """An all-day event; Google's end is the day after."""
        after = self.day(first if last is None else last) + timedelta(days=1)
        return {"start": {"date": f"{self.day(first)}"}, "end": {"date": f"{after}"}}

    def timed(self, first: int, begins: str, last: int, ends: str) -> Json:
        moments = ((self.day(first), begins), (self.day(last), ends))
        start, end = (datetime.combine(day, time.fromisoformat(at)) for day, at in moments)
        return {"start": _google(start, self.zone), "end": _google(end, self.zone)}


def by_title(blocks: Iterable[tuple[str, date]]) -> Days:
    """What was drawn, in the form of ``MixedWeek.expected``."""
    found: Days = defaultdict(list)
    for title, day in blocks:
        found[title].append(day)
    return {title: sorted(days) for title, days in found.items()}


def _google(naive: datetime, zone: ZoneInfo) -> Json:
    return {"dateTime": naive.replace(tzinfo=zone).isoformat(), "timeZone": str(zone)}


def _second_sunday_of_march(today: date) -> date:
    """The next second Sunday of March whose eve is still to come."""
    for year in (today.year, today.year + 1):
        first = date(year, 3, 1)
        sunday = first + timedelta(days=(6 - first.weekday()) % 7 + 7)
        if sunday - timedelta(days=1) > today:
            return sunday
    raise AssertionError("March comes every year")
