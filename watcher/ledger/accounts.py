"""Accounts: who is connected, in which state, and their encrypted credentials."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, cast

from sqlalchemy import and_, bindparam, literal_column, or_, select, update
from sqlalchemy.orm import Session

from watcher import errors
from watcher.google.grants import Grant
from watcher.google.refresh import ACCOUNT_CODES, Fresh
from watcher.ledger import calendars, owing, own
from watcher.ledger.db import LOCKED, Database
from watcher.ledger.leases import lapsed
from watcher.ledger.models import Account, Calendar, Fact
from watcher.ledger.secrets import Keyring, digest
from watcher.ledger.states import HAD_A_GRANT, AccountState
from watcher.ledger.when import LONGEST_RETRY, still_to_come


def normal(email: str) -> str:
    """E-mail addresses are kept in lower case. Raises ``UserError`` on what is none."""
    cleaned = email.strip().lower()
    local, _, domain = cleaned.partition("@")
    plain = cleaned.isprintable() and not any(c.isspace() for c in cleaned)
    if not local or "." not in domain or "@" in domain or not plain or len(cleaned) > 320:
        raise errors.UserError(
            errors.sentence("%(email)s is not an e-mail address", email=repr(email)),
            next_step=errors.sentence("e.g. ann@example.com"),
        )
    return cleaned


def find(session: Session, email: str) -> Account | None:
    return session.execute(
        select(Account).where(Account.email == email.strip().lower())
    ).scalar_one_or_none()


def get(session: Session, email: str) -> Account:
    """Raises ``NotFound`` when the address is not registered."""
    account = find(session, email)
    if account is None:
        raise errors.NotFound(
            errors.sentence("there is no account %(email)s", email=email.strip().lower()),
            next_step=errors.sentence("`watcher accounts list` shows those there are"),
        )
    return account


def everyone(session: Session) -> Sequence[Account]:
    return session.scalars(select(Account).order_by(Account.email)).all()


def to_inform(session: Session, most: int) -> Sequence[Account]:
    """Employees who are mirrored by delegation and were not told of it yet, ``most`` of them; in
    the words of an index of these rows."""
    by_delegation = Account.source == literal_column("'service-account'")
    found = select(Account).where(by_delegation, Account.informed_at.is_(None), Account.is_active)
    return session.scalars(found.order_by(Account.id).limit(most)).all()


def add(
    session: Session,
    *,
    email: str,
    source: str,
    state: AccountState,
    now: datetime,
    erpnext_user: str | None = None,
) -> Account:
    """Register an address, or take a registered one up again under ``source``."""
    address = normal(email)
    account = find(session, address)
    if account is None:
        account = Account(
            email=address,
            source=source,
            state=state,
            since=now,
            created_at=now,
            cause="",
            erpnext_user=erpnext_user,
            granted_scopes="",
            on_disconnect="",
        )
        session.add(account)
    else:
        if account.state == AccountState.DISCONNECTING:
            raise errors.UserError(
                errors.sentence("%(email)s is being disconnected", email=address),
                next_step=errors.sentence("wait until that is done"),
            )
        account.source = source
        if erpnext_user is not None:
            account.erpnext_user = erpnext_user
        set_state(account, state, "", now)
    session.flush()
    return account


def lock(session: Session, account_id: int) -> None:
    """Keep an account and its calendars from others until the transaction ends. Who changes an
    account and its calendars or invitations locks them in this order: see
    ``calendars.in_lock_order``."""
    for query in (
        select(Account.id).where(Account.id == account_id),
        select(Calendar.id).where(Calendar.account_id == account_id).order_by(Calendar.id),
    ):
        session.execute(query.with_for_update(**LOCKED))


def set_state(account: Account, state: AccountState, cause: str, now: datetime) -> None:
    if (account.state, account.cause) != (state, cause):
        account.state, account.cause, account.since = state, cause, now


@dataclass(frozen=True, kw_only=True, slots=True)
class Consented:
    """What an employee's consent has brought at ``at``. ``sub`` is Google's number of the employee;
    ``fresh`` holds the tokens and their scopes; ``own_id`` is the id under which Google shows the
    employee's own calendar (empty: the verified e-mail)."""

    at: datetime
    sub: str
    fresh: Fresh
    own_id: str = ""


