"""Accounts that come back: proved by a refresh, then every calendar owes a full listing.

The mirror is kept meanwhile and compared, not written anew.
"""

from __future__ import annotations

import logging

from watcher.connections import Connections
from watcher.errors import AccountDead, WatcherError
from watcher.jobs.ringing import ring
from watcher.services import Services
from watcher.state import accounts
from watcher.state.accounts import LedgerTokens
from watcher.state.models import Account

log = logging.getLogger(__name__)


def revive(services: Services, connections: Connections, account_id: int) -> None:
    """Prove an account's grant and go on with it. Raises ``AccountDead`` (noted), ``AppDead``,
    ``Transient``."""
    connections.tokens.renew(account_id, even_dead=True)
    start(services, account_id)


def start(services: Services, account_id: int) -> None:
    """An account whose grant is proved works: each calendar is listed now."""
    with services.db.session() as session:
        account = session.get_one(Account, account_id)
        rings = accounts.activate(session, account, services.clock())
    for calendar_id, seq in rings:
        ring(services, calendar_id, seq, "backfill", "connect")


def look_in_desk(services: Services, connections: Connections) -> int:
    """Pick up employees who have authorised the Connected App anew; returns how many.

    Google is asked only when Frappe holds another token than the one that died.
    """
    with services.db.session() as session:
        waiting = [account.id for account in accounts.waiting_for_desk(session)]
    return sum(_try_one(services, connections, account_id) for account_id in waiting)


def _try_one(services: Services, connections: Connections, account_id: int) -> bool:
    store = LedgerTokens(services.db, services.keyring)
    try:
        grant = store.grant(account_id)
        token = connections.desk_token(grant)
        with services.db.session() as session:
            if accounts.is_dead_grant(session, grant.email, token):
                return False
        revive(services, connections, account_id)
        with services.db.session() as session:
            session.get_one(Account, account_id).granted_at = services.clock()
    except AccountDead:
        return False  # still nothing to go on with, as is shown on the account
    except WatcherError as error:
        log.warning("could not look for a new authorisation: %s", error.message)
        return False
    log.info("an employee has authorised anew in ERPNext", extra={"account": account_id})
    return True
