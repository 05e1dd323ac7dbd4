"""Cron tries ERPNext from time to time: a pass asks it only where something has changed, and at
night nothing does."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from watcher import errors
from watcher.erpnext.ready import require_ready
from watcher.ledger import reach, tries
from watcher.services import Services, impatient

log = logging.getLogger(__name__)

SECONDS = 10.0
"""How long an answer is waited for."""


def try_erpnext(services: Services) -> int:
    """Try it if that is due, without writing. Returns 1 when it was tried."""
    site = urlsplit(services.settings.erpnext_url).netloc
    before = tries.due(services.db, reach.ERPNEXT, site, services.clock()) if site else None
    if before is None:
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


def _failure(error: errors.Transient | errors.Permanent) -> tries.Failure:
    cause = error.cause if isinstance(error, errors.Permanent) else errors.OUTAGES["erpnext"]
    return tries.Failure(cause=cause, message=error.message, step=error.next_step)
