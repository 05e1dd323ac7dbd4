"""Keep every watchable calendar watched: open what is missing, replace what is due, stop the old.

Cron and ``watcher channels renew`` run this same code. A lease in the ledger makes it safe when
two run at once; the cap per minute counts the rows of all processes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from watcher.channels.registry import open_channel, stop_channel
from watcher.errors import (
    AccountDead,
    AppDead,
    Elsewhere,
    LedgerAway,
    Overtaken,
    Permanent,
    PushNotSupported,
    WatcherError,
)
from watcher.ledger import accounts, calendars, channels, leases
from watcher.ledger.models import Account
from watcher.services import Services

log = logging.getLogger(__name__)

LEASE = "renew"
LEASE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Renewed:
    """What became of one calendar: ``opened``, ``renewed``, ``unsupported``, ``failed``,
    ``skipped`` (another process has done it meanwhile, or it is let go), ``later`` (the cap of
    this minute is reached)."""

    account: str
    calendar: str
    outcome: str
    message: str = ""


def renew_due(
    services: Services,
    *,
    force: bool = False,
    account_ids: Sequence[int] = (),
    patience: float = 0.0,
    waits: Callable[[], None] = lambda: None,
    report: Callable[[Renewed], None] = lambda _: None,
) -> list[Renewed]:
    """Renew what is due (all with ``force``, and what is beyond the cap then stays due for the next
    minutes); one calendar's failure stops no other.

    Raises ``Elsewhere`` when another process is still at it after ``patience`` seconds; ``waits``
    is called once when there is such a wait.
    """
    _take_turn(services, patience, waits)
    try:
        results: list[Renewed] = []
        for target in _due(services, force, account_ids):
            if results and results[-1].outcome == "later":
                result = _later(target)  # of a thousand that wait none has to be looked at
            elif not _lease(services):
                log.warning("another process has taken the renewal over")
                return results
            else:
                result = _renew_one(services, target)
            report(result)
            results.append(result)
        stop_retired(services, lambda: _lease(services))
        return results
    finally:
        with services.db.session() as session:
            leases.drop(session, LEASE, services.owner)


def _take_turn(services: Services, patience: float, waits: Callable[[], None]) -> None:
    if _lease(services):
        return
    if patience:
        waits()
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        time.sleep(0.2)
        if _lease(services):
            return
    raise Elsewhere("another process is renewing channels", retry_after=LEASE_SECONDS)


def _lease(services: Services) -> bool:
    with services.db.session() as session:
        return leases.take(services.db, session, LEASE, services.owner, LEASE_SECONDS)


@dataclass(frozen=True, slots=True)
class _Target:
    calendar_id: int
    account_id: int
    email: str
    google_id: str
    channel_id: str | None
    """Of its live channel."""


def _due(services: Services, force: bool, account_ids: Sequence[int]) -> list[_Target]:
    now = services.clock()
    with services.db.session() as session:
        channels.expire(session, now)
    # Apart: who changes both locks the calendar first, and the channel after it.
    with services.db.session() as session:
        if force:
            channels.make_due(session, now, account_ids)
        due = channels.calendars_due(session, now, account_ids=account_ids)
        return [
            _Target(
                calendar.id,
                account.id,
                account.email,
                calendar.google_id,
                live.id if (live := channels.live(session, calendar.id, now)) else None,
            )
            for calendar, account in due
        ]


def _later(target: _Target) -> Renewed:
    what = "the cap of channels per minute is reached"
    return Renewed(target.email, target.google_id, "later", what)


def _renew_one(services: Services, target: _Target) -> Renewed:
    email, google_id = target.email, target.google_id
    with services.db.session() as session:
        opened = channels.opened_within_a_minute(session, services.clock())
        if opened >= services.settings.renew_per_minute:
            return _later(target)
    try:
        open_channel(services, target.calendar_id, instead_of=target.channel_id)
    except Overtaken as error:
        return Renewed(email, google_id, "skipped", error.message)
    except PushNotSupported as error:
        return Renewed(email, google_id, "unsupported", error.message)
    except AccountDead as error:
        with services.db.session() as session:
            accounts.note_dead_grant(session, target.account_id, error, services.clock())
        return Renewed(email, google_id, "failed", error.message)
    except LedgerAway:
        raise  # neither this one nor the next could be noted
    except WatcherError as error:
        if isinstance(error, AppDead):
            log.error("Google refuses this installation: %s", error.message)
        return Renewed(email, google_id, "failed", error.message)
    # For the sync between the old and the new channel.
    services.ring(target.calendar_id, "backfill", "channel")
    return Renewed(email, google_id, "renewed" if target.channel_id else "opened")


def stop_retired(services: Services, goes_on: Callable[[], bool] = lambda: True) -> int:
    """Stop channels whose successor is live and whose calendar has synced since; asks before each
    whether it ``goes_on``."""
    with services.db.session() as session:
        todo = []
        for channel in channels.to_stop(session, services.clock()):
            calendar = calendars.get(session, channel.calendar_id)
            account = session.get_one(Account, calendar.account_id)
            todo.append((channel.id, account.id, account.email))
    stopped = 0
    for channel_id, account_id, email in todo:
        if not goes_on():
            break
        try:
            stop_channel(services, services.google(account_id, email, "poll"), channel_id)
            stopped += 1
        except WatcherError as error:
            if isinstance(error, Permanent) and not isinstance(error, AccountDead | AppDead):
                # Asking again changes nothing: it ends by itself at its expiry.
                with services.db.session() as session:
                    channels.close(session, channel_id, "stopped", services.clock(), error.message)
            if isinstance(error, AccountDead):
                with services.db.session() as session:
                    accounts.note_dead_grant(session, account_id, error, services.clock())
            log.warning("old channel not stopped yet: %s", error.message)
    return stopped