def activate_oauth(
    session: Session, keyring: Keyring, account_id: int, consented: Consented
) -> list[int]:
    """Store a consent and open the employee's own calendar for a first full sync. Returns the ids
    of the calendars to ring."""
    keyring.follow()
    account, fresh = session.get_one(Account, account_id), consented.fresh
    account.google_sub = consented.sub
    account.refresh_token = keyring.encrypt(
        fresh.refresh_token or "", row=f"accounts:{account.id}:refresh_token"
    )
    account.granted_scopes = json.dumps(sorted(fresh.scopes or ()))
    account.granted_at = consented.at
    account.source = "oauth"
    store_access(account, keyring, fresh)
    return activate(session, account, consented.at, consented.own_id)


def granted(account: Account) -> frozenset[str]:
    """The scopes that the employee's consent covers; none where Google did not tell."""
    return frozenset(json.loads(account.granted_scopes or "[]"))


def activate(session: Session, account: Account, now: datetime, own_id: str = "") -> list[int]:
    """Make an account active; every calendar of it owes a snapshot. Returns what to ring."""
    set_state(account, AccountState.ACTIVE, "", now)
    if not calendars.of_account(session, account.id):
        own.add(session, account, own_id or account.email, True, now)
    mirrored = calendars.of_account(session, account.id)
    for calendar in mirrored:
        calendars.revive(calendar, now)
    return owing.owe_listings(session, [calendar.id for calendar in mirrored], "connect", now)


def begin(session: Session, account: Account, now: datetime) -> list[int]:
    """As ``activate``; that the calendars are rung is noted in the same transaction."""
    rings = activate(session, account, now)
    for calendar_id in rings:
        calendars.note_rung(session, calendar_id, now)
    return rings


def needs_reconnect(session: Session, account_id: int, cause: str, now: datetime) -> None:
    """The grant is dead, or what was authorised in ERPNext is of no use: no more calls for this
    account until its owner comes back."""
    account = session.get_one(Account, account_id)
    asked = is_invited_in_desk(account) and cause == errors.Cause.NO_REFRESH_TOKEN
    if account.state in HAD_A_GRANT or (is_invited_in_desk(account) and not asked):
        set_state(account, AccountState.NEEDS_RECONNECT, cause, now)
        account.access_token = None
        account.access_expires_at = None


def store_access(account: Account, keyring: Keyring, fresh: Fresh) -> None:
    """Keep a new access token; the refresh of it is tried again at once."""
    account.refresh_retry_at = None
    row = f"accounts:{account.id}:access_token"
    account.access_token = keyring.encrypt(fresh.access_token, row=row)
    account.access_expires_at = fresh.expires_at


def _is_refused(account: Account) -> bool:
    return account.state == AccountState.NEEDS_RECONNECT and account.cause in ACCOUNT_CODES


_TOKEN = select(Account.access_token).where(Account.id == bindparam("account"))


class LedgerTokens:
    """The token store that ``google.credentials`` works on: ciphertext in ``accounts``."""

    def __init__(self, db: Database, keyring: Keyring) -> None:
        self._db = db
        self._keyring = keyring

    def grant(self, account_id: int) -> Grant:
        """Raises ``NotFound`` when the account has gone."""
        with self._db.reading() as session:
            account = session.get(Account, account_id)
            if account is None:
                raise errors.NotFound(
                    errors.sentence("there is no account with number %(number)s", number=account_id)
                )
            return Grant(
                source=cast("Literal['oauth', 'service-account', 'erpnext']", account.source),
                email=account.email,
                erpnext_user=account.erpnext_user,
                refresh_token=self._open(account, "refresh_token"),
                access_token=self._open(account, "access_token"),
                expires_at=account.access_expires_at,
                dead=account.cause if _is_refused(account) else "",
            )

    def access_token(self, account_id: int) -> str | None:
        row = self._db.glance(_TOKEN, {"account": account_id})
        if row is None or row[0] is None:
            return None
        return self._keyring.decrypt(bytes(row[0]), row=f"accounts:{account_id}:access_token")

    def _open(self, account: Account, column: str) -> str | None:
        blob: bytes | None = getattr(account, column)
        if blob is None:
            return None
        return self._keyring.decrypt(blob, row=f"accounts:{account.id}:{column}")

    def keep(self, account_id: int, used: Grant, fresh: Fresh) -> bool:
        self._keyring.follow()  # a rotation may be under way
        with self._db.session() as session:
            account = session.get(Account, account_id, with_for_update=LOCKED)
            if (
                account is None
                or account.state == AccountState.DISCONNECTED
                or not self._has(account, used)
            ):
                return False
            store_access(account, self._keyring, fresh)
            if fresh.refresh_token:
                account.refresh_token = self._keyring.encrypt(
                    fresh.refresh_token, row=f"accounts:{account.id}:refresh_token"
                )
            return True

    def _has(self, account: Account, grant: Grant) -> bool:
        """Whether this is still the account's grant."""
        kept = self._open(account, "refresh_token")
        return (account.source, kept) == (grant.source, grant.refresh_token)

    def claim_refresh(self, account_id: int, seconds: float) -> bool:
        with self._db.session() as session:
            now = self._db.now_epoch(session)
            won = session.execute(
                update(Account)
                .where(
                    Account.id == account_id,
                    lapsed(Account.refresh_claimed_until, now, seconds),
                )
                .values(refresh_claimed_until=now + seconds)
                .returning(Account.id)
            ).scalar_one_or_none()
            return won is not None

    def release_refresh(self, account_id: int) -> None:
        with self._db.session() as session:
            session.execute(
                update(Account).where(Account.id == account_id).values(refresh_claimed_until=0.0)
            )

    def bury(self, account_id: int, tried: Grant, cause: str, now: datetime) -> bool:
        with self._db.session() as session:
            account = session.get(Account, account_id, with_for_update=LOCKED)
            if account is None or not self._has(account, tried):
                return False
            needs_reconnect(session, account_id, cause, now)
            return True

    def note_dead(self, email: str, refresh_token: str) -> None:
        with self._db.session() as session:
            name = _dead_grant(email, refresh_token)
            session.merge(Fact(name=name, value="", learned_at=datetime.now(UTC)))


