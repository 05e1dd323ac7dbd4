"""What needs a person now, found in the ledger: each with since when, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from watcher.errors import Cause
from watcher.languages.sentence import sentence
from watcher.ledger import (
    causes,
    channels,
    erpnext,
    notices,
    outages,
    presence,
    reach,
    standing,
    steps,
    watched,
)
from watcher.ledger.causes import Place
from watcher.ledger.fleet import Fleet
from watcher.ledger.models import Account, Calendar, Tick
from watcher.ledger.problems import Problem, ProblemState
from watcher.ledger.states import AccountState, CalendarStatus

PATIENCE = {"sweep": timedelta(minutes=5), "renew": timedelta(minutes=30)}
"""So long the two most needed pieces of periodic work may not have ended well."""
NOT_RUN = {"sweep": ProblemState.NO_SWEEP_RUN, "renew": ProblemState.NO_RENEW_RUN}
WORK = {
    "sweep": sentence("lost and failed work is not taken up again, as `watcher cron` does it"),
    "renew": sentence("watch channels are not renewed, as `watcher cron` does it"),
}
FAILS = {"sweep": ProblemState.SWEEP_FAILS, "renew": ProblemState.RENEW_FAILS}
TROUBLES = (CalendarStatus.FAILING, CalendarStatus.DELAYED)
DISCONNECT_GRACE = timedelta(minutes=15)


def find(session: Session, fleet: Fleet, place: Place, *, queue_answers: bool) -> list[Problem]:
    """All that needs a person: one problem for one cause, the installation's first."""
    now = fleet.seen.now
    found = [
        *_of_processes(session, now, place),
        *(_of_queue(session, place) if queue_answers else [_queue_down(session, now, place)]),
        *_of_cron(session, fleet),
        *_of_address(session, fleet, place),
        *_pushes(session, now, place),
        *_undelivered(session, now),
        *erpnext.problems(session, now),
        *_of_accounts(session, now),
        *outages.merged(
            session,
            [*reach.of_erpnext(session, place, now), *_of_calendars(session, fleet)],
            place,
        ),
    ]
    return causes.settled(found, place)


# --- the installation ---------------------------------------------------------------------


def _of_processes(session: Session, now: datetime, place: Place) -> Iterator[Problem]:
    if place.refusal:
        yield Problem(
            state=ProblemState.LEDGER_REFUSES_WRITES,
            cause=Cause.LEDGER_REFUSES_WRITES,
            since=_last_tick(session),
            next_step=sentence(
                "see that its disk is not full, and that the user of the service may write to it "
                "(WATCHER_DATABASE_URL, WATCHER_DATA_DIR)"
            ),
            message=sentence("a write was tried: %(refusal)s", refusal=place.refusal),
        )
    known = presence.problems(session, now)
    yield from known
    if place.silence and Cause.WEB_NOT_ANSWERING not in [problem.cause for problem in known]:
        name, _, reason = place.silence.partition(": ")
        yield presence.not_answering(name, reason, now)


def _last_tick(session: Session) -> datetime | None:
    """When the ledger last took a write of cron's."""
    return session.scalar(select(func.max(Tick.last_ok_at)))


def _queue_down(session: Session, now: datetime, place: Place) -> Problem:
    runs = any(presence.runs(row, now) for row in presence.everything(session))
    bring = sentence("start `watcher up`: it brings the queue along")
    again = sentence(
        "start `watcher up` again, which brings the queue along; its log says why it ended"
    )
    valkey = sentence("start Redis/Valkey")
    return Problem(
        state=ProblemState.QUEUE_DOWN,
        cause=Cause.REDIS_UNREACHABLE,
        since=outages.queue_away_since(session),
        next_step=valkey if not place.own_queue else again if runs else bring,
    )


def _of_queue(session: Session, place: Place) -> Iterator[Problem]:
    if place.queue_refusal:
        yield Problem(
            state=ProblemState.QUEUE_DOWN,
            cause=Cause.REDIS_REFUSES_JOBS,
            since=outages.queue_away_since(session),
            next_step=sentence(
                "see to the memory and the disk of Redis or Valkey, and that WATCHER_REDIS_URL "
                "names the one that may be written to; changes go on by themselves"
            ),
            message=sentence(
                "the queue answers, and takes no job: %(refusal)s", refusal=place.queue_refusal
            ),
        )


def _of_address(session: Session, fleet: Fleet, place: Place) -> Iterator[Problem]:
    watching = fleet.watching.heard + fleet.watching.silent
    yield from reach.of_address(session, place.public_url, watching, fleet.seen.now)


def _pushes(session: Session, now: datetime, place: Place) -> Iterator[Problem]:
    quiet = watched.silence(session, now)
    if quiet is not None:
        address = place.public_url or "WATCHER_PUBLIC_URL"
        yield Problem(
            state=ProblemState.NO_PUSH_ARRIVES,
            cause=Cause.NO_PUSH_ARRIVES,
            since=quiet.since,
            calendars=quiet.channels,
            next_step=sentence(
                "see from outside that %(address)s/healthz answers (the address itself, port 443, "
                "a certificate that browsers trust), and that the proxy passes POST "
                "/webhooks/google on and robots.txt forbids nothing",
                address=address,
            ),
            message=sentence(
                "Google says `sync` as soon as a channel is open, and nothing of it has come. "
                "Changes are found by polling, minutes later; every 5 minutes it is tried again"
            ),
        )


# --- accounts -----------------------------------------------------------------------------


