"""A person's further calendars, as Google lists them at this moment: outlets, rosters, what others
share. Their names are told to who asks and are kept nowhere.

Whether somebody may ask is the company's choice (``WATCHER_FIND_CALENDARS``), and so is the scope
that it takes. Without that scope everything else goes on, so a refusal here ends no account.
"""

from __future__ import annotations

import logging
import shlex
import time
from dataclasses import dataclass, replace
from typing import Final, Literal

from watcher import errors
from watcher.accounts import letting_go, verbs
from watcher.google.client import CalendarClient, Patience
from watcher.google.delegation import console_line
from watcher.google.endpoints import LIST_SCOPE
from watcher.google.fetching import list_tokens
from watcher.google.grants import Grant
from watcher.google.listed import Listed
from watcher.languages.sentence import sentence
from watcher.ledger import accounts, calendars, chosen, own
from watcher.ledger.models import Account
from watcher.services import Services, delegation, endpoints
from watcher.settings import Settings

log = logging.getLogger(__name__)

Who = Literal["admins", "employees"]
Standing = Literal["mirrored", "mirrored_for_another", "free_busy_only", "can_be_added"]
ADDABLE: Final = "can_be_added"
CAUSE: Final = "no_list_scope"
"""Of the error where the permission for the list is what lacks."""
SECONDS: Final = 15.0
PATIENCE: Final = Patience(timeout=5.0, retries=0)
_ORDER: Final = ("can_be_added", "mirrored", "mirrored_for_another", "free_busy_only")
_SCOPE_CAUSES: Final = frozenset({"insufficient_permissions", "access_token_scope_insufficient"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A calendar on the list of ``email``; ``also_by`` are the other accounts that mirror it."""

    email: str
    listed: Listed
    is_mirrored: bool
    also_by: tuple[str, ...] = ()

    @property
    def standing(self) -> Standing:
        if self.is_mirrored:
            return "mirrored"
        if not self.listed.can_be_read:
            return "free_busy_only"
        return "mirrored_for_another" if self.also_by else "can_be_added"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many of the calendars are mirrored from now on, and how many are not."""

    added: int
    left: int


def may(settings: Settings, who: Who) -> bool:
    """Whether the company lets ``who`` look."""
    return settings.find_calendars in (who, "both")


def find(services: Services, email: str, who: Who) -> list[Found]:
    """The calendars on the person's list, those that can be added first. Nothing is changed. Raises
    as ``ask``."""
    return sorted_out(services, email, ask(services, email, who))


def ask(services: Services, email: str, who: Who) -> list[Listed]:
    """What Google lists for the person now.

    Raises ``UserError`` where the company does not allow it or the account is not active,
    ``AccessLost`` of the cause ``CAUSE`` where the list's scope was not given, and what Google and
    the ledger raise.
    """
    if not may(services.settings, who):
        raise errors.UserError(
            sentence(
                "WATCHER_FIND_CALENDARS is %(value)s: the list of somebody's calendars is not for "
                "%(who)s",
                value=services.settings.find_calendars,
                who=who,
            ),
            next_step=sentence(
                "set it to %(who)s or both; docs/google.md says what Google has to allow then",
                who=who,
            ),
        )
    with services.db.reading() as session:
        account = accounts.get(session, email)
    if not account.is_active:
        raise errors.UserError(
            sentence(
                "%(email)s is %(state)s: Google is not asked",
                email=account.email,
                state=account.state,
            ),
            next_step=f"watcher accounts show {account.email}",
        )
    return _listed(services, account)


def sorted_out(services: Services, email: str, listed: list[Listed]) -> list[Found]:
    """How each of them stands here at this moment, also of a list that is a little older."""
    with services.db.reading() as session:
        account = accounts.get(session, email)
        mirrored = {c.google_id.lower() for c in calendars.of_account(session, account.id)}
        has_main = own.of_account(session, account) is not None
        ids = [each.google_id for each in listed]
        others = own.mirrored_by_others(session, account.id, ids)
    found = [
        Found(
            email=account.email,
            listed=each,
            is_mirrored=each.google_id.lower() in mirrored or (each.is_main and has_main),
            also_by=others.get(each.google_id.lower(), ()),
        )
        for each in listed
    ]
    return sorted(found, key=_place)


def _place(each: Found) -> tuple[int, bool, str]:
    made_by_google = each.listed.google_id.lower().endswith("@group.v.calendar.google.com")
    return _ORDER.index(each.standing), made_by_google, each.listed.name.casefold()


def _listed(services: Services, account: Account) -> list[Listed]:
    """Raises ``Transient`` when Google takes longer than ``SECONDS`` for all of it."""
    ends, listed = time.monotonic() + SECONDS, []
    try:
        for each in _client(services, account).listed():
            listed.append(each)
            if time.monotonic() > ends:
                raise errors.Transient(
                    sentence("Google took too long for the list of calendars"), side="google"
                )
    except errors.Permanent as error:
        not_entered = account.source == "service-account" and error.cause == "unauthorized_client"
        if not_entered or error.cause in _SCOPE_CAUSES:
            raise _not_allowed(services, account) from error
        raise
    return listed


def _client(services: Services, account: Account) -> CalendarClient:
    """By delegation with a token of its own: the account's is good for events alone."""
    google = services.google(account.id, account.email, "poll", PATIENCE)
    if account.source != "service-account":
        return google
    grant = Grant(source="service-account", email=account.email)
    given = delegation(services.settings)
    source = list_tokens(endpoints(services.settings), given, PATIENCE.timeout)
    fresh = source.fetch(grant, lambda _token: None)
    return replace(google, tokens=lambda _refused: fresh.access_token)


def _not_allowed(services: Services, account: Account) -> errors.AccessLost:
    email = account.email
    if account.source == "service-account":
        key = delegation(services.settings).key
        wanted = endpoints(services.settings).delegated_scopes
        step = console_line(key.client_id if key else "of the key", wanted)
    elif account.source == "erpnext":
        step = sentence(
            "add the scope %(scope)s to the Connected App in ERPNext; then %(user)s authorises it "
            "there again",
            scope=LIST_SCOPE,
            user=account.erpnext_user or email,
        )
    else:
        again = f"watcher accounts invite {email}"
        step = sentence(
            "%(email)s allows it on My connection, or by a new link, with the box for the list of "
            "calendars ticked: %(command)s",
            email=email,
            command=again,
        )
    return errors.AccessLost(
        sentence(
            "Google does not show Watcher the list of calendars of %(email)s; everything else "
            "works",
            email=email,
        ),
        cause=CAUSE,
        side="google",
        next_step=step,
    )


def line(found: Found) -> str:
    """The command that mirrors it."""
    return f"watcher calendars add {found.email} {shlex.quote(found.listed.google_id)}"


def choose(services: Services, email: str, google_ids: list[str]) -> Outcome:
    """What an employee has chosen of the list: mirrored from now on. The list is asked for anew, so
    that nothing is taken that could not have been chosen, and no calendar that another account
    mirrors already: its events would stand in ERPNext twice. Raises as ``find``."""
    wanted = {google_id.lower() for google_id in google_ids}
    added = 0
    for each in find(services, email, "employees"):
        if each.listed.google_id.lower() not in wanted or each.standing != ADDABLE:
            continue
        try:
            added += _add(services, email, each.listed.google_id)
        except (errors.Permanent, errors.NotFound) as error:
            log.warning("a calendar of %s was chosen and not added: %s", email, error.message)
    return Outcome(added, len(wanted) - added)


def _add(services: Services, email: str, google_id: str) -> bool:
    """False where a colleague has chosen the same one at the same moment: both let it go then,
    which neither could know of while the other's transaction was open."""
    mirrored = verbs.add_calendar(services, email, google_id)
    with services.db.session() as session:
        chosen.note(session, mirrored.number, services.clock())
        account = accounts.get(session, email)
        others = own.mirrored_by_others(session, account.id, [google_id])
    return not (others and letting_go.let_go(services, email, mirrored.google_id))
