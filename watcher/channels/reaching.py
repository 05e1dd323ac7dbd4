"""Cron tries the public address from time to time: what Google's notifications come by may end
long after the channels were heard, as a tunnel, a certificate or a DNS record does."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

from watcher.channels.address import Who, asked
from watcher.errors import Cause
from watcher.ledger import budget, owing, reach, tries, unheard
from watcher.ledger.when import is_ahead
from watcher.services import Services

log = logging.getLogger(__name__)

REASON = "unreached"
"""Why calendars are looked at: their notifications may not have come through."""


def look_back(services: Services) -> int:
    """Try the public address if that is due. Returns 1 when it was tried.

    While it is lost every watched calendar is looked at as often as one without a channel, and once
    more when it answers again: Google does not repeat what it could not deliver for long.
    """
    url = services.settings.public_url
    if not url:
        return 0
    before = tries.due(services.db, reach.ADDRESS, url, services.clock())
    if before is not None:
        after = _tried(services, before)
        _tell(before, after)
        _owe_looks(services, before, after)
    _look(services)
    return int(before is not None)


def _tried(services: Services, before: tries.Tried) -> tries.Tried:
    answer = asked(services.settings.notification_url, services.keyring)
    failure = tries.Failure(
        cause=Cause.ADDRESS_UNREACHABLE, message=answer.message, step=answer.step
    )
    after = before.after(services.clock(), None if answer.who is Who.THIS else failure)
    with services.db.session() as session:
        tries.note(session, after)
    return after


def _owe_looks(services: Services, before: tries.Tried, after: tries.Tried) -> None:
    """While it is lost, and when it is back, a look is owed if there was a time since it last
    answered in which Google was not heard."""
    if not (before.times or after.times):
        return
    answered = (before.since or after.at) - tries.EVERY
    sure = reach.is_lost(before) or reach.is_lost(after)
    with services.db.session() as session:
        known = unheard.looks(session)
        unheard.note(session, known.after(session, answered, after.at, sure=sure))


def _look(services: Services) -> None:
    """Look at the watched calendars if that is owed, and not sooner after the last time than
    calendars without a channel are polled. So an address that comes and goes costs no more of
    Google's calls than one that is away, which the budget of a day allows for: that interval grows
    with the number of calendars. Without it 5,000 of them would be read at each return."""
    now, settings = services.clock(), services.settings
    with services.db.reading() as session:
        last = unheard.looks(session)
        if not last.owed:
            return
        wanted, line = settings.unwatched_poll_minutes, settings.google_calls_per_day
        pause = timedelta(minutes=budget.poll_minutes(session, wanted, line, now))
        if is_ahead(last.at + pause, now, pause):
            return
    owed = owing.owe_all(services.db, REASON, now, unheard.is_watched(now))
    with services.db.session() as session:
        unheard.note(session, replace(last, at=now, owed=False))
    log.info("%s calendars are looked at (%s)", owed, REASON)


def _tell(before: tries.Tried, after: tries.Tried) -> None:
    if after.failure and reach.is_lost(after) and not reach.is_lost(before):
        log.warning("%s no longer leads here: %s", after.what, after.failure.message)
    if reach.is_lost(before) and not reach.is_lost(after):
        log.warning("%s leads here again, after %s tries that failed", after.what, before.times)
