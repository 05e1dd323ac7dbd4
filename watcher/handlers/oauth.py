"""The employee's way in: an invitation, Google's consent, and a page that says what comes next.

https://developers.google.com/identity/protocols/oauth2/web-server. State, nonce and PKCE
verifier are in the browser's own cookie, encrypted, until Google sends it back: whoever only comes
by writes nothing here. The account is who the verified ID token says.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from flask import Blueprint, redirect, render_template, request, session
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from watcher import errors
from watcher.accounts.proof import Proof, client_of, try_own
from watcher.google import consent
from watcher.google.endpoints import OAUTH_SCOPES
from watcher.google.refresh import Fresh
from watcher.handlers import acting, admin
from watcher.handlers.context import services, turns
from watcher.handlers.turns import TooMany
from watcher.ledger import accounts, audit, connect, own
from watcher.ledger.models import Account
from watcher.ledger.states import LEAVING
from watcher.services import endpoints

log = logging.getLogger(__name__)
bp = Blueprint("oauth", __name__)

SIGN_IN_SCOPES = ("openid", "email")
CONSENTS = "consents"
MOST_CONSENTS = 3
"""So many tabs of one browser may be at Google at a time; a cookie holds 4 KB."""


class ErrorPage(acting.Refused):
    """A page that says why not and what to do; ``retry`` is a link to begin again. The error that
    it is raised from goes to the log."""

    def __init__(self, title: str, text: str, status: int = 400, retry: str = "") -> None:
        super().__init__(title)
        self.title, self.text, self.status, self.retry = title, text, status, retry


@bp.errorhandler(ErrorPage)
def refused(refusal: ErrorPage) -> ResponseReturnValue:
    log.info("consent refused: %s", _cause(refusal))
    page = render_template(
        "message.html", title=refusal.title, text=refusal.text, retry=refusal.retry
    )
    return page, refusal.status


@bp.get("/connect/<token>")
def invitation(token: str) -> ResponseReturnValue:
    """What will be read and what becomes of it; the button leads to Google."""
    email, _ = _open_invitation(token)
    settings = services().settings
    return render_template(
        "connect.html",
        email=email,
        token=token,
        private=settings.private_events,
        past=settings.window_past_days,
        future=settings.window_future_days,
    )


@bp.post("/connect/<token>")
@acting.looks
def start(token: str) -> ResponseReturnValue:
    email, invitation_id = _open_invitation(token)
    return redirect(_to_google("connect", OAUTH_SCOPES, email, invitation_id))


def _open_invitation(token: str) -> tuple[str, str]:
    named = connect.read_link(services().keyring, token)
    if named is None:
        raise ErrorPage(
            "This link is not valid",
            "It is incomplete or was not made here. Ask your administrator for a new one.",
            404,
        )
    with services().db.reading() as db:
        found = connect.find_invitation(db, named[0])
        if found is None or found[1].email != named[1]:
            raise ErrorPage("This link is not valid", "Ask your administrator for a new one.", 404)
        invitation_row, account = found
        if invitation_row.used_at is not None:
            raise ErrorPage(
                "This link has been used",
                f"{account.email} was connected with it. Nothing more is to be done; to "
                "connect anew, ask your administrator for a new link.",
                410,
            )
        if invitation_row.expires_at <= services().clock():
            raise ErrorPage(
                "This link has expired",
                "Connect links work for 7 days, and a newer link ends the older ones. "
                "Ask your administrator for a new one.",
                410,
            )
        return account.email, invitation_row.id


def _to_google(
    purpose: str, scopes: tuple[str, ...], email: str | None, invitation_id: str | None
) -> str:
    app = services()
    begun = connect.begin_flow(
        app.keyring, purpose=purpose, now=app.clock(), invitation_id=invitation_id
    )
    session[CONSENTS] = [*session.get(CONSENTS, []), begun.sealed][-MOST_CONSENTS:]
    wanted = consent.ConsentRequest(
        state=begun.state,
        code_challenge=consent.code_challenge(begun.verifier),
        redirect_uri=app.settings.callback_url,
        login_hint=email,
        scopes=scopes,
        nonce=begun.nonce,
        lasting=purpose == "connect",
    )
    return consent.authorization_url(endpoints(app.settings), wanted)


@bp.get("/sign-in")
def sign_in() -> ResponseReturnValue:
    """The admin's way to the dashboard."""
    settings = services().settings
    if not settings.admin_emails or not settings.google_client_id:
        return redirect("/")
    return redirect(_to_google("sign_in", SIGN_IN_SCOPES, None, None))


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
    flow = _take_flow(request.args.get("state", ""))
    if flow is None:
        raise _lapsed()
    is_sign_in = flow.purpose == "sign_in"
    audit.by("")  # whoever was signed in before, this is about who comes back
    given = _finish(flow)
    if is_sign_in:
        _check_admin(given.identity)  # first, since whoever has a Google account gets here
        audit.about("", audit.What.DASHBOARD_SIGN_IN)
    audit.by(given.identity.email.lower())
    now = services().clock()
    with services().db.session() as db:
        if not connect.spend_flow(db, flow, now):
            raise _lapsed()
        if is_sign_in:
            audit.record(db, audit.Act(audit.What.DASHBOARD_SIGN_IN), now)
    if flow.purpose == "sign_in":
        return _signed_in(given.identity)
    return _connected(given)


