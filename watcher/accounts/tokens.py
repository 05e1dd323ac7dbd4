"""Access tokens are refreshed before they end, so that no pass has to wait for one."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial

from watcher import errors
from watcher.ledger import accounts, away
from watcher.services import Services
from watcher.waiting import Backoff

log = logging.getLogger(__name__)

REFRESH_AHEAD = timedelta(minutes=10)
AGAIN = Backoff(first=60.0, longest=60.0)
APP_REFUSED = 300.0
"""Seconds until the next try when Google refuses the OAuth client or the service account itself."""


def refresh(services: Services) -> int:
    """Refresh access tokens that end within ten minutes, ahead of the calls that need them."""
    now = services.clock()
    with services.db.reading() as session:
        ids = accounts.due_for_refresh(session, now + REFRESH_AHEAD, now)
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
    asked = error.retry_after if isinstance(error, errors.Transient) else None
    pause = APP_REFUSED if isinstance(error, errors.AppDead) else AGAIN.seconds(0, asked)
    with services.db.session() as session:
        again = services.clock() + timedelta(seconds=pause)
        accounts.refresh_later(session, account_id, again)
        level = away.level_of(session, error, services.clock())
    log.log(level, "access token not refreshed: %s", error.message)
    return error
