"""Pure: which troubles are told, together or alone, when again, and when no more.

A trouble is told once it has lasted for ``grace``, and again two and seven days after that; it is
closed when it is mended. Where many accounts fail alike at the same time there is one cause: the
admins are told once, and the employees, who can do nothing about it, are not told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from watcher.errors import OUTAGES, Cause
from watcher.ledger.causes import WIDE

ALIKE = 5
"""So many accounts or calendars that fail alike within ``TOGETHER`` have a common cause."""
TOGETHER = timedelta(minutes=10)
AGAIN = (timedelta(0), timedelta(days=2), timedelta(days=7))
AT_ONCE, A_WHILE, OUTAGE = timedelta(seconds=60), timedelta(minutes=5), timedelta(minutes=15)


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """One problem of ``watcher status``. ``account`` is an address or None."""

    account: str | None
    calendar: str | None
    state: str
    cause: str
    text: str
    step: str

    @property
    def key(self) -> str:
        """Names the trouble for as long as it lasts."""
        if self.cause in WIDE:
            return f"cause:{self.cause}"
        if self.account is None:
            return f"watcher:{self.state}:{self.cause}"
        if self.state == "needs_reconnect":
            return f"{self.state}:{self.account}"[:500]  # whatever the cause has become
        what = f"{self.account}:{self.calendar}" if self.calendar else self.account
        return f"{self.cause}:{what}"[:500]

    @property
    def is_one_of_many(self) -> bool:
        return self.account is not None and self.cause not in WIDE


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """A trouble that is in the ledger and not mended. ``group`` is the common cause it belongs
    to; a common cause itself has ``is_group``."""

    id: int
    key: str
    cause: str
    seen_at: datetime
    group: int | None = None
    is_group: bool = False
    is_one_of_many: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Joint:
    """Troubles (by id) that have one cause; ``group`` is its row, None when it is new."""

    cause: str
    members: tuple[int, ...]
    group: int | None = None


def vanished(known: Iterable[Known], troubles: Iterable[Trouble]) -> list[int]:
    """Ids of the rows whose trouble is no longer there, and of the common causes that none of the
    lasting rows belongs to."""
    there = {trouble.key for trouble in troubles}
    rows = list(known)
    gone = {row.id for row in rows if not row.is_group and row.key not in there}
    alive = {row.group for row in rows if row.group is not None and row.id not in gone}
    gone |= {row.id for row in rows if row.is_group and row.id not in alive}
    return sorted(gone)


def joined(known: Sequence[Known]) -> list[Joint]:
    """New common causes, and new members of those that are known."""
    found = []
    by_cause: dict[str, list[Known]] = defaultdict(list)
    for row in known:
        if row.is_one_of_many and not row.is_group:
            by_cause[row.cause].append(row)
    groups = {row.cause: row for row in known if row.is_group}
    for cause, rows in by_cause.items():
        group = groups.get(cause)
        alone = sorted((r for r in rows if r.group is None), key=lambda r: r.seen_at)
        members = [r.seen_at for r in rows if group is not None and r.group == group.id]
        new = _together(alone, members)
        if new:
            found.append(Joint(cause=cause, members=new, group=group.id if group else None))
    return found


def _together(alone: Sequence[Known], members: Sequence[datetime]) -> tuple[int, ...]:
    """The ids of those of ``alone`` (in order of time) that belong to a common cause: they came
    within ``TOGETHER`` of the last of its ``members``, or ``ALIKE`` of them came within that time
    of each other."""
    found: list[int] = []
    rest: list[Known] = []
    latest = max(members, default=None)
    for row in alone:
        if latest is not None and row.seen_at <= latest + TOGETHER:
            found.append(row.id)
            latest = max(latest, row.seen_at)
        else:
            rest.append(row)
    for first in range(len(rest) - ALIKE + 1):
        near = [r.id for r in rest[first:] if r.seen_at - rest[first].seen_at <= TOGETHER]
        if len(near) >= ALIKE:
            return (*found, *near)
    return tuple(found)


def grace(state: str, cause: str) -> timedelta:
    """How long a trouble has to last before somebody is told: most outages pass by themselves."""
    if cause in OUTAGES.values() or cause == Cause.GOOGLE_QUOTA:
        return OUTAGE
    if state == "invited":
        return timedelta(0)
    if state in ("needs_reconnect", "failing", "paused", "not_masked", "not_cancelled"):
        return AT_ONCE
    return A_WHILE


def rounds_due(seen_at: datetime, state: str, cause: str, now: datetime) -> int:
    """How often a trouble that still lasts is to have been told by now: 0 to 3 times. One that was
    first seen by a clock that ran ahead is told at once."""
    begun = seen_at + grace(state, cause) if seen_at <= now else now
    return sum(now >= begun + after for after in AGAIN)


def usable(media: Collection[str], cause: str) -> list[str]:
    """The media that can carry this: never the one that is broken."""
    return [medium for medium in media if medium != cause]
