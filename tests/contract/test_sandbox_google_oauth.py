"""The stand-in does what Google documents of OAuth, asked through google-auth and by plain HTTP."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from google.auth import crypt, jwt
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request
from google.oauth2 import id_token, service_account
from google.oauth2.credentials import Credentials

from watcher_sandbox.google import Server, serve
from watcher_sandbox.google.keys import new_key

ANN = "ann@icecream.example"
CLIENT, SECRET = "watcher.apps.googleusercontent.com", "s3cret+/="
REDIRECT = "http://127.0.0.1:9/oauth/google/callback"
EVENTS = "https://www.googleapis.com/auth/calendar.events.readonly"
MAIL = "https://www.googleapis.com/auth/userinfo.email"


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with serve() as server:
        yield server


@pytest.fixture
def google(running: Server) -> Server:
    running.state.reset()
    running.state.add_user(ANN, "Ann Gelato")
    running.state.add_client(CLIENT, SECRET, [REDIRECT])
    return running


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        yield made


@pytest.fixture
def transport(session: requests.Session) -> Request:
    return Request(session)


class Browser:
    """An employee at the consent page: reads the form and sends it back, as a browser does."""

    def __init__(self, server: Server, session: requests.Session) -> None:
        self.url = f"{server.url}/o/oauth2/v2/auth"
        self.session = session

    def open(self, **changes: str | None) -> requests.Response:
        params: dict[str, str | None] = {
            "client_id": CLIENT,
            "redirect_uri": REDIRECT,
            "response_type": "code",
            "scope": f"openid email {EVENTS}",
            "access_type": "offline",
            "state": "st&te",
            **changes,
        }
        return self.session.get(self.url, params=params, timeout=10)

    def decide(
        self, decision: str = "allow", tick: bool = True, account: str = ANN, **changes: str | None
    ) -> dict[str, str]:
        return self.send(self.open(**changes), decision, tick, account)

    def send(
        self,
        page: requests.Response,
        decision: str = "allow",
        tick: bool = True,
        account: str = ANN,
    ) -> dict[str, str]:
        assert page.status_code == 200, page.text
        hidden = re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', page.text)
        form: dict[str, Any] = {name: value.replace("&amp;", "&") for name, value in hidden}
        form |= {"account": account, "decision": decision}
        if tick:
            form["grant"] = re.findall(r'type="checkbox" name="grant" value="([^"]*)"', page.text)
        answer = self.session.post(page.url, data=form, allow_redirects=False, timeout=10)
        assert answer.status_code == 302, answer.text
        assert answer.headers["Location"].startswith(REDIRECT)
        parts = parse_qs(urlsplit(answer.headers["Location"]).query)
        return {name: values[0] for name, values in parts.items()}


@pytest.fixture
def browser(google: Server, session: requests.Session) -> Browser:
    return Browser(google, session)


def exchange(
    google: Server, session: requests.Session, code: str, basic: bool = False, **changes: str
) -> requests.Response:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
    auth = (CLIENT, SECRET.replace("+", "%2B")) if basic else None
    if not basic:
        form |= {"client_id": CLIENT, "client_secret": SECRET}
    return session.post(f"{google.url}/token", data={**form, **changes}, auth=auth, timeout=10)


class TestConsent:
    def test_allow(self, google: Server, session: requests.Session, browser: Browser) -> None:
        page = browser.open().text
        assert "Ann Gelato" in page
        assert 'type="radio"' in page
        assert f'value="{EVENTS}" checked' in page
        back = browser.decide(nonce="n-1")
        assert back["state"] == "st&te"
        answer = exchange(google, session, back["code"]).json()
        assert set(answer["scope"].split()) == {"openid", MAIL, EVENTS}
        assert answer["refresh_token"].startswith("1//")
        assert answer["expires_in"] == 3599
        assert answer["token_type"] == "Bearer"

    @pytest.mark.parametrize("basic", [True, False])
    def test_client_may_be_in_the_header_or_the_body(
        self, google: Server, session: requests.Session, browser: Browser, basic: bool
    ) -> None:
        code = browser.decide()["code"]
        assert exchange(google, session, code, basic).status_code == 200

    def test_deny(self, browser: Browser) -> None:
        back = browser.decide("deny")
        assert back == {"error": "access_denied", "state": "st&te"}

    def test_unticked_permission(
        self, google: Server, session: requests.Session, browser: Browser
    ) -> None:
        answer = exchange(google, session, browser.decide(tick=False)["code"]).json()
        assert set(answer["scope"].split()) == {"openid", MAIL}
        headers = {"Authorization": f"Bearer {answer['access_token']}"}
        url = f"{google.url}/calendar/v3/calendars/primary/events"
        assert session.get(url, headers=headers, timeout=10).status_code == 403

    @pytest.mark.parametrize(
        ("changes", "status", "error"),
        [
            ({"client_id": "nobody"}, 401, "invalid_client"),
            ({"redirect_uri": f"{REDIRECT}/"}, 400, "redirect_uri_mismatch"),
            ({"scope": None}, 400, "invalid_request"),
            ({"scope": "openid root"}, 400, "invalid_scope"),
            ({"response_type": "token"}, 400, "unsupported_response_type"),
            ({"code_challenge": "x", "code_challenge_method": "plain"}, 400, "invalid_request"),
        ],
    )
    def test_refused_requests(
        self, browser: Browser, changes: dict[str, str | None], status: int, error: str
    ) -> None:
        page = browser.open(**changes)
        assert page.status_code == status
        assert f"Error {status}: {error}" in page.text

    def test_policy(self, google: Server, browser: Browser) -> None:
        google.state.behaviour.consent_error = "admin_policy_enforced"
        assert "admin_policy_enforced" in browser.open().text

    def test_refresh_token_only_on_first_consent(
        self, google: Server, session: requests.Session, browser: Browser
    ) -> None:
        def answer(**changes: str | None) -> dict[str, Any]:
            page = browser.open(**changes)
            body: dict[str, Any] = exchange(google, session, browser.send(page)["code"]).json()
            return body

        assert "refresh_token" not in answer(access_type="online")
        google.state.revoke_user(ANN)
        assert "refresh_token" in answer()
        assert "refresh_token" not in answer()
        assert "refresh_token" in answer(prompt="consent")
        google.state.revoke_user(ANN)
        assert "refresh_token" in answer()


class TestPkce:
    VERIFIER = "v" * 64
    CHALLENGE = (
        base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
    )

    @pytest.mark.parametrize(
        ("verifier", "status", "text"),
        [
            (VERIFIER, 200, None),
            ("x" * 64, 400, "Invalid code verifier."),
            ("", 400, "Missing code verifier."),
        ],
    )
    def test_verifier(
        self,
        google: Server,
        session: requests.Session,
        browser: Browser,
        verifier: str,
        status: int,
        text: str | None,
    ) -> None:
        back = browser.decide(code_challenge=self.CHALLENGE, code_challenge_method="S256")
        answer = exchange(google, session, back["code"], code_verifier=verifier)
        assert answer.status_code == status
        assert answer.json().get("error_description") == text


class TestCodes:
    def test_good_once(self, google: Server, session: requests.Session, browser: Browser) -> None:
        code = browser.decide()["code"]
        assert exchange(google, session, code).status_code == 200
        again = exchange(google, session, code)
        assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")

    @pytest.mark.parametrize(
        ("changes", "status", "error"),
        [
            ({"client_secret": "wrong"}, 401, "invalid_client"),
            ({"client_id": "nobody"}, 401, "invalid_client"),
            ({"redirect_uri": "http://127.0.0.1:9/"}, 400, "redirect_uri_mismatch"),
            ({"grant_type": "password"}, 400, "unsupported_grant_type"),
            ({"code": "4/0made-up"}, 400, "invalid_grant"),
        ],
    )
    def test_refusals(
        self,
        google: Server,
        session: requests.Session,
        browser: Browser,
        changes: dict[str, str],
        status: int,
        error: str,
    ) -> None:
        form: dict[str, Any] = {"code": browser.decide()["code"]} | changes
        answer = exchange(google, session, **form)
        assert (answer.status_code, answer.json()["error"]) == (status, error)

    def test_expires(self, google: Server, session: requests.Session, browser: Browser) -> None:
        code = browser.decide()["code"]
        google.state.clock.set_offset(601)
        assert exchange(google, session, code).json()["error"] == "invalid_grant"

    def test_deleted_client(
        self, google: Server, session: requests.Session, browser: Browser
    ) -> None:
        code = browser.decide()["code"]
        google.state.oauth.clients[CLIENT].deleted = True
        answer = exchange(google, session, code)
        assert (answer.status_code, answer.json()["error"]) == (401, "deleted_client")


class TestRefresh:
    def credentials(self, google: Server, **more: Any) -> Credentials:
        token = google.state.oauth.mint_refresh(CLIENT, ANN, ["openid", "email", EVENTS])
        return Credentials(
            None,
            refresh_token=token,
            token_uri=f"{google.url}/token",
            client_id=CLIENT,
            client_secret=SECRET,
            **more,
        )

    def test_refresh(self, google: Server, transport: Any) -> None:
        credentials = self.credentials(google, scopes=["openid", MAIL, EVENTS])
        credentials.refresh(transport)
        assert credentials.valid
        assert set(credentials.granted_scopes) == {"openid", MAIL, EVENTS}
        assert credentials.id_token

    def test_scope_beyond_the_grant(self, google: Server, transport: Any) -> None:
        wide = self.credentials(google, scopes=["https://www.googleapis.com/auth/calendar"])
        with pytest.raises(RefreshError, match="invalid_scope"):
            wide.refresh(transport)

    def test_revoked_by_the_user(self, google: Server, transport: Any) -> None:
        credentials = self.credentials(google)
        google.state.revoke_user(ANN)
        with pytest.raises(RefreshError, match="Token has been expired or revoked"):
            credentials.refresh(transport)

    def test_testing_mode(self, google: Server, transport: Any) -> None:
        google.state.behaviour.refresh_token_ttl = 7 * 86_400
        credentials = self.credentials(google)
        google.state.clock.set_offset(7 * 86_400 - 10)
        credentials.refresh(transport)
        google.state.clock.set_offset(7 * 86_400 + 10)
        with pytest.raises(RefreshError, match="invalid_grant"):
            credentials.refresh(transport)

    def test_hundred_and_first_kills_the_oldest(self, google: Server, transport: Any) -> None:
        oldest, second = self.credentials(google), self.credentials(google)
        for _ in range(99):
            self.credentials(google)
        second.refresh(transport)
        with pytest.raises(RefreshError, match="invalid_grant"):
            oldest.refresh(transport)

    @pytest.mark.parametrize("which", ["refresh", "access"])
    def test_revoke(
        self, google: Server, session: requests.Session, transport: Any, which: str
    ) -> None:
        credentials, other = self.credentials(google), self.credentials(google)
        credentials.refresh(transport)
        token = credentials.refresh_token if which == "refresh" else credentials.token
        url = f"{google.url}/revoke"
        assert session.post(url, data={"token": token}, timeout=10).status_code == 200
        for dead in (credentials, other):  # the whole grant, not one token
            with pytest.raises(RefreshError, match="invalid_grant"):
                dead.refresh(transport)
        again = session.post(url, data={"token": token}, timeout=10)
        assert (again.status_code, again.json()["error"]) == (400, "invalid_token")


class TestIdToken:
    @pytest.mark.parametrize("path", ["v1", "v3"])
    def test_verified_by_google_auth(
        self,
        google: Server,
        session: requests.Session,
        browser: Browser,
        transport: Any,
        path: str,
    ) -> None:
        code = browser.decide(nonce="n-1")["code"]
        token = exchange(google, session, code).json()["id_token"]
        certs = f"{google.url}/oauth2/{path}/certs"
        if path == "v3":
            keys = session.get(certs, timeout=10).json()["keys"]
            assert [key["alg"] for key in keys] == ["RS256"]
            return
        claims = id_token.verify_token(token, transport, audience=CLIENT, certs_url=certs)
        assert claims["iss"] == "https://accounts.google.com"
        assert claims["email"] == ANN
        assert claims["email_verified"] is True
        assert claims["nonce"] == "n-1"
        assert claims["sub"] == google.state.users[ANN].sub
        assert abs(claims["iat"] - time.time()) < 30
        with pytest.raises(ValueError, match="audience"):
            id_token.verify_token(token, transport, audience="another", certs_url=certs)

    def test_rotation_keeps_the_last_key(self, google: Server, transport: Any) -> None:
        certs = f"{google.url}/oauth2/v1/certs"
        old = google.state.oauth.id_token(CLIENT, ANN, None)
        google.state.oauth.rotate_signing_key()
        new = google.state.oauth.id_token(CLIENT, ANN, None)
        for token in (old, new):
            assert id_token.verify_token(token, transport, CLIENT, certs)["email"] == ANN


class TestServiceAccount:
    def credentials(
        self, google: Server, subject: str | None = ANN, scope: str = EVENTS, **changes: str
    ) -> Any:
        info = google.state.add_service_account(google.url, [EVENTS])
        made = service_account.Credentials.from_service_account_info({**info, **changes})
        made = made.with_scopes([scope])
        return made.with_subject(subject) if subject else made

    def test_delegation(self, google: Server, session: requests.Session, transport: Any) -> None:
        credentials = self.credentials(google)
        credentials.refresh(transport)
        headers = {"Authorization": f"Bearer {credentials.token}"}
        url = f"{google.url}/calendar/v3/calendars/primary/events"
        answer = session.get(url, headers=headers, timeout=10)
        assert answer.json()["summary"] == ANN

    def test_the_clock_offset_does_not_matter(self, google: Server, transport: Any) -> None:
        google.state.clock.set_offset(30 * 86_400)
        self.credentials(google).refresh(transport)

    @pytest.mark.parametrize(
        ("more", "error"),
        [
            ({"scope": "https://www.googleapis.com/auth/calendar"}, "unauthorized_client"),
            ({"subject": "nobody@icecream.example"}, "Invalid email or User ID"),
            ({"private_key": new_key().private_pem()}, "Invalid JWT Signature"),
            ({"client_email": "x@sandbox-project.iam.gserviceaccount.com"}, "account not found"),
            ({"private_key_id": "0" * 40}, "Invalid JWT Signature"),
        ],
    )
    def test_refusals(
        self, google: Server, transport: Any, more: dict[str, str], error: str
    ) -> None:
        with pytest.raises(RefreshError, match=error):
            self.credentials(google, **more).refresh(transport)

    @pytest.mark.parametrize(
        ("changes", "status"),
        [
            ({}, 200),
            ({"aud": "https://elsewhere.example/token"}, 400),
            ({"exp": 7200}, 400),
            ({"iat": -9000, "exp": -6000}, 400),
            ({"scope": ""}, 400),
        ],
    )
    def test_assertion(
        self, google: Server, session: requests.Session, changes: dict[str, Any], status: int
    ) -> None:
        info = google.state.add_service_account(google.url, [EVENTS])
        claims: dict[str, Any] = {"aud": f"{google.url}/token", "iat": 0, "exp": 3600}
        claims |= {"scope": EVENTS} | changes
        now = int(time.time())
        claims |= {"iss": info["client_email"], "sub": ANN}
        claims |= {"iat": now + claims["iat"], "exp": now + claims["exp"]}
        signer = crypt.RSASigner.from_service_account_info(info)
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": jwt.encode(signer, claims).decode(),
        }
        answer = session.post(f"{google.url}/token", data=form, timeout=10)
        assert answer.status_code == status, answer.text
