"""A pass that failed: what is shown of it, and when the next try is due."""

from __future__ import annotations

import logging
from datetime import timedelta

from watcher import errors
from watcher.google.own import NO_OWN_CALENDAR
from watcher.ledger import accounts, away, calendars, debts, late, leases, runs
from watcher.ledger.debts import Failure
from watcher.ledger.models import Calendar, Run
from watcher.ledger.states import CalendarState
from watcher.services import Services
from watcher.sync.attempt import Attempt
from watcher.waiting import Backoff

log = logging.getLogger(__name__)

AGAIN = Backoff(first=2.0, longest=60.0)
PERMANENT_RETRY = {
    errors.ErpAuthError: 30.0,
    errors.ErpSetupMissing: 30.0,
    errors.AppDead: 300.0,
    errors.AccessLost: 900.0,
    errors.CalendarGone: 900.0,
}
UNSURE_SECONDS = 20.0
GONE_CAUSES = frozenset({"not_found", "gone", NO_OWN_CALENDAR})


def record_failure(services: Services, attempt: Attempt, error: errors.WatcherError) -> None:
    """Note a failed pass on its calendar and in the diary, and let the calendar go."""
    now, lease, work = services.clock(), attempt.lease, attempt.work
    with services.counts.taken() as counted, services.db.session() as session:
        calendar = calendars.get(session, lease.calendar_id)
        state, cause = _state_and_cause(error, is_sure(calendar, error))
        retry_at = now + timedelta(seconds=retry_seconds(error, calendar.failures))
        failure = Failure(
            at=now, state=state, cause=cause, message=error.message, retry_at=retry_at
        )
        debts.fail(session, lease, work, failure)
        if isinstance(error, errors.Transient) and error.unanswered:
            late.note_unanswered(session, lease.calendar_id, now)
        run = Run(
            calendar_id=lease.calendar_id,
            kind="failed",
            reason=work.reason,
            started_at=attempt.started,
            seconds=attempt.seconds,
            trace=attempt.trace,
            told_by=work.told_by,
            error=runs.failure(cause, error.message),
        )
        runs.add(session, [run], counted)
        leases.release_calendar(session, lease)
        level = away.level_of(session, error, now)
    if isinstance(error, errors.AccountDead):  # not above: who changes both locks the account first
        with services.db.session() as session:
            accounts.note_dead_grant(session, work.account_id, error, now)
    log.log(level, "sync failed (%s), next try at %s: %s", cause, retry_at, error.message)


def is_sure(calendar: Calendar, error: errors.WatcherError) -> bool:
    """Google's 404 may be a matter of the moment: it is believed the third time in a row."""
    if not isinstance(error, errors.CalendarGone):
        return True
    seen = calendar.cause == error.cause or calendar.cause in GONE_CAUSES
    return seen and calendar.failures + 1 >= calendars.SURE_AFTER


def _state_and_cause(error: errors.WatcherError, sure: bool) -> tuple[CalendarState, str]:
    if isinstance(error, errors.CalendarGone):
        return CalendarState.GONE if sure else CalendarState.RETRYING, error.cause
    if isinstance(error, errors.Permanent):
        return CalendarState.FAILING, error.cause
    if isinstance(error, errors.Defect):
        return CalendarState.RETRYING, errors.Cause.INTERNAL_ERROR
    if isinstance(error, errors.UserError):
        return CalendarState.FAILING, errors.Cause.SETTINGS
    if isinstance(error, errors.Transient) and error.cause:
        return CalendarState.RETRYING, error.cause
    side = error.side if isinstance(error, errors.Transient) else ""
    return CalendarState.RETRYING, errors.OUTAGES.get(side, errors.Cause.INTERNAL_ERROR)


def retry_seconds(error: errors.WatcherError, failures: int) -> float:
    """Seconds to wait after a failure that ``failures`` others came before, in a row."""
    if isinstance(error, errors.CalendarGone) and failures + 1 < calendars.SURE_AFTER:
        return UNSURE_SECONDS
    for kind, seconds in PERMANENT_RETRY.items():
        if isinstance(error, kind):
            return seconds
    return AGAIN.seconds(
        failures, error.retry_after if isinstance(error, errors.Transient) else None
    )
