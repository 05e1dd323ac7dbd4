"""The consent flow: the address, the exchange, the ID token, revoking."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from google.auth import crypt, jwt

from tests.unit.google.scripted_google import Answer, Scripted
from watcher.errors import AppDead, Permanent, Transient
from watcher.google import consent
from watcher.google.consent import ConsentDenied, ConsentFailed
from watcher.google.endpoints import CALENDAR_SCOPE, OAUTH_SCOPES, GoogleEndpoints

CALLBACK = "https://watcher.example.com/oauth/google/callback"
CLIENT = "client.apps.googleusercontent.com"


def endpoints(url: str) -> GoogleEndpoints:
    return GoogleEndpoints(
        auth_url=f"{url}/auth",
        token_url=f"{url}/token",
        revoke_url=f"{url}/revoke",
        certs_url=f"{url}/certs",
        client_id=CLIENT,
        client_secret="GOCSPX-secret",
    )


# --- the consent page -----------------------------------------------------------------------


@pytest.mark.parametrize("root", ["https://accounts.example.com", "http://127.0.0.1:9"])
def test_the_address_of_the_consent_page(root: str) -> None:
    verifier = consent.new_code_verifier()
    wanted = consent.ConsentRequest(
        state="st&te",
        code_challenge=consent.code_challenge(verifier),
        redirect_uri=CALLBACK,
        login_hint="ann@example.com",
        nonce="n0",
    )
    url = consent.authorization_url(endpoints(root), wanted)
    assert url.startswith(f"{root}/auth?")
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert query == {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": CALLBACK,
        "scope": f"openid email {CALENDAR_SCOPE}",
        "state": "st&te",
        "code_challenge": consent.code_challenge(verifier),
        "code_challenge_method": "S256",
        "access_type": "offline",
        "prompt": "consent",
        "login_hint": "ann@example.com",
        "nonce": "n0",
    }


def test_pkce_follows_the_rfc() -> None:
    """The example of RFC 7636, appendix B."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert consent.code_challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    made = {consent.new_code_verifier() for _ in range(10)}
    assert len(made) == 10
    assert all(43 <= len(verifier) <= 128 for verifier in made)


# --- the exchange ---------------------------------------------------------------------------


def exchange(google: Scripted, timeout: float = 5.0) -> consent.TokenAnswer:
    given = consent.AuthorizationCode(code="4/code", verifier="v" * 43, redirect_uri=CALLBACK)
    return consent.exchange(endpoints(google.url), given, timeout=timeout)


def answer(**fields: Any) -> Answer:
    scope = f"openid https://www.googleapis.com/auth/userinfo.email {CALENDAR_SCOPE}"
    body = {
        "access_token": "ya29.a",
        "refresh_token": "1//r",
        "expires_in": 3599,
        "scope": scope,
        "id_token": "eyJ.x.y",
        **fields,
    }
    return Answer(body={name: value for name, value in body.items() if value is not None})


def test_a_code_becomes_tokens(google: Scripted) -> None:
    google.say(answer())
    got = exchange(google)
    assert (got.access_token, got.refresh_token, got.id_token) == ("ya29.a", "1//r", "eyJ.x.y")
    assert abs(got.expires_at - datetime.now(UTC) - timedelta(seconds=3599)).total_seconds() < 30
    assert got.scopes == frozenset(OAUTH_SCOPES)
    assert consent.missing_scopes(got.scopes) == frozenset()
    assert google.asked[0].form == {
        "grant_type": "authorization_code",
        "code": "4/code",
        "code_verifier": "v" * 43,
        "redirect_uri": CALLBACK,
        "client_id": CLIENT,
        "client_secret": "GOCSPX-secret",
    }
    for secret in ("ya29", "1//", "eyJ"):
        assert secret not in repr(got)


def test_an_unticked_scope_and_a_missing_refresh_token_are_seen(google: Scripted) -> None:
    google.say(answer(scope="openid email", refresh_token=None))
    got = exchange(google)
    assert consent.missing_scopes(got.scopes) == {CALENDAR_SCOPE}
    assert got.refresh_token is None


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": "invalid_grant", "error_description": "Bad Request"}, ConsentFailed),
        (400, {"error": "redirect_uri_mismatch"}, AppDead),
        (401, {"error": "invalid_client"}, AppDead),
        (400, {"error": "admin_policy_enforced"}, ConsentDenied),
        (502, b"<html>", Transient),
        (503, {"error": "invalid_grant"}, Transient),
        (400, b"<html>", Transient),
        (200, b"{", Transient),
        (200, [], Transient),
        (200, {"access_token": "ya29.a", "expires_in": 1}, Transient),
        (307, b"", Transient),
    ],
)
def test_a_refused_exchange(
    google: Scripted, status: int, body: Any, kind: type[Exception]
) -> None:
    google.say(Answer(status, body, headers={"location": "/elsewhere"}))
    with pytest.raises(kind) as caught:
        exchange(google)
    assert len(google.asked) == 1
    assert "GOCSPX" not in f"{caught.value!r}{caught.value.__cause__!r}"


def test_an_exchange_without_an_answer(google: Scripted) -> None:
    google.say(Answer(hang=True))
    with pytest.raises(Transient):
        exchange(google, timeout=0.2)


