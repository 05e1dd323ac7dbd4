"""What an admin does to an account: add, invite, pause, resume. The CLI's verbs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from watcher import errors
from watcher.accounts import revive
from watcher.accounts.proof import Proof, Proved, clean, client_of, prove, prove_all, try_own
from watcher.erpnext import connected_app
from watcher.google.delegation import DelegationAllow
from watcher.google.grants import Grant
from watcher.google.refresh import Fresh
from watcher.ledger import accounts, audit, calendars, connect, owing, own, states
from watcher.services import Services
from watcher.settings import require

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Added:
    """``calendar_id``: that of the account's own calendar, where it is not the address."""

    email: str
    erpnext_user: str | None
    calendars: int
    calendar_id: str = ""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The ERPNext user of an employee, looked up already; None: there is none."""

    user: str | None


def choose_user(services: Services, email: str, wanted: str | Chosen | None) -> str | None:
    """The ERPNext user of an employee: the one named, else the one of the same address.

    Raises ``UserError`` when the named user is not an enabled user of the site.
    """
    if isinstance(wanted, Chosen):
        return wanted.user
    if wanted is not None:
        if not services.erpnext.user_exists(wanted):
            raise errors.UserError(
                f"ERPNext has no enabled user {wanted}",
                next_step="check the spelling, or leave --erpnext-user out",
            )
        return wanted
    return email if services.erpnext.user_exists(email) else None


Person = tuple[str, str | None]
"""An address, and the ERPNext user that was named for it."""


def choose_users(services: Services, people: Iterable[Person]) -> dict[Person, Chosen]:
    """As ``choose_user``, for many at once, by a call for each 200. Whose named user there is not
    has no entry, and is left to ``choose_user``, and so is everybody while ERPNext does not
    answer."""
    wanted = {person: person[1] or person[0].strip().lower() for person in people}
    try:
        enabled = services.erpnext.enabled_users(wanted.values())
    except errors.WatcherError as error:
        log.info("users are looked up one by one: %s", error.message)
        return {}
    there = {person: user for person, user in wanted.items() if user.lower() in enabled}
    return {
        person: Chosen(there.get(person))
        for person in wanted
        if person in there or person[1] is None
    }


def add_delegated(
    services: Services,
    email: str,
    *,
    erpnext_user: str | Chosen | None = None,
    calendar_ids: tuple[str, ...] = (),
) -> Added:
    """Register a mailbox that the service account may act for; live at once.

    The delegation is proved first by fetching a token, and the calendars by reading a little of
    each, so that a typing error or a missing scope is told here and not in a log. Raises
    ``UserError``, ``AccountDead``, ``AppDead``, ``CalendarGone``, ``NotFound``, ``AccessLost``.
    """
    address = accounts.normal(email)
    settings = services.settings
    require(settings, "google_service_account_file", why="--via service-account")
    if not DelegationAllow.parse(settings.delegation_allow).allows(address):
        raise errors.UserError(
            f"the service account may not act for {address}",
            next_step=f"add {address} or @{address.rpartition('@')[2]} to WATCHER_DELEGATION_ALLOW",
        )
    user = choose_user(services, address, erpnext_user)
    grant = Grant(source="service-account", email=address, erpnext_user=user)
    return _prove_and_start(services, grant, calendar_ids)


def add_from_desk(
    services: Services,
    email: str,
    *,
    erpnext_user: str | Chosen | None = None,
    calendar_ids: tuple[str, ...] = (),
) -> Added:
    """Register an employee who has authorised the Connected App in ERPNext; live at once.

    Without a good authorisation the account is registered as *Needs reconnect* and goes live by
    itself when there is one. Raises ``AccountDead`` then, with the Desk link, and ``UserError``.
    """
    address = accounts.normal(email)
    require(services.settings, "google_client_id", "google_client_secret", why="--via erpnext")
    app = services.desk_app()
    user = choose_user(services, address, erpnext_user)
    if user is None:
        raise errors.UserError(
            f"ERPNext has no enabled user {address}",
            next_step="name the one who authorised: --erpnext-user USER",
        )
    link = connected_app.desk_link(services.settings.erpnext_url, app)
    try:
        grant = Grant(source="erpnext", email=address, erpnext_user=user)
        added = _prove_and_start(services, grant, calendar_ids)
    except errors.AccountDead as error:
        if link not in error.next_step:
            error.next_step = f"{error.next_step}: {link}"
        raise
    zone = services.site().zone
    since = connected_app.authorised_at(services.erpnext, app, user, zone)
    with services.db.session() as session:
        accounts.get(session, address).granted_at = since
    return added


def _prove_and_start(services: Services, grant: Grant, calendar_ids: tuple[str, ...]) -> Added:
    """The grant and the calendars are proved before anything is changed: an account that works
    goes on as it does when the new way fails. What fails is not kept at all, but for an employee
    who has not authorised in ERPNext yet: that one is registered as *Needs reconnect*, and goes
    live by itself when it is done."""
    address = grant.email
    with services.db.reading() as session:
        known = accounts.find(session, address)
    works = known is not None and known.is_active
    wanted = [clean(each) for each in calendar_ids]
    try:
        fresh = services.tokens.prove(grant)
    except errors.AccountDead as error:
        if grant.source == "erpnext" and not works:
            unproved = [Proved(each, False) for each in wanted] or [Proved(address, True)]
            _register(services, grant, unproved, error)
        elif not works:
            error.next_step = f"{error.next_step} Then add it again: nothing was stored.".strip()
        raise
    proved = prove_all(client_of(services, address, fresh.access_token), address, wanted)
    services.ring_noted(_register(services, grant, proved, fresh), "backfill", "connect")
    others = [each.google_id for each in proved if each.is_own and each.google_id != address]
    return Added(address, grant.erpnext_user, len(proved), *others[:1])


def _register(
    services: Services, grant: Grant, wanted: Sequence[Proved], found: Fresh | errors.AccountDead
) -> list[int]:
    """The account with its calendars, as the grant says: active with the token that Google gave, or
    in need to reconnect. In one transaction, since an import makes thousands of them. Returns the
    calendars that are to be rung, which is noted already."""
    now = services.clock()
    services.keyring.follow()  # a rotation may be under way
    with services.db.session() as session:
        known = accounts.find(session, grant.email)
        if known is not None:
            accounts.lock(session, known.id)
        if known is None or known.state in states.LEAVING:
            known = accounts.add(
                session,
                email=grant.email,
                source=grant.source,
                state=states.AccountState.PAUSED,
                now=now,
                erpnext_user=grant.erpnext_user,
            )
        # A refresh token is the employee's own consent: other ways have none in the ledger.
        known.refresh_token = None
        known.source = grant.source
        known.erpnext_user = grant.erpnext_user or known.erpnext_user
        for each in wanted:
            own.add(session, known, each.google_id, each.is_own, now)
        dead = found.cause if isinstance(found, errors.AccountDead) else ""
        done = {"via": grant.source, "calendars": len(wanted)}
        audit.record(session, audit.Act(audit.What.ACCOUNT_ADD, known.email, done, dead), now)
        if isinstance(found, errors.AccountDead):
            accounts.set_state(known, states.AccountState.NEEDS_RECONNECT, dead, now)
            return []
        accounts.store_access(known, services.keyring, found)
        return accounts.begin(session, known, now)


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


def invite(
    services: Services,
    email: str,
    *,
    erpnext_user: str | Chosen | None = None,
    invited_by: str = "",
) -> str:
    """Register an address for consent and return its connect link; earlier links end. The page
    of the link names ``invited_by``, the admin's address.

    An account that is active stays active until its owner has consented anew.
    """
    address = accounts.normal(email)
    require(
        services.settings,
        "public_url",
        "google_client_id",
        "google_client_secret",
        why="inviting an employee",
    )
    user = choose_user(services, address, erpnext_user)
    now = services.clock()
    with services.db.session() as session:
        known = accounts.find(session, address)
        keeps = known is not None and known.state in states.HAD_A_GRANT
        if known is not None and keeps:
            known.erpnext_user = user or known.erpnext_user
            account = known
        else:
            account = accounts.add(
                session,
                email=address,
                source="oauth",
                state=states.AccountState.INVITED,
                now=now,
                erpnext_user=user,
            )
        invitation = connect.create_invitation(
            session, account.id, now, invited_by or audit.admin()
        )
        audit.record(session, audit.Act(audit.What.ACCOUNT_INVITE, address), now)
    return connect.sign_link(services.keyring, services.settings, invitation, address)


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A calendar of an account: ``was_there`` when it is mirrored already; ``also_by`` are the
    addresses of other accounts that mirror it, so that its events stand in ERPNext once for each.
    """

    number: int
    google_id: str
    was_there: bool
    also_by: tuple[str, ...] = ()


