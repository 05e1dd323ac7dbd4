"""One try to work a calendar's debt off: under which lease, for which debt, since when; and what
became of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import structlog
from sqlalchemy import Row
from sqlalchemy.orm import Session

from watcher.channels.registry import open_channel
from watcher.errors import AccountDead, AppDead, BudgetSpent, WatcherError
from watcher.ledger import budget, calendars, channels, debts, due, heard, leases, opening
from watcher.ledger.debts import Work
from watcher.ledger.leases import CalendarLease
from watcher.ledger.rings import Lane
from watcher.ledger.states import AccountState
from watcher.services import Services
from watcher.telemetry import traces

log = logging.getLogger(__name__)


class End(StrEnum):
    """What became of a try to work a calendar's debt off."""

    DONE = "done"
    CHANGED = "changed"
    """Gone through, but the calendar has changed meanwhile: another pass is owed."""
    LEFT = "left"
    """A worker for pushes leaves it to one for bulk work: a full listing is owed, or Google did not
    answer promptly."""
    BUSY = "busy"
    """Another process has the lease."""
    IDLE = "idle"
    """The account is not active, or the calendar is no longer to be mirrored."""
    FAILED = "failed"
    """Recorded in the ledger, with the time of the next try."""
    WAITS = "waits"
    """The time of the next try has not come, and the sweep rings then; or the calendar is told of
    without end, and the web process rings."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """``is_watched``: a channel tells of the calendar's changes, or none is to be asked for now.
    ``started`` is by the clock, ``mark`` on the monotonic one; ``paid``: so many calls of Google's
    are counted against the budget already."""

    lease: CalendarLease
    work: Work
    is_watched: bool
    started: datetime
    mark: float = field(default_factory=time.monotonic)
    paid: int = 0
    trace: str = field(default_factory=traces.new)
    """The id of the pass: see ``telemetry.traces``."""

    @property
    def seconds(self) -> float:
        """So long it has taken so far."""
        return time.monotonic() - self.mark


def begin_attempt(
    services: Services, calendar_id: int, lane: Lane, *, in_any_case: bool = False
) -> Attempt | End:
    """Lease the calendar and read its debt, in one transaction. What it owes and whether its
    account is active is read after the lease was taken; see ``disconnect.drain``. ``in_any_case``:
    also when it owes nothing."""

    def begun(*, pays: bool) -> Attempt | End:
        with services.db.session() as session:
            lease = leases.take_calendar(session, calendar_id, services.owner)
            found, now = debts.owed(session, calendar_id), services.clock()
            end = _in_the_way(found, now)
            if found is not None and end is None and not in_any_case and not _owes(found):
                end = End.DONE  # the job before this one has read what this one was rung for
            if found is not None and end is None and lease is not None:
                attempt = _attempt(services, session, lease, found, lane)
                return _paid(session, attempt, now) if pays else attempt
            unserved = found is not None and not due.is_paced(found.paced_until, now)
            if unserved and end in (End.IDLE, End.WAITS):
                calendars.not_rung(session, calendar_id)
            if lease is not None:
                leases.release_calendar(session, lease)
            return end or End.BUSY

    try:
        return begun(pays=lane == "live")
    except BudgetSpent:
        return begun(pays=False)  # the pass is refused the call, and tells of it


def begin_together(services: Services, calendar_ids: Collection[int]) -> list[Attempt]:
    """As ``begin_attempt`` for calendars of which pushes tell, all in one transaction. Those are
    left out, and left as they are, of which a pass is not plain (another process has the lease, it
    failed the last time, a full listing is owed ...): it begins alone.

    Raises ``BudgetSpent`` when there is no room for a call for each; then none has begun.
    """
    attempts, trace = [], traces.new()
    with services.db.session() as session:
        now = services.clock()
        # All processes lock calendars in this order, so that no two wait for each other.
        for calendar_id in sorted(calendar_ids):
            lease = leases.take_calendar(session, calendar_id, services.owner)
            if lease is None:
                continue
            found = debts.owed(session, calendar_id)
            if found is None or _in_the_way(found, now) or not _is_plain(found):
                leases.release_calendar(session, lease)
                continue
            attempt = _attempt(services, session, lease, found, "live")
            attempts.append(replace(attempt, trace=trace))
        return [_paid(session, attempt, now) for attempt in attempts]


def _is_plain(found: Row[Any]) -> bool:
    """Whether a pass will most likely read and write a change or two: such passes are made
    together. One that failed the last time may have been the reason why all of them failed."""
    owes_changes = _owes(found) and not found.snapshot_seq and found.sync_token is not None
    went_well = not (found.failures or found.has_to_mask)
    return owes_changes and went_well and found.dirty_reason == "push"


def _paid(session: Session, attempt: Attempt, now: datetime) -> Attempt:
    """With the first call of Google's counted: in the transaction that is made anyway."""
    work = attempt.work
    if work.snapshot or work.sync_token is None:
        return attempt  # a full listing is owed, which a worker for pushes does not make
    budget.count(session, work.account_id, budget.purpose_of(work.reason), now)
    return replace(attempt, paid=1)


