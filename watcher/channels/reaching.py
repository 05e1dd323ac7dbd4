"""Cron tries the public address from time to time: what Google's notifications come by may end
long after the channels were heard, as a tunnel, a certificate or a DNS record does."""

from __future__ import annotations

import logging

from watcher.channels.address import Who, asked
from watcher.errors import Cause
from watcher.ledger import budget, owing, reach, tries
from watcher.services import Services

log = logging.getLogger(__name__)

REASON = "unreached"
"""Why every calendar is looked at: no notification has come through."""


def look_back(services: Services) -> int:
    """Try the public address if that is due. Returns 1 when it was tried.

    While it is lost every calendar is looked at as often as one without a channel, and once more
    when it answers again: Google does not repeat what it could not deliver for long.
    """
    url = services.settings.public_url
    before = tries.due(services.db, reach.ADDRESS, url, services.clock()) if url else None
    if before is None:
        return 0
    answer = asked(services.settings.notification_url, services.keyring)
    failure = tries.Failure(
        cause=Cause.ADDRESS_UNREACHABLE, message=answer.message, step=answer.step
    )
    after = before.after(services.clock(), None if answer.who is Who.THIS else failure)
    with services.db.session() as session:
        tries.note(session, after)
    _tell(before, after)
    if _is_to_look(services, before, after):
        owing.owe_all(services.db, REASON, after.at)
    return 1


def _is_to_look(services: Services, before: tries.Tried, after: tries.Tried) -> bool:
    """Every few minutes while it is lost, and when it is back."""
    if reach.is_lost(before) and not reach.is_lost(after):
        return True
    settings = services.settings
    with services.db.reading() as session:
        if reach.lost(session, after.what, after.at) is None:
            return False
        wanted, line = settings.unwatched_poll_minutes, settings.google_calls_per_day
        minutes = budget.poll_minutes(session, wanted, line, after.at)
    every = max(1, round(minutes * 60 / tries.SOONER.total_seconds()))
    return (after.times - reach.SURE_AFTER) % every == 0


def _tell(before: tries.Tried, after: tries.Tried) -> None:
    if after.failure and reach.is_lost(after) and not reach.is_lost(before):
        log.warning("%s no longer leads here: %s", after.what, after.failure.message)
    if reach.is_lost(before) and not reach.is_lost(after):
        log.warning("%s leads here again, after %s tries that failed", after.what, before.times)