def add_calendar(services: Services, email: str, google_id: str) -> Mirrored:
    """Mirror another calendar of an account (a secondary or an outlet calendar), once the account
    has read a little of it. Raises ``UserError``, ``NotFound``, ``AccessLost``, ``AccountDead``,
    ``Transient``; then nothing is added."""
    with services.db.reading() as session:
        account = accounts.get(session, email)
        known = {c.id: c.google_id for c in calendars.of_account(session, account.id)}
        names = [each for each in known.values() if own.is_own(session, account, each)]
    google = services.google(account.id, account.email, "poll")
    proved = prove(google, account.email, google_id, names)
    with services.db.session() as session:
        account, now = accounts.get(session, email), services.clock()
        calendar = own.add(session, account, proved.google_id, proved.is_own, now)
        owing.owe_listings(session, [calendar.id], "added", now)
        subject = audit.calendar(account.email, calendar.google_id)
        audit.record(session, audit.Act(audit.What.CALENDAR_ADD, subject), now)
        active = account.is_active
        others = own.mirrored_by_others(session, account.id, [calendar.google_id])
    if active:
        services.ring(calendar.id, "backfill", "added")
    also_by = others.get(calendar.google_id.lower(), ())
    return Mirrored(calendar.id, calendar.google_id, calendar.id in known, also_by)


