"""Keep every watchable calendar watched: open what is missing, replace what is due, stop the old.

Cron and ``watcher channels renew`` run this same code. A lease in the ledger makes it safe when
two run at once; the cap per minute counts the rows of all processes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from watcher.channels.registry import open_channel, stop_channel
from watcher.errors import (
    AccountDead,
    AppDead,
    CapReached,
    Elsewhere,
    Overtaken,
    Permanent,
    PushNotSupported,
    Transient,
    WatcherError,
    contained,
)
from watcher.google.errors import SIDE
from watcher.ledger import accounts, calendars, channels, leases, renewals
from watcher.ledger.models import Account
from watcher.services import Services

log = logging.getLogger(__name__)

LEASE = "renew"
LEASE_SECONDS = 120.0
CAP = "the cap of channels per minute is reached"
AWAY = "Google opens no channels at this moment"
MOST_OUTAGES = 3
"""After so many in a row that Google did not open for a reason that passes, such as too many calls,
the rest waits for the next round: to ask for each of thousands would prolong what they meet."""


@dataclass(frozen=True, slots=True)
class Renewed:
    """What became of one calendar: ``opened``, ``renewed``, ``unsupported``, ``failed``,
    ``skipped`` (another process has done it meanwhile, or it is let go), ``later`` (the cap of
    this minute is reached, or Google opens none). ``is_outage``: it failed in a way that passes."""

    account: str
    calendar: str
    outcome: str
    message: str = ""
    is_outage: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to renew: what is due, with ``force`` everything; of these accounts (none named: of
    all). What is beyond the cap of a minute stays due for the next minutes. Without ``new`` those
    are left out whose first listing is about to be made: see ``renewals.is_new``."""

    force: bool = False
    account_ids: Sequence[int] = ()
    new: bool = True


@dataclass(frozen=True, slots=True)
class Patience:
    """For how many seconds another process that renews is waited for. ``waits`` is called once
    when there is such a wait."""

    seconds: float = 0.0
    waits: Callable[[], None] = lambda: None


def renew_due(
    services: Services,
    wanted: Wanted = Wanted(),
    patience: Patience = Patience(),
    report: Callable[[Renewed], None] = lambda _: None,
) -> list[Renewed]:
    """Renew channels and stop those they replace. One calendar's failure, whatever it is, stops no
    other. ``report`` is told of each calendar as it is done.

    Raises ``Elsewhere`` when another process is still renewing after ``patience``, ``LedgerAway``.
    """
    _take_turn(services, patience)
    try:
        results: list[Renewed] = []
        for target in _due(services, wanted):
            if results and results[-1].outcome == "later":
                # Of a thousand that wait none has to be looked at.
                result = _later(target, results[-1].message)
            elif _is_away(results):
                result = _later(target, AWAY)
            elif not _lease(services):
                log.warning("another process has taken the renewal over")
                return results
            else:
                result = contained(
                    partial(_renew_one, services, target), partial(_failed, services, target)
                )
            report(result)
            results.append(result)
        stop_retired(services, lambda: _lease(services))
        return results
    finally:
        with services.db.session() as session:
            leases.drop(session, LEASE, services.owner)


def _is_away(results: Sequence[Renewed]) -> bool:
    last = results[-MOST_OUTAGES:]
    return len(last) == MOST_OUTAGES and all(result.is_outage for result in last)


def _take_turn(services: Services, patience: Patience) -> None:
    if _lease(services):
        return
    if patience.seconds:
        patience.waits()
    deadline = time.monotonic() + patience.seconds
    while time.monotonic() < deadline:
        time.sleep(0.2)
        if _lease(services):
            return
    raise Elsewhere("another process is renewing channels", retry_after=LEASE_SECONDS)


def _lease(services: Services) -> bool:
    with services.db.session() as session:
        return leases.take(services.db, session, LEASE, services.owner, LEASE_SECONDS)


def _due(services: Services, wanted: Wanted) -> list[renewals.Due]:
    now = services.clock()
    with services.db.session() as session:
        renewals.expire(session, now)
    # Apart: who changes both locks the calendar first, and the channel after it.
    with services.db.session() as session:
        renewals.try_silent(session, now)
    if wanted.force:
        with services.db.session() as session:
            renewals.make_due(session, now, wanted.account_ids)
    chosen = renewals.Chosen(wanted.account_ids, wanted.new)
    with services.db.reading() as session:
        return renewals.calendars_due(session, now, chosen)


def _later(target: renewals.Due, why: str = CAP) -> Renewed:
    return Renewed(target.email, target.google_id, "later", why)


def _renew_one(services: Services, target: renewals.Due) -> Renewed:
    try:
        open_channel(services, target.calendar_id, instead_of=target.channel_id)
    except CapReached:
        return _later(target)
    except Overtaken as error:
        return Renewed(target.email, target.google_id, "skipped", error.message)
    except PushNotSupported as error:
        return Renewed(target.email, target.google_id, "unsupported", error.message)
    # For the sync between the old and the new channel.
    services.ring(target.calendar_id, "backfill", "channel")
    outcome = "renewed" if target.channel_id else "opened"
    return Renewed(target.email, target.google_id, outcome)


def _failed(services: Services, target: renewals.Due, error: WatcherError) -> Renewed:
    if isinstance(error, AccountDead):
        with services.db.session() as session:
            accounts.note_dead_grant(session, target.account_id, error, services.clock())
    if isinstance(error, AppDead):
        log.error("Google refuses this installation: %s", error.message)
    is_outage = isinstance(error, Transient) and error.side == SIDE
    return Renewed(target.email, target.google_id, "failed", error.message, is_outage)


@dataclass(frozen=True, slots=True)
class _Retired:
    channel_id: str
    account_id: int
    email: str


def stop_retired(services: Services, goes_on: Callable[[], bool] = lambda: True) -> int:
    """Stop channels whose successor is live and whose calendar has synced since; asks before each
    whether it ``goes_on``. Returns how many were stopped."""
    with services.db.reading() as session:
        todo = []
        for channel in renewals.to_stop(session, services.clock()):
            calendar = calendars.get(session, channel.calendar_id)
            account = session.get_one(Account, calendar.account_id)
            todo.append(_Retired(channel.id, account.id, account.email))
    stopped = 0
    for retired in todo:
        if not goes_on():
            break
        stopped += contained(
            partial(_stop_one, services, retired), partial(_not_stopped, services, retired)
        )
    return stopped


def _stop_one(services: Services, retired: _Retired) -> bool:
    google = services.google(retired.account_id, retired.email, "poll")
    stop_channel(services, google, retired.channel_id)
    return True


def _not_stopped(services: Services, retired: _Retired, error: WatcherError) -> bool:
    now = services.clock()
    if isinstance(error, Permanent) and not isinstance(error, AccountDead | AppDead):
        # Asking again changes nothing: it ends by itself at its expiry.
        with services.db.session() as session:
            channels.stopped(session, retired.channel_id, now, error.message)
    if isinstance(error, AccountDead):
        with services.db.session() as session:
            accounts.note_dead_grant(session, retired.account_id, error, now)
    log.warning("old channel not stopped yet: %s", error.message)
    return False
