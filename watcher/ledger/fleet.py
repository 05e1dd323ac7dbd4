"""All mirrored calendars at one moment: how many stand how, and those that somebody may have to
look at, each with its account.

A company has thousands of calendars, and nearly all of them are up to date or paused: the database
counts these, and rows are read of the others alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from watcher.ledger import models, renewals, sizes, standing, states, watched
from watcher.ledger.db import Database
from watcher.ledger.models import Account, Calendar

Pair = tuple[models.Calendar, models.Account]
_LISTED = and_(sizes.MIRRORED, Account.state.not_in(states.UNLISTED))
_WATCHABLE = func.coalesce(Calendar.push_supported, True)
"""Google has not said that it cannot push for this calendar."""


@dataclass(frozen=True, slots=True)
class Watching:
    """The live channels together: how many calendars have one that was heard, how many one that
    was not, and of these the moments at which those were opened that Google has had the time to
    speak on (``quiet``)."""

    heard: int
    silent: int
    quiet: Sequence[datetime]
    next_expiry: datetime | None


@dataclass(frozen=True, slots=True)
class Fleet:
    """``counts`` are of all calendars, ``poll_only`` of those that Google cannot push for.
    ``pairs`` are active ones that are not simply up to date, ``statuses`` theirs by calendar id.
    ``unwatched`` should have a live channel and have none; ``watching`` tells of those that are."""

    seen: standing.Moment
    counts: Mapping[states.CalendarStatus, int]
    poll_only: int
    pairs: Sequence[Pair]
    statuses: Mapping[int, states.CalendarStatus]
    unwatched: Sequence[Pair]
    watching: Watching

    def __bool__(self) -> bool:
        """Whether there is any calendar."""
        return any(self.counts.values())

    def waits(self) -> list[tuple[Pair, datetime]]:
        """Calendars that owe a known change, each with since when it waits."""
        return [
            ((c, a), since)
            for c, a in self.pairs
            if c.owes
            if (since := standing.waiting_since(c, self.seen)) is not None
        ]

    def longest_wait(self) -> float:
        """Seconds for which the oldest known change has waited."""
        waits = [self.seen.now - since for _, since in self.waits()]
        return max((wait.total_seconds() for wait in waits), default=0.0)


def look(db: Database, session: Session, now: datetime) -> Fleet:
    seen, numbers = standing.moment(db, session, now), sizes.calendars(session, now)
    pairs = _pairs(session, sizes.ACTIVE, standing.is_restless(), ~standing.is_at_rest())
    statuses = {c.id: standing.calendar_status(c, a, seen) for c, a in pairs}
    counts = Counter(statuses.values())
    counts[states.CalendarStatus.UP_TO_DATE] += numbers.at_rest
    counts[states.CalendarStatus.PAUSED] += numbers.paused
    missing = renewals.may_be_unwatched(now), ~watched.has_channel(now)
    unwatched = _pairs(session, sizes.ACTIVE, _WATCHABLE, *missing)
    quiet = watched.quiet(session, now) if numbers.silent else ()
    watching = Watching(numbers.heard, numbers.silent, quiet, numbers.next_expiry)
    return Fleet(seen, counts, numbers.poll_only, pairs, statuses, unwatched, watching)


def _pairs(session: Session, *which: ColumnElement[bool]) -> list[Pair]:
    rows = session.execute(
        select(Calendar, Account)
        .join(Account)
        .where(_LISTED, *which)
        .order_by(Account.email, Calendar.id)
    )
    return [(row[0], row[1]) for row in rows]
