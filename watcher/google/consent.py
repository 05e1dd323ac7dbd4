"""The employee's consent: Google's web-server flow with PKCE, as pieces for the HTTP handlers.

https://developers.google.com/identity/protocols/oauth2/web-server. google-auth-oauthlib makes the
address of the consent page. The code is exchanged with a plain request: the package raises a
``Warning`` when the employee unticks a scope and reads its leave for plain HTTP (a stand-in on
this machine) from an environment variable of the whole process.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import requests
from google_auth_oauthlib.flow import Flow  # type: ignore[import-untyped, unused-ignore]

from watcher.errors import AppDead, Transient, WatcherError, sentence, why_unreached
from watcher.google.endpoints import OAUTH_SCOPES, GoogleEndpoints
from watcher.google.errors import SIDE, ConsentDenied, ConsentFailed
from watcher.google.identity import Identity, verify_id_token
from watcher.waiting import asked_seconds

TIMEOUT: Final = (5.0, 20.0)
AGAIN: Final = sentence("Open the invitation link again.")
CHECK_CLIENT: Final = sentence("Check WATCHER_GOOGLE_CLIENT_ID and WATCHER_GOOGLE_CLIENT_SECRET.")
_APP_CODES: Final = {
    "deleted_client": sentence(
        "Restore the OAuth client in the Google Cloud console, or make a new one."
    ),
    "disabled_client": sentence("Enable the OAuth client in the Google Cloud console."),
    "invalid_client": CHECK_CLIENT,
    "unauthorized_client": sentence("Make an OAuth client of the type Web application."),
    "redirect_uri_mismatch": sentence(
        "Register PUBLIC_URL/oauth/google/callback as a redirect URI."
    ),
}
_STEPS: Final = {
    "admin_policy_enforced": sentence(
        "Ask the Workspace admin to trust this app (Admin console > API controls)."
    ),
    "policy_enforced": sentence(
        "Ask the Workspace admin to allow this app (Admin console > API controls); with Advanced "
        "Protection Google allows none but its own."
    ),
    "org_internal": sentence("Sign in with an account of the organisation that owns the app."),
    "disallowed_useragent": sentence(
        "Open the link in an ordinary browser, not inside another app."
    ),
    "invalid_grant": sentence("The answer came too late or twice. Open the invitation link again."),
}
_SCOPE_NAMES: Final = {
    "https://www.googleapis.com/auth/userinfo.email": "email",
    "https://www.googleapis.com/auth/userinfo.profile": "profile",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenAnswer:
    """What Google gave for the code. ``refresh_token`` is None when Google sent none (no consent
    page was shown); ``scopes`` is what was really granted; ``expires_at`` is aware UTC."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: datetime
    scopes: frozenset[str]
    id_token: str = field(repr=False)


# --- to Google ----------------------------------------------------------------------------


def new_code_verifier() -> str:
    """A PKCE verifier (86 characters); keep it on the server beside the state."""
    return secrets.token_urlsafe(64)


def code_challenge(verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636, 4.2)."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsentRequest:
    """What is asked of the person whom the consent page is shown to.

    ``state``, ``nonce`` and the verifier of ``code_challenge`` are ours, for the way back to
    ``redirect_uri``; ``login_hint`` is the address that Google offers first. With ``lasting``
    Google gives a refresh token. Leave it out where only the identity is needed: each refresh
    token counts towards the 100 of an account and a client, beyond which Google ends the oldest.
    With ``choose`` Google shows its list of accounts first, also to who is signed in to one alone.
    """

    state: str
    code_challenge: str
    redirect_uri: str
    login_hint: str | None = None
    scopes: tuple[str, ...] = OAUTH_SCOPES
    nonce: str | None = None
    lasting: bool = True
    choose: bool = False


