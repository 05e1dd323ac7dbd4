"""What an admin does to an account: add, invite, pause, resume, disconnect. The CLI's verbs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from watcher.channels.registry import stop_all
from watcher.connections import Connections, service_account
from watcher.erpnext import connected_app
from watcher.erpnext.events import EventMirror
from watcher.errors import AccountDead, ExitCode, Permanent, UserError, WatcherError
from watcher.events.mapping import data_id
from watcher.events.model import Action, Cancel
from watcher.google.consent import revoke
from watcher.google.delegation import DelegationAllow
from watcher.jobs.reconnect import revive
from watcher.jobs.ringing import ring
from watcher.services import Services
from watcher.settings import require
from watcher.state import accounts, calendars, connect
from watcher.state.accounts import LedgerTokens
from watcher.state.models import Account

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Added:
    email: str
    erpnext_user: str | None
    calendars: int


def choose_user(connections: Connections, email: str, wanted: str | None) -> str | None:
    """The ERPNext user of an employee: the one named, else the one of the same address.

    Raises ``UserError`` when the named user is not an enabled user of the site.
    """
    if wanted is not None:
        if not connections.erpnext.user_exists(wanted):
            raise UserError(
                f"ERPNext has no enabled user {wanted}",
                next_step="check the spelling, or leave --erpnext-user out",
            )
        return wanted
    return email if connections.erpnext.user_exists(email) else None


def add_delegated(
    services: Services,
    connections: Connections,
    email: str,
    *,
    erpnext_user: str | None = None,
    calendar_ids: tuple[str, ...] = (),
) -> Added:
    """Register a mailbox that the service account may act for; live at once.

    The delegation is proved first by fetching a token, so that a typing error or a missing scope
    is told here and not in a log. Raises ``UserError``, ``AccountDead``, ``AppDead``.
    """
    address = accounts.normal(email)
    settings = services.settings
    require(settings, "google_service_account_file", why="--via service-account")
    service_account(settings)
    if not DelegationAllow.parse(settings.delegation_allow).allows(address):
        raise UserError(
            f"the service account may not act for {address}",
            next_step=f"add {address} or @{address.rpartition('@')[2]} to WATCHER_DELEGATION_ALLOW",
        )
    user = choose_user(connections, address, erpnext_user)
    return _prove_and_start(services, connections, address, "service-account", user, calendar_ids)


def add_from_desk(
    services: Services,
    connections: Connections,
    email: str,
    *,
    erpnext_user: str | None = None,
    calendar_ids: tuple[str, ...] = (),
) -> Added:
    """Register an employee who has authorised the Connected App in ERPNext; live at once.

    Without a good authorisation the account is registered as *Needs reconnect* and goes live by
    itself when there is one. Raises ``AccountDead`` then, with the Desk link, and ``UserError``.
    """
    address = accounts.normal(email)
    require(services.settings, "google_client_id", "google_client_secret", why="--via erpnext")
    connections.desk_app()
    user = choose_user(connections, address, erpnext_user)
    if user is None:
        raise UserError(
            f"ERPNext has no enabled user {address}",
            next_step="name the one who authorised: --erpnext-user USER",
        )
    return _prove_and_start(services, connections, address, "erpnext", user, calendar_ids)


def _prove_and_start(
    services: Services, connections: Connections, address: str, source: str,
    user: str | None, calendar_ids: tuple[str, ...],
) -> Added:  # fmt: skip
    now = services.clock()
    with services.db.session() as session:
        known = accounts.find(session, address)
        account = accounts.add(
            session, email=address, source=source, state=known.state if known else "paused",
            now=now, erpnext_user=user,
        )  # fmt: skip
        account_id = account.id
        for google_id in calendar_ids or (address,):
            calendars.add(session, account_id, google_id, now)
    revive(services, connections, account_id)
    return Added(address, user, len(calendar_ids) or 1)


def company_users(services: Services, connections: Connections) -> list[str]:
    """Enabled system users of ERPNext whose address the service account may act for. The API
    user is left out: it is a program."""
    allow = DelegationAllow.parse(services.settings.delegation_allow)
    filters: list[list[Any]] = [["enabled", "=", 1], ["user_type", "=", "System User"]]
    found = connections.erpnext.rows("User", filters, ["email"])
    emails = {str(row.get("email") or row["name"]).strip().lower() for row in found}
    emails.discard(connections.site().api_user.lower())
    return sorted(email for email in emails if "@" in email and allow.allows(email))


def desk_users(connections: Connections) -> list[str]:
    """Everyone with a Token Cache row for our Connected App."""
    rows = connected_app.authorised(connections.erpnext, connections.desk_app())
    return sorted({row.user for row in rows})


def invite(
    services: Services, connections: Connections, email: str, *, erpnext_user: str | None = None
) -> str:
    """Register an address for consent and return its connect link; earlier links end.

    An account that is active stays active until its owner has consented anew.
    """
    address = accounts.normal(email)
    require(
        services.settings, "public_url", "google_client_id", "google_client_secret",
        why="inviting an employee",
    )  # fmt: skip
    user = choose_user(connections, address, erpnext_user)
    now = services.clock()
    with services.db.session() as session:
        known = accounts.find(session, address)
        keeps = known is not None and known.state in ("active", "needs_reconnect", "paused")
        if known is not None and keeps:
            known.erpnext_user = user or known.erpnext_user
            account = known
        else:
            account = accounts.add(
                session, email=address, source="oauth", state="invited", now=now,
                erpnext_user=user,
            )  # fmt: skip
        invitation = connect.create_invitation(session, account.id, now)
    return connect.sign_link(services.keyring, services.settings, invitation, address)


def add_calendar(services: Services, email: str, google_id: str) -> int:
    """Mirror another calendar of an account (a secondary or an outlet calendar)."""
    with services.db.session() as session:
        account = accounts.get(session, email)
        calendar = calendars.add(session, account.id, google_id, services.clock())
        seq = calendars.want_snapshot(session, calendar.id, "added", services.clock())
        active = account.state == "active"
    if active:
        ring(services, calendar.id, seq, "backfill", "added")
    return calendar.id


def ring_all(services: Services, rings: list[tuple[int, int]]) -> None:
    for calendar_id, seq in rings:
        ring(services, calendar_id, seq, "backfill", "connect")


def pause(services: Services, email: str) -> None:
    """Stop working for an account; notifications are still recorded."""
    with services.db.session() as session:
        account = accounts.get(session, email)
        if account.state not in ("active", "paused"):
            raise UserError(
                f"{account.email} is {account.state}, which cannot be paused",
                next_step=f"watcher accounts show {account.email}",
            )
        accounts.set_state(account, "paused", "by_admin", services.clock())


def resume(services: Services, connections: Connections, email: str) -> None:
    """Work for an account again; every calendar is listed anew. Proves the grant first."""
    with services.db.session() as session:
        account = accounts.get(session, email)
        if account.state not in ("paused", "needs_reconnect", "active"):
            raise UserError(
                f"{account.email} is {account.state}",
                next_step=f"watcher accounts invite {account.email}",
            )
        account_id = account.id
    revive(services, connections, account_id)


def disconnect(
    services: Services,
    connections: Connections,
    email: str,
    *,
    events: str,
    told: Callable[[str], None] = lambda _: None,
) -> None:
    """Stop channels, revoke at Google, purge the credential, treat the mirrored events.

    ``events`` is ``keep``, ``cancel`` or ``delete``. Each step is safe to repeat, so a run that
    broke off is finished by running it again.
    """
    with services.db.session() as session:
        account = accounts.get(session, email)
        if account.state == "disconnected":
            raise UserError(f"{account.email} is disconnected already")
        account.on_disconnect = events
        accounts.set_state(account, "disconnecting", "by_admin", services.clock())
    told("channels")
    try:
        stop_all(services, connections, account)
    except (AccountDead, Permanent) as error:
        log.warning("channels are left to expire: %s", error.message)
    told("grant")
    _revoke(services, account)
    told("events")
    _treat_events(services, connections, account, events)
    with services.db.session() as session:
        account = accounts.get(session, email)
        account.refresh_token = account.access_token = account.access_expires_at = None
        for calendar in calendars.of_account(session, account.id):
            calendar.removed = True
            calendar.sync_token = None
            calendar.last_snapshot_at = None
        accounts.set_state(account, "disconnected", "by_admin", services.clock())


def _revoke(services: Services, account: Account) -> None:
    if account.source != "oauth":
        return  # a delegation is the Workspace admin's to take back
    grant = LedgerTokens(services.db, services.keyring).grant(account.id)
    token = grant.refresh_token or grant.access_token
    if token is not None:
        revoke(token, services.settings.google_revoke_url)


def _treat_events(
    services: Services, connections: Connections, account: Account, events: str
) -> None:
    if events == "keep":
        return
    mirror = EventMirror(connections.erpnext, delete_cancelled=events == "delete")
    with services.db.session() as session:
        google_ids = [c.google_id for c in calendars.of_account(session, account.id)]
    refused = 0
    for google_id in google_ids:
        held = mirror.held_of_calendar(data_id(account.email), data_id(google_id))
        actions: list[Action] = [
            Cancel(name=row.name, key=row.key, event_id=row.event_id, reason="disconnected")
            for row in held
            if events == "delete" or not row.is_cancelled
        ]
        refused += len(mirror.apply(actions).refused)
    if refused:
        raise WatcherError(
            f"ERPNext refused to change {refused} events",
            next_step=f"run `watcher accounts disconnect {account.email}` again",
            exit_code=ExitCode.PARTLY,
        )
