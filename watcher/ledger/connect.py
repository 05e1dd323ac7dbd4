"""Invitations and consents under way: single use, bound to an address and to one browser.

A consent under way is in its browser's cookie, encrypted; the ledger knows the ones that are spent.
"""

from __future__ import annotations

import base64
import json
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from watcher.google.consent import new_code_verifier
from watcher.ledger.models import Account, Invitation, OAuthFlow
from watcher.ledger.secrets import Keyring, SecretUnreadable, digest, same
from watcher.settings import Settings

INVITATION_LIFE = timedelta(days=7)
FLOW_LIFE = timedelta(minutes=15)
_SEAL = "cookie:consent"


@dataclass(frozen=True, kw_only=True, slots=True)
class Flow:
    """A consent that has come back. ``purpose`` is ``connect`` or ``sign_in``."""

    state_hash: str
    purpose: str
    invitation_id: str | None
    verifier: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Begun:
    """What goes to Google (``state``, ``verifier``'s challenge, ``nonce``), and all of it
    encrypted (``sealed``), for the browser to keep until Google sends it back."""

    state: str
    verifier: str
    nonce: str
    sealed: str

    def __repr__(self) -> str:
        return "Begun()"


def create_invitation(
    session: Session, account_id: int, now: datetime, invited_by: str = ""
) -> str:
    """A new invitation; earlier unused ones of the account end. ``invited_by`` is the admin's
    address, where it is known."""
    end_invitations(session, account_id, now)
    invitation = Invitation(
        id=uuid.uuid4().hex,
        account_id=account_id,
        created_at=now,
        expires_at=now + INVITATION_LIFE,
        invited_by=invited_by,
    )
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
    keyring: Keyring, *, purpose: str, now: datetime, invitation_id: str | None = None
) -> Begun:
    """A consent that goes to Google now. Nothing is stored: anybody may begin one, as often as he
    likes, and each would be a write."""
    state, verifier, nonce = secrets.token_urlsafe(32), new_code_verifier(), secrets.token_urlsafe()
    document = json.dumps([state, purpose, invitation_id, verifier, nonce, now.timestamp()])
    sealed = keyring.encrypt(document, row=_SEAL)
    return Begun(state, verifier, nonce, base64.urlsafe_b64encode(sealed).decode("ascii"))


def open_flow(keyring: Keyring, sealed: str, *, state: str, now: datetime) -> Flow | None:
    """The consent that this browser was given to keep; None when it is not of ``state``, was not
    made here, or is older than 15 minutes."""
    try:
        document = json.loads(keyring.decrypt(base64.urlsafe_b64decode(sealed), row=_SEAL))
    except (SecretUnreadable, ValueError):
        return None
    known, purpose, invitation_id, verifier, nonce, begun = document
    if (
        not same(digest(known), digest(state))
        or now.timestamp() - begun > FLOW_LIFE.total_seconds()
    ):
        return None
    return Flow(
        state_hash=digest(state),
        purpose=purpose,
        invitation_id=invitation_id,
        verifier=verifier,
        nonce=nonce,
    )


def spend_flow(session: Session, flow: Flow, now: datetime) -> bool:
    """Note that Google has answered this consent; False when it had before. So a copy of the
    cookie is worth nothing. Only who brings a code that Google honours gets here."""
    if session.get(OAuthFlow, flow.state_hash) is not None:
        return False
    row = OAuthFlow(state_hash=flow.state_hash, purpose=flow.purpose, created_at=now)
    row.browser_hash, row.verifier, row.nonce = "", b"", ""
    session.add(row)
    return True
