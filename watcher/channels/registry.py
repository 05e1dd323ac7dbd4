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
from watcher.ledger import away, calendars, channels, leases, models, owing, own
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
    have been told to neither. Raises ``Overtaken``, ``CapReached``, and what events.watch raises;
    that failure is kept on the calendar with the time of the next try.
    """
    require(services.settings, "public_url", why=errors.sentence("opening a watch channel"))
    channel_id, token = str(uuid.uuid4()), secrets.token_urlsafe(32)
    with services.db.session() as session:
        calendar = calendars.get(session, calendar_id)
        account = session.get_one(models.Account, calendar.account_id)
        google_id, email, account_id = calendar.google_id, account.email, account.id
        request = channels.Request(
            channel_id=channel_id,
            calendar_id=calendar_id,
            token_hash=digest(token),
            instead_of=instead_of,
        )
        most = services.settings.renew_per_minute
        added = channels.add_requesting(session, request, most, services.clock())
    if not added:
        raise errors.Overtaken("another process has opened this channel, is at it, or lets it go")
    google = services.google(account_id, email, "poll")
    try:
        wanted = calendar_api.NewChannel(
            channel_id=channel_id,
            token=token,
            address=services.settings.notification_url,
            ttl_seconds=services.settings.channel_ttl_seconds,
        )
        answer = google.watch(google_id, wanted)
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
    with services.db.session() as session:
        # The calendar is locked before the channel, as a notification does it: otherwise the two
        # transactions could wait for each other.
        calendar = calendars.locked(session, calendar_id)
        if not channels.is_awaited(session, channel_id):
            return None
        renew_at = due.renewal_point(now, answer.expiration, _rng)
        granted = channels.Granted(answer.resource_id, answer.expiration, renew_at)
        retired = channels.confirm(session, channel_id, granted, now)
        calendar.push_supported, calendar.watch_retry_at = True, None
        if due.is_short_lived(answer.expiration - now, _asked(services)):
            # The channel is used while it lives, then the calendar is polled for a while. To
            # open the next one at once would cost a call a minute for each calendar.
            pause = timedelta(seconds=due.AFTER_SHORT_LIFE.seconds(calendar.watch_failures))
            calendar.watch_failures += 1
            channels.rest(session, calendar, channel_id, now + pause)
        else:
            calendar.watch_failures = 0
        named = answers.calendar_id_of(answer.resource_uri) or PRIMARY
        if named != PRIMARY:
            _check_identity(calendar, named)
            if not leases.another_works(services.db, session, calendar, services.owner):
                own.name_primary(session, calendar, named, now)
        owing.owe_looks(session, [calendar_id], "channel", now)
    log.info("channel opened", extra={"calendar": calendar_id, "channel": channel_id})
    return Opened(channel_id, retired)


def _asked(services: Services) -> timedelta:
    return timedelta(seconds=services.settings.channel_ttl_seconds)


def _check_identity(calendar: models.Calendar, named: str) -> None:
    """Compare Google's id of what is watched with ours: another one means a mailbox alias."""
    if calendar.google_id != PRIMARY and named.lower() != calendar.google_id.lower():
        log.warning(
            "Google watches %s where %s was asked for: an alias of the mailbox?",
            named,
            calendar.google_id,
        )


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
