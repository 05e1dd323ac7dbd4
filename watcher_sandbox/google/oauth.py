"""OAuth 2.0 as Google does it: clients, grants, codes, tokens, service accounts.

https://developers.google.com/identity/protocols/oauth2. Knows no HTTP; the caller holds the
state's lock.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from watcher_sandbox.google import keys, scopes
from watcher_sandbox.google.behaviour import Behaviour
from watcher_sandbox.google.clock import Clock
from watcher_sandbox.google.errors import OAuthError
from watcher_sandbox.google.model import Json, User

ISSUER = "https://accounts.google.com"
CODE_SECONDS = 600
MOST_REFRESH_TOKENS = 100
MOST_ASSERTION_SECONDS = 3600
SKEW_SECONDS = 300


@dataclass(slots=True)
class Client:
    """An OAuth client. A desktop one may redirect to any loopback address."""

    id: str
    secret: str = field(repr=False)
    redirect_uris: tuple[str, ...] = ()
    desktop: bool = False
    deleted: bool = False


@dataclass(slots=True)
class ServiceAccount:
    """``delegated``: the scopes that an admin granted for impersonation."""

    email: str
    client_id: str
    public_keys: dict[str, RSAPublicKey] = field(default_factory=dict)
    delegated: frozenset[str] = frozenset()


@dataclass(slots=True)
class Code:
    client: str
    user: str
    scopes: tuple[str, ...]
    redirect_uri: str
    challenge: str | None
    offline: bool
    nonce: str | None
    expires: datetime


@dataclass(slots=True)
class RefreshToken:
    token: str = field(repr=False)
    client: str
    user: str
    scopes: tuple[str, ...]
    issued: datetime
    revoked: bool = False


@dataclass(slots=True)
class AccessToken:
    """Who calls and what is allowed; ``refresh`` is the token it came from, if any."""

    token: str = field(repr=False)
    client: str
    user: str
    scopes: frozenset[str]
    expires: datetime
    service_account: bool = False
    refresh: str | None = field(default=None, repr=False)


class OAuth:
    """All clients and tokens of one (imagined) Cloud project."""

    def __init__(
        self, clock: Clock, behaviour: Behaviour, find_user: Callable[[str], User | None]
    ) -> None:
        self._clock = clock
        self._behaviour = behaviour
        self._find_user = find_user
        self.clients: dict[str, Client] = {}
        self.service_accounts: dict[str, ServiceAccount] = {}
        self.delegated_to: frozenset[str] | None = None
        self.codes: dict[str, Code] = {}
        self.refresh_tokens: dict[str, RefreshToken] = {}
        self.access_tokens: dict[str, AccessToken] = {}
        self.grants: dict[str, set[str]] = {}
        self.signing_keys: list[keys.SigningKey] = [keys.shared_key("google")]

    # --- consent --------------------------------------------------------------------------

    def issue_code(
        self, client: Client, user: User, granted: Iterable[str], params: dict[str, str]
    ) -> str:
        """A code after the user pressed Allow; ``params`` are those of the consent page."""
        wanted = set(granted)
        known = self.grants.get(f"{user.email} {client.id}")
        first = known is None or not wanted <= known
        again = "consent" in params.get("prompt", "").split()
        offline = params.get("access_type") == "offline" and (first or again)
        if params.get("include_granted_scopes") == "true":
            wanted |= self._project_scopes(user.email)
        code = f"4/0{secrets.token_urlsafe(48)}"
        self.codes[code] = Code(
            client=client.id,
            user=user.email,
            scopes=tuple(wanted),
            redirect_uri=params.get("redirect_uri", ""),
            challenge=params.get("code_challenge") or None,
            offline=offline or client.desktop,
            nonce=params.get("nonce") or None,
            expires=self._clock.now() + timedelta(seconds=CODE_SECONDS),
        )
        return code

    def _project_scopes(self, email: str) -> set[str]:
        found = [held for key, held in self.grants.items() if key.startswith(f"{email} ")]
        return set().union(*found)

    # --- token endpoint -------------------------------------------------------------------

    def token(self, form: dict[str, str], basic: tuple[str, str] | None, audience: str) -> Json:
        """The answer to POST /token, or ``OAuthError``. ``audience`` is the endpoint's URL."""
        grant = form.get("grant_type", "")
        if grant == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return self._by_assertion(form, audience)
        client = self._client(form, basic)
        if grant == "authorization_code":
            return self._by_code(client, form)
        if grant == "refresh_token":
            return self._by_refresh(client, form)
        raise OAuthError("unsupported_grant_type", f"Invalid grant_type: {grant}")

    def _client(self, form: dict[str, str], basic: tuple[str, str] | None) -> Client:
        given, secret = basic or (form.get("client_id", ""), form.get("client_secret", ""))
        if not given:
            raise OAuthError("invalid_request", "Could not determine client ID from request.")
        client = self.clients.get(given)
        if client is None:
            raise OAuthError("invalid_client", "The OAuth client was not found.", 401)
        if client.deleted:
            raise OAuthError("deleted_client", "The OAuth client was deleted.", 401)
        if not hmac.compare_digest(client.secret.encode(), secret.encode()):
            raise OAuthError("invalid_client", "Unauthorized", 401)
        return client

    def _by_code(self, client: Client, form: dict[str, str]) -> Json:
        code = self.codes.pop(form.get("code", ""), None)  # a code works once
        if code is None or code.client != client.id or code.expires < self._clock.now():
            raise OAuthError("invalid_grant", "Malformed auth code.")
        if form.get("redirect_uri", "") != code.redirect_uri:
            raise OAuthError("redirect_uri_mismatch", "Bad Request")
        _check_pkce(code.challenge, form.get("code_verifier"))
        self.grants.setdefault(f"{code.user} {client.id}", set()).update(code.scopes)
        refresh = None
        if code.offline:
            refresh = self._new_refresh(client, code.user, code.scopes)
        answer = self._access(client.id, code.user, code.scopes, refresh)
        if refresh is not None:
            answer["refresh_token"] = refresh
            if self._behaviour.refresh_token_ttl is not None:
                answer["refresh_token_expires_in"] = int(self._behaviour.refresh_token_ttl)
        if "openid" in code.scopes:
            answer["id_token"] = self.id_token(client.id, code.user, code.nonce)
        return answer

    def _new_refresh(self, client: Client, email: str, granted: tuple[str, ...]) -> str:
        token = f"1//0{secrets.token_urlsafe(64)}"
        self.refresh_tokens[token] = RefreshToken(
            token, client.id, email, granted, self._clock.now()
        )
        live = [
            each
            for each in self.refresh_tokens.values()
            if (each.client, each.user, each.revoked) == (client.id, email, False)
        ]
        for oldest in live[:-MOST_REFRESH_TOKENS]:
            oldest.revoked = True  # Google tells nobody
        return token

    def _by_refresh(self, client: Client, form: dict[str, str]) -> Json:
        found = self.refresh_tokens.get(form.get("refresh_token", ""))
        if found is None or found.client != client.id or not self._alive(found):
            raise OAuthError("invalid_grant", self._behaviour.invalid_grant_description)
        granted = found.scopes
        if form.get("scope"):
            asked = scopes.long_form(form["scope"].split())
            if not set(asked) <= set(scopes.long_form(granted)):
                raise OAuthError("invalid_scope", "Bad Request")
            granted = asked
        answer = self._access(client.id, found.user, granted, found.token)
        if "openid" in granted:
            answer["id_token"] = self.id_token(client.id, found.user, None)
        return answer

    def _alive(self, found: RefreshToken) -> bool:
        ttl = self._behaviour.refresh_token_ttl
        age = (self._clock.now() - found.issued).total_seconds()
        known = self._find_user(found.user) is not None
        return known and not found.revoked and (ttl is None or age < ttl)

    def _by_assertion(self, form: dict[str, str], audience: str) -> Json:
        """A service account, for itself or for ``sub``."""
        assertion = form.get("assertion", "")
        try:
            header, claims = keys.unverified(assertion)
        except keys.BadToken:
            raise OAuthError("invalid_grant", "Invalid JWT: malformed assertion.") from None
        account = self.service_accounts.get(str(claims.get("iss")))
        if account is None:
            raise OAuthError("invalid_grant", "Invalid grant: account not found")
        _check_assertion(account, header, claims, assertion, audience)
        asked = tuple(str(claims.get("scope") or "").split())
        if not asked:
            raise OAuthError("invalid_scope", "Empty or missing scope not allowed.")
        email = account.email
        if claims.get("sub") not in (None, account.email):
            email = self._delegate(account, str(claims["sub"]), asked)
        answer = self._access(account.client_id, email, asked, None, service_account=True)
        del answer["scope"]
        return answer

    def _delegate(self, account: ServiceAccount, subject: str, asked: tuple[str, ...]) -> str:
        if not set(asked) <= account.delegated or not self._may_stand_in_for(subject.lower()):
            raise OAuthError(
                "unauthorized_client",
                "Client is unauthorized to retrieve access tokens using this method, or client "
                "not authorized for any of the scopes requested.",
            )
        user = self._find_user(subject.lower())
        if user is None:
            raise OAuthError("invalid_grant", "Invalid email or User ID")
        return user.email

    def _may_stand_in_for(self, email: str) -> bool:
        """Delegation covers the admin's own domains; another's mailbox is refused."""
        allowed = self.delegated_to
        return allowed is None or bool(allowed & {email, f"@{email.partition('@')[2]}"})

    def _access(
        self,
        client: str,
        email: str,
        granted: Iterable[str],
        refresh: str | None,
        service_account: bool = False,
    ) -> Json:
        life = self._behaviour.access_token_ttl
        token = f"ya29.{secrets.token_urlsafe(96)}"
        shown = scopes.long_form(granted)
        self.access_tokens[token] = AccessToken(
            token=token,
            client=client,
            user=email,
            scopes=frozenset(shown),
            expires=self._clock.now() + timedelta(seconds=life),
            service_account=service_account,
            refresh=refresh,
        )
        return {
            "access_token": token,
            "expires_in": life,
            "scope": " ".join(shown),
            "token_type": "Bearer",
        }

    # --- tokens in use --------------------------------------------------------------------

    def caller(self, token: str) -> AccessToken | None:
        """Whose access token this is; None when unknown, expired or revoked."""
        found = self.access_tokens.get(token)
        if found is None:
            return None
        if found.expires <= self._clock.now():
            del self.access_tokens[token]
            return None
        return found

    def mint_access(self, email: str, granted: Iterable[str], client: str = "sandbox") -> str:
        """An access token without consent, for tests and tools."""
        return str(self._access(client, email, granted, None)["access_token"])

    def mint_refresh(self, client_id: str, email: str, granted: Iterable[str]) -> str:
        """A refresh token as after consent, for tests and tools."""
        held = tuple(granted)
        self.grants.setdefault(f"{email} {client_id}", set()).update(held)
        return self._new_refresh(self.clients[client_id], email, held)

    def revoke(self, token: str) -> None:
        """The whole grant of that user in this project ends; 400 for an unknown token."""
        refresh, access = self.refresh_tokens.get(token), self.access_tokens.get(token)
        if refresh is not None and not refresh.revoked:
            self.revoke_user(refresh.user)
        elif access is not None and access.service_account:
            del self.access_tokens[token]
        elif access is not None:
            self.revoke_user(access.user)
        else:
            raise OAuthError("invalid_token", "Token expired or revoked")

    def revoke_user(self, email: str) -> None:
        """As when the user removes the app's access in the Google account."""
        for held in self.refresh_tokens.values():
            held.revoked = held.revoked or held.user == email
        self.access_tokens = {
            token: held
            for token, held in self.access_tokens.items()
            if held.user != email or held.service_account
        }
        self.grants = {k: v for k, v in self.grants.items() if not k.startswith(f"{email} ")}

    def expire_access(self, email: str | None = None) -> int:
        """End access tokens before their time; returns how many."""
        gone = [t for t, held in self.access_tokens.items() if email in (None, held.user)]
        for token in gone:
            del self.access_tokens[token]
        return len(gone)

    # --- identity -------------------------------------------------------------------------

    def id_token(self, audience: str, email: str, nonce: str | None) -> str:
        """Signed by the newest key. Its times are real ones: the client's clock judges them."""
        user = self._find_user(email)
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "azp": audience,
            "aud": audience,
            "sub": user.sub if user else "",
            "email": email,
            "email_verified": True,
            "hd": email.partition("@")[2],
            "name": user.name if user else "",
            "iat": now,
            "exp": now + 3600,
        }
        return self.signing_keys[-1].sign(claims | ({"nonce": nonce} if nonce else {}))

    def rotate_signing_key(self) -> str:
        """A new key for ID tokens; the one before stays published. Returns the new key's id."""
        self.signing_keys = [self.signing_keys[-1], keys.new_key()]
        return self.signing_keys[-1].kid


