"""When things were, as it stands in sentences. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from watcher.events import model
from watcher.events.times import from_site
from watcher.languages.moments import Moment
from watcher.languages.sentence import sentence


@dataclass(frozen=True, slots=True)
class Clock:
    """Writes moments in one zone, which is named once for all of them."""

    zone: ZoneInfo

    def at(self, moment: datetime | None) -> str:
        """``Tue 2026-12-01 10:00:00``."""
        if moment is None:
            return sentence("never")
        return Moment.of(moment.astimezone(self.zone), "second")

    def site(self, text: str, zone: ZoneInfo) -> str:
        """A naive string of the site in ``zone``."""
        return self.at(from_site(text, zone) if text else None)

    def on(self, moment: datetime) -> str:
        """The day of a moment."""
        return Moment.of(moment.astimezone(self.zone).date(), "day")

    def start(self, moment: model.EventTime) -> str:
        if moment.instant is not None:
            return Moment.of(moment.instant.astimezone(self.zone), "minute")
        return Moment.of(self.day(moment), "day")

    def day(self, moment: model.EventTime) -> date:
        if moment.instant is not None:
            return moment.instant.astimezone(self.zone).date()
        return moment.day or date.min

    def span(self, event: model.GoogleEvent) -> str:
        """When an event is: ``Tue 2026-12-01 10:00 to 10:15``, ``Tue 2026-12-01, all day``."""
        start, end = event.start, event.end
        if start is None:
            return ""
        begins = self.start(start)
        if start.day is not None:
            last = end.day - timedelta(days=1) if end is not None and end.day else start.day
            if last <= start.day:
                return sentence("%(day)s, all day", day=begins)
            return sentence("%(first)s to %(last)s, all day", first=begins, last=_day(last))
        if end is None or end.instant is None or start.instant is None:
            return begins
        there = end.instant.astimezone(self.zone)
        same = there.date() == start.instant.astimezone(self.zone).date()
        until = Moment.of(there, "clock") if same else self.start(end)
        return sentence("%(start)s to %(end)s", start=begins, end=until)


def _day(day: date) -> str:
    return Moment.of(day, "day")
