"""The accounts as an admin looks at them: a page of those that fit a search, each with its
calendars and its invitation, in a few queries however many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session

from watcher.ledger import standing
from watcher.ledger.models import Account, Calendar, Invitation
from watcher.ledger.states import AccountState

LEFT = AccountState.DISCONNECTED
FAILING = "failing"
"""Beside the states of accounts: active, and one of its calendars is failing."""
LONGEST_SEARCH = 200


@dataclass(frozen=True, slots=True)
class Search:
    """``text``: words that all have to be in address, name or ERPNext user. ``state``: one of
    ``AccountState``, ``failing``, or empty: all who are not disconnected. ``sort``: a key of
    ``SORTS``, with ``-`` before it the other way round."""

    text: str = ""
    state: str = ""
    sort: str = "email"


@dataclass(frozen=True, slots=True)
class Invited:
    """The newest link of an account that was not used: when it was made, when it was last mailed
    (by Watcher), and when it ends."""

    made_at: datetime
    mailed_at: datetime | None
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Person:
    """An account and what hangs on it. ``first`` is the number of its first calendar, 0 where it
    has none. ``changed_at`` is when an event of it was last written in
    ERPNext, ``failing`` how many of its calendars wait for a person."""

    account: Account
    first: int
    calendars: int
    failing: int
    changed_at: datetime | None
    invited: Invited | None


_failing = (
    select(Calendar.account_id)
    .join(Account)
    .where(Calendar.removed.is_(False), Account.is_active, standing.is_failing())
)
_own = (
    select(
        Calendar.account_id,
        func.min(Calendar.id).label("first"),
        func.count().label("many"),
        func.count().filter(standing.is_failing()).label("failing"),
        func.max(Calendar.changed_at).label("changed_at"),
    )
    .where(Calendar.removed.is_(False))
    .group_by(Calendar.account_id)
)
_all = _own.subquery("own")
SORTS: Mapping[str, Any] = {
    "email": Account.email,
    "name": func.lower(Account.full_name),
    "state": Account.state,
    "since": Account.since,
    "changed": _all.c.changed_at,
    "calendars": func.coalesce(_all.c.many, 0),
}
_OF_ALL_CALENDARS = frozenset({"changed", "calendars"})
"""Orders for which the calendars of everybody have to be looked at, and not those of a page."""


def counts(session: Session) -> dict[str, int]:
    """How many accounts are in each state, and how many are ``failing``."""
    asked = select(Account.state, func.count()).group_by(Account.state)
    fails = select(func.count()).select_from(_failing.distinct().subquery())
    found = {str(row[0]): int(row[1]) for row in session.execute(asked)}
    return found | {FAILING: session.scalars(fails).one()}


def fitting(session: Session, search: Search) -> int:
    """How many fit the search."""
    return session.scalars(select(func.count(Account.id)).where(*_wanted(search))).one()


def emails(session: Session, search: Search, after: str = "") -> Sequence[str]:
    """The addresses of all who fit, in alphabetical order; with ``after`` those that follow it."""
    asked = select(Account.email).where(*_wanted(search), Account.email > after)
    return session.scalars(asked.order_by(Account.email)).all()


def page(session: Session, search: Search, limit: int, offset: int) -> list[Person]:
    """``limit`` of those who fit, from ``offset`` on."""
    ordered = _ordered(select(Account).where(*_wanted(search)), search.sort)
    found = session.scalars(ordered.limit(limit).offset(offset)).all()
    ids = [account.id for account in found]
    invited = invitations(session, ids)
    rows = session.execute(_own.where(Calendar.account_id.in_(ids)))
    own = {row[0]: row for row in rows}
    return [_person(account, own.get(account.id), invited.get(account.id)) for account in found]


def _person(account: Account, own: Any, invited: Invited | None) -> Person:
    _, first, many, failing, changed_at = own or (0, 0, 0, 0, None)
    return Person(account, first, many, failing, changed_at, invited)


def _ordered(asked: Select[Any], sort: str) -> Select[Any]:
    key = sort.removeprefix("-")
    by = SORTS.get(key, Account.email)
    if key in _OF_ALL_CALENDARS:
        asked = asked.outerjoin(_all, _all.c.account_id == Account.id)
    down = by.desc().nulls_last() if sort.startswith("-") else by.asc().nulls_first()
    return asked.order_by(down, Account.email)


def _wanted(search: Search) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = [
        or_(
            Account.email.icontains(word, autoescape=True),
            Account.full_name.icontains(word, autoescape=True),
            Account.erpnext_user.icontains(word, autoescape=True),
            Account.employee.icontains(word, autoescape=True),
        )
        for word in search.text[:LONGEST_SEARCH].split()
    ]
    if search.state == FAILING:
        return [*wanted, Account.id.in_(_failing)]
    if search.state in list(AccountState):
        return [*wanted, Account.state == search.state]
    return [*wanted, Account.state != LEFT]


def invitations(session: Session, account_ids: Sequence[int]) -> dict[int, Invited]:
    """Account -> its newest link, where that was not used."""
    rows = session.scalars(
        select(Invitation)
        .where(Invitation.account_id.in_(account_ids), Invitation.used_at.is_(None))
        .order_by(Invitation.created_at)
    )
    return {row.account_id: Invited(row.created_at, row.mailed_at, row.expires_at) for row in rows}


def users(session: Session) -> Sequence[str]:
    """The ERPNext users of all accounts that are not disconnected."""
    known = select(Account.erpnext_user).where(
        Account.erpnext_user.is_not(None), Account.state != LEFT
    )
    return [user for user in session.scalars(known) if user]


@dataclass(frozen=True, slots=True)
class Known:
    """What ERPNext says of a user; ``language`` is one of ours, or empty."""

    full_name: str
    employee: str
    language: str


def name(session: Session, known: Mapping[str, Known]) -> int:
    """Note what is known of these users (in lower case); returns how many accounts were called
    otherwise. A language that ERPNext does not say stays what it was."""
    changed = 0
    theirs = select(Account).where(
        func.lower(Account.erpnext_user).in_(list(known)), Account.state != LEFT
    )
    for account in session.scalars(theirs):
        now = known[(account.erpnext_user or "").lower()]
        full_name, employee = now.full_name[:140], now.employee[:140]
        account.language = now.language or account.language
        if (account.full_name, account.employee) != (full_name, employee):
            account.full_name, account.employee = full_name, employee
            changed += 1
    return changed