def _check_pkce(challenge: str | None, verifier: str | None) -> None:
    """Once a challenge was sent, the verifier is required."""
    if challenge is None:
        return
    if not verifier:
        raise OAuthError("invalid_grant", "Missing code verifier.")
    digest = hashlib.sha256(verifier.encode()).digest()
    made = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    if not hmac.compare_digest(made, challenge):
        raise OAuthError("invalid_grant", "Invalid code verifier.")


def _check_assertion(
    account: ServiceAccount, header: Json, claims: Json, assertion: str, audience: str
) -> None:
    """Signature, audience and times; the times by the real clock, since the client has no other."""
    kid = header.get("kid")
    # Key files of the old kind (P12) have no key id: then each of the account's keys may fit.
    tried = [public for name, public in account.public_keys.items() if kid in (None, name)]
    if not any(keys.fits(assertion, public) for public in tried):
        raise OAuthError("invalid_grant", "Invalid JWT Signature.")
    if claims.get("aud") not in (audience, "https://oauth2.googleapis.com/token"):
        raise OAuthError("invalid_grant", "Invalid JWT: Failed audience check.")
    now = datetime.now(UTC).timestamp()
    try:
        issued, expires = float(claims["iat"]), float(claims["exp"])
    except (KeyError, TypeError, ValueError):
        raise OAuthError("invalid_grant", "Invalid JWT: iat and exp are required.") from None
    longest = expires - issued > MOST_ASSERTION_SECONDS
    if longest or issued > now + SKEW_SECONDS or expires < now - SKEW_SECONDS:
        raise OAuthError(
            "invalid_grant",
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
            "timeframe. Check your iat and exp values in the JWT claim.",
        )