def set_event_type(services: Services, email: str, event_type: str | None) -> None:
    """``Public`` or ``Private`` for the ordinary events of this account; None: as the settings say.
    What is mirrored already follows at once."""
    with services.db.session() as session:
        account = accounts.get(session, email)
        if account.default_event_type == event_type:
            return
        account.default_event_type = event_type
        mirrored = [calendar.id for calendar in calendars.of_account(session, account.id)]
        owing.owe_listings(session, mirrored, "policy", services.clock())
        figures = {"event_type": event_type or "default"}
        act = audit.Act(audit.What.ACCOUNT_SET, account.email, figures)
        audit.record(session, act, services.clock())
        active = account.is_active
    if active:
        services.ring_all(mirrored, "backfill", "policy")


def pause(services: Services, email: str) -> None:
    """Stop working for an account; notifications are still recorded."""
    with services.db.session() as session:
        account = accounts.get(session, email)
        if account.state not in (states.AccountState.ACTIVE, states.AccountState.PAUSED):
            raise errors.UserError(
                f"{account.email} is {account.state}, which cannot be paused",
                next_step=f"watcher accounts show {account.email}",
            )
        now = services.clock()
        accounts.set_state(account, states.AccountState.PAUSED, errors.Cause.BY_ADMIN, now)
        audit.record(session, audit.Act(audit.What.ACCOUNT_PAUSE, account.email), now)


def resume(services: Services, email: str) -> Proof:
    """Work for an account again; every calendar is listed anew. Proves the grant first, and says
    what is found of its own calendar if that is mirrored."""
    with services.db.session() as session:
        account = accounts.get(session, email)
        if account.state not in states.HAD_A_GRANT:
            raise errors.UserError(
                f"{account.email} is {account.state}",
                next_step=f"watcher accounts invite {account.email}",
            )
    revive.revive(services, account.id)
    with services.db.reading() as session:
        mine = own.of_account(session, account)
    if mine is None:
        return Proof()
    proof = try_own(services.google(account.id, account.email, "poll"), account.email)
    if proof.refusal is not None:
        with services.db.session() as session:
            own.refuse(calendars.get(session, mine.id), proof.refusal, services.clock())
    return proof
