"""The employee's own pages: what comes of the connection, and *My connection*.

They are for the browser in which the employee has consented or signed in, and for no other.
"""

from __future__ import annotations

from typing import cast

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from watcher.accounts import by_employee
from watcher.errors import AccountDead, Transient, WatcherError
from watcher.handlers import about, acting, employee, further
from watcher.handlers.context import EXTENSION, services
from watcher.handlers.messages import N_, ErrorPage
from watcher.handlers.speech import speak
from watcher.ledger import audit, choices, connect
from watcher.ledger.models import Account, Fact
from watcher.ledger.states import HAD_A_GRANT, AccountState
from watcher.services import impatient

bp = Blueprint("me", __name__)

ERPNEXT_SECONDS = 4.0
"""So long a page waits for ERPNext, at most."""
SAID = "said"
DONE = {
    "paused": N_("Paused. Nothing is read until you go on."),
    "resumed": N_("It goes on. Your calendar is being read again."),
    "chosen": N_("Your choice is stored. What was copied already follows within minutes."),
    "same": N_("Nothing was changed."),
    "wished": N_("Paused at once. Your administrator is told that you wish to leave."),
}
"""What a page says after an action, by a word that the session keeps until then."""


@bp.record
def _equip(state: BlueprintSetupState) -> None:
    reader = about.Reader(impatient(state.app.extensions[EXTENSION], ERPNEXT_SECONDS))
    state.app.extensions[about.ERPNEXT] = reader


@bp.get("/connected")
@employee.for_the_employee
def connected() -> ResponseReturnValue:
    """What comes of the consent: it is read, it is copied, and the next event as ERPNext has it."""
    account = _account()
    how = about.stands(account)
    main = how.main
    is_done = main is not None and main.read_at is not None
    return render_template(
        "connected.html",
        account=account,
        how=how,
        main=main,
        is_done=is_done,
        without_list=bool(further.offered(account)) and further.lacks_the_list(account),
        next=about.upcoming(account, how) if is_done and account.is_active else None,
        **about.told(account),
    )


@bp.get("/me")
def page() -> ResponseReturnValue:
    """*My connection*; for anybody else the way to sign in."""
    account = employee.here()
    if account is None:
        return render_template("me_sign_in.html", configured=_can_sign_in())
    speak(account.language)
    settings, wishes = services().settings, choices.Wishes.of(account)
    basis = choices.by_admin(settings, wishes)
    how = about.stands(account)
    return render_template(
        "me.html",
        account=account,
        how=how,
        said={**DONE, **further.DONE}.get(session.pop(SAID, ""), ""),
        further=further.offered(account),
        own_choice=further.own_choice(account),
        now=services().clock(),
        may_resume=account.is_paused_by_employee,
        chosen=choices.effective(settings, wishes),
        types=choices.at_least(choices.TYPES, basis.event_type),
        private=choices.at_least(choices.PRIVATE, basis.private_events),
        busy_title=settings.busy_title,
        next=about.upcoming(account, how) if account.is_active else None,
        can_connect=account.source == "oauth" and _can_sign_in(),
        desk_link=_desk_link() if account.source == "erpnext" else "",
        **about.told(account),
    )


def _can_sign_in() -> bool:
    return bool(services().settings.google_client_id)


def _desk_link() -> str:
    with services().db.reading() as db:
        fact = db.get(Fact, "desk_link")
    return fact.value if fact else ""


def _account() -> Account:
    return cast(Account, employee.here())


def _back(said: str) -> ResponseReturnValue:
    if said == "same":
        audit.nothing()
    session[SAID] = said
    return redirect(url_for("me.page"), 303)


@bp.post("/me/pause")
@acting.records(audit.What.ACCOUNT_PAUSE)
@employee.for_the_employee
def pause() -> ResponseReturnValue:
    return _back("paused" if by_employee.pause(services(), _account().email) else "same")


@bp.post("/me/resume")
@acting.records(audit.What.ACCOUNT_RESUME)
@employee.for_the_employee
def resume() -> ResponseReturnValue:
    try:
        done = by_employee.resume(services(), _account().email)
    except AccountDead as error:
        audit.failed(error.message)
        return redirect(url_for("me.page"), 303)  # which says that the permission has ended
    except Transient as error:
        raise ErrorPage(
            N_("Google does not answer"),
            N_("Try again in a minute."),
            503,
            retry=url_for("me.page"),
        ) from error
    except WatcherError as error:
        text = N_("Watcher cannot go on now. Your administrator can see why.")
        raise ErrorPage(N_("That did not work"), text, retry=url_for("me.page")) from error
    return _back("resumed" if done else "same")


@bp.post("/me/privacy")
@acting.records(audit.What.ACCOUNT_SET)
@employee.for_the_employee
def choose() -> ResponseReturnValue:
    kind, private = request.form.get("event_type", ""), request.form.get("private_events", "")
    if kind not in choices.TYPES or private not in choices.PRIVATE:
        return _back("same")
    wanted = choices.Choice(cast(choices.EventType, kind), cast(choices.PrivateEvents, private))
    return _back("chosen" if by_employee.choose(services(), _account().email, wanted) else "same")


@bp.get("/me/disconnect")
@employee.for_the_employee
def ask_to_leave() -> ResponseReturnValue:
    """What disconnecting means, asked before it is done."""
    account = _account()
    if account.state not in HAD_A_GRANT:
        return redirect(url_for("me.page"))
    return render_template("leave.html", account=account, **about.told(account))


@bp.post("/me/disconnect")
@acting.records(audit.What.ACCOUNT_DISCONNECT)
@employee.for_the_employee
def leave() -> ResponseReturnValue:
    account = _account()
    if not by_employee.leave(services(), account.email):
        return _back("same")
    return _back("wished" if account.source == "service-account" else "")


@bp.post("/me/connect")
@acting.records(audit.What.ACCOUNT_INVITE)
@employee.for_the_employee
def connect_again() -> ResponseReturnValue:
    """To the page of a connect link, for a permission that has ended."""
    app, account = services(), _account()
    if account.state != AccountState.NEEDS_RECONNECT or account.source != "oauth":
        return redirect(url_for("me.page"), 303)
    with app.db.session() as db:
        invitation = connect.lasting_invitation(db, account.id, app.clock())
    return redirect(connect.sign_link(app.keyring, app.settings, invitation, account.email), 303)


@bp.post("/me/sign-out")
@acting.records(audit.What.EMPLOYEE_SIGN_OUT)
def sign_out() -> ResponseReturnValue:
    """Ends the employee's sessions in every browser."""
    employee.sign_out()
    return redirect(url_for("me.page"), 303)
