"""Who an import of many is for, and who is left as they are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from watcher import errors
from watcher.erpnext import connected_app
from watcher.google.delegation import DelegationAllow
from watcher.ledger import accounts, states
from watcher.services import Services
from watcher.settings import require


def left_as_it_is(services: Services, email: str, source: str) -> str:
    """Why an import of many does not touch an account: it works by another way, or an admin has
    paused it, or the name of the ERPNext user is no address. Empty when it may."""
    if source == "erpnext" and email and "@" not in email:
        return (
            "left out: not an e-mail address "
            f"(watcher accounts add EMAIL --via erpnext --erpnext-user {email})"
        )
    with services.db.reading() as session:
        known = accounts.find(session, email)
    if known is not None and known.is_active and known.source != source:
        return f"left as it is: connected by {known.source}"
    if known is not None and (known.state, known.cause) == (
        states.AccountState.PAUSED,
        errors.Cause.BY_ADMIN,
    ):
        return "left as it is: paused"
    if known is not None and known.is_paused_by_employee:
        return f"left as it is: paused by the employee ({known.cause})"
    return ""


def known(services: Services) -> frozenset[str]:
    """The addresses of all accounts, in lower case, whatever their state."""
    with services.db.reading() as session:
        return frozenset(account.email.lower() for account in accounts.everyone(session))


def leavers(services: Services) -> list[tuple[str, datetime]]:
    """Accounts that are paused because ERPNext has no enabled user of theirs, and since when."""
    gone = (states.AccountState.PAUSED, errors.Cause.USER_REMOVED)
    with services.db.reading() as session:
        everyone = accounts.everyone(session)
        return [(a.email, a.since) for a in everyone if (a.state, a.cause) == gone]


def number_of_connected(services: Services) -> int:
    """How many accounts are not disconnected, whatever else they are."""
    with services.db.reading() as session:
        everyone = accounts.everyone(session)
    return sum(account.state != states.AccountState.DISCONNECTED for account in everyone)


def company_users(services: Services, via: str) -> list[str]:
    """Enabled system users of ERPNext with an address that ``WATCHER_DELEGATION_ALLOW`` covers,
    which is needed for the service account alone. The API user is left out: it is a program."""
    if via == "service-account":
        require(services.settings, "delegation_allow", why="--from erpnext")
    everybody = not services.settings.delegation_allow
    allow = DelegationAllow.parse(services.settings.delegation_allow)
    filters: list[list[Any]] = [["enabled", "=", 1], ["user_type", "=", "System User"]]
    found = services.erpnext.rows("User", filters, ["email"])
    emails = {str(row.get("email") or row["name"]).strip().lower() for row in found}
    emails.discard(services.site().api_user.lower())
    return sorted(email for email in emails if "@" in email and (everybody or allow.allows(email)))


def desk_users(services: Services) -> list[str]:
    """Everyone with a Token Cache row for our Connected App; Administrator can be among them."""
    rows = connected_app.authorised(services.erpnext, services.desk_app())
    return sorted({row.user for row in rows})