def _take_flow(state: str) -> connect.Flow | None:
    """The consent of this state that the browser's cookie keeps, which forgets it."""
    app = services()
    for sealed in session.get(CONSENTS, []):
        flow = connect.open_flow(app.keyring, sealed, state=state, now=app.clock())
        if flow is not None:
            session[CONSENTS] = [kept for kept in session[CONSENTS] if kept != sealed]
            return flow
    return None


def _lapsed() -> ErrorPage:
    return ErrorPage(
        "This sign-in is no longer valid",
        "It was begun in another browser, more than 15 minutes ago, or is done "
        "already. Open your connect link once more.",
    )


@dataclass(frozen=True, slots=True)
class Consent:
    """What has come back from Google for a consent that was begun here, and who gave it.
    ``again`` is the link to begin once more."""

    flow: connect.Flow
    answer: consent.TokenAnswer
    identity: consent.Identity
    again: str


def _finish(flow: connect.Flow) -> Consent:
    app = services()
    again = _retry_link(flow)
    try:
        if "error" in request.args:
            raise consent.callback_error(request.args["error"])
        google = endpoints(app.settings)
        code = consent.AuthorizationCode(
            code=request.args.get("code", ""),
            verifier=flow.verifier,
            redirect_uri=app.settings.callback_url,
        )
        with turns(flow.purpose).take():
            answer = consent.exchange(google, code)
            identity = consent.verify_id_token(
                answer.id_token, google.client_id, google.certs_url, nonce=flow.nonce
            )
    except TooMany as error:
        text = "Try again in a minute."
        raise ErrorPage("Too many sign-ins at this moment", text, 429, again) from error
    except consent.ConsentDenied as error:
        text = f"{error.message}. Nothing has been stored."
        raise ErrorPage("Nothing was connected", text, 200, again) from error
    except (consent.ConsentFailed, errors.AppDead) as error:
        text = f"{error.message}. {error.next_step}"
        raise ErrorPage("Google refused", text, 400, again) from error
    except errors.Transient as error:
        text = f"{error.message}. Try again in a minute."
        raise ErrorPage("Google does not answer", text, 503, again) from error
    except errors.WatcherError as error:
        raise ErrorPage("That did not work", error.message, 400, again) from error
    if not identity.email_verified:
        raise ErrorPage(
            "Your address is not verified", f"Google has not verified {identity.email}.", 403, again
        )
    return Consent(flow, answer, identity, again)


def _cause(refusal: ErrorPage) -> str:
    """For the log: Google's code where it gave one, and our sentence. Neither holds a secret."""
    error = refusal.__cause__
    if not isinstance(error, errors.WatcherError):
        return refusal.title
    code = f"{error.cause}: " if isinstance(error, errors.Permanent) else ""
    return f"{code}{error.message}"


def _retry_link(flow: connect.Flow) -> str:
    if flow.purpose == "sign_in":
        return "/sign-in"
    app = services()
    with app.db.reading() as db:
        found = connect.find_invitation(db, flow.invitation_id or "")
    if found is None:
        return ""
    return connect.sign_link(app.keyring, app.settings, found[0].id, found[1].email)


def _check_admin(identity: consent.Identity) -> None:
    if identity.email.lower() not in services().settings.admin_emails:
        raise ErrorPage("No access", f"{identity.email} is not among WATCHER_ADMIN_EMAILS.", 403)


