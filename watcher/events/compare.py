"""What ERPNext holds against what Google says: field by field, and as a whole for ``verify``.
Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from watcher.events.model import ErpEvent, Row, Skipped, Told, Window
from watcher.events.window import row_bounds, row_in_window, row_is_past

_MARKUP = re.compile(r"<[^<>]*>|\s+")  # no "<" inside: linear, however many a person typed
_ADDRESS = re.compile(r"""href=["'](?=https?:|mailto:)([^"'<>]*)""", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """The window and the zones in which rows are placed in it; ``now`` is aware."""

    window: Window
    site_zone: ZoneInfo
    calendar_zone: ZoneInfo
    now: datetime

    @property
    def today(self) -> str:
        """The site's date, by which ERPNext closes what is past."""
        return f"{self.now.astimezone(self.site_zone):%Y-%m-%d}"

    def holds(self, row: Row) -> bool:
        return row_in_window(row, self.window, self.site_zone, self.calendar_zone)

    def starts(self, row: Row) -> datetime:
        return row_bounds(row, self.site_zone, self.calendar_zone)[0]

    def is_past(self, row: Row) -> bool:
        return row_is_past(row, self.window, self.site_zone, self.calendar_zone)


def is_to_reopen(event: ErpEvent, row: Row, place: Place) -> bool:
    """ERPNext closes what ended before today; what is moved or prolonged into today or later is to
    be seen again. What a person completed, or closed without a change of times, stays."""
    return row.status == "Closed" and event.ends_on[:10] >= place.today and is_moved(event, row)


def is_moved(event: ErpEvent, row: Row) -> bool:
    """Whether the times differ beyond what earlier versions and ERPNext itself make of an end."""
    if (event.starts_on, event.all_day) != (row.starts_on, row.all_day):
        return True
    if row.ends_on is None:
        return event.ends_on[:10] != row.starts_on[:10]
    length = 10 if event.all_day else 19
    return event.ends_on[:length] != row.ends_on[:length]


def _same_times(event: ErpEvent, row: Row) -> bool:
    ends = row.ends_on or row.starts_on
    return (event.starts_on, event.ends_on, event.all_day) == (
        row.starts_on,
        ends,
        row.all_day,
    )


def _plain(text: str) -> str:
    """Text without markup: the server sanitises, so that a read-back differs in markup only."""
    return _MARKUP.sub("", html.unescape(_MARKUP.sub(" ", html.unescape(text))))


@dataclass(frozen=True, slots=True)
class Difference:
    """What ``watcher verify`` found: (key, event id, detail) each."""

    missing: list[tuple[str, str, str]] = field(default_factory=list)
    extra: list[tuple[str, str, str]] = field(default_factory=list)
    different: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.missing) + len(self.extra) + len(self.different)


def difference(told: Told, rows: Iterable[Row], place: Place) -> Difference:
    """Compare what Google has in the window with the live rows of ERPNext; changes nothing."""
    found = Difference()
    live = {
        row.key: row
        for row in rows
        if row.key and not row.is_cancelled and row.key not in told.aside
    }
    for event in told.live:
        row = live.pop(event.key, None)
        if isinstance(event, Skipped):
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


def _detail_of(event: ErpEvent, row: Row, place: Place) -> str:
    status = "status" if is_to_reopen(event, row, place) else ""
    return ", ".join(filter(None, (detail(event, row), status)))


def detail(event: ErpEvent, row: Row) -> str:
    """The mirrored fields in which a row differs from its event, as words."""
    wrong = [
        word
        for word, differs in (
            ("time", not _same_times(event, row)),
            ("subject", _plain(row.subject) != _plain(event.subject)),
            ("event_type", row.event_type != event.event_type),
            ("description", _plain(row.description) != _plain(event.description)),
            ("link", _addresses(row.description) != _addresses(event.description)),
            ("repetition", row.repeats),
            ("account", row.owner_ids not in (None, (event.account, event.calendar_id))),
            ("location", _other_text(event.location, row.location)),
            ("meet_link", _other_text(event.meet_link, row.meet_link)),
            ("employee", (event.employee or "") != (row.employee or "")),
        )
        if differs
    ]
    return ", ".join(wrong)


def _addresses(text: str) -> list[str]:
    """Where the links of a text lead: a person may have put another address under the same words.
    Some versions of Frappe drop addresses of telephones."""
    return sorted(html.unescape(found).strip() for found in _ADDRESS.findall(text))


def _other_text(wanted: str | None, there: str | None) -> bool:
    """None: the site has no such field."""
    return wanted is not None and there is not None and _plain(wanted) != _plain(there)