def authorization_url(endpoints: GoogleEndpoints, request: ConsentRequest) -> str:
    """The address of the consent page, which is always shown (else no refresh token comes).

    ``include_granted_scopes`` is left out on purpose: it would merge grants of other apps of the
    same Cloud project into ours. Nothing is lost by that: each consent asks for all that is wanted,
    also one that is given again for the sake of a further scope.
    """
    # oauthlib refuses to build a plain http address. Settings allow one for a stand-in on this
    # machine only, so the scheme is put back afterwards.
    plain = endpoints.auth_url.startswith("http://")
    address = endpoints.auth_url.removeprefix("http://")
    client = {
        "client_id": endpoints.client_id,
        "client_secret": endpoints.client_secret,
        "auth_uri": f"https://{address}" if plain else address,
        "token_uri": endpoints.token_url,
    }
    flow = Flow.from_client_config(
        {"web": client},
        scopes=list(request.scopes),
        redirect_uri=request.redirect_uri,
        autogenerate_code_verifier=False,
    )
    optional = {"login_hint": request.login_hint, "nonce": request.nonce}
    url, _ = flow.authorization_url(
        state=request.state,
        access_type="offline" if request.lasting else "online",
        prompt=_prompt(request),
        code_challenge=request.code_challenge,
        code_challenge_method="S256",
        **{name: value for name, value in optional.items() if value},
    )
    return "http://" + str(url).removeprefix("https://") if plain else str(url)


def _prompt(request: ConsentRequest) -> str:
    if not request.lasting:
        return "select_account"
    return "select_account consent" if request.choose else "consent"


_REFUSALS: Final = (*_APP_CODES, *_STEPS)


def refused_at_once(
    endpoints: GoogleEndpoints, redirect_uri: str, timeout: float | tuple[float, float] = TIMEOUT
) -> str:
    """Google's code where it shows an error in place of its consent page; empty where it does not.

    The page is asked for as a browser would, but not followed. Google answers what it refuses with
    a redirect to an address whose ``authError`` holds the code in Base64, or with an error page.
    Raises ``Transient``.
    """
    request = ConsentRequest(
        state="none", code_challenge=code_challenge(new_code_verifier()), redirect_uri=redirect_uri
    )
    url = authorization_url(endpoints, request)
    try:
        answer = requests.get(url, timeout=timeout, allow_redirects=False)
    except (requests.RequestException, OSError) as error:
        raise _unreached(error) from None
    said = _auth_error(answer.headers.get("Location", ""))
    if answer.status_code >= 400:
        said += answer.text[:100_000]
    return next((code for code in _REFUSALS if code in said), "")


def _auth_error(address: str) -> str:
    packed = parse_qs(urlsplit(address).query).get("authError", [""])[0]
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_").decode("latin-1")
    except ValueError:
        return ""


# --- back from Google ---------------------------------------------------------------------


