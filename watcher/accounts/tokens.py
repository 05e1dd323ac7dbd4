"""Access tokens are refreshed before they end, so that no pass has to wait for one."""

from __future__ import annotations

import logging
import random
from datetime import timedelta
from functools import partial

from watcher import errors
from watcher.ledger import accounts
from watcher.ledger.models import Account
from watcher.services import Services

log = logging.getLogger(__name__)

REFRESH_AHEAD = timedelta(minutes=10)


def refresh(services: Services) -> int:
    """Refresh access tokens that end within ten minutes, ahead of the calls that need them."""
    now = services.clock()
    with services.db.reading() as session:
        ids = [a.id for a in accounts.due_for_refresh(session, now + REFRESH_AHEAD, now)]
    return sum(refresh_one(services, account_id) is None for account_id in ids)


def refresh_one(services: Services, account_id: int) -> errors.WatcherError | None:
    """Refresh one account's access token now; the failure, whatever it is, is noted and returned.
    Raises ``LedgerAway``."""
    return errors.contained(
        partial(_renew_token, services, account_id), partial(_not_refreshed, services, account_id)
    )


def _renew_token(services: Services, account_id: int) -> None:
    services.tokens.renew(account_id)


def _not_refreshed(
    services: Services, account_id: int, error: errors.WatcherError
) -> errors.WatcherError:
    if isinstance(error, errors.AccountDead):  # noted by the token layer
        log.warning("account needs to reconnect: %s", error.message)
        return error
    pause = 300 if isinstance(error, errors.AppDead) else random.uniform(20, 60)
    if isinstance(error, errors.Transient) and error.retry_after is not None:
        pause = max(pause, error.retry_after)
    with services.db.session() as session:
        account = session.get_one(Account, account_id)
        account.refresh_retry_at = services.clock() + timedelta(seconds=pause)
    log.warning("access token not refreshed: %s", error.message)
    return error