@pytest.mark.parametrize(
    ("code", "kind", "cause"),
    [
        ("access_denied", ConsentDenied, "access_denied"),
        ("org_internal", ConsentDenied, "org_internal"),
        ("disallowed_useragent", ConsentFailed, "disallowed_useragent"),
        ("deleted_client", AppDead, "deleted_client"),
        ("<script>alert(1)</script>", ConsentFailed, "unknown_error"),
        ("", ConsentFailed, "unknown_error"),
    ],
)
def test_errors_of_the_callback(code: str, kind: type[Permanent], cause: str) -> None:
    error = consent.callback_error(code)
    assert type(error) is kind
    assert isinstance(error, Permanent)
    assert error.cause == cause
    assert error.next_step


# --- the ID token ---------------------------------------------------------------------------


class Signer:
    """A key as Google would have one: signs tokens, published as certificate or JWK set."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._signer: Any = crypt.RSASigner.from_string(pem, "k1")

    def token(self, **fields: Any) -> str:
        now = int(time.time())
        claims = {
            "iss": "https://accounts.google.com",
            "aud": CLIENT,
            "sub": "1122",
            "email": "Ann@Example.com",
            "email_verified": True,
            "iat": now,
            "exp": now + 3600,
            "nonce": "n0",
            **fields,
        }
        encode: Any = jwt.encode
        signed: bytes = encode(self._signer, claims)
        return signed.decode()

    def pem_map(self) -> dict[str, str]:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "federated-signon")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .sign(self.key, SHA256())
        )
        return {"k1": certificate.public_bytes(Encoding.PEM).decode()}

    def jwks(self) -> dict[str, Any]:
        numbers = self.key.public_key().public_numbers()
        key = {"kty": "RSA", "kid": "k1", "n": number(numbers.n), "e": number(numbers.e)}
        return {"keys": [{"kty": "EC", "kid": "k0"}, key]}


def number(value: int) -> str:
    raw = value.to_bytes((value.bit_length() + 7) // 8)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer()


def verify(google: Scripted, token: str) -> consent.Identity:
    return consent.verify_id_token(token, CLIENT, f"{google.url}/certs", "n0")


@pytest.mark.parametrize("form", ["pem_map", "jwks"])
def test_who_it_is(google: Scripted, signer: Signer, form: str) -> None:
    google.say(Answer(body=getattr(signer, form)()))
    identity = verify(google, signer.token())
    assert (identity.sub, identity.email) == ("1122", "ann@example.com")
    assert identity.email_verified


def test_a_clock_a_little_off_is_forgiven(google: Scripted, signer: Signer) -> None:
    google.otherwise = lambda _: Answer(body=signer.pem_map())
    now = int(time.time())
    assert verify(google, signer.token(iat=now + 5)).sub == "1122"
    with pytest.raises(ConsentFailed):
        verify(google, signer.token(iat=now + 60))


@pytest.mark.parametrize(
    "fields",
    [
        {"aud": "another"},
        {"iss": "https://evil.example.com"},
        {"exp": 1_700_000_000, "iat": 1_699_999_000},
        {"nonce": "other"},
        {"nonce": None},
        {"sub": ""},
        {"sub": 7},
        {"email": None},
        {"iat": "soon"},
        {"exp": None},
    ],
)
def test_a_false_claim(google: Scripted, signer: Signer, fields: dict[str, Any]) -> None:
    google.otherwise = lambda _: Answer(body=signer.pem_map())
    with pytest.raises(ConsentFailed) as caught:
        verify(google, signer.token(**fields))
    assert caught.value.cause == "bad_id_token"


def test_another_signer_or_no_token_at_all(google: Scripted, signer: Signer) -> None:
    google.otherwise = lambda _: Answer(body=signer.pem_map())
    good = signer.token()
    forged = Signer().token()
    for token in (forged, good[:-6] + "AAAAAA", "", "a.b.c", "eyJ", good.rsplit(".", 1)[0] + "."):
        with pytest.raises(ConsentFailed):
            verify(google, token)


def test_an_unverified_address_is_told(google: Scripted, signer: Signer) -> None:
    google.say(Answer(body=signer.jwks()))
    assert not verify(google, signer.token(email_verified=False)).email_verified


@pytest.mark.parametrize(
    "certs",
    [
        Answer(502, b""),
        Answer(200, b"<html>"),
        Answer(200, []),
        Answer(200, {"keys": [{"kty": "RSA", "kid": "k1", "n": 7, "e": "!"}]}),
    ],
)
def test_certificates_out_of_reach(google: Scripted, signer: Signer, certs: Answer) -> None:
    google.say(certs)
    with pytest.raises(Transient):
        verify(google, signer.token())


def test_without_an_audience_nothing_is_verified(google: Scripted, signer: Signer) -> None:
    with pytest.raises(ValueError, match="audience"):
        consent.verify_id_token(signer.token(), "", f"{google.url}/certs")


# --- revoking -------------------------------------------------------------------------------


def test_revoke(google: Scripted) -> None:
    google.say(Answer(200, {}), Answer(400, {"error": "invalid_token"}), Answer(503, b""))
    google.say(Answer(400, b"<html>"))
    url = f"{google.url}/revoke"
    assert consent.revoke("1//r", url) is True
    assert google.asked[0].form == {"token": "1//r"}
    assert google.asked[0].query == {}
    assert consent.revoke("1//r", url) is False
    for _ in range(2):
        with pytest.raises(Transient) as caught:
            consent.revoke("1//r", url)
        assert "1//r" not in str(caught.value)
