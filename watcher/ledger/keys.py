"""Which key each secret of the ledger is under, and moving them to another one.

Rotation goes account by account, each in a transaction of its own: it can be broken off and
repeated, and runs beside a working bridge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from watcher.errors import UserError, joined, sentence
from watcher.ledger import accounts, audit
from watcher.ledger.acts import What
from watcher.ledger.db import LOCKED, Database
from watcher.ledger.models import Account
from watcher.ledger.secrets import Keyring, key_of

COLUMNS = ("refresh_token", "access_token")
ROUNDS = 3
"""A process that read its keys a moment before the new one came may still write under the old."""


def used(session: Session) -> Counter[str]:
    """Key id -> number of secrets under it."""
    rows = session.execute(select(Account.refresh_token, Account.access_token))
    return Counter(key_of(blob) for row in rows for blob in row if blob is not None)


def require_known(db: Database, keyring: Keyring) -> None:
    """Raises ``UserError`` when the ledger holds secrets that no given key opens, nor one that has
    come in since the settings were read."""
    with db.reading() as session:
        found = used(session)
    if found.keys() - set(keyring.ids):
        keyring.look_again()
    unknown = {key: n for key, n in found.items() if key not in keyring.ids}
    if unknown:
        which = (
            sentence("%(n)s under key %(key)s", n=n, key=key) for key, n in sorted(unknown.items())
        )
        raise UserError(
            sentence(
                "the ledger holds secrets that WATCHER_SECRET_KEYS cannot open: %(which)s (given: "
                "%(given)s)",
                which=joined(", ", *which),
                given=", ".join(keyring.ids),
            ),
            next_step=sentence(
                "put the old key back behind the new one, separated by a comma; if it is lost: "
                "`watcher keys forget KEY`, and those employees connect again; their events stay"
            ),
        )


def rotate(
    db: Database, keyring: Keyring, told: Callable[[int, int], None] = lambda _done, _all: None
) -> int:
    """Bring every secret under the first key; returns how many were. Raises
    ``SecretUnreadable``."""
    moved = 0
    for _ in range(ROUNDS):
        with db.reading() as session:
            secret = select(Account.id).where(_has_secret()).order_by(Account.id)
            ids = list(session.scalars(secret))
        for done, account_id in enumerate(ids, 1):
            with db.session() as session:
                # Locked, so that a token which is refreshed just now is not overwritten.
                account = session.get(Account, account_id, with_for_update=LOCKED)
                if account is not None:
                    moved += _move(account, keyring)
            told(done, len(ids))
        with db.reading() as session:
            if set(used(session)) <= {keyring.first}:
                break
    return moved


def _move(account: Account, keyring: Keyring) -> int:
    moved = 0
    for column in COLUMNS:
        blob: bytes | None = getattr(account, column)
        if blob is None or key_of(blob) == keyring.first:
            continue
        row = f"accounts:{account.id}:{column}"
        setattr(account, column, keyring.encrypt(keyring.decrypt(blob, row=row), row=row))
        moved += 1
    return moved


def forget(db: Database, key: str, now: datetime) -> list[str]:
    """Drop the secrets under a key that is lost; returns the accounts that have to connect again
    (a delegated one, or one by way of ERPNext, fetches itself a new access token)."""
    lost = []
    with db.session() as session:
        for account in session.scalars(select(Account).where(_has_secret())):
            if account.access_token is not None and key_of(account.access_token) == key:
                account.access_token = account.access_expires_at = None
            if account.refresh_token is not None and key_of(account.refresh_token) == key:
                account.refresh_token = None
                accounts.needs_reconnect(session, account.id, "key_lost", now)
                lost.append(account.email)
        act = audit.Act(What.KEY_FORGET, key, {"accounts_to_connect_again": len(lost)})
        audit.record(session, act, now)
    return lost


def _has_secret() -> ColumnElement[bool]:
    return or_(Account.refresh_token.is_not(None), Account.access_token.is_not(None))