def _of_accounts(session: Session, now: datetime) -> Iterator[Problem]:
    unfinished = and_(
        Account.state == AccountState.DISCONNECTING, Account.since < now - DISCONNECT_GRACE
    )
    told = (Cause.USER_REMOVED, Cause.WISHES_TO_LEAVE)
    removed = and_(Account.state == AccountState.PAUSED, Account.cause.in_(told))
    broken = or_(Account.state == AccountState.NEEDS_RECONNECT, unfinished, removed)
    for account in session.scalars(select(Account).where(broken).order_by(Account.email)):
        yield Problem(
            account=account.email,
            state=ProblemState(account.state),
            cause=account.cause,
            since=account.since,
            next_step=steps.for_account(session, account),
            message=_why(account),
        )


def _why(account: Account) -> str | None:
    if steps.died_of_testing(account):
        return steps.TESTING
    return steps.MAY_BE_A_WISH if steps.may_be_a_wish(account) else None


# --- calendars ----------------------------------------------------------------------------


def _of_calendars(session: Session, fleet: Fleet) -> Iterator[Problem]:
    """By the account's address: what a calendar's own last pass, or the want of one, or its channel
    says. Of a calendar that fails, the channel is not told of as well."""
    now = fleet.seen.now
    short = channels.short_lived(session)
    for calendar, account in fleet.pairs:
        status = fleet.statuses[calendar.id]
        if status == CalendarStatus.FAILING or (
            calendar.failures and status == CalendarStatus.DELAYED
        ):
            yield _failed(calendar, account, ProblemState(status), now)
        elif status == CalendarStatus.DELAYED:
            yield _nobody_came(calendar, account, fleet.seen)
    in_trouble = {id_ for id_, status in fleet.statuses.items() if status in TROUBLES}
    gaps = watched.gaps(session, fleet.unwatched)
    for calendar, account in fleet.unwatched:
        gap = gaps[calendar.id]
        told = calendar.id in in_trouble or calendar.id in short
        if not told and watched.is_overdue(calendar, gap, now):
            yield _no_channel(calendar, account, gap)
    for calendar, account, since, life in short.values():
        yield _short_channel(calendar, account, since, life)


def _failed(calendar: Calendar, account: Account, state: ProblemState, now: datetime) -> Problem:
    to_come = calendar.retry_at is not None and calendar.retry_at > now
    return Problem(
        account=account.email,
        calendar=calendar.google_id,
        state=state,
        cause=calendar.cause or calendar.state,
        since=calendar.since,
        next_step=steps.for_calendar(calendar, account),
        message=calendar.message,
        next_try=calendar.retry_at if to_come else None,
    )


def _nobody_came(calendar: Calendar, account: Account, seen: standing.Moment) -> Problem:
    return Problem(
        account=account.email,
        calendar=calendar.google_id,
        state=ProblemState.DELAYED,
        cause=Cause.WAITING_FOR_WORKER,
        since=standing.waiting_since(calendar, seen),
        next_step=sentence(
            "see that `watcher up` (or `watcher worker`) runs; `watcher queue show` says how many "
            "jobs wait"
        ),
        message=sentence("a change is known, and no worker has begun to read it"),
    )


def _no_channel(calendar: Calendar, account: Account, gap: watched.Gap) -> Problem:
    return Problem(
        account=account.email,
        calendar=calendar.google_id,
        state=ProblemState.NO_CHANNEL,
        cause=Cause.NO_CHANNEL,
        since=gap.since,
        next_step=f"watcher channels renew {account.email}",
        message=gap.refusal,
    )


def _short_channel(
    calendar: Calendar, account: Account, since: datetime, life: timedelta
) -> Problem:
    seconds = max(0, round(life.total_seconds()))
    return Problem(
        account=account.email,
        calendar=calendar.google_id,
        state=ProblemState.SHORT_CHANNEL,
        cause=Cause.SHORT_LIVED_CHANNEL,
        since=since,
        next_step=sentence(
            "compare this machine's clock with Google's, and look whether a proxy changes Google's "
            "answers"
        ),
        message=sentence(
            "Google lets its channels live %(seconds)s s; it is polled every few minutes",
            seconds=seconds,
        ),
    )


# --- cron and the notices ----------------------------------------------------------------


def _of_cron(session: Session, fleet: Fleet) -> Iterator[Problem]:
    """Where calendars are mirrored. Work that never ran is missed since the first account came."""
    if not fleet:
        return
    now = fleet.seen.now
    ticks = {
        tick.name: tick for tick in session.scalars(select(Tick).where(Tick.name.in_(PATIENCE)))
    }
    for name, patience in PATIENCE.items():
        tick = ticks.get(name)
        if tick is None or now - tick.last_run_at > patience:
            yield Problem(
                state=NOT_RUN[name],
                cause=Cause.CRON_NOT_RUNNING,
                since=tick.last_run_at if tick else _first_account(session),
                next_step=sentence("start `watcher up` (or `watcher cron`)"),
                message=WORK[name],
            )
        elif tick.error and (tick.last_ok_at is None or now - tick.last_ok_at > patience):
            yield Problem(
                state=FAILS[name],
                cause=Cause.CRON_FAILS,
                since=tick.last_ok_at or _first_account(session),
                next_step=sentence(
                    "look into the log of `watcher cron`; report what has a traceback there"
                ),
                message=tick.error,
            )


def _first_account(session: Session) -> datetime | None:
    """When it came."""
    return session.scalar(select(Account.created_at).order_by(Account.id).limit(1))


def _undelivered(session: Session, now: datetime) -> Sequence[Problem]:
    """The cause is the medium: it is not used to tell of itself."""
    return [
        Problem(
            state=ProblemState.NOTICES_UNDELIVERED,
            cause=medium,
            since=since,
            next_step="watcher notify test",
            message=error,
        )
        for medium, error, since in notices.undelivered(session, now)
    ]
