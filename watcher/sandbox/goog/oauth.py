"""Google's OAuth: consent page, token endpoint, ID tokens, service accounts, revocation."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from google.auth import crypt, jwt

from watcher.sandbox.goog.errors import ApiError
from watcher.sandbox.goog.store import Store

CALENDAR_SCOPES = ("calendar", "calendar.readonly", "calendar.events", "calendar.events.readonly")
PREFIX = "https://www.googleapis.com/auth/"


class OAuthError(Exception):
    """A refusal of the token endpoint: ``error`` and ``error_description``."""

    def __init__(self, error: str, description: str = "", status: int = 400) -> None:
        super().__init__(error)
        self.error, self.description, self.status = error, description or error, status


@dataclass
class Code:
    email: str
    scopes: list[str]
    challenge: str
    redirect_uri: str
    nonce: str | None
    offline: bool


@dataclass
class Grant:
    email: str
    scopes: list[str]


@dataclass
class OAuth:
    """Codes, grants and tokens of one sandbox. ``access_life`` is in seconds."""

    store: Store
    client_id: str = "sandbox-client.apps.googleusercontent.com"
    client_secret: str = "sandbox-client-secret"
    access_life: int = 3600
    codes: dict[str, Code] = field(default_factory=dict)
    refresh: dict[str, Grant] = field(default_factory=dict)
    access: dict[str, tuple[Grant, datetime]] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)
    undelegated: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.kid = secrets.token_hex(8)

    # --- consent ------------------------------------------------------------------------------

    def authorize(self, args: dict[str, str], email: str, scopes: list[str]) -> str:
        code = "4/" + secrets.token_urlsafe(32)
        self.codes[code] = Code(
            email, scopes, args.get("code_challenge", ""), args["redirect_uri"],
            args.get("nonce"), args.get("access_type") == "offline",
        )  # fmt: skip
        return code

    def token(self, form: dict[str, str], basic: tuple[str, str] | None) -> dict[str, Any]:
        kind = form.get("grant_type")
        if kind == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return self._delegated(form)
        given = basic or (form.get("client_id", ""), form.get("client_secret", ""))
        if given != (self.client_id, self.client_secret):
            raise OAuthError("invalid_client", "Unauthorized", 401)
        if kind == "authorization_code":
            return self._exchange(form)
        if kind == "refresh_token":
            grant = self.refresh.get(form.get("refresh_token", ""))
            if grant is None or grant.email in self.dead:
                raise OAuthError("invalid_grant", "Token has been expired or revoked.")
            return self._issue(grant)
        raise OAuthError("unsupported_grant_type")

    def _exchange(self, form: dict[str, str]) -> dict[str, Any]:
        code = self.codes.pop(form.get("code", ""), None)
        if code is None:
            raise OAuthError("invalid_grant", "Bad Request")
        if code.redirect_uri != form.get("redirect_uri"):
            raise OAuthError("redirect_uri_mismatch", "Bad Request")
        if code.challenge:
            verifier = form.get("code_verifier", "")
            digest = hashlib.sha256(verifier.encode()).digest()
            if base64.urlsafe_b64encode(digest).decode().rstrip("=") != code.challenge:
                raise OAuthError("invalid_grant", "Missing code verifier.")
        grant = Grant(code.email, code.scopes)
        self.dead.discard(code.email)
        answer = self._issue(grant)
        if code.offline:
            answer["refresh_token"] = "1//" + secrets.token_urlsafe(40)
            self.refresh[answer["refresh_token"]] = grant
        if "openid" in code.scopes:
            answer["id_token"] = self._id_token(code)
        return answer

    def _issue(self, grant: Grant) -> dict[str, Any]:
        token = "ya29." + secrets.token_urlsafe(60)
        self.access[token] = (grant, self.store.now() + timedelta(seconds=self.access_life))
        return {
            "access_token": token, "expires_in": self.access_life, "token_type": "Bearer",
            "scope": " ".join(grant.scopes),
        }  # fmt: skip

    def _id_token(self, code: Code) -> str:
        user = self.store.users[code.email]
        now = int(datetime.now(UTC).timestamp())
        claims = {
            "iss": "https://accounts.google.com", "aud": self.client_id, "azp": self.client_id,
            "sub": user.sub, "email": user.email, "email_verified": True, "iat": now,
            "exp": now + 3600,
        }  # fmt: skip
        if code.nonce:
            claims["nonce"] = code.nonce
        pem = _pem(self._key)
        signer = crypt.RSASigner.from_string(pem, key_id=self.kid)
        token: bytes = jwt.encode(signer, claims)
        return token.decode()

    def certificates(self) -> dict[str, str]:
        """The PEM map of /oauth2/v1/certs."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .sign(self._key, hashes.SHA256())
        )
        return {self.kid: certificate.public_bytes(serialization.Encoding.PEM).decode()}

    # --- service accounts -----------------------------------------------------------------------

    def make_service_account(self, path: Path, token_url: str) -> str:
        """Write a key file like Google's and know its public half; returns the address."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        email = f"watcher-{secrets.token_hex(4)}@sandbox.iam.gserviceaccount.com"
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.accounts[email] = public.decode()
        document = {
            "type": "service_account", "project_id": "sandbox",
            "private_key_id": secrets.token_hex(20), "private_key": _pem(key).decode(),
            "client_email": email, "client_id": str(10**20 + secrets.randbelow(10**9)),
            "token_uri": token_url,
        }  # fmt: skip
        path.touch(mode=0o600)
        path.write_text(json.dumps(document, indent=2))
        return email

    def _delegated(self, form: dict[str, str]) -> dict[str, Any]:
        assertion = form.get("assertion", "")
        try:
            claims = jwt.decode(assertion, verify=False)
            public = self.accounts[claims["iss"]]
            verifier = crypt.RSAVerifier.from_string(public)
            signed, _, signature = assertion.rpartition(".")
            raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
            if not verifier.verify(signed.encode(), raw):
                raise OAuthError("invalid_grant", "Invalid JWT Signature.")
        except (KeyError, ValueError):
            raise OAuthError("invalid_grant", "Invalid JWT") from None
        email = str(claims.get("sub", "")).lower()
        scopes = str(claims.get("scope", "")).split()
        if email in self.undelegated or not scopes:
            raise OAuthError("unauthorized_client", "Client is unauthorized to retrieve access "
                             "tokens using this method, or client not authorized for any of the "
                             "scopes requested.", 401)  # fmt: skip
        if email not in self.store.users or email in self.dead:
            raise OAuthError("invalid_grant", "Invalid email or User ID")
        return self._issue(Grant(email, scopes))

    # --- use --------------------------------------------------------------------------------------

    def user_of(self, header: str, need: tuple[str, ...] = CALENDAR_SCOPES) -> str:
        grant, expires = self.access.get(header.removeprefix("Bearer "), (None, self.store.now()))
        if grant is None or expires <= self.store.now() or grant.email in self.dead:
            raise ApiError(401, "authError", "Invalid Credentials", "global")
        if not any(PREFIX + scope in grant.scopes for scope in need):
            raise ApiError(403, "insufficientPermissions", "Insufficient Permission", "global")
        return grant.email

    def revoke(self, token: str) -> bool:
        grant = self.refresh.pop(token, None) or self.access.get(token, (None, None))[0]
        if grant is None:
            return False
        self.forget(grant.email)
        return True

    def forget(self, email: str) -> None:
        """End every grant of a person, as revoking one does."""
        self.refresh = {t: g for t, g in self.refresh.items() if g.email != email}
        self.access = {t: v for t, v in self.access.items() if v[0].email != email}

    def expire_access(self) -> None:
        now = self.store.now()
        self.access = {t: (g, now) for t, (g, _) in self.access.items()}


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
