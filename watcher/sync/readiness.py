"""Cron tries ERPNext where no pass has written to it lately: at night nothing changes in Google,
and nobody else would see that it is down."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from watcher import errors
from watcher.erpnext.ready import require_ready
from watcher.ledger import reach, tries
from watcher.ledger.when import is_ahead
from watcher.services import Services, impatient

log = logging.getLogger(__name__)

SECONDS = 10.0
"""How long an answer is waited for."""
AT_LEAST = timedelta(minutes=10)
"""So often it is tried although passes write: none of them shows that it may still delete."""


def try_erpnext(services: Services) -> int:
    """Try it if that is due, without writing. Returns 1 when it was tried."""
    site, now = urlsplit(services.settings.erpnext_url).netloc, services.clock()
    before = tries.due(services.db, reach.ERPNEXT, site, now) if site else None
    if before is None or _has_taken_a_write(services, before, now):
        return 0
    try:
        client = impatient(services, SECONDS).erpnext
    except errors.UserError:
        return 0  # a setting is missing, which the checks at the start name
    failure = None
    try:
        require_ready(client)
    except (errors.Transient, errors.Permanent) as error:
        failure = _failure(error)
    finally:
        client.logout()
    after = before.after(services.clock(), failure)
    with services.db.session() as session:
        tries.note(session, after)
    if after.times == 1 and failure is not None:
        log.info("ERPNext was tried: %s", failure.message)
    return 1


def _has_taken_a_write(services: Services, before: tries.Tried, now: datetime) -> bool:
    """Whether a pass has written to it within the time after which it is tried again: then it
    answers, knows the key and has the fields, and a try would cost it six answers to say no more.
    While tries fail, only a try ends that."""
    if before.times or not is_ahead(before.at + AT_LEAST, now, AT_LEAST):
        return False
    with services.db.reading() as session:
        return reach.has_written(session, now - tries.EVERY, now)


def _failure(error: errors.Transient | errors.Permanent) -> tries.Failure:
    cause = error.cause if isinstance(error, errors.Permanent) else errors.OUTAGES["erpnext"]
    return tries.Failure(cause=cause, message=error.message, step=error.next_step)
