"""Access tokens: one refresh for all, ahead of time; only invalid_grant and kin are fatal."""

from __future__ import annotations

import base64
import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.unit.google.scripted_google import Answer, Asked, Scripted
from tests.unit.google.sqlite_tokens import SqliteTokens
from watcher.errors import AccessLost, AccountDead, AppDead, Transient, UserError
from watcher.google.credentials import AccessTokens
from watcher.google.delegation import Delegation, DelegationAllow, load_service_account
from watcher.google.endpoints import CALENDAR_SCOPE, GoogleEndpoints
from watcher.google.fetching import TokenSource
from watcher.google.grants import Grant
from watcher.google.refresh import FailedRefresh, error_code, refresh_failure

ANN = 1


def granted(token: str = "ya29.new", **fields: Any) -> Answer:
    return Answer(body={"access_token": token, "expires_in": 3599, "scope": "x", **fields})


def refused(code: str, description: str = "No.", status: int = 400, **fields: Any) -> Answer:
    return Answer(status, {"error": code, "error_description": description, **fields})


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


@pytest.fixture
def store(tmp_path: Path) -> SqliteTokens:
    return SqliteTokens(tmp_path / "ledger.sqlite")


@pytest.fixture(scope="session")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def key_file(tmp_path: Path, private_key: str) -> Path:
    path = tmp_path / "key.json"
    document = {
        "type": "service_account",
        "client_email": "watcher@project.iam.gserviceaccount.com",
        "client_id": "1234567890",
        "private_key": private_key,
        "token_uri": "https://elsewhere.example.com/token",
    }
    path.write_text(json.dumps(document))
    path.chmod(0o600)
    return path


def endpoints(google: Scripted) -> GoogleEndpoints:
    return GoogleEndpoints(
        token_url=f"{google.url}/token", client_id="client", client_secret="GOCSPX-secret"
    )


def tokens(store: SqliteTokens, google: Scripted, **options: Any) -> AccessTokens:
    waits = {name: options.pop(name) for name in ("wait_seconds",) if name in options}
    source = TokenSource(endpoints=endpoints(google), **{"timeout": 5.0, **options})
    return AccessTokens(store, source, **waits)


# --- when -----------------------------------------------------------------------------------


def test_a_token_with_life_left_is_used_without_asking(
    store: SqliteTokens, google: Scripted
) -> None:
    store.add(ANN, access="ya29.old", expires_at=soon(301))
    assert tokens(store, google).token(ANN) == "ya29.old"
    assert google.asked == []


def test_under_five_minutes_it_is_refreshed_and_kept(store: SqliteTokens, google: Scripted) -> None:
    store.add(ANN, access="ya29.old", expires_at=soon(299))
    google.say(granted())
    access = tokens(store, google)
    assert access.token(ANN) == "ya29.new"
    assert access.token(ANN) == "ya29.new"
    assert len(google.asked) == 1
    assert google.asked[0].form["refresh_token"] == "1//refresh-secret"
    assert google.asked[0].form["client_secret"] == "GOCSPX-secret"
    kept = store.grant(ANN)
    assert kept.access_token == "ya29.new"
    assert kept.refresh_token == "1//refresh-secret"
    assert kept.expires_at is not None
    assert abs((kept.expires_at - soon(3599)).total_seconds()) < 30
    assert store.claim_refresh(ANN, 1), "the claim was given back"


