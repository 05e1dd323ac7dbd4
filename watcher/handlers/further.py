"""*My connection*: an employee looks for further calendars of the own at Google, and chooses which
are mirrored, too, where the company allows it.

Names come from Google when the button is pressed, stand on this page alone, and are written
nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from watcher.accounts import finding, letting_go
from watcher.errors import AccessLost, AccountDead, Transient, WatcherError
from watcher.google.endpoints import LIST_SCOPES
from watcher.google.listed import Listed
from watcher.handlers import about, acting, answered, employee
from watcher.handlers.context import services, turns
from watcher.handlers.messages import N_, ErrorPage
from watcher.handlers.turns import TooMany
from watcher.ledger import accounts, audit, chosen, connect
from watcher.ledger.models import Account

bp = Blueprint("further", __name__)

SAID, LISTED = "said", "own list"
DONE = {
    "added": N_("Your choice is stored. The calendars are copied within minutes."),
    "some": N_("Some of them are copied within minutes. The others cannot be read just now."),
    "none": N_("Nothing was changed: these calendars cannot be copied just now."),
    "unticked": N_("Nothing was ticked, and nothing has changed."),
    "gone": N_("It is not copied any more. The rest is done within minutes."),
}
"""What *My connection* says after a choice, by a word that the session keeps until then."""
KINDS = {
    "main": N_("your main calendar"),
    "person": N_("the calendar of another person"),
    "room": N_("a room"),
    "imported": N_("from another service"),
    "holidays": N_("public holidays"),
    "birthdays": N_("birthdays"),
    "week_numbers": N_("week numbers"),
    "generated": N_("made by Google"),
}
RIGHTS = {
    "owner": N_("yours"),
    "writer": N_("you may change it"),
    "writerWithoutPrivateAccess": N_("you may change it"),
    "reader": N_("you may look at it"),
}
WHY_NOT = {
    "mirrored": N_("is copied already"),
    "mirrored_for_another": N_(
        "is copied already for a colleague: its events would stand in ERPNext twice"
    ),
    "free_busy_only": N_("shows you when its owner is busy, and no events"),
}


def offered(account: Account) -> str:
    """What *My connection* offers: to ``look``, to ``allow`` it at Google first, or nothing."""
    if not account.is_active or not finding.may(services().settings, "employees"):
        return ""
    return "allow" if lacks_the_list(account) else "look"


def own_choice(account: Account) -> list[str]:
    """Google's ids of the calendars that the employee has chosen."""
    with services().db.reading() as db:
        return [each.google_id for each in chosen.of_account(db, account.id)]


def lacks_the_list(account: Account) -> bool:
    """Whether the employee's own consent does not cover the list of calendars."""
    return account.source == "oauth" and not LIST_SCOPES & accounts.granted(account)


@bp.post("/me/calendars")
@acting.looks
@employee.for_the_employee
def ask() -> ResponseReturnValue:
    return redirect(_asked_now(_account()), 303)


def _asked_now(account: Account) -> str:
    """The page, for which Google is asked when it is opened."""
    return url_for("further.look", asked=answered.pressed(LISTED, account.id))


@bp.get("/me/calendars")
@employee.for_the_employee
def look() -> ResponseReturnValue:
    """What Google listed when the button was pressed, and how each of them stands here now."""
    account = _account()
    try:
        listed = answered.to(LISTED, account.id, lambda: _listed(account))
    except AccessLost:
        return _shown(account, "hidden", None)
    if listed is not None:
        return _shown(account, "listed", listed)
    what = offered(account)
    if not what:
        return redirect(url_for("me.page"), 303)
    return _shown(account, "unasked" if what == "look" else "hidden", None)


def _listed(account: Account) -> list[Listed]:
    with _asking():
        return finding.ask(services(), account.email, "employees")


def _shown(
    account: Account, how: str, listed: answered.Answer[list[Listed]] | None
) -> ResponseReturnValue:
    """``how``: whether the list is ``listed``, ``hidden`` by Google, or ``unasked``."""
    found = finding.sorted_out(services(), account.email, listed.value) if listed else []
    return render_template(
        "me_calendars.html",
        how=how,
        found=found,
        asked_at=listed.at if listed else None,
        now=services().clock(),
        addable=[each for each in found if each.standing == finding.ADDABLE],
        can_allow=account.source == "oauth",
        chosen=own_choice(account),
        kinds=KINDS,
        rights=RIGHTS,
        why_not=WHY_NOT,
        **about.told(account),
    )


@bp.post("/me/calendars/add")
@acting.records(audit.What.CALENDAR_ADD)
@employee.for_the_employee
def add() -> ResponseReturnValue:
    account, chosen = _account(), request.form.getlist("calendar")
    if not chosen:
        audit.nothing()
        return _back("unticked")
    try:
        with _asking():
            done = finding.choose(services(), account.email, chosen)
    except AccessLost as error:
        audit.failed(error.message)
        return redirect(_asked_now(account), 303)  # which says what can be done
    if not done.added:
        return _back("none")
    return _back("some" if done.left else "added")


@bp.post("/me/calendars/remove")
@acting.records(audit.What.CALENDAR_REMOVE)
@employee.for_the_employee
def remove() -> ResponseReturnValue:
    """One that the employee has chosen is no longer copied."""
    google_id = request.form.get("calendar", "")
    return _back("gone" if letting_go.let_go(services(), _account().email, google_id) else "")


@bp.post("/me/calendars/allow")
@acting.records(audit.What.ACCOUNT_INVITE)
@employee.for_the_employee
def allow() -> ResponseReturnValue:
    """To the page of a connect link, whose consent asks for the list, too."""
    app, account = services(), _account()
    if account.source != "oauth" or not offered(account):
        return _back("")
    with app.db.session() as db:
        invitation = connect.lasting_invitation(db, account.id, app.clock())
    return redirect(connect.sign_link(app.keyring, app.settings, invitation, account.email), 303)


def _account() -> Account:
    return cast(Account, employee.here())


def _back(said: str) -> ResponseReturnValue:
    if said in ("", "none"):
        audit.nothing()
    session[SAID] = said
    return redirect(url_for("me.page"), 303)


@contextmanager
def _asking() -> Iterator[None]:
    """Google is asked by few at a time: each holds a thread of the web server meanwhile. Raises
    ``ErrorPage``, and ``AccessLost`` for the one that the page explains."""
    try:
        with turns("find").take():
            yield
    except TooMany as error:
        text = N_("Others are looking at this moment. Try again in a few seconds.")
        raise _page(N_("Please wait a moment"), text, 429) from error
    except AccountDead as error:
        text = N_("My connection says what you can do.")
        raise _page(N_("Google's permission has ended"), text, 403) from error
    except Transient as error:
        raise _page(N_("Google does not answer"), N_("Try again in a minute."), 503) from error
    except WatcherError as error:
        if isinstance(error, AccessLost) and error.cause == finding.CAUSE:
            raise
        text = N_("Your calendars cannot be looked for now. Your administrator can see why.")
        raise _page(N_("That did not work"), text, 400) from error


def _page(title: str, text: str, status: int) -> ErrorPage:
    return ErrorPage(title, text, status, retry=url_for("me.page"), label=N_("My connection"))
