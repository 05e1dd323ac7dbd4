"""Google: the service account, and whether it may act for a mailbox."""

from __future__ import annotations

from contextlib import suppress

from watcher.doctor import say
from watcher.doctor.case import TIMEOUT, Case
from watcher.errors import LedgerAway, Permanent
from watcher.google import fetching
from watcher.google.delegation import ServiceAccount
from watcher.google.endpoints import CALENDAR_SCOPE
from watcher.google.grants import Grant
from watcher.ledger import accounts
from watcher.services import delegation, endpoints

OLD_KEY_DAYS = 365
_ADMIN = "https://admin.google.com/ac/owl/domainwidedelegation"


def service_account(case: Case) -> say.Finding:
    """The key of the service account can be used, and somebody may be acted for."""
    given = delegation(case.settings)
    if given.key is None:
        return say.skip("no service account is set: nobody can be connected by delegation")
    if given.key.warnings:
        path = case.settings.google_service_account_file
        return say.warn("others can read the service account's key", f"chmod o-rwx {path}")
    if not case.settings.delegation_allow:
        return say.warn(
            "the service account may act for nobody",
            "set WATCHER_DELEGATION_ALLOW to addresses or an @domain",
        )
    if given.key.age_days > OLD_KEY_DAYS:
        return say.warn(
            f"the service account's key is {given.key.age_days} days old",
            "make a new one in the Cloud console, put it in place of the file, delete the old one",
        )
    return say.ok(f"{given.key.client_email}, for {say.listed(case.settings.delegation_allow)}")


def delegated(case: Case) -> say.Finding:
    """Google lets the service account act for one mailbox, with our scope."""
    given = delegation(case.settings)
    address = _delegated_address(case)
    if given.key is None:
        return say.skip("no service account is set")
    if not address:
        return say.skip(
            "no mailbox is known yet to try it with: name one in WATCHER_DELEGATION_ALLOW"
        )
    source = fetching.TokenSource(
        endpoints=endpoints(case.settings), delegation=given, timeout=max(TIMEOUT)
    )
    try:
        source.fetch(Grant(source="service-account", email=address), lambda _token: None)
    except Permanent as error:
        return say.denied(error.message, _admin_line(given.key, error))
    return say.ok(f"Google lets it act for {address}")


def _admin_line(key: ServiceAccount, error: Permanent) -> str:
    if error.cause != "unauthorized_client":
        return error.next_step
    return f"add at {_ADMIN} the client ID {key.client_id} with the scope {CALENDAR_SCOPE}"


def _delegated_address(case: Case) -> str:
    """A mailbox to try delegation with: one that is connected so, or one that the settings name."""
    if case.services is not None:
        with suppress(LedgerAway), case.services.db.reading() as session:  # ledger.form tells that
            for account in accounts.everyone(session):
                if account.source == "service-account" and account.is_active:
                    return str(account.email)
    named = (each for each in case.settings.delegation_allow if not each.startswith("@"))
    return next(named, "")
