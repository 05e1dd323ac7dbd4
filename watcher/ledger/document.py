"""The status document: everything that ``watcher status``, dashboard, metrics and notices tell.

Its fields are the keys of ``watcher status --json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from watcher.ledger.problems import Problem


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountCounts:
    """Accounts by state."""

    active: int
    needs_reconnect: int
    paused: int
    invited: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CalendarCounts:
    """Calendars by status. ``poll_only``, which Google cannot watch, count under theirs too."""

    up_to_date: int
    syncing: int
    delayed: int
    failing: int
    paused: int
    poll_only: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelCounts:
    """Calendars that are watched, and those that should be and are not."""

    live: int
    missing: int
    next_expiry: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueCounts:
    """Jobs that wait in each lane (0 too when the queue does not answer), and how long the oldest
    known change has waited."""

    live: int
    backfill: int
    oldest_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Freshness:
    """Seconds from Google's stamp of a change to ERPNext, over ``count`` passes that a push began.
    The percentiles are None without one."""

    p50: float | None
    p95: float | None
    p99: float | None
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class GoogleCalls:
    """Calls of today (UTC), what the day will come to, and what Google allows for nothing."""

    today: int
    forecast_day: int
    day_line: int


@dataclass(frozen=True, kw_only=True, slots=True)
class AsideCause:
    """``count`` events stand aside for the same reason."""

    cause: str
    message: str
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SetAside:
    """Events that are not in ERPNext as they should be, with their most frequent causes."""

    count: int
    oldest: datetime | None
    next_try: datetime | None
    causes: tuple[AsideCause, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SiteKnown:
    """ERPNext's apps with their versions as last read, and sentences on what is known of these.
    Empty before the first contact."""

    versions: Mapping[str, str]
    warnings: tuple[str, ...]
    read_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """How everything is at one moment."""

    version: str
    healthy: bool
    accounts: AccountCounts
    calendars: CalendarCounts
    channels: ChannelCounts
    queue: QueueCounts
    freshness_seconds: Freshness
    google_calls: GoogleCalls
    quarantined: int
    set_aside: SetAside
    erpnext: SiteKnown
    problems: tuple[Problem, ...]

    def as_json(self) -> dict[str, Any]:
        """Dates as ``2026-12-01T08:55:17Z``; a problem without a message has no such key."""
        document: dict[str, Any] = _plain(asdict(self))
        return document


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if not (k == "message" and v is None)}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else value
