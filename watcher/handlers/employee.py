"""The employee's session: the number of the account in the signed cookie, and who has proved it.

It begins with a consent or a sign-in by Google, and ends with the number of sign-outs of that
address (``admin`` counts them alike), after twelve hours, or when the account has another owner.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

from flask import redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import or_, select

from watcher.google.consent import Identity
from watcher.handlers.admin import form_is_ours
from watcher.handlers.context import services
from watcher.handlers.messages import N_, ErrorPage
from watcher.handlers.speech import speak
from watcher.ledger import admins, audit
from watcher.ledger.models import Account
from watcher.ledger.secrets import digest, same
from watcher.ledger.states import HAD_A_GRANT, AccountState

P = ParamSpec("P")

EMPLOYEE = "employee"
DELEGATED = "service-account"
LIFE_SECONDS = 12 * 3600
SHOWN = (*HAD_A_GRANT, AccountState.DISCONNECTING)
"""States of an account that has something to show to its owner."""


def find(identity: Identity) -> Account | None:
    """The account of who has signed in: that of this Google account, or one of the address whose
    Google account is not known (a delegation, a Connected App)."""
    with services().db.reading() as db:
        found = db.execute(
            select(Account).where(Account.google_sub == identity.sub)
        ).scalar_one_or_none()
        if found is None:
            found = db.execute(
                select(Account).where(
                    Account.email == identity.email.lower(),
                    or_(Account.google_sub.is_(None), Account.source == DELEGATED),
                )
            ).scalar_one_or_none()
    return found if found is not None and found.state in SHOWN else None


def begin(account: Account, identity: Identity) -> None:
    with services().db.reading() as db:
        outs = admins.sign_outs(db, account.email)
    session[EMPLOYEE] = {
        "id": account.id,
        "owner": digest(identity.sub),
        "outs": outs,
        "at": services().clock().timestamp(),
    }
    session.permanent = True


def here() -> Account | None:
    """The account of this browser's employee; None for anybody else, who costs no look into the
    ledger. Raises ``Transient``."""
    kept = session.get(EMPLOYEE)
    now = services().clock().timestamp()
    if not isinstance(kept, dict) or not 0 <= now - kept["at"] < LIFE_SECONDS:
        return None
    with services().db.reading() as db:
        account = db.get(Account, kept["id"])
        if account is None or kept["outs"] != admins.sign_outs(db, account.email):
            return None
    by_address = account.google_sub is None or account.source == DELEGATED
    is_owner = by_address or same(digest(account.google_sub or ""), kept["owner"])
    return account if is_owner and account.state != AccountState.INVITED else None


def sign_out() -> None:
    """Ends this employee's sessions in every browser."""
    account = here()
    session.pop(EMPLOYEE, None)
    if account is None:
        audit.nothing()
    else:
        audit.by(account.email)
        audit.about(account.email)
        with services().db.session() as db:
            admins.sign_out(db, account.email, services().clock())


def for_the_employee(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """A page or an action of an employee; anybody else is led to the way to sign in. A form counts
    only with this session's token in it. It stands below ``acting.records``."""

    @functools.wraps(view)
    def checked(*args: P.args, **named: P.kwargs) -> ResponseReturnValue:
        account = here()
        if account is None:
            audit.nothing()
            return redirect(url_for("me.page"), 303)
        speak(account.language)
        if request.method != "POST":
            return view(*args, **named)
        audit.by(account.email)
        audit.about(account.email)
        if not form_is_ours():
            raise ErrorPage(
                N_("This form is too old"),
                N_("Nothing was done. Press the button once more, then it works."),
                retry=url_for("me.page"),
            )
        return view(*args, **named)

    return checked
