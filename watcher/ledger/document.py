"""The status document: everything that ``watcher status``, dashboard, metrics and notices tell.

Its fields are the keys of ``watcher status --json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from watcher.languages.catalogs import N_
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
    """Calendars that are watched: ``live`` are those from whose channel a message came, ``silent``
    those from whose channel none came so far, ``missing`` those that should have one and have
    none."""

    live: int
    silent: int
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
class ProcessCounts:
    """Processes that run, by kind: ``live`` and ``backfill`` are workers."""

    web: int
    live: int
    backfill: int
    cron: int


class Light(StrEnum):
    """The state of everything in one word. ``amber``: something waits or stands aside, and nothing
    needs a person so far."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


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
    """How everything is at one moment. ``problems`` need a person, ``warnings`` do not yet; one
    cause is one entry, and those of the whole installation come first."""

    version: str
    healthy: bool
    light: Light
    accounts: AccountCounts
    calendars: CalendarCounts
    channels: ChannelCounts
    queue: QueueCounts
    processes: ProcessCounts
    freshness_seconds: Freshness
    google_calls: GoogleCalls
    quarantined: int
    set_aside: SetAside
    erpnext: SiteKnown
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]

    @property
    def is_empty(self) -> bool:
        """Nobody is connected or invited, so that there is nothing to keep current."""
        known = self.accounts
        return not known.active + known.needs_reconnect + known.paused + known.invited

    @property
    def word(self) -> str:
        """The light as the first line of ``watcher status`` has it."""
        return {
            Light.GREEN: "healthy, and nobody is connected yet" if self.is_empty else "healthy",
            Light.AMBER: "healthy, but not all is done",
            Light.RED: "needs attention",
        }[self.light]

    @property
    def sentence(self) -> str:
        """The light in words."""
        return {
            Light.GREEN: N_("Nothing is copied yet") if self.is_empty else N_("All is well"),
            Light.AMBER: N_("Nothing needs you, but not all is done"),
            Light.RED: N_("Needs attention"),
        }[self.light]

    def as_json(self) -> dict[str, Any]:
        """Dates as ``2026-12-01T08:55:17Z``; a problem has no key for what there is not to say."""
        document: dict[str, Any] = _plain(asdict(self))
        for name in ("problems", "warnings"):
            document[name] = [_said(each) for each in document[name]]
        return document


ALWAYS = ("account", "calendar", "state", "cause", "since", "next_step")
"""Keys that every problem has."""


def _said(problem: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in problem.items() if k in ALWAYS or v is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else value