def test_the_expiry_does_not_depend_on_the_machines_zone(
    store: SqliteTokens, google: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """google-auth's expiry is naive and in UTC."""
    store.add(ANN)
    google.say(granted())
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        expires_at = tokens(store, google).renew(ANN)
    time.tzset()
    assert abs((expires_at - soon(3599)).total_seconds()) < 30


def test_a_rotated_refresh_token_is_kept(store: SqliteTokens, google: Scripted) -> None:
    store.add(ANN)
    google.say(granted(refresh_token="1//rotated"))
    tokens(store, google).token(ANN)
    assert store.grant(ANN).refresh_token == "1//rotated"


def test_short_lived_tokens_are_not_refreshed_at_every_use(
    store: SqliteTokens, google: Scripted
) -> None:
    store.add(ANN)
    google.say(granted(expires_in=60))
    access = tokens(store, google)
    assert [access.token(ANN) for _ in range(3)] == ["ya29.new"] * 3
    assert len(google.asked) == 1


def test_only_the_refused_token_is_refreshed(store: SqliteTokens, google: Scripted) -> None:
    store.add(ANN, access="ya29.old", expires_at=soon(3000))
    one, other = tokens(store, google), tokens(store, google)
    ask_one, ask_other = one.for_account(ANN), other.for_account(ANN)
    assert ask_one(None) == ask_other(None) == "ya29.old"
    google.say(granted())
    assert ask_one("ya29.old") == "ya29.new"
    assert ask_other("ya29.old") == "ya29.new"
    assert len(google.asked) == 1
    assert ask_other(None) == "ya29.new"


def test_renew_refreshes_whatever_is_left(store: SqliteTokens, google: Scripted) -> None:
    store.add(ANN, access="ya29.old", expires_at=soon(3000))
    google.say(granted())
    assert tokens(store, google).renew(ANN) > soon(3500)
    assert store.grant(ANN).access_token == "ya29.new"
    google.say(Answer(502, b"<html>"))
    with pytest.raises(Transient):
        tokens(store, google).renew(ANN)


# --- once, however many ---------------------------------------------------------------------


def test_many_workers_make_one_refresh(store: SqliteTokens, google: Scripted) -> None:
    """Twelve threads with four separate caches (as four processes) want a token at once."""
    store.add(ANN, access="ya29.old", expires_at=soon(100))
    everyone_waits = threading.Event()

    def slowly(_: Asked) -> Answer:
        everyone_waits.wait(0.5)  # the refresh takes a while, so that the others must wait for it
        return granted(f"ya29.{len(google.asked)}")

    google.otherwise = slowly
    processes = [tokens(store, google) for _ in range(4)]
    start, got = threading.Barrier(12), []

    def work(number: int) -> None:
        start.wait(10)
        got.append(processes[number % 4].token(ANN))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert got == ["ya29.1"] * 12
    assert len(google.asked) == 1


def test_who_waits_in_vain_says_so(store: SqliteTokens, google: Scripted) -> None:
    store.add(ANN)
    assert store.claim_refresh(ANN, 60)
    with pytest.raises(Transient, match="Another process"):
        tokens(store, google, wait_seconds=0.2).token(ANN)
    assert google.asked == []


def test_a_claim_of_the_dead_lapses(store: SqliteTokens, google: Scripted) -> None:
    store.add(ANN)
    assert store.claim_refresh(ANN, 0.3)
    google.say(granted())
    assert tokens(store, google).token(ANN) == "ya29.new"


# --- when it fails --------------------------------------------------------------------------

PASSING = {
    "502": Answer(502, b"<html>Bad gateway</html>"),
    "502 with a document": refused("invalid_grant", status=502),
    "429": refused("invalid_grant", status=429),
    "404 HTML": Answer(404, b"<html>no</html>"),
    "400 HTML": Answer(400, b"invalid_grant"),
    "400 list": Answer(400, ["invalid_grant"]),
    "400 unknown": refused("something_new"),
    "400 odd code": Answer(400, {"error": {"message": "invalid_grant"}}),
    "not JSON": Answer(200, b"{"),
    "list": Answer(200, []),
    "no token": Answer(200, {"expires_in": 3599}),
    "token a number": granted(token=7),  # type: ignore[arg-type]
    "no expiry": Answer(200, {"access_token": "ya29.new"}),
    "odd expiry": granted(expires_in="soon"),
    "cut off": replace(granted(), cut=True),
    "redirect": Answer(307, b"", headers={"location": "/elsewhere"}),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_never_ends_an_account(
    store: SqliteTokens, google: Scripted, name: str
) -> None:
    store.add(ANN)
    google.otherwise = lambda _: PASSING[name]
    with pytest.raises(Transient) as caught:
        tokens(store, google).token(ANN)
    assert caught.value.side == "google"
    assert {asked.path for asked in google.asked} == {"/token"}
    assert store.claim_refresh(ANN, 1), "the claim was given back"


def test_a_token_endpoint_that_hangs_or_is_not_there(store: SqliteTokens, google: Scripted) -> None:
    store.add(ANN)
    google.say(Answer(hang=True))
    began = time.monotonic()
    with pytest.raises(Transient):
        tokens(store, google, timeout=0.2).token(ANN)
    assert time.monotonic() - began < 5
    nowhere = GoogleEndpoints(token_url="http://127.0.0.1:1/token", client_id="c")
    with pytest.raises(Transient):
        AccessTokens(store, TokenSource(endpoints=nowhere)).token(ANN)


def test_no_call_begins_with_a_token_that_is_about_to_end_not_even_in_an_outage(
    store: SqliteTokens, google: Scripted
) -> None:
    google.otherwise = lambda _: Answer(502, b"")
    store.add(ANN, access="ya29.old", expires_at=soon(320))
    assert tokens(store, google).token(ANN) == "ya29.old"
    store.add(ANN, access="ya29.old", expires_at=soon(280))
    with pytest.raises(Transient):
        tokens(store, google).token(ANN)


def test_a_dead_grant_is_asked_about_once_however_many_want_a_token(
    store: SqliteTokens, google: Scripted
) -> None:
    store.add(ANN)
    google.say(refused("invalid_grant"))
    for _ in range(3):
        with pytest.raises(AccountDead) as caught:
            tokens(store, google).token(ANN)
        assert caught.value.cause == "invalid_grant"
        assert caught.value.noted
    assert len(google.asked) == 1
    google.say(refused("invalid_grant"))
    with pytest.raises(AccountDead):
        tokens(store, google).renew(ANN, even_dead=True)
    assert len(google.asked) == 2, "a person who says that it is mended is believed"


@pytest.mark.parametrize(
    ("answer", "kind", "cause"),
    [
        (refused("invalid_grant", "Token has been expired or revoked."), AccountDead, ""),
        (refused("invalid_grant", "Bad Request"), AccountDead, ""),
        (refused("admin_policy_enforced"), AccountDead, ""),
        (refused("unauthorized_client", status=401), AccountDead, ""),
        (refused("invalid_grant", error_subtype="invalid_rapt"), AccountDead, "invalid_rapt"),
        (refused("invalid_account"), AccountDead, ""),
        (refused("policy_enforced"), AccountDead, ""),
        (refused("deleted_client", status=401), AppDead, ""),
        (refused("invalid_client", status=401), AppDead, ""),
        (refused("disabled_client", status=401), AppDead, ""),
    ],
)
def test_what_is_fatal(
    store: SqliteTokens, google: Scripted, answer: Answer, kind: type[Exception], cause: str
) -> None:
    store.add(ANN, access="ya29.old", expires_at=soon(120))
    google.say(answer)
    with pytest.raises(kind) as caught:
        tokens(store, google).token(ANN)
    error = caught.value
    assert isinstance(error, AccountDead | AppDead)
    assert error.cause == (cause or answer.body["error"])
    if isinstance(error, AccountDead):
        assert error.next_step == "watcher accounts invite ann@example.com"
    assert error.__cause__ is None
    for secret in ("refresh-secret", "GOCSPX", "ya29"):
        assert secret not in f"{error!r} {error.next_step}"


def test_a_grant_renewed_meanwhile_is_not_declared_dead(
    store: SqliteTokens, google: Scripted
) -> None:
    store.add(ANN)

    def reconnect(_: Asked) -> Answer:
        store.add(ANN, refresh="1//second")
        return refused("invalid_grant")

    google.otherwise = reconnect
    with pytest.raises(Transient, match="connected again"):
        tokens(store, google).token(ANN)


def test_without_a_refresh_token_the_employee_must_come_back(
    store: SqliteTokens, google: Scripted
) -> None:
    store.add(ANN, refresh=None)
    with pytest.raises(AccountDead) as caught:
        tokens(store, google).token(ANN)
    assert caught.value.cause == "no_refresh_token"


@pytest.mark.parametrize(
    "args",
    [(), ("x",), (None, None), ({"error": 7},), ("a: b", []), ({"error": "<script>"},)],
)
def test_arguments_of_any_shape(args: tuple[object, ...]) -> None:
    assert error_code(args)[0] == ""


# --- delegation -----------------------------------------------------------------------------


def delegated(store: SqliteTokens, google: Scripted, key_file: Path, *allow: str) -> AccessTokens:
    store.add(ANN, source="service-account", refresh=None)
    key = load_service_account(key_file)
    return tokens(store, google, delegation=Delegation(key, DelegationAllow.parse(allow)))


def test_the_service_account_acts_for_one_mailbox(
    store: SqliteTokens, google: Scripted, key_file: Path
) -> None:
    google.say(Answer(body={"access_token": "ya29.sa", "expires_in": 3599}))
    assert delegated(store, google, key_file, "@example.com").token(ANN) == "ya29.sa"
    form = google.asked[0].form
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    payload = form["assertion"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["sub"] == "ann@example.com"
    assert claims["scope"] == CALENDAR_SCOPE
    assert claims["iss"] == "watcher@project.iam.gserviceaccount.com"


def test_nobody_outside_the_allow_list(
    store: SqliteTokens, google: Scripted, key_file: Path
) -> None:
    with pytest.raises(AccessLost) as caught:
        delegated(store, google, key_file, "@example.org", "bob@example.com").token(ANN)
    assert "WATCHER_DELEGATION_ALLOW" in caught.value.next_step
    assert google.asked == []


@pytest.mark.parametrize(
    ("code", "description", "kind", "words"),
    [
        ("unauthorized_client", "Client is unauthorized to retrieve", AccountDead, "24 hours"),
        ("invalid_grant", "Invalid email or User ID", AccountDead, "mailbox ann@example.com"),
        ("invalid_grant", "Invalid JWT Signature.", AppDead, "new key"),
        ("invalid_grant", "Invalid grant: account not found", AppDead, "new key"),
        ("invalid_grant", "Invalid JWT: Token must be a short-lived token", Transient, "clock"),
        ("invalid_client", "The OAuth client was not found.", AppDead, "console"),
        ("invalid_grant", "Robot is disabled.", AppDead, "new key"),
        ("invalid_grant", "Invalid JWT: No valid verifier found for issuer.", AppDead, "new key"),
        (
            "invalid_request",
            "Invalid impersonation prn email address.",
            AccountDead,
            "mailbox ann@",
        ),
    ],
)
def test_what_a_refused_delegation_means(
    store: SqliteTokens,
    google: Scripted,
    key_file: Path,
    code: str,
    description: str,
    kind: type[AccountDead | AppDead | Transient],
    words: str,
) -> None:
    google.otherwise = lambda _: refused(code, description)
    with pytest.raises(kind) as caught:
        delegated(store, google, key_file, "ann@example.com").token(ANN)
    assert words in caught.value.next_step


def test_a_server_error_of_delegation_passes() -> None:
    args = ("x", {"error": "unauthorized_client"})
    failed = FailedRefresh(args=args, status=503)
    failure = refresh_failure(failed, Grant(source="service-account", email="a@b"))
    assert isinstance(failure, Transient)


def test_the_key_file_is_checked(tmp_path: Path, key_file: Path) -> None:
    good = json.loads(key_file.read_text())
    cases: dict[str, tuple[str | bytes, str]] = {
        "not JSON": ("{", "not a JSON object"),
        "a list": ("[]", "not a JSON object"),
        "binary": (b"\xff\xfe", "not a JSON object"),
        "a user's file": (json.dumps({**good, "type": "authorized_user"}), "authorized_user"),
        "no id": (json.dumps({**good, "client_id": ""}), "lacks client_id"),
        "bad key": (json.dumps({**good, "private_key": "PRIVATE-STUFF"}), "cannot be used"),
    }
    for content, words in cases.values():
        path = tmp_path / "bad.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(UserError, match=words) as caught:
            load_service_account(path)
        assert caught.value.next_step
        assert "PRIVATE-STUFF" not in f"{caught.value!r}{caught.value.__cause__!r}"
    with pytest.raises(UserError, match="cannot be read"):
        load_service_account(tmp_path / "none.json")


def test_the_key_is_not_shown_and_an_open_mode_is_told(
    key_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert load_service_account(key_file).warnings == ()
    key_file.chmod(0o644)
    key = load_service_account(key_file)
    assert "chmod o-rwx" in key.warnings[0]
    assert "chmod o-rwx" in caplog.text
    assert "PRIVATE" not in repr(key)


def test_the_allow_list() -> None:
    allow = DelegationAllow.parse(["@Example.com", " bob@other.org ", ""])
    assert allow.allows("ANN@example.com")
    assert allow.allows("bob@other.org")
    for other in ("ann@other.org", "ann@sub.example.com", "example.com", "@example.com", "", "a@"):
        assert not allow.allows(other)
    assert not allow.allows("ann@evil.org@example.com")
    assert not DelegationAllow().allows("ann@example.com")
    with pytest.raises(UserError, match=r"example\.com, a b@c"):
        DelegationAllow.parse(["example.com", "a b@c", "@ok.com"])


def test_secrets_are_not_in_reprs(store: SqliteTokens, google: Scripted) -> None:
    store.add(ANN, access="ya29.old", expires_at=soon(10))
    shown = f"{store.grant(ANN)!r} {endpoints(google)!r}"
    for secret in ("ya29", "1//", "GOCSPX"):
        assert secret not in shown
