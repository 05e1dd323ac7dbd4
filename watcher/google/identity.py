"""Who consented: verification of Google's ID token.

https://developers.google.com/identity/openid-connect/openid-connect#validatinganidtoken.
The user's key is ``sub``, never the e-mail address.
"""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import dataclass
from typing import Any, Final

import requests
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.auth import jwt
from google.auth.exceptions import GoogleAuthError

from watcher.errors import Transient
from watcher.google.errors import SIDE, ConsentFailed

ISSUERS: Final = ("accounts.google.com", "https://accounts.google.com")
CLOCK_SKEW: Final = 10
TIMEOUT: Final = (5.0, 10.0)
_decode: Any = jwt.decode  # untyped in google-auth


class BadIdToken(ConsentFailed):
    """The ID token does not prove who consented (signature, audience, issuer, time or nonce)."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"Google's proof of identity is not valid: {what}",
            cause="bad_id_token",
            side=SIDE,
            next_step="Open the invitation link again; if it happens twice, check the clock.",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """The Google account: ``sub`` is its key for good; ``email`` in lower case."""

    sub: str
    email: str
    email_verified: bool


def verify_id_token(
    id_token: str,
    audience: str,
    certs_url: str,
    nonce: str | None = None,
) -> Identity:
    """Check signature, audience, issuer, times and nonce. Raises ``BadIdToken``, ``Transient``.

    ``certs_url`` serves a map of key id to PEM certificate, or a JWK set.
    """
    if not audience:
        raise ValueError("without an audience google-auth would accept anybody's token")
    certs = _fetch_certs(certs_url)
    try:
        claims = _decode(id_token, certs=certs, audience=audience, clock_skew_in_seconds=CLOCK_SKEW)
    except (
        GoogleAuthError,
        ValueError,
        TypeError,
        KeyError,
        UnsupportedAlgorithm,
    ) as error:
        # Only the kind of failure: google-auth's message can quote the token's content.
        raise BadIdToken(type(error).__name__) from None
    if claims.get("iss") not in ISSUERS:
        raise BadIdToken("wrong issuer")
    if nonce is not None and not _same(claims.get("nonce"), nonce):
        raise BadIdToken("wrong nonce")
    return _identity(claims)


def _identity(claims: Any) -> Identity:
    sub, email = claims.get("sub"), claims.get("email")
    if not isinstance(sub, str) or not sub or not isinstance(email, str) or "@" not in email:
        raise BadIdToken("no account in it")
    verified = claims.get("email_verified") in (True, "true")
    return Identity(sub=sub, email=email.strip().lower(), email_verified=verified)


def _same(given: object, expected: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode(), expected.encode())


def _fetch_certs(certs_url: str) -> dict[str, str]:
    try:
        answer = requests.get(certs_url, timeout=TIMEOUT)
        document = json.loads(answer.content) if answer.status_code == 200 else None
    except (requests.RequestException, OSError, ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Transient("Google's certificates cannot be read now", side=SIDE)
    if isinstance(document.get("keys"), list):
        return _from_jwks(document["keys"])
    return {kid: pem for kid, pem in document.items() if isinstance(pem, str)}


def _from_jwks(keys: list[Any]) -> dict[str, str]:
    """RSA keys of a JWK set as PEM public keys; keys of other kinds are not Google's."""
    found: dict[str, str] = {}
    for key in keys:
        if isinstance(key, dict) and key.get("kty") == "RSA" and isinstance(key.get("kid"), str):
            numbers = RSAPublicNumbers(e=_number(key.get("e")), n=_number(key.get("n")))
            try:
                public = numbers.public_key()
            except ValueError:
                raise Transient("Google's certificates cannot be read now", side=SIDE) from None
            pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            found[key["kid"]] = pem.decode("ascii")
    return found


def _number(text: object) -> int:
    if not isinstance(text, str):
        return 0
    try:
        return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        return 0
