"""All mirrored calendars at one moment, each with its account and how it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from watcher.ledger import models, standing, states, watched
from watcher.ledger.db import Database

Pair = tuple[models.Calendar, models.Account]


@dataclass(frozen=True, slots=True)
class Fleet:
    """``statuses`` and ``watches`` are by calendar id; ``watches`` holds those that have a live
    channel."""

    seen: standing.Moment
    pairs: Sequence[Pair]
    statuses: Mapping[int, states.CalendarStatus]
    watches: Mapping[int, watched.Watch]

    def active(self) -> list[Pair]:
        """Those whose account Watcher works for."""
        return [(c, a) for c, a in self.pairs if a.is_active]

    def unwatched(self) -> list[Pair]:
        """Those that should have a live channel and have none."""
        return [
            (c, a)
            for c, a in self.active()
            if c.push_supported is not False and c.id not in self.watches
        ]

    def count(self, status: states.CalendarStatus) -> int:
        return sum(1 for each in self.statuses.values() if each == status)

    def waits(self) -> list[tuple[Pair, datetime]]:
        """Calendars that owe a known change, each with since when it waits."""
        return [
            ((c, a), since)
            for c, a in self.active()
            if c.dirty_seq > c.synced_seq
            if (since := standing.waiting_since(c, self.seen)) is not None
        ]

    def longest_wait(self) -> float:
        """Seconds for which the oldest known change has waited."""
        waits = [self.seen.now - since for _, since in self.waits()]
        return max((wait.total_seconds() for wait in waits), default=0.0)


def look(db: Database, session: Session, now: datetime) -> Fleet:
    rows = session.execute(
        select(models.Calendar, models.Account)
        .join(models.Account)
        .where(
            models.Calendar.removed.is_(False),
            models.Account.state != states.AccountState.DISCONNECTED,
        )
        .order_by(models.Account.email, models.Calendar.id)
    )
    pairs = [(row[0], row[1]) for row in rows]
    seen = standing.moment(db, session, now)
    statuses = {c.id: standing.calendar_status(c, a, seen) for c, a in pairs}
    return Fleet(seen, pairs, statuses, watched.live_channels(session, now))
