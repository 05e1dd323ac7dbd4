"""Invitations and consents under way: single use, bound to an address and to one browser."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from watcher.google.consent import new_code_verifier
from watcher.settings import Settings
from watcher.state.models import Account, Invitation, OAuthFlow
from watcher.state.secrets import Keyring, digest, same

INVITATION_LIFE = timedelta(days=7)
FLOW_LIFE = timedelta(minutes=15)


@dataclass(frozen=True, kw_only=True, slots=True)
class Flow:
    """A consent that has come back. ``purpose`` is ``connect`` or ``sign_in``."""

    purpose: str
    invitation_id: str | None
    verifier: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Begun:
    """What goes to Google (``state``, ``verifier``'s challenge, ``nonce``)."""

    state: str
    verifier: str
    nonce: str

    def __repr__(self) -> str:
        return "Begun()"


def create_invitation(session: Session, account_id: int, now: datetime) -> str:
    """A new invitation; earlier unused ones of the account end."""
    end_invitations(session, account_id, now)
    invitation = Invitation(
        id=uuid.uuid4().hex, account_id=account_id, created_at=now,
        expires_at=now + INVITATION_LIFE,
    )  # fmt: skip
    session.add(invitation)
    session.flush()
    return invitation.id


def end_invitations(session: Session, account_id: int, now: datetime) -> None:
    """Links that were sent and not used lead nowhere any more."""
    session.execute(
        update(Invitation)
        .where(Invitation.account_id == account_id, Invitation.used_at.is_(None))
        .values(expires_at=now)
    )


def lasting_invitation(session: Session, account_id: int, now: datetime) -> str:
    """The invitation that is open and goes on for two days at least, else a new one: a link that
    an admin has sent already must not end because a notice goes out."""
    known = session.scalar(
        select(Invitation.id)
        .where(
            Invitation.account_id == account_id,
            Invitation.used_at.is_(None),
            Invitation.expires_at > now + timedelta(days=2),
        )
        .order_by(Invitation.created_at.desc())
        .limit(1)
    )
    return known or create_invitation(session, account_id, now)


def _signer(keyring: Keyring) -> URLSafeSerializer:
    return URLSafeSerializer(keyring.signing_keys("invitation"), salt="watcher.invitation")


def sign_link(keyring: Keyring, settings: Settings, invitation_id: str, email: str) -> str:
    token = _signer(keyring).dumps([invitation_id, email])
    return f"{settings.public_url}/connect/{token}"


def read_link(keyring: Keyring, token: str) -> tuple[str, str] | None:
    """(invitation id, address), or None when the link was not made here."""
    found = _read(keyring, token)
    if found is None:
        keyring.look_again()  # it may be signed with a key that has come in since the start
        found = _read(keyring, token)
    return found


def _read(keyring: Keyring, token: str) -> tuple[str, str] | None:
    try:
        invitation_id, email = _signer(keyring).loads(token)
    except (BadSignature, ValueError, TypeError):
        return None
    return str(invitation_id), str(email)


def find_invitation(session: Session, invitation_id: str) -> tuple[Invitation, Account] | None:
    invitation = session.get(Invitation, invitation_id)
    if invitation is None:
        return None
    return invitation, session.get_one(Account, invitation.account_id)


def use_invitation(session: Session, invitation_id: str, now: datetime) -> bool:
    """Spend it; False when it is spent already or has expired."""
    row = session.execute(
        update(Invitation)
        .where(
            Invitation.id == invitation_id,
            Invitation.used_at.is_(None),
            Invitation.expires_at > now,
        )
        .values(used_at=now)
        .returning(Invitation.id)
    ).scalar_one_or_none()
    return row is not None


def begin_flow(
    session: Session,
    keyring: Keyring,
    *,
    purpose: str,
    browser: str,
    now: datetime,
    invitation_id: str | None = None,
) -> Begun:
    """Remember a consent that goes to Google now; state and browser are kept as hashes."""
    begun = Begun(secrets.token_urlsafe(32), new_code_verifier(), secrets.token_urlsafe(24))
    state_hash = digest(begun.state)
    session.add(
        OAuthFlow(
            state_hash=state_hash,
            browser_hash=digest(browser),
            purpose=purpose,
            invitation_id=invitation_id,
            verifier=keyring.encrypt(begun.verifier, row=f"oauth_flows:{state_hash}:verifier"),
            nonce=begun.nonce,
            created_at=now,
        )
    )
    return begun


def take_flow(
    session: Session, keyring: Keyring, *, state: str, browser: str, now: datetime
) -> Flow | None:
    """The consent of this state, once, in the browser that began it, within 15 minutes."""
    state_hash = digest(state)
    row = session.get(OAuthFlow, state_hash)
    if row is None or not same(row.browser_hash, digest(browser)):
        return None
    taken = session.execute(
        delete(OAuthFlow).where(OAuthFlow.state_hash == state_hash).returning(OAuthFlow.state_hash)
    ).scalar_one_or_none()
    if taken is None or now - row.created_at > FLOW_LIFE:
        return None
    verifier = keyring.decrypt(row.verifier, row=f"oauth_flows:{state_hash}:verifier")
    return Flow(
        purpose=row.purpose, invitation_id=row.invitation_id, verifier=verifier, nonce=row.nonce
    )
