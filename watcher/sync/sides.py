"""What one pass over a calendar works with, and what it came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from watcher.erpnext.applied import Applied
from watcher.erpnext.erasure import Note, note_nothing
from watcher.erpnext.events import EventMirror
from watcher.events.compare import Place
from watcher.events.mapping import data_id
from watcher.events.model import Action, MappingRules, Row, Window
from watcher.google.client import CalendarClient
from watcher.ledger.aside import Refusal

ZONES_APART = timedelta(days=2)
"""Days of the calendar's zone and times of the site's differ by less."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sides:
    """Both outside systems and the policy, for one calendar. ``window`` is what is mirrored (with
    its reach), ``api_user`` who writes, ``now`` (aware) when the pass began. ``note_erased`` is
    told of rows (name to key) whose past is being erased, before it is done."""

    google: CalendarClient
    mirror: EventMirror
    rules: MappingRules
    window: Window
    api_user: str
    policy: str
    now: datetime
    note_erased: Note = note_nothing

    def place(self, calendar_zone: ZoneInfo) -> Place:
        return Place(
            window=self.window,
            site_zone=self.rules.site_zone,
            calendar_zone=calendar_zone,
            now=self.now,
        )

    @property
    def calendar(self) -> tuple[str, str]:
        """Account and calendar id as the fields of ERPNext's rows hold them."""
        return data_id(self.rules.account), data_id(self.rules.calendar_id)

    def rows_for(self, keys: Iterable[str], seen: str) -> list[Row]:
        """What ERPNext holds for the calendar, as far as a listing of the window with these keys
        decides on it: the rows of the keys wherever they lie, and of the others those that do not
        end before the window, that were written after ``seen``, or that have no key. The rest is
        history, which stays as it is. All rows when ``seen`` is empty: rows that an earlier version
        has only masked may lie anywhere."""
        if not seen:
            return self.mirror.held_of_calendar(*self.calendar)
        edge = (self.window.start - ZONES_APART).astimezone(self.rules.site_zone)
        rows = self.mirror.held_for_listing(
            *self.calendar, ends_after=f"{edge:%Y-%m-%d %H:%M:%S}", touched_since=seen
        )
        known = {row.key for row in rows}
        return [*rows, *self.mirror.held_by_keys(key for key in keys if key not in known).values()]


@dataclass(kw_only=True, slots=True)
class Report:
    """What a sync did; becomes a row of ``runs``. ``changes`` are Google's stamps of what a delta
    told. ``vanished_held`` says why ``sweep_held`` cancellations wait for a person's word;
    ``touched``: somebody else has written rows meanwhile. ``private_ids``: events and series of
    which ERPNext may keep what was deleted."""

    kind: str
    pages: int = 0
    items: int = 0
    applied: Applied | None = None
    planned: list[Action] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    refused: list[Refusal] = field(default_factory=list)
    settled_keys: list[str] = field(default_factory=list)
    vanished_held: str = ""
    sweep_held: int | None = None
    touched: bool = False
    private_ids: list[str] = field(default_factory=list)
    changes: tuple[datetime, ...] = ()
    oldest_change: datetime | None = None
