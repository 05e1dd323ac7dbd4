"""What RQ calls by name. Arguments are ids and plain words; what is owed is read in the ledger.

One process keeps its services and connections warm between jobs.
"""

from __future__ import annotations

import functools
import logging
import random
import time
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from watcher.channels.registry import open_channel
from watcher.errors import (
    AccessLost,
    AccountDead,
    AppDead,
    CalendarGone,
    Defect,
    ErpAuthError,
    ErpSetupMissing,
    LeaseLost,
    Permanent,
    Transient,
    WatcherError,
)
from watcher.ledger import accounts, calendars, channels, due, late, leases, runs
from watcher.ledger.budget import Purpose
from watcher.ledger.calendars import Work
from watcher.ledger.leases import CalendarLease
from watcher.ledger.models import Account, Calendar, Run
from watcher.ledger.when import LONGEST_ASKED
from watcher.services import Services, build
from watcher.settings import load
from watcher.sync.moved import NO_OWN_CALENDAR, follow
from watcher.sync.run import Progress, RunOutcome, run_once

log = logging.getLogger(__name__)

MAX_PASSES = 5
RETRY_CAP_SECONDS = 60.0
PERMANENT_RETRY = {
    ErpAuthError: 30.0,
    ErpSetupMissing: 30.0,
    AppDead: 300.0,
    AccessLost: 900.0,
    CalendarGone: 900.0,
}
UNSURE_SECONDS = 20.0
GONE_CAUSES = frozenset({"not_found", "gone", NO_OWN_CALENDAR})
_rng = random.SystemRandom()


@functools.lru_cache(maxsize=1)
def process_services() -> Services:
    """This process's own; made at the first job, after any fork."""
    return build(load().settings)


def sync_calendar(calendar_id: int, reason: str) -> str:
    """Bring one calendar up to date; the function that RQ's jobs name. Returns one word."""
    services = process_services()
    try:
        return work_off(services, calendar_id, reason)
    except Transient as error:
        # The ledger is away, so that nothing could be noted. The sweep brings the calendar back.
        log.warning("calendar %s not synced: %s", calendar_id, error.message)
        return "failed"


def work_off(
    services: Services,
    calendar_id: int,
    reason: str,
    *,
    progress: Progress = lambda _stage, _count: None,
    dry_run: bool = False,
) -> str:
    """Lease the calendar and sync until no change has come in meanwhile.

    Returns ``done``, ``busy`` (another process has the lease), ``idle`` (account not active),
    ``failed`` (recorded in the ledger with the time of the next try) or ``waits`` (that time has
    not come; the sweep rings then). Of ``watcher.errors`` it raises ``Transient`` alone, when the
    ledger does not answer.
    """
    with structlog.contextvars.bound_contextvars(calendar=calendar_id, why=reason):
        lease = _take(services, calendar_id)
        if isinstance(lease, str):
            return lease
        try:
            word = _passes(services, lease, progress)
        finally:
            with services.db.session() as session:
                leases.release_calendar(session, lease)
        if word == "again":  # after the release, or a quick worker would find it leased
            # A calendar that changes faster than it syncs goes to the end of the queue.
            services.ring(calendar_id, "live", "again")
            return "done"
        return word


def _take(services: Services, calendar_id: int) -> CalendarLease | str:
    with services.db.session() as session:
        calendar = session.get(Calendar, calendar_id)
        if calendar is None or calendar.removed:
            return "idle"
        if session.get_one(Account, calendar.account_id).state != "active":
            calendar.rung_at = None
            return "idle"
        if due.is_pausing(session, calendar_id, services.clock()):
            calendar.rung_at = None
            return "waits"
        lease = leases.take_calendar(services.db, session, calendar_id, services.owner)
        if lease is not None and not calendars.is_wanted(
            session, calendar_id
        ):  # by now; see disconnect.drain
            leases.release_calendar(session, lease)
            return "idle"
    return lease or "busy"


def _passes(services: Services, lease: CalendarLease, progress: Progress) -> str:
    """``again``: so many passes have gone through, and it has changed meanwhile all the same."""
    for _ in range(MAX_PASSES):
        with services.db.session() as session:
            work = calendars.begin(session, lease)
        outcome = _one_pass(services, lease, work, progress)
        if outcome != "done":
            return outcome
        with services.db.session() as session:
            if leases.release_if_clean(session, lease, work.seq):
                return "done"
    return "again"


def _one_pass(
    services: Services,
    lease: CalendarLease,
    work: Work,
    progress: Progress,
) -> str:
    started, clock = services.clock(), time.monotonic()
    try:
        _watch_if_missing(services, work)
        work = _named(services, work)
        outcome = _run_or_follow(services, lease, work, progress)
    except LeaseLost as error:
        log.warning("%s", error.message)
        return "busy"
    except WatcherError as error:
        _record_failure(services, lease, work, error, started, time.monotonic() - clock)
        return "failed"
    except Exception as error:
        # A defect of ours must not kill the worker or hide: it is logged with its traceback
        # and shown on the calendar like any other failure.
        log.exception("sync failed unexpectedly")
        defect = Defect(error)
        _record_failure(services, lease, work, defect, started, time.monotonic() - clock)
        return "failed"
    if outcome is not None:
        _log_run(outcome)
    return "done"


