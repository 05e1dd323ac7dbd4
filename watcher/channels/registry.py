"""Open, replace and stop watch channels. A channel is noted in the ledger before Google is asked.

https://developers.google.com/workspace/calendar/api/guides/push: a channel cannot be renewed,
only replaced by one with a new id, and the first ``sync`` message may overtake the answer.
"""

from __future__ import annotations

import logging
import random
import secrets
import uuid
from dataclasses import dataclass
from datetime import timedelta

from watcher import errors
from watcher.channels import due
from watcher.google import answers
from watcher.google import client as calendar_api
from watcher.google.own import PRIMARY
from watcher.ledger import away, budget, calendars, channels, leases, models, opening, own
from watcher.ledger.secrets import digest
from watcher.ledger.states import ACCEPTED
from watcher.services import Services
from watcher.settings import require

log = logging.getLogger(__name__)

UNSUPPORTED_RETRY = timedelta(days=7)
_rng = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Opened:
    """The new channel and those it retired."""

    channel_id: str
    retired: list[str]


def open_channel(services: Services, calendar_id: int, *, instead_of: str | None) -> Opened:
    """Open a fresh channel for a calendar and retire ``instead_of``, the id of the live one as the
    caller has seen it (None: there was none), which is still accepted.

    The calendar is left owing a sync, since a change between the old and the new channel could
    have been told to neither. Raises ``Overtaken``; ``CapReached`` and ``BudgetSpent``, after which
    nothing has been noted; and what events.watch raises, which is kept on the calendar with the
    time of the next try.
    """
    require(services.settings, "public_url", why=errors.sentence("opening a watch channel"))
    channel_id, token = str(uuid.uuid4()), secrets.token_urlsafe(32)
    request = opening.Request(
        channel_id=channel_id,
        calendar_id=calendar_id,
        token_hash=digest(token),
        instead_of=instead_of,
    )
    with services.db.session() as session:
        now, most = services.clock(), services.settings.renew_per_minute
        wanted = opening.add_requesting(session, request, most, now)
        if wanted is not None:
            budget.count(session, wanted.account_id, "poll", now)
    if wanted is None:
        raise errors.Overtaken("another process has opened this channel, is at it, or lets it go")
    google = services.google(wanted.account_id, wanted.email, budget.Share("poll", paid=1))
    try:
        channel = calendar_api.NewChannel(
            channel_id=channel_id,
            token=token,
            address=services.settings.notification_url,
            ttl_seconds=services.settings.channel_ttl_seconds,
        )
        answer = google.watch(wanted.google_id, channel)
    except errors.WatcherError as error:
        _note_failure(services, calendar_id, channel_id, error)
        raise
    except Exception as error:  # else it would be tried again at once, and so for ever
        _note_failure(services, calendar_id, channel_id, errors.Defect(error))
        raise
    opened = _confirm(services, calendar_id, channel_id, answer)
    if opened is None:
        _stop_unwanted(services, google, channel_id, answer.resource_id)
        raise errors.Overtaken("the calendar was let go while it was being watched anew")
    return opened


def _stop_unwanted(
    services: Services, google: calendar_api.CalendarClient, channel_id: str, resource_id: str
) -> None:
    """Stop a channel whose calendar was removed, or which was given up, while Google opened it."""
    try:
        google.stop(channel_id, resource_id)
    except errors.WatcherError as error:
        log.warning("channel left to expire: %s", error.message)
    with services.db.session() as session:
        channels.stopped(session, channel_id, services.clock())


def _confirm(
    services: Services, calendar_id: int, channel_id: str, answer: answers.WatchAnswer
) -> Opened | None:
    """None when the channel is no longer wanted."""
    now = services.clock()
    renew_at = due.renewal_point(now, answer.expiration, _rng)
    with services.db.session() as session:
        found = opening.asked_for(session, channel_id)
        if found is None:
            return None
        rests_until = None
        if due.is_short_lived(answer.expiration - now, _asked(services)):
            # The channel is used while it lives, then the calendar is polled for a while. To
            # open the next one at once would cost a call a minute for each calendar.
            pause = due.AFTER_SHORT_LIFE.seconds(found.watch_failures)
            rests_until = now + timedelta(seconds=pause)
        granted = opening.Granted(answer.resource_id, answer.expiration, renew_at, rests_until)
        retired = opening.confirm(session, found, granted, now)
        named = answers.calendar_id_of(answer.resource_uri) or PRIMARY
        if named != PRIMARY and found.google_id == PRIMARY:
            calendar = calendars.get(session, calendar_id)
            if not leases.another_works(services.db, session, calendar, services.owner):
                own.name_primary(session, calendar, named, now)
    if named.lower() not in (PRIMARY, found.google_id.lower()) and found.google_id != PRIMARY:
        # Google watches something else under this id: an alias means another mailbox.
        log.warning(
            "Google watches %s where %s was asked for: an alias of the mailbox?",
            named,
            found.google_id,
        )
    log.info("channel opened", extra={"calendar": calendar_id, "channel": channel_id})
    return Opened(channel_id, retired)


def _asked(services: Services) -> timedelta:
    return timedelta(seconds=services.settings.channel_ttl_seconds)


def _note_failure(
    services: Services, calendar_id: int, channel_id: str, error: errors.WatcherError
) -> None:
    now = services.clock()
    with services.db.session() as session:
        calendar = calendars.locked(session, calendar_id)
        channels.failed(session, channel_id, now, error.message)
        calendar.watch_failures += 1
        if isinstance(error, errors.PushNotSupported):
            calendar.push_supported = False
            calendar.watch_retry_at = now + UNSUPPORTED_RETRY
            log.info(
                "calendar cannot be watched, polled instead",
                extra={"calendar": calendar_id},
            )
            return
        if isinstance(error, errors.Transient):
            wait = due.AFTER_OUTAGE.seconds(calendar.watch_failures, error.retry_after)
        else:
            wait = due.AFTER_REFUSAL.seconds(calendar.watch_failures)
        calendar.watch_retry_at = now + timedelta(seconds=wait)
        level = away.level_of(session, error, now)
    log.log(level, "channel not opened: %s", error.message, extra={"calendar": calendar_id})


def stop_channel(services: Services, google: calendar_api.CalendarClient, channel_id: str) -> None:
    """Stop a channel at Google and close its row; one that Google forgot is closed as well.

    Raises ``Transient`` (row left open, tried again) and what tokens raise.
    """
    with services.db.reading() as session:
        channel = session.get_one(models.Channel, channel_id)
        resource_id, state = channel.resource_id, channel.state
    if state not in ACCEPTED:
        return
    if resource_id is not None:
        google.stop(channel_id, resource_id)
    with services.db.session() as session:
        channels.stopped(session, channel_id, services.clock())


def stop_all(services: Services, account: models.Account) -> list[str]:
    """Stop every open channel of an account; returns the ids of those that Google has stopped. A
    channel that Google refuses to stop ends at its expiry."""
    with services.db.reading() as session:
        ids = [channel.id for channel, _ in channels.everything(session, [account.id])]
    google = services.google(account.id, account.email, "poll")
    stopped: list[str] = []
    dead, why = False, ""
    for channel_id in ids:
        if not dead:  # a dead grant can stop none of them
            try:
                stop_channel(services, google, channel_id)
            except errors.Permanent as error:
                dead, why = isinstance(error, errors.AccountDead), error.message
                log.warning("channel left to expire: %s", why)
            else:
                stopped.append(channel_id)
                continue
        with services.db.session() as session:
            channels.stopped(session, channel_id, services.clock(), why)
    return stopped
