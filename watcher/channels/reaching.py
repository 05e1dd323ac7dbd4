"""Cron tries the public address from time to time: what Google's notifications come by may end
long after the channels were heard, as a tunnel, a certificate or a DNS record does."""

from __future__ import annotations

import logging
import socket

from watcher.channels.address import Who, asked
from watcher.ledger import budget, owing, reach
from watcher.services import Services

log = logging.getLogger(__name__)

REASON = "unreached"
"""Why every calendar is looked at: no notification has come through."""


def look_back(services: Services) -> int:
    """Try the public address if that is due. Returns 1 when it was tried.

    While it is lost every calendar is looked at as often as one without a channel, and once more
    when it answers again: Google does not repeat what it could not deliver for long.
    """
    url, host, now = services.settings.public_url, socket.gethostname()[:60], services.clock()
    if not url:
        return 0
    with services.db.reading() as session:
        before = reach.known(session, url, host)
    if before is not None and not before.is_due(now):
        return 0
    answer = asked(services.settings.notification_url, services.keyring)
    now = services.clock()
    failed = "" if answer.who is Who.THIS else answer.message
    before = before or reach.Reach(url=url, host=host, at=now)
    after = before.after(now, failed, answer.step)
    with services.db.session() as session:
        reach.note(session, after)
    _tell(before, after)
    if _is_to_look(services, before, after):
        owing.owe_all(services.db, REASON, now)
    return 1


def _is_to_look(services: Services, before: reach.Reach, after: reach.Reach) -> bool:
    """Every few minutes while it is lost, and when it is back."""
    if before.is_lost and not after.is_lost:
        return True
    settings, now = services.settings, after.at
    with services.db.reading() as session:
        if reach.lost(session, after.url, now) is None:
            return False
        wanted, line = settings.unwatched_poll_minutes, settings.google_calls_per_day
        minutes = budget.poll_minutes(session, wanted, line, now)
    tries = max(1, round(minutes * 60 / reach.SOONER.total_seconds()))
    return (after.tries - reach.SURE_AFTER) % tries == 0


def _tell(before: reach.Reach, after: reach.Reach) -> None:
    if after.is_lost and not before.is_lost:
        log.warning("%s no longer leads here: %s", after.url, after.message)
    if before.is_lost and not after.is_lost:
        log.warning("%s leads here again, after %s tries that failed", after.url, before.tries)
