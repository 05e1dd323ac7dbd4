"""The page of a connect link: who asks, what is copied and who will see it; its button leads to
Google."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from watcher.handlers import about, acting, google
from watcher.handlers.context import services
from watcher.handlers.messages import N_, ErrorPage
from watcher.handlers.speech import speak
from watcher.ledger import connect
from watcher.ledger.models import Account, Invitation
from watcher.services import endpoints

bp = Blueprint("links", __name__)


@bp.get("/connect/<token>")
def invitation(token: str) -> ResponseReturnValue:
    """What will be read and what becomes of it; the button leads to Google."""
    account, invited = _opened(token)
    speak(account.language)
    return render_template(
        "connect.html", token=token, asks=invited.invited_by, **about.told(account)
    )


@bp.post("/connect/<token>")
@acting.looks
def start(token: str) -> ResponseReturnValue:
    account, invited = _opened(token)
    return redirect(google.away("connect", _scopes(), account.email, invited.id))


@bp.get("/connect/<token>/another")
def another(token: str) -> ResponseReturnValue:
    """To Google's list of accounts, for who has come back with a wrong one."""
    _, invited = _opened(token)
    return redirect(google.away("connect", _scopes(), None, invited.id))


def _scopes() -> tuple[str, ...]:
    return endpoints(services().settings).consent_scopes


def _opened(token: str) -> tuple[Account, Invitation]:
    named = connect.read_link(services().keyring, token)
    if named is None:
        raise ErrorPage(
            N_("This link is not valid"),
            N_("It is incomplete or was not made here. Ask your administrator for a new one."),
            404,
        )
    with services().db.reading() as db:
        found = connect.find_invitation(db, named[0])
        if found is None or found[1].email != named[1]:
            raise invalid()
    invited, account = found
    speak(account.language)
    if invited.used_at is not None:
        raise ErrorPage(
            N_("This link has been used"),
            N_(
                "%(email)s was connected with it. Nothing more is to be done; to connect anew, ask "
                "your administrator for a new link, or sign in to My connection."
            ),
            410,
            email=account.email,
            retry=url_for("me.page"),
            label=N_("My connection"),
        )
    if invited.expires_at <= services().clock():
        raise ErrorPage(
            N_("This link has expired"),
            N_(
                "Connect links work for 7 days, and a newer link ends the older ones. Ask your "
                "administrator for a new one."
            ),
            410,
        )
    return account, invited


def invalid() -> ErrorPage:
    return ErrorPage(N_("This link is not valid"), N_("Ask your administrator for a new one."), 404)
