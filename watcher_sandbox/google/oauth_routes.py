"""Google's sign-in addresses: consent page, token endpoint, revocation, certificates."""

from __future__ import annotations

import base64
import binascii
import json
import time
from urllib.parse import unquote, urlencode, urlsplit

from flask import Blueprint, Response, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from watcher_sandbox.google import scopes
from watcher_sandbox.google.channels import is_loopback
from watcher_sandbox.google.errors import OAuthError
from watcher_sandbox.google.oauth import ISSUER, Client
from watcher_sandbox.google.state import GoogleState

CONSENT_PATH = "/o/oauth2/v2/auth"
_STATUS = {
    "invalid_client": 401,
    "deleted_client": 401,
    "disallowed_useragent": 403,
    "org_internal": 403,
}
_TEXTS = {
    "admin_policy_enforced": "Your administrator has blocked this app.",
    "org_internal": "This app is restricted to users within its organization.",
    "disallowed_useragent": "Use a secure browser.",
    "redirect_uri_mismatch": "The redirect URI in the request does not match the ones "
    "authorized for the OAuth client.",
    "invalid_client": "The OAuth client was not found.",
    "deleted_client": "The OAuth client was deleted.",
}


class Refused(Exception):
    """The consent page shows an error instead of leading back to the app."""

    def __init__(self, error: str, text: str = "") -> None:
        super().__init__(error)
        self.error = error
        self.text = text or _TEXTS.get(error, "Access blocked: this app's request is invalid.")


def blueprint(state: GoogleState) -> Blueprint:
    """Routes of accounts.google.com, oauth2.googleapis.com and www.googleapis.com/oauth2."""
    routes = Blueprint("oauth", __name__, template_folder="templates")
    _consent(routes, state)
    _token(routes, state)
    _published(routes, state)
    return routes


# --- consent ------------------------------------------------------------------------------


def _consent(routes: Blueprint, state: GoogleState) -> None:
    @routes.get(CONSENT_PATH, endpoint="consent")
    def page() -> BaseResponse | str:
        try:
            client, params = _request(state, request.args.to_dict())
        except Refused as refused:
            return _refusal(refused)
        wanted = params["scope"].split()
        hint = params.get("login_hint", "").lower()
        with state.lock:
            users = sorted(state.users.values(), key=lambda user: user.email != hint)
        return render_template(
            "consent.html",
            client=client.id,
            users=users,
            chosen=hint or (users[0].email if users else ""),
            ticks=[each for each in wanted if not scopes.is_sign_in(each)],
            params=params,
        )

    @routes.post(CONSENT_PATH, endpoint="consent_decide")
    def decide() -> BaseResponse:
        names = [name for name in request.form if name not in ("account", "grant", "decision")]
        try:
            client, params = _request(state, {name: request.form[name] for name in names})
        except Refused as refused:
            return _refusal(refused)
        if request.form.get("decision") != "allow":
            return _back(params, error="access_denied")
        ticked = set(request.form.getlist("grant"))
        granted = [
            each for each in params["scope"].split() if scopes.is_sign_in(each) or each in ticked
        ]
        with state.lock:
            user = state.users.get(request.form.get("account", "").lower())
            if user is None:
                return _refusal(Refused("invalid_request", "No such account."))
            code = state.oauth.issue_code(client, user, granted, params)
        shown = " ".join(scopes.long_form(granted))
        return _back(params, code=code, scope=shown, authuser="0", prompt="consent")


def _request(state: GoogleState, params: dict[str, str]) -> tuple[Client, dict[str, str]]:
    """The client of a consent request that Google would show; else ``Refused``."""
    client = state.oauth.clients.get(params.get("client_id", ""))
    if client is None:
        raise Refused("invalid_client")
    if client.deleted:
        raise Refused("deleted_client")
    if not _may_redirect(client, params.get("redirect_uri", "")):
        raise Refused("redirect_uri_mismatch")
    if state.behaviour.consent_error:
        raise Refused(state.behaviour.consent_error)
    if params.get("response_type") != "code":
        raise Refused("unsupported_response_type", "Required: response_type=code")
    wanted = params.get("scope", "").split()
    if not wanted:
        raise Refused("invalid_request", "Missing required parameter: scope")
    if not all(scopes.is_known(each) for each in wanted):
        raise Refused("invalid_scope", "Some requested scopes were invalid.")
    if params.get("code_challenge") and params.get("code_challenge_method") != "S256":
        raise Refused("invalid_request", "code_challenge_method must be S256")
    return client, params


def _may_redirect(client: Client, address: str) -> bool:
    if client.desktop:
        parts = urlsplit(address)
        return parts.scheme == "http" and is_loopback(parts.hostname or "")
    return address in client.redirect_uris


def _back(params: dict[str, str], **answer: str) -> BaseResponse:
    """To the app, with its state unchanged."""
    if "state" in params:
        answer = {"state": params["state"], **answer}
    address = params["redirect_uri"]
    return redirect(f"{address}{'&' if '?' in address else '?'}{urlencode(answer)}")


def _refusal(refused: Refused) -> BaseResponse:
    status = _STATUS.get(refused.error, 400)
    page = render_template("refused.html", status=status, error=refused.error, text=refused.text)
    return Response(page, status)


# --- tokens -------------------------------------------------------------------------------


def _token(routes: Blueprint, state: GoogleState) -> None:
    @routes.post("/token", endpoint="token")
    def token() -> Response:
        audience = f"{request.host_url.rstrip('/')}/token"
        with state.lock:
            answer = state.oauth.token(request.form.to_dict(), _basic(), audience)
        return _json(answer, {"Cache-Control": "no-cache, no-store, max-age=0, must-revalidate"})

    @routes.post("/revoke", endpoint="revoke")
    def revoke() -> Response:
        given = request.form.get("token") or request.args.get("token")
        if not given:
            raise OAuthError("invalid_request", "Missing required parameter: token")
        with state.lock:
            state.oauth.revoke(given)
        return _json({})


def _basic() -> tuple[str, str] | None:
    """Client id and secret from HTTP Basic, form-encoded inside (RFC 6749, 2.3.1)."""
    kind, _, packed = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(packed).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise OAuthError("invalid_client", "Unauthorized", 401) from None
    return unquote(name), unquote(secret)


def _published(routes: Blueprint, state: GoogleState) -> None:
    @routes.get("/oauth2/v1/certs", endpoint="certs_v1")
    def pem_map() -> Response:
        return _json(
            {key.kid: key.certificate_pem() for key in state.oauth.signing_keys}, _cached()
        )

    @routes.get("/oauth2/v3/certs", endpoint="certs_v3")
    def jwk_set() -> Response:
        return _json({"keys": [key.jwk() for key in state.oauth.signing_keys]}, _cached())

    @routes.get("/.well-known/openid-configuration", endpoint="openid")
    def openid() -> Response:
        base = request.host_url.rstrip("/")
        return _json(
            {
                "issuer": ISSUER,
                "authorization_endpoint": f"{base}{CONSENT_PATH}",
                "token_endpoint": f"{base}/token",
                "revocation_endpoint": f"{base}/revoke",
                "jwks_uri": f"{base}/oauth2/v3/certs",
                "response_types_supported": ["code"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
            }
        )


def _cached() -> dict[str, str]:
    expires = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 3600))
    return {"Cache-Control": "public, max-age=3600", "Expires": expires}


def _json(body: object, headers: dict[str, str] | None = None, status: int = 200) -> Response:
    return Response(
        json.dumps(body), status, headers, content_type="application/json; charset=utf-8"
    )