def callback_error(code: str) -> WatcherError:
    """The error for ``?error=code`` on the callback; unknown codes are cut to letters."""
    known = code if code.replace("_", "").isalpha() and len(code) <= 40 else "unknown_error"
    if known in ("temporarily_unavailable", "server_error"):
        said = sentence("Google could not show the consent page")
        return Transient(said, side=SIDE, next_step=AGAIN)
    if known == "access_denied":
        return ConsentDenied(
            sentence("Access to the calendar was declined"),
            cause=known,
            side=SIDE,
            next_step=AGAIN,
        )
    if known in ("admin_policy_enforced", "policy_enforced", "org_internal"):
        return ConsentDenied(
            sentence("The organisation does not allow this app"),
            cause=known,
            side=SIDE,
            next_step=_STEPS[known],
        )
    if known in _APP_CODES:
        return AppDead(
            sentence("Google refuses Watcher's OAuth client (%(code)s)", code=known),
            cause=known,
            side=SIDE,
            next_step=_APP_CODES[known],
        )
    return ConsentFailed(
        sentence("Google refused the consent (%(code)s)", code=known),
        cause=known,
        side=SIDE,
        next_step=_STEPS.get(known, AGAIN),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class AuthorizationCode:
    """The code that came back, with the verifier and the redirect URI that it was asked with."""

    code: str = field(repr=False)
    verifier: str = field(repr=False)
    redirect_uri: str


def exchange(
    endpoints: GoogleEndpoints,
    given: AuthorizationCode,
    timeout: float | tuple[float, float] = TIMEOUT,
) -> TokenAnswer:
    """Trade the code for tokens. Raises ``ConsentDenied``, ``ConsentFailed``, ``AppDead``,
    ``Transient`` (a code is good once: the employee has to open the link again)."""
    answer = _post(
        endpoints.token_url,
        {
            "grant_type": "authorization_code",
            "code": given.code,
            "code_verifier": given.verifier,
            "redirect_uri": given.redirect_uri,
            "client_id": endpoints.client_id,
            "client_secret": endpoints.client_secret,
        },
        timeout,
    )
    document = _document(answer)
    if answer.status_code == 200:
        return _token_answer(document)
    error = document.get("error")
    if answer.status_code < 400 or answer.status_code >= 500 or not isinstance(error, str):
        raise _unavailable(answer)
    raise callback_error(error)


def missing_scopes(granted: Iterable[str], needed: Iterable[str] = OAUTH_SCOPES) -> frozenset[str]:
    """What an employee did not tick; refuse the grant unless this is empty."""
    return frozenset(needed) - frozenset(granted)


def revoke(token: str, revoke_url: str, timeout: float | tuple[float, float] = TIMEOUT) -> bool:
    """Take the whole grant back. False when Google no longer knew the token: then it is gone, too.

    Raises ``Transient``. Stop the account's channels first: without the grant nobody can.
    """
    answer = _post(revoke_url, {"token": token}, timeout)
    if answer.status_code == 200:
        return True
    if answer.status_code == 400 and _document(answer).get("error"):
        return False
    raise _unavailable(answer)


def _post(
    url: str, data: dict[str, str], timeout: float | tuple[float, float]
) -> requests.Response:
    try:
        return requests.post(url, data=data, timeout=timeout, allow_redirects=False)
    except (requests.RequestException, OSError) as error:
        raise _unreached(error, AGAIN) from None


def _unreached(error: Exception, next_step: str = "") -> Transient:
    said = sentence("Google could not be reached (%(reason)s)", reason=why_unreached(error))
    return Transient(said, side=SIDE, next_step=next_step)


def _document(answer: requests.Response) -> dict[str, Any]:
    try:
        document = json.loads(answer.content)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _unavailable(answer: requests.Response) -> Transient:
    return Transient(
        sentence("Google answered %(status)s", status=str(answer.status_code)),
        side=SIDE,
        retry_after=asked_seconds(answer.headers.get("retry-after")),
        next_step=AGAIN,
    )


def _token_answer(document: dict[str, Any]) -> TokenAnswer:
    access_token, id_token = document.get("access_token"), document.get("id_token")
    refresh_token, scope = document.get("refresh_token"), document.get("scope")
    try:
        life = timedelta(seconds=float(document["expires_in"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        life = None
    if not (isinstance(access_token, str) and isinstance(id_token, str) and life):
        said = sentence("Google's token answer lacks fields")
        raise Transient(said, side=SIDE, next_step=AGAIN)
    given = scope.split() if isinstance(scope, str) else []
    return TokenAnswer(
        access_token=access_token,
        refresh_token=refresh_token if isinstance(refresh_token, str) and refresh_token else None,
        expires_at=datetime.now(UTC) + life,
        scopes=frozenset(_SCOPE_NAMES.get(name, name) for name in given),
        id_token=id_token,
    )


__all__ = [
    "ConsentDenied",
    "ConsentFailed",
    "Identity",
    "TokenAnswer",
    "authorization_url",
    "callback_error",
    "code_challenge",
    "exchange",
    "missing_scopes",
    "new_code_verifier",
    "refused_at_once",
    "revoke",
    "verify_id_token",
]
