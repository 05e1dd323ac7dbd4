"""RSA keys: Google's own for ID tokens, service accounts', and signed JSON web tokens."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

BITS = 2048
"""Of a new key. Tests take fewer: to read such a key takes the longer, the more it has."""


class BadToken(Exception):
    """A JSON web token that is malformed."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key with its id (a hash of the public part, as Google's are hex)."""

    kid: str
    private: RSAPrivateKey = field(repr=False, compare=False)

    @property
    def public(self) -> RSAPublicKey:
        return self.private.public_key()

    def sign(self, claims: dict[str, Any]) -> str:
        """An RS256 token with this key's id in its header."""
        head = {"alg": "RS256", "kid": self.kid, "typ": "JWT"}
        text = f"{_pack(json.dumps(head).encode())}.{_pack(json.dumps(claims).encode())}"
        return f"{text}.{_pack(self.private.sign(text.encode(), PKCS1v15(), SHA256()))}"

    def private_pem(self) -> str:
        return self.private.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ).decode()

    def certificate_pem(self) -> str:
        """A self-signed certificate, as /oauth2/v1/certs lists them."""
        return _certificate(self)

    def jwk(self) -> dict[str, str]:
        numbers = self.public.public_numbers()
        return {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": self.kid,
            "n": _pack(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8)),
            "e": _pack(numbers.e.to_bytes(3)),
        }


def new_key() -> SigningKey:
    private = generate_private_key(public_exponent=65537, key_size=BITS)
    packed = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return SigningKey(hashlib.sha1(packed).hexdigest(), private)


@lru_cache(maxsize=4)
def shared_key(name: str) -> SigningKey:
    """One key a process and name: making one takes up to half a second."""
    return new_key()


@lru_cache(maxsize=16)
def _certificate(key: SigningKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox.google")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
        .sign(key.private, SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode()


def unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(header, claims) of a token; its signature is not checked here."""
    try:
        head, claims, _ = (_unpack(part) for part in token.split("."))
        found = json.loads(head), json.loads(claims)
    except ValueError:
        raise BadToken("malformed") from None
    if not all(isinstance(part, dict) for part in found):
        raise BadToken("malformed")
    return found


def fits(token: str, public: RSAPublicKey) -> bool:
    """Is the token RS256-signed by this key?"""
    header, _ = unverified(token)
    text, _, signature = token.rpartition(".")
    try:
        public.verify(_unpack(signature), text.encode(), PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return header.get("alg") == "RS256"


def _pack(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unpack(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