def _owes(found: Row[Any]) -> bool:
    return bool(found.dirty_seq > found.synced_seq)


def _in_the_way(found: Row[Any] | None, now: datetime) -> End | None:
    """Why no pass is to begin, apart from another process that is at it."""
    if found is None or found.removed or found.account_state != AccountState.ACTIVE:
        return End.IDLE
    if due.is_pausing(found.retry_at, now) or due.is_paced(found.paced_until, now):
        return End.WAITS
    return None


def begin_again(services: Services, lease: CalendarLease, lane: Lane) -> Attempt | End:
    """The debt that has come in meanwhile; or the calendar is let go, since no pass is to begin
    yet. In one transaction: who rings at the end of that pause must find it free."""
    with services.db.session() as session:
        calendar = calendars.locked(session, lease.calendar_id)
        if due.is_paced(calendar.paced_until, services.clock()):
            leases.release_calendar(session, lease)
            return End.WAITS
        return _attempt(services, session, lease, debts.known(session, lease.calendar_id), lane)


def _attempt(
    services: Services, session: Session, lease: CalendarLease, found: Row[Any], lane: Lane
) -> Attempt:
    """Workers for pushes open no channels, so they need not know whether one is missing."""
    now = services.clock()
    is_watched = (
        lane == "live"
        or channels.is_waiting(found, now)
        or heard.is_open(session, found.id, now)
        or opening.asked_within_a_minute(session, now) >= services.settings.renew_per_minute
    )
    work = debts.begin(session, lease, found, None if is_watched else now)
    return Attempt(lease=lease, work=work, is_watched=is_watched, started=now)


@contextmanager
def about(attempt: Attempt) -> Iterator[None]:
    """What is logged meanwhile names the calendar, the pass, and who told of it."""
    work = attempt.work
    told = structlog.contextvars.bound_contextvars(calendar=work.calendar_id)
    with told, traces.of_pass(attempt.trace, work.told_by):
        yield


def watched(services: Services, attempt: Attempt) -> Attempt:
    """A calendar is watched before it is first read, so that nothing falls between. The channel may
    tell the id of a calendar that was known as ``primary`` only: before anything is mirrored under
    that word.

    A watch that fails does not stop the sync: the poll covers until the next try.
    """
    if attempt.is_watched:
        return attempt
    work = attempt.work
    try:
        open_channel(services, work.calendar_id, instead_of=None)
    except (AccountDead, AppDead):
        raise
    except WatcherError as error:
        log.info("synced without a channel for now: %s", error.message)
    # What the opening itself has left owing, and Google's first message on the channel, are read by
    # this pass, which has not begun to read: no second one is needed for them.
    with services.db.session() as session:
        now = debts.begin(session, attempt.lease)
    debt = replace(
        now,
        reason=work.reason,
        received_at=work.received_at or now.received_at,
        sweep_allowed=work.sweep_allowed,
    )
    return replace(attempt, work=debt)
