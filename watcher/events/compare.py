"""Where the rows of ERPNext differ from what Google says: one row field by field, and a whole
calendar for ``watcher verify``. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from watcher.events import fields, model, window
from watcher.languages.sentence import joined


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """The window and the zones in which rows are placed in it; ``now`` is aware."""

    window: model.Window
    site_zone: ZoneInfo
    calendar_zone: ZoneInfo
    now: datetime

    @property
    def today(self) -> str:
        """The site's date, by which ERPNext closes what is past."""
        return f"{self.now.astimezone(self.site_zone):%Y-%m-%d}"

    def holds(self, row: model.Row) -> bool:
        return window.row_in_window(row, self.window, self.site_zone, self.calendar_zone)

    def starts(self, row: model.Row) -> datetime:
        return window.row_bounds(row, self.site_zone, self.calendar_zone)[0]

    def is_past(self, row: model.Row) -> bool:
        return window.row_is_past(row, self.window, self.site_zone, self.calendar_zone)


def is_to_reopen(event: model.ErpEvent, row: model.Row, place: Place) -> bool:
    """ERPNext closes what ended before today; what is moved or prolonged into today or later is to
    be seen again. What a person completed, or closed without a change of times, stays."""
    return row.status == "Closed" and event.ends_on[:10] >= place.today and is_moved(event, row)


def is_moved(event: model.ErpEvent, row: model.Row) -> bool:
    """Whether the times differ beyond what earlier versions and ERPNext itself make of an end."""
    if (event.starts_on, event.all_day) != (row.starts_on, row.all_day):
        return True
    if row.ends_on is None:
        return event.ends_on[:10] != row.starts_on[:10]
    length = 10 if event.all_day else 19
    return event.ends_on[:length] != row.ends_on[:length]


@dataclass(frozen=True, slots=True)
class Difference:
    """What ``watcher verify`` found: (key, event id, detail) each."""

    missing: list[tuple[str, str, str]] = field(default_factory=list)
    extra: list[tuple[str, str, str]] = field(default_factory=list)
    different: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.missing) + len(self.extra) + len(self.different)


def difference(told: model.Told, rows: Iterable[model.Row], place: Place) -> Difference:
    """Compare what Google has in the window with the live rows of ERPNext; changes nothing."""
    found = Difference()
    live = {
        row.key: row
        for row in rows
        if row.key and not row.is_cancelled and row.key not in told.aside
    }
    for event in told.live:
        row = live.pop(event.key, None)
        if isinstance(event, model.Skipped):
            if row is not None:
                found.extra.append((event.key, event.event_id, event.reason))
        elif row is None:
            found.missing.append((event.key, event.event_id, event.starts_on))
        elif detail := _detail_of(event, row, place):
            found.different.append((event.key, event.event_id, detail))
    for row in live.values():
        if place.holds(row):
            found.extra.append((row.key, row.event_id, "not in Google"))
    return found


def _detail_of(event: model.ErpEvent, row: model.Row, place: Place) -> str:
    status = fields.STATUS if is_to_reopen(event, row, place) else ""
    return joined(", ", detail(event, row), status)


def detail(event: model.ErpEvent, row: model.Row) -> str:
    """The mirrored fields in which a row differs from its event, as words."""
    checks = (
        (fields.REPETITION, row.repeats),
        (fields.ACCOUNT, row.owner_ids not in (None, (event.account, event.calendar_id))),
    )
    wrong = [word for word, differs in checks if differs]
    always = fields.differing(event, row, fields.ALWAYS)
    optional = fields.differing(event, row, fields.OPTIONAL)
    return joined(", ", *always, *wrong, *optional)
