"""The admin's session: his address in the signed cookie, with the number of his sign-outs so far.

The cookie alone cannot end a session, since a copy of it stays signed: the ledger counts the
sign-outs, and a cookie with another number is nobody's.
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable
from typing import ParamSpec

from flask import redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from watcher.handlers import back, speech
from watcher.handlers.context import services
from watcher.ledger import admins, audit

_ = speech.gettext

P = ParamSpec("P")

ADMIN = "admin"
SIGN_OUTS = "sign_outs"
FORM_PROOF = "form_proof"
WANTED = "wanted"
"""In the session of who has not signed in: the page that was asked for."""
MOST_WANTED = 500


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
        languages = admins.languages(db, [email])
    session[ADMIN], session[speech.OF_ADMIN] = email, languages.get(email, "")
    session[FORM_PROOF] = secrets.token_urlsafe(24)
    session.permanent = True


def sign_out() -> None:
    """End the sessions of this admin in every browser. Nothing is written for anybody else."""
    email = signed_in()
    session.pop(ADMIN, None)
    session.pop(SIGN_OUTS, None)
    if email is not None:
        with services().db.session() as db:
            admins.sign_out(db, email, services().clock())
            audit.record(db, audit.Act(audit.What.DASHBOARD_SIGN_OUT), services().clock())


def lead_to_sign_in() -> ResponseReturnValue:
    """Whoever has not signed in sees the way to do it, and then the page that was asked for, such
    as the one to which a notice links. What a form asked for is not done afterwards."""
    if request.method == "GET" and request.endpoint is not None:
        asked = {**request.args.to_dict(), **(request.view_args or {})}
        page = url_for(request.endpoint, **asked)
        session[WANTED] = page if len(page) <= MOST_WANTED else ""
    return redirect(url_for("dashboard.home"), 303)


def for_admins(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """A page or an action of WATCHER_ADMIN_EMAILS; anybody else is led to the way to sign in. A
    form counts only with this session's token in it, which no page of another site knows."""

    @functools.wraps(view)
    def checked(*args: P.args, **named: P.kwargs) -> ResponseReturnValue:
        if signed_in() is None:
            return lead_to_sign_in()
        if request.method == "POST" and not form_is_ours():
            return _too_old()
        return view(*args, **named)

    return checked


def _too_old() -> ResponseReturnValue:
    """Back to its page, whose form is a new one."""
    text = _("It was opened before you signed in. Nothing was done: press the button once more.")
    back.say(f"{speech.ended(_('This form is too old'))} {text}", "refused")
    return redirect(back.page_above(), 303)


def form_proof() -> str:
    """What the forms of this session's pages have to bring back. A session that an earlier
    version began has none yet."""
    if FORM_PROOF not in session:
        session[FORM_PROOF] = secrets.token_urlsafe(24)
    return str(session[FORM_PROOF])


def form_is_ours() -> bool:
    """Whether the form that was sent brings back what ``form_proof`` gave to this session."""
    return _is_ours(request.form.get(FORM_PROOF, ""))


def _is_ours(token: str) -> bool:
    known = session.get(FORM_PROOF, "")
    return bool(known) and secrets.compare_digest(token.encode(), known.encode())
