"""Employees as ERPNext knows them: what they are called, and who is there.

The account of one whom ERPNext no longer knows pauses, and goes on when he is back: every row that
is written names its user, and ERPNext refuses one that names a user who is gone. By their names
admins know people, and search for them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from watcher.accounts.revive import revive
from watcher.erpnext.persons import persons
from watcher.erpnext.site import company_of
from watcher.errors import Cause, WatcherError, contained
from watcher.languages import catalogs
from watcher.ledger import accounts, admins, audit, people
from watcher.ledger import erpnext as known_site
from watcher.ledger.acts import What
from watcher.ledger.models import Account
from watcher.ledger.states import AccountState
from watcher.services import Services

log = logging.getLogger(__name__)

COMPANY_FOR = timedelta(days=1)


def look_at_users(services: Services) -> int:
    """Compare with ERPNext's enabled users; returns how many accounts were paused or resumed."""
    _learn_company(services)
    with services.db.reading() as session:
        known = accounts.with_users(session, Cause.USER_REMOVED)
    if not known:
        return 0
    ourselves = services.site().api_user
    enabled = services.erpnext.enabled_users([ourselves, *(a.erpnext_user or "" for a in known)])
    if ourselves.lower() not in enabled:
        # Whoever sees not even himself may not read Users: that says nothing of anybody.
        log.warning("%s may not read Users in ERPNext: employees are not looked at", ourselves)
        return 0
    return sum(
        contained(partial(_follow, services, account, enabled), partial(_left, account))
        for account in known
    )


def _learn_company(services: Services) -> None:
    """Once a day, for employees' pages: what the company is called."""
    now = services.clock()
    with services.db.reading() as session:
        read_at = known_site.company_read_at(session)
    if services.settings.company_name or (read_at and timedelta(0) <= now - read_at < COMPANY_FOR):
        return
    name = company_of(services.erpnext)
    with services.db.session() as session:
        known_site.remember_company(session, name, now)


def _left(account: Account, error: WatcherError) -> bool:
    log.warning("the account of %s is left as it is: %s", account.erpnext_user, error.message)
    return False


def _follow(services: Services, account: Account, enabled: set[str]) -> bool:
    there = (account.erpnext_user or "").lower() in enabled
    if there == account.is_active:
        return False
    if there:
        revive(services, account.id)
        log.info("account resumed: %s is back in ERPNext", account.erpnext_user)
        return True
    with services.db.session() as session:
        row = session.get_one(Account, account.id)
        if not row.is_active:
            return False
        now = services.clock()
        accounts.set_state(row, AccountState.PAUSED, Cause.USER_REMOVED, now)
        because = {"because": Cause.USER_REMOVED.value}
        audit.record(session, audit.Act(What.ACCOUNT_PAUSE, row.email, because), now)
    log.warning("account paused: ERPNext has no enabled user %s", account.erpnext_user)
    return True


def look_at_names(services: Services) -> int:
    """Of all accounts that are not disconnected; returns how many have another name now."""
    with services.db.reading() as session:
        users = people.users(session)
    _learn_of_admins(services)
    return learn_names(services, users)


def _learn_of_admins(services: Services) -> None:
    """In which language each is told: also who has no account here."""
    found = persons(services.erpnext, services.settings.admin_emails)
    known = {email: catalogs.known(each.language) for email, each in found.items()}
    with services.db.session() as session:
        admins.learn_languages(session, known, services.clock())


def learn_names(services: Services, users: Sequence[str]) -> int:
    """Of the accounts of these ERPNext users. Raises ``Transient``, ``Permanent``."""
    found = persons(services.erpnext, users)
    known = {
        user: people.Known(each.full_name, each.employee, catalogs.known(each.language))
        for user, each in found.items()
    }
    with services.db.session() as session:
        return people.name(session, known)
