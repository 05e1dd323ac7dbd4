"""What an admin does to an account: add, invite, pause, resume. The CLI's verbs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
    """``calendar_id``: that of the account's own calendar, where it is not the address. ``link`` is
    the page of ERPNext's Desk where the employee has to consent first, empty where it is live."""

    email: str
    erpnext_user: str | None
    calendars: int
    calendar_id: str = ""
    link: str = ""

    @property
    def state(self) -> states.AccountState:
        return states.AccountState.INVITED if self.link else states.AccountState.ACTIVE


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
                errors.sentence("ERPNext has no enabled user %(user)s", user=wanted),
                next_step=errors.sentence("check the spelling, or leave --erpnext-user out"),
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
            errors.sentence("the service account may not act for %(email)s", email=address),
            next_step=errors.sentence(
                "add %(email)s or its @domain to WATCHER_DELEGATION_ALLOW", email=address
            ),
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
    """Register an employee who has authorised the Connected App in ERPNext, live at once, or who
    is to do so: then the account is invited, a ToDo asks the employee, and it goes live by itself.

    Where something is wrong with what was authorised it is *Needs reconnect*. Raises
    ``AccountDead`` then, with the Desk link, and ``UserError``.
    """
    address = accounts.normal(email)
    require(services.settings, "google_client_id", "google_client_secret", why="--via erpnext")
    app = services.desk_app()
    user = choose_user(services, address, erpnext_user)
    if user is None:
        raise errors.UserError(
            errors.sentence("ERPNext has no enabled user %(user)s", user=address),
            next_step=errors.sentence("name the one who authorised: --erpnext-user USER"),
        )
    link = connected_app.desk_link(services.settings.erpnext_url, app)
    try:
        grant = Grant(source="erpnext", email=address, erpnext_user=user)
        added = _prove_and_start(services, grant, calendar_ids)
    except errors.AccountDead as error:
        if link not in error.next_step:
            error.next_step = f"{error.next_step}: {link}"
        with services.db.reading() as session:
            known = accounts.find(session, address)
        if known is None or not accounts.is_invited_in_desk(known):
            raise
        return Added(address, user, len(calendar_ids) or 1, link=link)
    zone = services.site().zone
    since = connected_app.authorised_at(services.erpnext, app, user, zone)
    with services.db.session() as session:
        accounts.get(session, address).granted_at = since
    return added


def _prove_and_start(services: Services, grant: Grant, calendar_ids: tuple[str, ...]) -> Added:
    """The grant and the calendars are proved before anything is changed: an account that works
    goes on as it does when the new way fails. What fails is not kept at all, but for an employee
    who has not authorised in ERPNext yet, or not rightly: that one is registered, and goes live by
    itself when it is done."""
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
    invited, or in need to reconnect. In one transaction, since an import makes thousands of them.
    Returns the calendars that are to be rung, which is noted already."""
    now = services.clock()
    services.keyring.follow()  # a rotation may be under way
    with services.db.session() as session:
        known = accounts.find(session, grant.email)
        if known is not None:
            accounts.lock(session, known.id)
        is_new = known is None or known.state in (*states.LEAVING, states.AccountState.INVITED)
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
        if is_new and dead == errors.Cause.NO_REFRESH_TOKEN:
            accounts.set_state(known, states.AccountState.INVITED, "", now)
        elif dead:
            accounts.set_state(known, states.AccountState.NEEDS_RECONNECT, dead, now)
        done = {"via": grant.source, "calendars": len(wanted)}
        outcome = "" if accounts.is_invited_in_desk(known) else dead
        audit.record(session, audit.Act(audit.What.ACCOUNT_ADD, known.email, done, outcome), now)
        if isinstance(found, errors.AccountDead):
            return []
        accounts.store_access(known, services.keyring, found)
        return accounts.begin(session, known, now)


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
        why=errors.sentence("inviting an employee"),
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
                errors.sentence(
                    "%(email)s is %(state)s, which cannot be paused",
                    email=account.email,
                    state=account.state,
                ),
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
        if account.state not in states.HAD_A_GRANT and not accounts.is_invited_in_desk(account):
            raise errors.UserError(
                errors.sentence("%(email)s is %(state)s", email=account.email, state=account.state),
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
