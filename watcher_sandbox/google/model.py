"""Calendars and events as they are kept: plain values, which only ``store`` changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = dict[str, Any]

READERS = frozenset({"owner", "writer", "reader", "writerWithoutPrivateAccess", "freeBusyReader"})
FULL_DETAIL = frozenset({"owner", "writer"})


@dataclass(slots=True)
class User:
    """One Google account. ``sub`` is the OIDC subject. ``calendar_id`` is that of the primary
    calendar: mostly the address, but not of a renamed mailbox or of an alias. Without
    ``has_calendar`` the admin has turned the Calendar service off for this user."""

    email: str
    name: str
    sub: str
    time_zone: str
    calendar_id: str = ""
    has_calendar: bool = True


@dataclass(slots=True)
class Item:
    """One event resource: a single event, a series, or an exception of a series.

    ``data`` holds Google's fields; of an exception (``master`` is set) only those that differ.
    A ``raw`` item is passed on as it is, however broken.
    """

    id: str
    data: Json
    seq: int
    created: datetime
    updated: datetime
    sequence: int = 0
    master: str | None = None
    suffix: str = ""
    original: Json | None = None
    raw: bool = False

    @property
    def cancelled(self) -> bool:
        return self.data.get("status") == "cancelled"

    @property
    def is_series(self) -> bool:
        return bool(self.data.get("recurrence")) and self.master is None

    @property
    def etag(self) -> str:
        return f'"{int(self.updated.timestamp() * 1000)}{self.seq:06d}"'


@dataclass(slots=True)
class Vanished:
    """An instance that has gone: a delta of expanded events has to report it as cancelled."""

    id: str
    master: str
    original: Json | None
    seq: int


@dataclass(slots=True)
class Calendar:
    """``items`` are in the order of their last change, so a delta is its tail."""

    id: str
    summary: str
    time_zone: str
    owner: str
    roles: dict[str, str] = field(default_factory=dict)
    primary: bool = False
    watchable: bool = True
    items: dict[str, Item] = field(default_factory=dict)
    exceptions: dict[str, dict[str, str]] = field(default_factory=dict)
    vanished: dict[str, Vanished] = field(default_factory=dict)
    seq: int = 0
    updated: datetime | None = None
    hidden_by: set[str] = field(default_factory=set)
    renamed_by: dict[str, str] = field(default_factory=dict)
    """Who has taken it off the list, or given it a name of their own there."""

    def exceptions_of(self, master_id: str) -> dict[str, Item]:
        """Exceptions of one series by the suffix of their original start."""
        known = self.exceptions.get(master_id, {})
        return {suffix: self.items[item_id] for suffix, item_id in known.items()}


@dataclass(frozen=True, slots=True)
class Instance:
    """One occurrence as Google would show it; ``item`` is its exception, if it is one."""

    id: str
    master: Item
    item: Item | None
    data: Json

    @property
    def cancelled(self) -> bool:
        return self.data.get("status") == "cancelled"
