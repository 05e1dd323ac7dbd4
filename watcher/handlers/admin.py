"""The admin's session: his address in the signed cookie, with the number of his sign-outs so far.

The cookie alone cannot end a session, since a copy of it stays signed: the ledger counts the
sign-outs, and a cookie with another number is nobody's.
"""

from __future__ import annotations

from flask import session

from watcher.handlers.context import services
from watcher.ledger import admins

ADMIN = "admin"
SIGN_OUTS = "sign_outs"


def signed_in() -> str | None:
    """The address of the admin whose session this is. None for anybody else, who costs no look
    into the ledger. Raises ``Transient``."""
    email = session.get(ADMIN)
    if email is None or email not in services().settings.admin_emails:
        return None
    with services().db.reading() as db:
        return email if session.get(SIGN_OUTS, 0) == admins.sign_outs(db, email) else None


def sign_in(email: str) -> None:
    with services().db.reading() as db:
        session[SIGN_OUTS] = admins.sign_outs(db, email)
    session[ADMIN] = email
    session.permanent = True


def sign_out() -> None:
    """End the sessions of this admin in every browser. Nothing is written for anybody else."""
    email = signed_in()
    session.pop(ADMIN, None)
    session.pop(SIGN_OUTS, None)
    if email is not None:
        with services().db.session() as db:
            admins.sign_out(db, email, services().clock())
