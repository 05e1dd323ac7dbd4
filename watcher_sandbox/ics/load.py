"""The events of an export into a calendar of the sandbox Google."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from watcher_sandbox.google import GoogleState, expand, instance_id
from watcher_sandbox.google.errors import GoogleError
from watcher_sandbox.ics.event import Event, LeftOut, Moment
from watcher_sandbox.ics.file import Source, read
from watcher_sandbox.ics.report import Report
from watcher_sandbox.ics.zones import Zones, explained, known

FOLLOWING = timedelta(days=2 * 365)
"""How far around now a change of "this and following" is carried out."""


@dataclass(frozen=True, slots=True)
class Series:
    """An event that is in Google, to which overrides may belong."""

    id: str
    start: Moment


def zone_of(path: Path, default: str) -> str:
    """The zone that the file gives its first calendar (X-WR-TIMEZONE), else ``default``."""
    names = (known(source.properties.get("X-WR-TIMEZONE", "")) for source in read(path))
    return next(filter(None, names), default)


def load(google: GoogleState, calendar_id: str, path: Path) -> Report:
    """Insert the file's events. Raises ``ValueError`` when the file is no iCalendar.

    Times without a zone are in the zone of their VCALENDAR, else of the calendar in Google.
    """
    sources = read(path)
    loader = _Loader(google, calendar_id, sources)
    events = [event for source in sources for event in loader.events(source)]
    plain = [event for event in events if not event.is_override]
    for event in sorted(plain, key=lambda event: -event.sequence):
        with loader.counting(event):
            loader.insert(event)
    for event in sorted(filter(lambda e: e.is_override, events), key=_order):
        with loader.counting(event):
            loader.override(event)
    return loader.report


def _order(event: Event) -> tuple[bool, str]:
    """What changes all that follow comes before what changes one of them; the rest by time."""
    return not event.and_following, event.named_instance if event.and_following else ""


class _Loader:
    def __init__(self, google: GoogleState, calendar_id: str, sources: list[Source]) -> None:
        self.report = Report()
        self._zones = explained(b for source in sources for b in source.named("VTIMEZONE"))
        self._google = google
        self._calendar = calendar_id
        self._series: dict[str, Series | None] = {}

    def events(self, source: Source) -> Iterator[Event]:
        """Where a calendar lacks a zone that it names, the VTIMEZONE of another calendar of the
        file serves."""
        own = explained(source.named("VTIMEZONE"))
        zones = Zones(self._zones | own, self._zone(source))
        cancelled = source.properties.get("METHOD", "").upper() == "CANCEL"
        for block in source.blocks:
            if block.name == "VEVENT":
                yield Event.of(block, zones, cancelled)
            elif block.name != "VTIMEZONE":
                self.report.leave_out(f"it is no event but a {block.name}", block.title)

    def _zone(self, source: Source) -> str:
        default = self._google.store.calendar(self._calendar).time_zone
        name = source.properties.get("X-WR-TIMEZONE", "")
        found = known(name) if name else None
        if name and found is None:
            text = f'the calendar\'s zone "{name}" is not known: {default} instead'
            self.report.note(text, "")
        return found or default

    @contextmanager
    def counting(self, event: Event) -> Iterator[None]:
        """Around the insertion of an event: note in the report what became of it."""
        try:
            yield
        except LeftOut as reason:
            self.report.leave_out(str(reason), event.title)
        except GoogleError as error:
            self.report.leave_out(f"Google refuses it: {error.message}", event.title)
        except (OverflowError, ValueError, TypeError):
            self.report.leave_out("a time in it makes no sense", event.title)
        else:
            self.report.loaded += 1
            for note in event.notes:
                self.report.note(note, event.title)

    # --- events and series ----------------------------------------------------------------

    def insert(self, event: Event) -> None:
        if event.uid and event.uid in self._series:
            raise LeftOut("it is in the file once more, with the same UID")
        if event.uid:
            self._series[event.uid] = None
        if event.cancelled:
            raise LeftOut("it is cancelled")
        body = event.body()
        start = event.start()
        lines = event.recurrence(start)
        if lines:
            body["recurrence"] = lines
        made = self._google.insert_event(self._calendar, body)
        if event.uid:
            self._series[event.uid] = Series(made, start)
        for moment, length in event.dates("RDATE", start):
            if length is not None and not moment.is_day:
                self._patch(made, moment, {"end": moment.later(length).body()})

    def override(self, event: Event) -> None:
        """Change or cancel the instance that RECURRENCE-ID names, or all from it on. Without its
        series in the file, such as one meeting that one was asked to, it is an event."""
        if event.uid not in self._series:
            self._alone(event)
            return
        series = self._series[event.uid]
        if series is None:
            raise LeftOut("the series that it changes was left out")
        original = event.original(series.start)
        if event.and_following:
            self._following(event, series, original)
        elif event.cancelled:
            self._cancel(instance_id(series.id, original.body()))
        else:
            self._patch(series.id, original, event.body())

    def _alone(self, event: Event) -> None:
        if event.cancelled:
            raise LeftOut("it is cancelled")
        self._google.insert_event(self._calendar, event.body())

    def _patch(self, series: str, original: Moment, changes: dict[str, Any]) -> None:
        with _no_such_day():
            instance = instance_id(series, original.body())
            self._google.patch_event(self._calendar, instance, changes)

    def _cancel(self, instance: str) -> None:
        with _no_such_day():
            self._google.delete_event(self._calendar, instance)

    # --- this and following ---------------------------------------------------------------

    def _following(self, event: Event, series: Series, original: Moment) -> None:
        """Each instance from ``original`` on, by the same step on the clock. Not as a new series:
        a rule cannot be moved to another day, its exceptions neither."""
        starts = self._starts(series, original)
        if not starts:
            raise LeftOut("the series that it changes has no such day")
        if event.cancelled:
            for each in starts:
                self._cancel(instance_id(series.id, each.body()))
            return
        body, start = event.body(), event.start()
        if start.is_day != original.is_day:
            raise LeftOut("it changes days to times, or times to days, from a day on")
        length = event.end(start).utc - start.utc
        for each in starts:
            begin = _placed(each, start, start.wall - original.wall)
            times = {"start": begin.body(), "end": begin.later(length).body()}
            self._patch(series.id, each, body | times)
        event.notes.append("changed from a day on: carried out within two years of today")

    def _starts(self, series: Series, original: Moment) -> list[Moment]:
        """Original starts of the live instances from ``original`` on."""
        now = self._google.clock.now()
        calendar = self._google.store.calendar(self._calendar)
        master = calendar.items[series.id]
        if not master.is_series:
            return []
        found = expand.instances(calendar, master, now - FOLLOWING, now + FOLLOWING)
        live = (each.data["originalStartTime"] for each in found if not each.cancelled)
        starts = (_moment(each, series.start.zone) for each in live)
        return [each for each in starts if each.utc >= original.utc]


def _placed(original: Moment, like: Moment, step: timedelta) -> Moment:
    """``original`` moved by ``step`` on the clock, in the zone of ``like``: 09:00 stays 09:00 over
    a change of clocks."""
    moved = original.wall + step
    return Moment(moved.date()) if original.is_day else Moment.of_wall(moved, like.zone)


def _moment(value: dict[str, str], zone: str) -> Moment:
    if "date" in value:
        return Moment(datetime.fromisoformat(value["date"]).date())
    return Moment(datetime.fromisoformat(value["dateTime"]), zone)


@contextmanager
def _no_such_day() -> Iterator[None]:
    try:
        yield
    except GoogleError as error:
        if error.status == 404:
            raise LeftOut("the series that it changes has no such day") from None
        if error.status != 410:  # cancelled before: by another copy of the same change
            raise