def _named(services: Services, work: Work) -> Work:
    """The channel that was just opened may have told the id of a calendar that was known as
    ``primary`` only: before anything is mirrored under that word."""
    with services.db.session() as session:
        return replace(work, google_id=calendars.get(session, work.calendar_id).google_id)


def _run_or_follow(
    services: Services,
    lease: CalendarLease,
    work: Work,
    progress: Progress,
) -> RunOutcome | None:
    """None: the account's own calendar has another id now, under which the next pass goes on."""
    try:
        return run_once(services, lease, work, purpose(work), progress)
    except CalendarGone as error:
        with services.db.session() as session:
            sure = _is_sure(calendars.get(session, work.calendar_id), error)
        try:
            if follow(services, lease, work, sure):
                return None
        except LeaseLost:
            raise
        except Transient as away:
            if away.side != error.side:
                raise
        raise


def purpose(work: Work) -> Purpose:
    if work.snapshot or work.sync_token is None:
        return "backfill"
    return "push" if work.reason in ("push", "asked") else "poll"


def _watch_if_missing(services: Services, work: Work) -> None:
    """A calendar is watched before it is first read, so that nothing falls between.

    A watch that fails does not stop the sync: the poll covers until the next try.
    """
    now = services.clock()
    with services.db.session() as session:
        waits = channels.watch_waits(session, work.calendar_id, now)
        wanted = not waits and channels.live(session, work.calendar_id, now) is None
        asked = channels.opened_within_a_minute(session, now)
    if not wanted or asked >= services.settings.renew_per_minute:
        return
    try:
        open_channel(services, work.calendar_id, instead_of=None)
    except (AccountDead, AppDead):
        raise
    except WatcherError as error:
        log.info("synced without a channel for now: %s", error.message)


def _record_failure(
    services: Services,
    lease: CalendarLease,
    work: Work,
    error: WatcherError,
    started: datetime,
    seconds: float,
) -> None:
    now = services.clock()
    with services.db.session() as session:
        calendar = calendars.get(session, lease.calendar_id)
        state, cause = _state_and_cause(error, _is_sure(calendar, error))
        retry_at = now + timedelta(seconds=retry_seconds(error, calendar.failures))
        calendars.fail(
            session,
            lease,
            work,
            state=state,
            cause=cause,
            message=error.message,
            retry_at=retry_at,
            now=now,
        )
        if isinstance(error, Transient) and error.unanswered:
            late.note_unanswered(session, lease.calendar_id, now)
        runs.add(
            session,
            Run(
                calendar_id=lease.calendar_id,
                kind="failed",
                reason=work.reason,
                started_at=started,
                seconds=seconds,
                error=f"{cause}: {error.message}"[:2000],
            ),
        )
    if isinstance(error, AccountDead):  # not above: who changes both locks the account first
        with services.db.session() as session:
            accounts.note_dead_grant(session, work.account_id, error, now)
    log.warning("sync failed (%s), next try at %s: %s", cause, retry_at, error.message)


def _is_sure(calendar: Calendar, error: WatcherError) -> bool:
    """Google's 404 may be a matter of the moment: it is believed the third time in a row."""
    if not isinstance(error, CalendarGone):
        return True
    seen = calendar.cause == error.cause or calendar.cause in GONE_CAUSES
    return seen and calendar.failures + 1 >= calendars.SURE_AFTER


def _state_and_cause(error: WatcherError, sure: bool) -> tuple[str, str]:
    if isinstance(error, CalendarGone):
        return "gone" if sure else "retrying", error.cause
    if isinstance(error, Permanent):
        return "failing", error.cause
    if isinstance(error, Defect):
        return "retrying", "internal_error"
    side = error.side if isinstance(error, Transient) else ""
    return "retrying", f"{side or 'watcher'}_unavailable"


def retry_seconds(error: WatcherError, failures: int) -> float:
    """Truncated exponential backoff with full jitter; the other side's wish is honoured."""
    if isinstance(error, CalendarGone) and failures + 1 < calendars.SURE_AFTER:
        return UNSURE_SECONDS
    for kind, seconds in PERMANENT_RETRY.items():
        if isinstance(error, kind):
            return seconds
    wait = _rng.uniform(0.5, 1.0) * min(RETRY_CAP_SECONDS, 2.0 * 2.0 ** min(failures, 10))
    asked = error.retry_after if isinstance(error, Transient) else None
    if asked is None:
        return wait
    return min(max(asked, 0.5), LONGEST_ASKED.total_seconds()) + wait / 8


def _log_run(outcome: RunOutcome) -> None:
    log.info("synced", extra={"run": outcome.as_log()})
