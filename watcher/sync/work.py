"""A calendar's debt is worked off: it is leased, and passes are made until it has not changed
meanwhile. Here a pass that fails, or that is another worker's, is told from one that goes through.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import structlog

from watcher import errors
from watcher.google.errors import SIDE
from watcher.ledger import calendars, debts, leases
from watcher.ledger.rings import Lane
from watcher.services import Services
from watcher.sync.attempt import Attempt, End, about, begin_again, begin_attempt, watched
from watcher.sync.failure import is_sure, record_failure
from watcher.sync.moved import follow
from watcher.sync.outcome import Made, commit
from watcher.sync.passes import PATIENCE, keep_lease, make_pass
from watcher.sync.story import sync

log = logging.getLogger(__name__)

MAX_PASSES: dict[Lane, int] = {"live": 2, "backfill": 5}
"""So many passes are made in a row while a calendar goes on changing; then it goes to the end of
the queue. In the lane for pushes others wait."""
Story = Callable[[], End]
_LET_GO = frozenset({End.DONE, End.FAILED, End.WAITS})
"""Ends with which the calendar was let go in the transaction that stored them."""


def work_off(services: Services, calendar_id: int, reason: str, job_of: Lane | None = None) -> End:
    """Lease the calendar and sync until no change has come in meanwhile; ``CHANGED`` is not among
    the answers. ``job_of`` is the lane from which a job asks for it, and such a job makes no pass
    when nothing is owed any more; None: it is asked for by hand, as bulk work, and a pass is made
    in any case. In the lane for pushes no full listings are made, no channels opened, and Google is
    not waited for.

    Of ``watcher.errors`` it raises ``Transient`` alone, when the ledger does not answer.
    """
    with structlog.contextvars.bound_contextvars(calendar=calendar_id, why=reason):
        lane = job_of or "backfill"
        attempt = begin_attempt(services, calendar_id, lane, in_any_case=job_of is None)
        if isinstance(attempt, End):
            return attempt
        end = End.CHANGED
        try:
            for _ in range(MAX_PASSES[lane]):
                with about(attempt):
                    end = _one_pass(services, attempt, lane)
                if end != End.CHANGED:
                    break
                again = begin_again(services, attempt.lease, lane)
                if isinstance(again, End):
                    end = again
                    break
                attempt = again
        finally:
            _let_go(services, attempt, end)
        return _hand_on(services, calendar_id, end)


def end_pass(services: Services, attempt: Attempt, first: Story) -> End:
    """The end of a pass that a worker for pushes has begun together with others; otherwise as
    ``work_off``, but for a calendar that has changed meanwhile, which goes to the end of the queue.
    """
    end = End.BUSY
    try:
        with about(attempt):
            end = _one_pass(services, attempt, "live", first)
    finally:
        _let_go(services, attempt, end)
    return _hand_on(services, attempt.work.calendar_id, end)


def _let_go(services: Services, attempt: Attempt, end: End) -> None:
    if end not in _LET_GO:
        with services.db.session() as session:
            leases.release_calendar(session, attempt.lease)


def _hand_on(services: Services, calendar_id: int, end: End) -> End:
    """To be called when the calendar has been let go, or a quick worker would find it leased."""
    if end == End.LEFT:
        services.ring(calendar_id, "backfill", "left")
    if end == End.CHANGED:
        # A calendar that changes faster than it syncs goes to the end of the queue.
        services.ring(calendar_id, "live", "again")
        return End.DONE
    return end


def _one_pass(services: Services, attempt: Attempt, lane: Lane, story: Story | None = None) -> End:
    """A pass from its beginning to its end; with ``story`` the rest of one."""
    try:
        if story is not None:
            return story()
        attempt = watched(services, attempt)
        hold = keep_lease(services, attempt.mark, attempt.lease)
        p = make_pass(services, attempt.work, hold, PATIENCE[lane], attempt.paid)
        if p.kind == "snapshot" and lane == "live":
            return leave_listing(services, attempt)
        [end] = commit(services, Made(attempt=attempt, p=p, outcome=sync(p)))
        return end
    except errors.LeaseLost as error:
        log.warning("%s", error.message)
        return End.BUSY
    except errors.SyncTokenExpired:
        log.info("the sync token has expired: the whole window is read again")
        _owe_listing(services, attempt, token_expired=True)
        return End.CHANGED
    except errors.CalendarGone as error:
        return _look_for(services, attempt, error)
    except errors.WatcherError as error:
        if lane == "live" and _needs_patience(error):
            log.info("left to a worker for bulk work: %s", error.message)
            with services.db.session() as session:
                debts.hand_on(session, attempt.lease, attempt.work)
            return End.LEFT
        record_failure(services, attempt, error)
        return End.FAILED
    except Exception as error:
        # A defect of ours must not kill the worker or hide: it is logged with its traceback
        # and shown on the calendar like any other failure.
        log.exception("sync failed unexpectedly")
        record_failure(services, attempt, errors.Defect(error))
        return End.FAILED


def _needs_patience(error: errors.WatcherError) -> bool:
    """Google did not answer, or answered with an error that passes at once, as it does at times.
    Where it says itself how long to leave it alone, a second worker must not ask again."""
    return isinstance(error, errors.Transient) and error.side == SIDE and error.retry_after is None


def leave_listing(services: Services, attempt: Attempt) -> End:
    """A full listing turns out to be owed, which is bulk work. Raises ``LeaseLost``."""
    _owe_listing(services, attempt, token_expired=False)
    return End.LEFT


def _owe_listing(services: Services, attempt: Attempt, *, token_expired: bool) -> None:
    with services.db.session() as session:
        debts.leave(session, attempt.lease, attempt.work, token_expired=token_expired)


def _look_for(services: Services, attempt: Attempt, error: errors.CalendarGone) -> End:
    """Google does not know the calendar. ``CHANGED``: it is the account's own and has another id
    now, under which the next pass goes on."""
    found: errors.WatcherError = error
    try:
        with services.db.reading() as session:
            sure = is_sure(calendars.get(session, attempt.work.calendar_id), error)
        if follow(services, attempt.lease, attempt.work, sure):
            return End.CHANGED
    except errors.LeaseLost as lost:
        log.warning("%s", lost.message)
        return End.BUSY
    except errors.Transient as away:
        found = error if away.side == error.side else away
    except errors.WatcherError as other:
        found = other
    record_failure(services, attempt, found)
    return End.FAILED