def _signed_in(identity: consent.Identity) -> ResponseReturnValue:
    admin.sign_in(identity.email.lower())
    return redirect("/")


def _connected(given: Consent) -> ResponseReturnValue:
    """The consent is looked at, then the calendar with it, and only then something is stored."""
    app = services()
    with app.db.reading() as db:
        email = _check_consent(db, given).email
    proof = try_own(client_of(app, email, given.answer.access_token), email)
    with app.db.session() as db:
        account = _check_consent(db, given)
        rings = _store(db, account, given, proof)
        has_own = own.of_account(db, account) is not None
    app.ring_all(rings, "backfill", "connect")
    log.info("account connected", extra={"account": email})
    if proof.refusal is not None and has_own:  # else others are mirrored in its place
        return render_template(
            "not_shown.html",
            email=email,
            reason=proof.refusal.message,
            step=proof.refusal.next_step,
        )
    return render_template("connected.html", email=email, calendar=proof.other_id(email))


def _check_consent(db: Session, given: Consent) -> Account:
    """The account of the invitation. Raises ``ErrorPage``."""
    answer, identity, again = given.answer, given.identity, given.again
    found = connect.find_invitation(db, given.flow.invitation_id or "")
    if found is None:
        raise ErrorPage("This link is not valid", "Ask your administrator for a new one.", 404)
    account = found[1]
    audit.about(account.email)
    if account.state in LEAVING:
        raise ErrorPage(
            "This link is no longer valid",
            f"{account.email} was disconnected. Ask your administrator for a new link.",
            410,
        )
    _check_identity(account, identity, again)
    other = db.execute(
        select(Account.email).where(Account.google_sub == identity.sub, Account.id != account.id)
    ).scalar_one_or_none()
    if other is not None:
        raise ErrorPage(
            "This Google account is connected already", f"It is connected as {other}.", 409
        )
    if consent.missing_scopes(answer.scopes):
        raise ErrorPage(
            "The calendar permission is missing",
            "On Google's page the box that lets Watcher see your events was not "
            "ticked. Nothing was stored. Try again and tick it.",
            400,
            again,
        )
    if answer.refresh_token is None:
        raise ErrorPage(
            "Google gave no lasting permission",
            "Try again; if it happens once more, remove Watcher under "
            "myaccount.google.com/permissions first.",
            400,
            again,
        )
    return account


def _store(db: Session, account: Account, given: Consent, proof: Proof) -> list[int]:
    """Use the invitation up and keep the consent, also where the calendar is not shown: that is
    the admin's to mend, and goes on by itself then."""
    app, now = services(), services().clock()
    accounts.lock(db, account.id)
    if not connect.use_invitation(db, given.flow.invitation_id or "", now):
        raise ErrorPage("This link has been used", "Nothing more is to be done.", 410)
    answer = given.answer
    fresh = Fresh(
        access_token=answer.access_token,
        expires_at=answer.expires_at,
        refresh_token=answer.refresh_token,
        scopes=answer.scopes,
    )
    consented = accounts.Consented(at=now, sub=given.identity.sub, fresh=fresh, own_id=proof.own_id)
    rings = accounts.activate_oauth(db, app.keyring, account.id, consented)
    scopes = {"calendar": proof.other_id(account.email) or account.email}
    audit.record(db, audit.Act(audit.What.CONSENT_GIVE, account.email, scopes), now)
    mine = own.of_account(db, account)
    if proof.refusal is not None and mine is not None:
        own.refuse(mine, proof.refusal, now)
    return rings


def _check_identity(account: Account, identity: consent.Identity, again: str) -> None:
    """The invited address must be the one that consented. Its token is dropped otherwise; it is
    not revoked, since that would end the person's other grants to this project."""
    if identity.email.lower() != account.email:
        raise ErrorPage(
            "This is another Google account",
            f"You signed in as {identity.email}, but this link is for {account.email}. "
            "Nothing was stored. Choose the right account on Google's page.",
            403,
            again,
        )
    if account.google_sub is not None and account.google_sub != identity.sub:
        raise ErrorPage(
            "This is another Google account",
            f"{account.email} was connected with a different Google account of that "
            "address. Ask your administrator to disconnect it first.",
            403,
        )
