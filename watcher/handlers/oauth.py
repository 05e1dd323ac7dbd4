"""The employee's way in: an invitation, Google's consent, and a page that says what comes next.

https://developers.google.com/identity/protocols/oauth2/web-server. State, nonce and PKCE
verifier are in the browser's own cookie, encrypted, until Google sends it back: whoever only comes
by writes nothing here. The account is who the verified ID token says.
"""

from __future__ import annotations

import logging

from flask import Blueprint, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from watcher import errors
from watcher.google import consent
from watcher.handlers import acting, admin, consent_errors, consented, employee, google, who_came
from watcher.handlers.context import services, turns
from watcher.handlers.messages import N_, ErrorPage
from watcher.handlers.speech import speak
from watcher.handlers.turns import TooMany
from watcher.ledger import audit, connect
from watcher.ledger.secrets import digest, same
from watcher.services import endpoints

log = logging.getLogger(__name__)
bp = Blueprint("oauth", __name__)

SIGN_IN_SCOPES = ("openid", "email")
CAME_BACK = "came_back"
"""In the session: the digest of the last ``state`` that was taken, and the page it led to, or why
it led to none."""


@bp.get("/sign-in")
def sign_in() -> ResponseReturnValue:
    """The admin's way to the dashboard."""
    settings = services().settings
    if not settings.admin_emails or not settings.google_client_id:
        return redirect("/")
    return redirect(google.away("sign_in", SIGN_IN_SCOPES, None, None))


@bp.get("/me/sign-in")
def employee_sign_in() -> ResponseReturnValue:
    """The employee's way to *My connection*: Google says who it is, and is asked for no more."""
    if not services().settings.google_client_id:
        return redirect(url_for("me.page"))
    return redirect(google.away("me", SIGN_IN_SCOPES, None, None))


@bp.post("/sign-out")
@acting.records(audit.What.DASHBOARD_SIGN_OUT)
def sign_out() -> ResponseReturnValue:
    """Ends the admin's sessions in every browser."""
    admin.sign_out()
    return redirect("/")


@bp.get("/oauth/google/callback")
@acting.records(audit.What.CONSENT_GIVE)
def callback() -> ResponseReturnValue:
    """Google sends the browser back here, with a code or an error."""
    audit.by("")  # whoever was signed in before, this is about who comes back
    flow = google.back(request.args.get("state", ""))
    if flow is None:
        return _once_more()
    try:
        return _taken(flow)
    except ErrorPage as refusal:
        session[CAME_BACK] = [_state(), "", refusal.kept()]
        raise


def _taken(flow: connect.Flow) -> ResponseReturnValue:
    given = _finish(flow)
    # Whoever has a Google account gets here: strangers are turned away before anything is written.
    mine, act = None, audit.Act(audit.What.CONSENT_GIVE)
    if flow.purpose == "sign_in":
        who_came.admin(given.identity)
        act = audit.Act(audit.What.DASHBOARD_SIGN_IN)
    elif flow.purpose == "me":
        mine = who_came.an_employee(given.identity)
        act = audit.Act(audit.What.EMPLOYEE_SIGN_IN, mine.email)
    audit.about(act.subject, act.what)
    audit.by(given.identity.email.lower())
    now = services().clock()
    with services().db.session() as db:
        if not connect.spend_flow(db, flow, now):
            raise _lapsed()
        if flow.purpose != "connect":
            audit.record(db, act, now)
    if flow.purpose == "sign_in":
        return _to("dashboard.home", _signed_in(given.identity))
    if mine is not None:
        employee.begin(mine, given.identity)
        return _to("me.page", redirect(url_for("me.page")))
    return _to("me.connected", consented.connected(given))


def _to(page: str, answer: ResponseReturnValue) -> ResponseReturnValue:
    """It is done, and leads to this page: so does the address when it is loaded again."""
    session[CAME_BACK] = [_state(), page, []]
    return answer


def _state() -> str:
    return digest(request.args.get("state", ""))[:20]


def _once_more() -> ResponseReturnValue:
    """Nothing waits for this answer of Google's in this browser (any more)."""
    audit.nothing()
    known, page, refusal = (*(session.get(CAME_BACK) or ("", "")), [])[:3]
    if not known or not same(known, _state()):
        raise _lapsed()
    if refusal:
        raise ErrorPage.of(refusal)
    return redirect(url_for(page))


def _lapsed() -> ErrorPage:
    return ErrorPage(
        N_("This sign-in is no longer valid"),
        N_(
            "It was begun in another browser, more than 15 minutes ago, or is done already. Open "
            "your connect link once more."
        ),
        retry=url_for("me.page"),
        label=N_("My connection"),
    )


def _finish(flow: connect.Flow) -> consented.Consent:
    app = services()
    again = _retry_link(flow)
    try:
        if "error" in request.args:
            raise consent.callback_error(request.args["error"])
        side = endpoints(app.settings)
        code = consent.AuthorizationCode(
            code=request.args.get("code", ""),
            verifier=flow.verifier,
            redirect_uri=app.settings.callback_url,
        )
        with turns(flow.purpose).take():
            answer = consent.exchange(side, code)
            identity = consent.verify_id_token(
                answer.id_token, side.client_id, side.certs_url, nonce=flow.nonce
            )
    except TooMany as error:
        text = N_("Try again in a minute.")
        raise ErrorPage(N_("Too many sign-ins at this moment"), text, 429, retry=again) from error
    except errors.WatcherError as error:
        raise consent_errors.page(error, again) from error
    if not identity.email_verified:
        raise ErrorPage(
            N_("Your address is not verified"),
            N_("Google has not verified %(email)s."),
            403,
            retry=again,
            email=identity.email,
        )
    return consented.Consent(flow, answer, identity, again)


def _retry_link(flow: connect.Flow) -> str:
    if flow.purpose == "sign_in":
        return url_for("oauth.sign_in")
    if flow.purpose == "me":
        return url_for("oauth.employee_sign_in")
    app = services()
    with app.db.reading() as db:
        found = connect.find_invitation(db, flow.invitation_id or "")
    if found is None:
        return ""
    speak(found[1].language)
    return connect.sign_link(app.keyring, app.settings, found[0].id, found[1].email)


def _signed_in(identity: consent.Identity) -> ResponseReturnValue:
    admin.sign_in(identity.email.lower())
    return redirect(session.pop(admin.WANTED, "") or url_for("dashboard.home"))
