"""Accounts that come back: proved by a refresh, then every calendar owes a full listing.

The mirror is kept meanwhile and compared, not written anew.
"""

from __future__ import annotations

import logging
from functools import partial

from watcher import errors
from watcher.ledger import accounts, audit
from watcher.ledger.accounts import LedgerTokens
from watcher.ledger.acts import What
from watcher.ledger.models import Account
from watcher.services import Services

log = logging.getLogger(__name__)


def revive(services: Services, account_id: int) -> None:
    """Prove an account's grant and go on with it. Raises ``AccountDead`` (noted), ``AppDead``,
    ``Transient``."""
    services.tokens.renew(account_id, even_dead=True)
    start(services, account_id, What.ACCOUNT_RESUME)


def start(services: Services, account_id: int, what: What | None = None) -> None:
    """An account whose grant is proved works: each calendar is listed now. ``what`` is how the
    audit trail calls that, where nothing else has told of it."""
    now = services.clock()
    with services.db.session() as session:
        account = session.get_one(Account, account_id)
        rings = accounts.begin(session, account, now)
        if what is not None:
            audit.record(session, audit.Act(what, account.email), now)
    services.ring_noted(rings, "backfill", "connect")


def look_in_desk(services: Services) -> int:
    """Pick up employees who have authorised the Connected App anew; returns how many.

    Google is asked only when Frappe holds another token than the one that died.
    """
    with services.db.reading() as session:
        waiting = [account.id for account in accounts.waiting_for_desk(session)]
    return sum(
        errors.contained(partial(_try_one, services, account_id), _not_found)
        for account_id in waiting
    )


def _not_found(error: errors.WatcherError) -> bool:
    if not isinstance(error, errors.AccountDead):  # that is shown on the account
        log.warning("could not look for a new authorisation: %s", error.message)
    return False


def _try_one(services: Services, account_id: int) -> bool:
    grant = LedgerTokens(services.db, services.keyring).grant(account_id)
    token = services.desk_token(grant.desk_user)
    with services.db.reading() as session:
        if accounts.is_dead_grant(session, grant.email, token):
            return False
    revive(services, account_id)
    with services.db.session() as session:
        session.get_one(Account, account_id).granted_at = services.clock()
    log.info("an employee has authorised anew in ERPNext", extra={"account": account_id})
    return True