def _dead_grant(email: str, refresh_token: str) -> str:
    return f"dead_grant:{digest(f'{email} {refresh_token}')[:40]}"


def is_dead_grant(session: Session, email: str, refresh_token: str) -> bool:
    """Whether Google has refused this refresh token for good, or it is of no use for ``email``."""
    return session.get(Fact, _dead_grant(email, refresh_token)) is not None


def note_dead_grant(
    session: Session, account_id: int, error: errors.AccountDead, now: datetime
) -> None:
    """Note what a call has found, unless it is noted: by now the account may have a new grant."""
    if not error.noted:
        needs_reconnect(session, account_id, error.cause, now)


def with_users(session: Session, removed_cause: str) -> list[Account]:
    """Accounts that stand or fall with their ERPNext user: active, or paused for want of it."""
    paused = and_(Account.state == AccountState.PAUSED, Account.cause == removed_cause)
    return list(
        session.scalars(
            select(Account)
            .where(Account.erpnext_user.is_not(None), or_(Account.is_active, paused))
            .order_by(Account.id)
        )
    )


def waiting_for_desk(session: Session) -> list[Account]:
    """Accounts whose owner has to authorise the Connected App, for the first time or again."""
    waiting = (AccountState.INVITED, AccountState.NEEDS_RECONNECT)
    asked = and_(Account.state.in_(waiting), Account.source == "erpnext")
    return list(session.scalars(select(Account).where(asked)))


def is_invited_in_desk(account: Account) -> bool:
    """It waits for a first consent, which is to be given in ERPNext."""
    return account.state == AccountState.INVITED and account.source == "erpnext"


def invited_in_desk(session: Session) -> Sequence[Account]:
    """Accounts whose owner has never authorised the Connected App, by address."""
    new = and_(Account.state == AccountState.INVITED, Account.source == "erpnext")
    return session.scalars(select(Account).where(new).order_by(Account.email)).all()


def still_disconnecting(session: Session, email: str, now: datetime) -> None:
    account = get(session, email)
    if account.state == AccountState.DISCONNECTING:
        account.since = now


def disconnecting_since(session: Session, before: datetime) -> list[Account]:
    """Accounts whose disconnection began before ``before`` and is not done, or which an employee
    has asked for and nobody has begun."""
    return list(
        session.scalars(
            select(Account)
            .where(
                Account.state == AccountState.DISCONNECTING,
                or_(Account.since < before, Account.cause == errors.Cause.ASKED_BY_EMPLOYEE),
            )
            .order_by(Account.email)
        )
    )


def refresh_later(session: Session, account_id: int, at: datetime) -> None:
    """Its access token is not refreshed ahead before that moment."""
    session.get_one(Account, account_id).refresh_retry_at = at


def due_for_refresh(session: Session, before: datetime, now: datetime) -> list[int]:
    """Ids of the active accounts whose access token ends before ``before`` and that may be tried
    again."""
    return list(
        session.scalars(
            select(Account.id)
            .where(
                Account.is_active,
                or_(
                    Account.access_expires_at.is_(None),
                    Account.access_expires_at < before,
                ),
                ~still_to_come(Account.refresh_retry_at, now, LONGEST_RETRY),
            )
            .order_by(Account.access_expires_at)
        )
    )
