"""The bridge's own Google room against the sandbox Google, over real HTTP.

What the sandbox itself answers is tested in the ``test_sandbox_google_*`` files beside this one;
here both sides meet.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from zoneinfo import ZoneInfo

import pytest
import requests

from watcher.errors import (
    AccessLost,
    AccountDead,
    CalendarGone,
    Permanent,
    PushNotSupported,
    SyncTokenExpired,
    Transient,
    WatcherError,
)
from watcher.events.model import Window
from watcher.google import consent
from watcher.google.answers import calendar_id_of
from watcher.google.client import CalendarClient, NewChannel, Patience
from watcher.google.credentials import AccessTokens
from watcher.google.delegation import Delegation, DelegationAllow, load_service_account
from watcher.google.endpoints import CALENDAR_SCOPE, OAUTH_SCOPES, GoogleEndpoints
from watcher.google.errors import ChannelIdTaken, ConsentDenied, ConsentFailed
from watcher.google.fetching import TokenSource
from watcher.google.grants import Grant
from watcher.google.identity import BadIdToken, verify_id_token
from watcher.google.refresh import Fresh
from watcher_sandbox.google import GoogleState, Server, instance_id, serve

ANN, BOB = "ann@icecream.example", "bob@icecream.example"
REDIRECT = "http://127.0.0.1:5000/oauth/google/callback"
ADDRESS = "http://127.0.0.1:9/webhooks/google"  # nobody listens: notices are not the subject here
DAY = timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")


def timed(day: datetime, hour: int = 9, zone: str = "Europe/Berlin", **more: Any) -> dict[str, Any]:
    start = f"{day:%Y-%m-%d}T{hour:02}:00:00"
    end = f"{day:%Y-%m-%d}T{hour + 1:02}:00:00"
    return {
        "start": {"dateTime": start, "timeZone": zone},
        "end": {"dateTime": end, "timeZone": zone},
        **more,
    }


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with serve() as server:
        yield server


@pytest.fixture
def google(running: Server) -> GoogleState:
    running.state.reset()
    running.state.add_user(ANN, "Ann Gelato")
    running.state.add_user(BOB, "Bob Sorbet", "Asia/Kolkata")
    running.state.add_client("client-1", "s3cret", [REDIRECT])
    return running.state


@pytest.fixture
def endpoints(running: Server) -> GoogleEndpoints:
    url = running.url
    return GoogleEndpoints(
        api_url=url,
        auth_url=f"{url}/o/oauth2/v2/auth",
        token_url=f"{url}/token",
        revoke_url=f"{url}/revoke",
        certs_url=f"{url}/oauth2/v1/certs",
        client_id="client-1",
        client_secret="s3cret",
    )


@pytest.fixture
def today(google: GoogleState) -> datetime:
    return google.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture
def window(today: datetime) -> Window:
    return Window(start=today - 7 * DAY, end=today + 30 * DAY)


Make = Callable[..., CalendarClient]


@pytest.fixture
def make(running: Server, google: GoogleState) -> Make:
    def client(email: str = ANN, retries: int = 0) -> CalendarClient:
        return CalendarClient(
            running.url,
            lambda _: google.mint_access_token(email),
            quota_user=email,
            patience=Patience(retries=retries),
            sleep=lambda _: None,
        )

    return client


def delta(client: CalendarClient, token: str) -> tuple[dict[str, dict[str, Any]], str]:
    """(items by id, the next token)."""
    pages = list(client.changes("primary", token))
    assert [p.next_sync_token is not None for p in pages] == [False] * (len(pages) - 1) + [True]
    return {i["id"]: i for p in pages for i in p.items}, str(pages[-1].next_sync_token)


def listed(client: CalendarClient, window: Window) -> dict[str, dict[str, Any]]:
    return {item["id"]: item for page in client.snapshot(ANN, window) for item in page.items}


class TestReads:
    def test_mint_then_delta(self, google: GoogleState, make: Make, today: datetime) -> None:
        single = google.insert_event(ANN, timed(today + DAY, summary="Tasting"))
        gone = google.insert_event(ANN, timed(today + 2 * DAY))
        client = make()
        token = client.mint_sync_token("primary")
        assert delta(client, token)[0] == {}
        google.patch_event(ANN, single, {"summary": "Tasting, moved"})
        google.delete_event(ANN, gone)
        items, newer = delta(client, token)
        assert items[single]["summary"] == "Tasting, moved"
        assert items[gone] == {"id": gone, "status": "cancelled"}
        assert delta(client, newer)[0] == {}
        assert delta(client, token)[0] == items  # replaying a token is safe

    def test_mint_asks_without_bounds_or_order(
        self, google: GoogleState, make: Make, today: datetime
    ) -> None:
        for n in range(3):
            google.insert_event(ANN, timed(today + n * DAY))
        google.behaviour.page_limit = 1
        google.log.clear()
        assert make().mint_sync_token(ANN)  # only the last of three pages has it
        asked = google.log.entries()
        assert [each.status for each in asked] == [200, 200, 200]
        assert not {"timeMin", "timeMax", "orderBy", "q"} & set(asked[0].query)

    def test_snapshot_is_the_truth(
        self, google: GoogleState, make: Make, today: datetime, window: Window
    ) -> None:
        rule = ["RRULE:FREQ=DAILY;COUNT=20"]
        series = google.insert_event(ANN, timed(today, summary="Shift", recurrence=rule))
        swapped, dropped = (f"{series}_{_stamp(today + n * DAY)}" for n in (3, 4))
        google.patch_event(ANN, swapped, {"summary": "Shift (swapped)"})
        google.delete_event(ANN, dropped)
        google.insert_event(ANN, timed(today + 60 * DAY, summary="far"))
        found = listed(make(), window)
        truth = {e["id"]: e for e in google.truth(ANN, window.start - DAY, window.end + DAY)}
        assert found.keys() == truth.keys()
        assert found[swapped]["summary"] == "Shift (swapped)"
        assert found[swapped]["recurringEventId"] == series
        assert dropped not in found
        assert all(found[i]["start"] == truth[i]["start"] for i in found)

    def test_changed_series_comes_as_master_and_is_expanded_by_instances(
        self, google: GoogleState, make: Make, today: datetime, window: Window
    ) -> None:
        rule = ["RRULE:FREQ=WEEKLY"]
        client = make()
        token = client.mint_sync_token("primary")
        series = google.insert_event(ANN, timed(today + DAY, recurrence=rule))
        second = f"{series}_{_stamp(today + 8 * DAY)}"
        google.delete_event(ANN, second)
        items, token = delta(client, token)
        assert items.keys() == {series, second}  # few items, however long the series
        assert items[second]["status"] == "cancelled"
        assert items[second]["recurringEventId"] == series
        assert "originalStartTime" in items[second]
        found = client.instances(ANN, series, window) or []
        assert len(found) == 4
        assert second not in {each["id"] for each in found}
        google.delete_event(ANN, series)
        assert delta(client, token)[0][series]["status"] == "cancelled"
        assert client.instances(ANN, series, window) is None

    @pytest.mark.parametrize("keeps", [False, True])
    def test_bounds_do_not_matter(
        self, google: GoogleState, make: Make, today: datetime, keeps: bool
    ) -> None:
        """Delta tokens are minted without bounds, so both readings of 59 and 60 agree."""
        google.behaviour.token_keeps_bounds = keeps
        client = make()
        token = client.mint_sync_token("primary")
        far = google.insert_event(ANN, timed(today + 400 * DAY))
        assert delta(client, token)[0].keys() == {far}

    def test_masked_answers_keep_the_own_response(
        self, google: GoogleState, make: Make, today: datetime, window: Window
    ) -> None:
        guests = [
            {"email": ANN, "self": True, "responseStatus": "declined"},
            {"email": BOB, "responseStatus": "accepted"},
        ]
        event = google.insert_event(ANN, timed(today, attendees=guests))
        found = listed(make(), window)[event]
        assert found["status"] == "confirmed"  # a declined event stays confirmed
        assert found["attendees"] == [
            {"self": True, "responseStatus": "declined"},
            {"responseStatus": "accepted"},
        ]
        assert not {"etag", "iCalUID", "creator"} & set(found)


def _stamp(day: datetime) -> str:
    """The original start, 09:00 in Berlin, as an instance's id has it."""
    nine = day.replace(hour=9, tzinfo=BERLIN)
    return f"{nine.astimezone(UTC):%Y%m%dT%H%M%SZ}"


class TestTrouble:
    def test_expired_sync_token(self, google: GoogleState, make: Make) -> None:
        client = make()
        token = client.mint_sync_token("primary")
        google.expire_sync_tokens()
        with pytest.raises(SyncTokenExpired):
            delta(client, token)
        assert delta(client, client.mint_sync_token("primary"))[0] == {}

    @pytest.mark.parametrize("status", [400, 410])
    def test_anothers_token(self, google: GoogleState, make: Make, status: int) -> None:
        google.behaviour.bad_token_status = status
        token = make(BOB).mint_sync_token("primary")
        with pytest.raises(SyncTokenExpired):
            delta(make(ANN), token)
        with pytest.raises((SyncTokenExpired, Permanent)):  # 400 or 410: open question 6
            delta(make(ANN), "CPDAlvWDx70CEPDAlvWDx70CGAU=")

    def test_refused_access_token_is_replaced_once(
        self, running: Server, google: GoogleState
    ) -> None:
        refused: list[str | None] = []

        def tokens(given: str | None) -> str:
            refused.append(given)
            return google.mint_access_token(ANN) if given else "ya29.expired"

        assert CalendarClient(running.url, tokens).mint_sync_token("primary")
        assert refused == [None, "ya29.expired"]
        assert google.log.statuses() == {"events.list 401": 1, "events.list 200": 1}

    def test_other_peoples_calendars_are_not_there(self, make: Make, window: Window) -> None:
        with pytest.raises(CalendarGone):
            list(make(BOB).snapshot(ANN, window))

    @pytest.mark.parametrize(
        ("status", "reason", "kind"),
        [
            (403, "rateLimitExceeded", Transient),
            (403, "userRateLimitExceeded", Transient),
            (403, "quotaExceeded", Transient),
            (429, "rateLimitExceeded", Transient),
            (403, "insufficientPermissions", AccessLost),
            (500, "backendError", Transient),
            (503, "backendError", Transient),
            (404, "notFound", CalendarGone),
            (410, "fullSyncRequired", SyncTokenExpired),
        ],
    )
    def test_faults_are_googles_errors(
        self, google: GoogleState, make: Make, status: int, reason: str, kind: type[WatcherError]
    ) -> None:
        client = make()
        token = client.mint_sync_token("primary")
        google.add_fault(match="GET .*/events", status=status, reason=reason)
        with pytest.raises(kind):
            delta(client, token)

    def test_a_passing_fault_passes(self, google: GoogleState, make: Make) -> None:
        google.add_fault(match="GET .*/events", status=503, count=2)
        assert make(retries=3).mint_sync_token("primary")
        assert google.log.statuses() == {"events.list 503": 2, "events.list 200": 1}


class TestChannels:
    def test_opened_and_stopped(self, google: GoogleState, make: Make) -> None:
        client = make()
        answer = _watch(client, "c-1")
        left = (answer.expiration - datetime.now(UTC)).total_seconds()
        assert 3500 < left <= 3601  # as asked, milliseconds since the epoch
        assert calendar_id_of(answer.resource_uri) == ANN  # `primary` is resolved
        assert _watch(client, "c-2").resource_id == answer.resource_id
        assert client.stop("c-1", answer.resource_id) is True
        assert client.stop("c-1", answer.resource_id) is False  # 404 is done
        assert [channel.id for channel in google.live_channels(ANN)] == ["c-2"]

    def test_refusals(self, google: GoogleState, make: Make) -> None:
        client = make()
        opened = _watch(client, "c-1")
        with pytest.raises(ChannelIdTaken):
            _watch(client, "c-1")
        client.stop("c-1", opened.resource_id)
        with pytest.raises(ChannelIdTaken):  # a stopped id is spent, too
            _watch(client, "c-1")
        with pytest.raises(Permanent):
            _watch(client, "c-2", address="http://bridge.example/webhooks/google")
        google.set_watchable(ANN, False)
        with pytest.raises(PushNotSupported):
            _watch(client, "c-3")


def _watch(client: CalendarClient, channel: str, address: str = ADDRESS) -> Any:
    wanted = NewChannel(channel_id=channel, token="t" * 43, address=address, ttl_seconds=3600)
    return client.watch("primary", wanted)


class TestConsent:
    def test_from_the_link_to_the_identity(
        self, google: GoogleState, endpoints: GoogleEndpoints
    ) -> None:
        answer = _consent(endpoints)
        assert answer.refresh_token  # access_type=offline and prompt=consent
        assert not consent.missing_scopes(answer.scopes)
        who = verify_id_token(answer.id_token, "client-1", endpoints.certs_url, nonce="n-1")
        assert (who.email, who.email_verified) == (ANN, True)
        assert who.sub == google.users[ANN].sub
        client = CalendarClient(endpoints.api_url, lambda _: answer.access_token)
        assert client.mint_sync_token("primary")

    def test_refused_identities(self, google: GoogleState, endpoints: GoogleEndpoints) -> None:
        token = _consent(endpoints).id_token
        head, claims, signature = token.split(".")
        for bad, audience, nonce in (
            (token, "client-2", "n-1"),
            (token, "client-1", "n-2"),
            (f"{head}.{claims}.{signature[::-1]}", "client-1", "n-1"),
        ):
            with pytest.raises(BadIdToken):
                verify_id_token(bad, audience, endpoints.certs_url, nonce=nonce)

    @pytest.mark.usefixtures("google")
    def test_denied(self, endpoints: GoogleEndpoints) -> None:
        back = _decide(endpoints, "v" * 50, decision="deny")
        assert (back["error"], back["state"]) == ("access_denied", "st-1")
        assert isinstance(consent.callback_error(back["error"]), ConsentDenied)

    @pytest.mark.usefixtures("google")
    def test_unticked_calendar(self, endpoints: GoogleEndpoints) -> None:
        answer = _consent(endpoints, tick=False)
        assert consent.missing_scopes(answer.scopes) == {CALENDAR_SCOPE}
        client = CalendarClient(endpoints.api_url, lambda _: answer.access_token)
        with pytest.raises(AccessLost):
            client.mint_sync_token("primary")

    @pytest.mark.usefixtures("google")
    @pytest.mark.parametrize(
        "change", [{"verifier": "w" * 50}, {"redirect_uri": f"{REDIRECT}/"}, {"code": "4/0"}]
    )
    def test_exchange_refused(self, endpoints: GoogleEndpoints, change: dict[str, str]) -> None:
        verifier = consent.new_code_verifier()
        sent = {"verifier": verifier, "redirect_uri": REDIRECT}
        sent = {"code": _decide(endpoints, verifier)["code"], **sent, **change}
        with pytest.raises(WatcherError) as caught:
            consent.exchange(endpoints, consent.AuthorizationCode(**sent))
        assert not isinstance(caught.value, Transient)

    @pytest.mark.usefixtures("google")
    def test_a_code_is_good_once(self, endpoints: GoogleEndpoints) -> None:
        verifier = consent.new_code_verifier()
        code = _decide(endpoints, verifier)["code"]
        given = consent.AuthorizationCode(code=code, verifier=verifier, redirect_uri=REDIRECT)
        consent.exchange(endpoints, given)
        with pytest.raises(ConsentFailed):
            consent.exchange(endpoints, given)

    @pytest.mark.usefixtures("google")
    def test_revoked_once(self, endpoints: GoogleEndpoints) -> None:
        answer = _consent(endpoints)
        assert answer.refresh_token is not None
        assert consent.revoke(answer.refresh_token, endpoints.revoke_url) is True
        assert consent.revoke(answer.refresh_token, endpoints.revoke_url) is False


def _decide(
    endpoints: GoogleEndpoints, verifier: str, decision: str = "allow", tick: bool = True
) -> dict[str, str]:
    """What an employee's browser does: open the page, send the form, be led back."""
    wanted = consent.ConsentRequest(
        state="st-1",
        code_challenge=consent.code_challenge(verifier),
        redirect_uri=REDIRECT,
        login_hint=ANN,
        scopes=OAUTH_SCOPES,
        nonce="n-1",
    )
    url = consent.authorization_url(endpoints, wanted)
    with requests.Session() as browser:
        page = browser.get(url, timeout=10).text
        form: dict[str, Any] = dict(
            re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', page)
        )
        form["account"] = re.findall(r'name="account" value="([^"]*)" checked', page)[0]
        form["decision"] = decision
        form["grant"] = re.findall(r'name="grant" value="([^"]*)" checked', page) if tick else []
        answer = browser.post(url, data=form, allow_redirects=False, timeout=10)
    found = parse_qs(urlsplit(answer.headers["Location"]).query)
    return {name: values[0] for name, values in found.items()}


def _consent(endpoints: GoogleEndpoints, tick: bool = True) -> consent.TokenAnswer:
    verifier = consent.new_code_verifier()
    code = _decide(endpoints, verifier, tick=tick)["code"]
    given = consent.AuthorizationCode(code=code, verifier=verifier, redirect_uri=REDIRECT)
    return consent.exchange(endpoints, given)


class Shelf:
    """A token store of one account in memory."""

    def __init__(self, grant: Grant) -> None:
        self.kept = grant

    def grant(self, account_id: int) -> Grant:
        return self.kept

    def access_token(self, account_id: int) -> str | None:
        return self.kept.access_token

    def keep(self, account_id: int, used: Grant, fresh: Fresh) -> bool:
        self.kept = replace(
            used,
            access_token=fresh.access_token,
            expires_at=fresh.expires_at,
            refresh_token=fresh.refresh_token or used.refresh_token,
        )
        return True

    def bury(self, account_id: int, tried: Grant, cause: str, now: datetime) -> bool:
        return True

    def note_dead(self, email: str, refresh_token: str) -> None:
        return

    def claim_refresh(self, account_id: int, seconds: float) -> bool:
        return True

    def release_refresh(self, account_id: int) -> None:
        return


class TestTokens:
    @pytest.fixture
    def consented(self, google: GoogleState, endpoints: GoogleEndpoints) -> AccessTokens:
        given = _consent(endpoints).refresh_token
        return AccessTokens(
            Shelf(Grant(source="oauth", email=ANN, refresh_token=given)),
            TokenSource(endpoints=endpoints),
        )

    def test_refreshed_when_google_refuses(
        self, google: GoogleState, endpoints: GoogleEndpoints, consented: AccessTokens
    ) -> None:
        client = CalendarClient(endpoints.api_url, consented.for_account(1))
        assert client.mint_sync_token("primary")
        assert google.expire_access_tokens(ANN) == 2  # the one of the consent, too
        google.log.clear()
        assert client.mint_sync_token("primary")
        assert google.log.statuses() == {
            "events.list 401": 1,
            "token 200": 1,
            "events.list 200": 1,
        }

    @pytest.mark.parametrize("life", [20, 3600])
    def test_life_is_what_the_sandbox_says(
        self, google: GoogleState, consented: AccessTokens, life: int
    ) -> None:
        google.access_token_life = life
        left = (consented.renew(1) - datetime.now(UTC)).total_seconds()
        assert life - 5 < left <= life

    def test_revoked(self, google: GoogleState, consented: AccessTokens) -> None:
        consented.renew(1)
        google.revoke_user(ANN)
        with pytest.raises(AccountDead) as caught:
            consented.renew(1)
        assert caught.value.cause == "invalid_grant"

    def test_trouble_passes(self, google: GoogleState, consented: AccessTokens) -> None:
        google.add_fault(match="POST /token", status=502, body="<html>", count=1)
        with pytest.raises(Transient):  # google-auth does not try again after a 502
            consented.renew(1)
        assert consented.renew(1) > datetime.now(UTC)


class TestDelegation:
    @pytest.fixture
    def act_for(
        self, google: GoogleState, endpoints: GoogleEndpoints, tmp_path: Path
    ) -> Callable[[str], AccessTokens]:
        account = load_service_account(google.make_service_account(tmp_path / "key.json"))
        allow = DelegationAllow.parse(["@icecream.example"])

        source = TokenSource(endpoints=endpoints, delegation=Delegation(account, allow))

        def tokens(email: str) -> AccessTokens:
            return AccessTokens(Shelf(Grant(source="service-account", email=email)), source)

        return tokens

    def test_acts_as_the_employee(
        self, endpoints: GoogleEndpoints, act_for: Callable[[str], AccessTokens]
    ) -> None:
        for email in (ANN, BOB):
            client = CalendarClient(endpoints.api_url, act_for(email).for_account(1))
            assert calendar_id_of(_watch(client, f"c-{email[:3]}").resource_uri) == email

    @pytest.mark.parametrize(
        ("allowed", "good"),
        [(None, True), ({"@icecream.example"}, True), ({ANN}, True), ({BOB}, False)],
    )
    def test_only_for_the_delegated(
        self,
        google: GoogleState,
        act_for: Callable[[str], AccessTokens],
        allowed: set[str] | None,
        good: bool,
    ) -> None:
        google.delegated_to = None if allowed is None else frozenset(allowed)
        if good:
            act_for(ANN).renew(1)
            return
        with pytest.raises(AccountDead) as caught:
            act_for(ANN).renew(1)
        assert caught.value.cause == "unauthorized_client"

    def test_scope_not_granted_and_no_such_mailbox(
        self, google: GoogleState, act_for: Callable[[str], AccessTokens]
    ) -> None:
        with pytest.raises(AccountDead) as caught:
            act_for("carl@icecream.example").renew(1)
        assert caught.value.cause == "invalid_grant"
        google.set_delegated(next(iter(google.oauth.service_accounts)), [])
        with pytest.raises(AccountDead) as caught:
            act_for(ANN).renew(1)
        assert caught.value.cause == "unauthorized_client"


class TestControl:
    """What the control API adds to the calls that ``test_sandbox_google_control`` makes."""

    @pytest.fixture
    def call(self, running: Server, google: GoogleState) -> Iterator[Callable[..., Any]]:
        with requests.Session() as session:

            def send(method: str, path: str, body: Any = None) -> Any:
                url = f"{running.url}/_sandbox{path}"
                answer = session.request(method, url, json=body, timeout=10)
                assert answer.status_code == 200, answer.text
                return answer.json()

            yield send

    def test_instances_by_their_original_start(
        self, google: GoogleState, call: Callable[..., Any], today: datetime
    ) -> None:
        rule = ["RRULE:FREQ=DAILY;COUNT=6"]
        series = google.insert_event(ANN, timed(today + DAY, summary="Shift", recurrence=rule))
        at = [(today + n * DAY).replace(hour=9, tzinfo=BERLIN).isoformat() for n in range(1, 7)]
        path = f"/calendars/{ANN}/events/{series}"
        quoted = [quote(each) for each in at]
        assert call("PATCH", f"{path}/instances/{quoted[0]}", {"summary": "First"})["id"] == (
            instance_id(series, at[0])
        )
        call("DELETE", f"{path}/instances/{quoted[1]}")
        new = call("POST", f"{path}/split?at={quoted[3]}", {"summary": "Late shift"})["id"]
        found = google.truth(ANN, today, today + 10 * DAY)
        assert [each["summary"] for each in found if each["recurringEventId"] == series] == [
            "First",
            "Shift",
        ]
        assert [each["recurringEventId"] for each in found].count(new) == 3

    def test_delegation(self, google: GoogleState, call: Callable[..., Any]) -> None:
        call("PUT", "/delegated-to", {"who": ["@IceCream.example"]})
        assert google.delegated_to == frozenset({"@icecream.example"})
        call("PUT", "/delegated-to", {"who": None})
        assert google.delegated_to is None

    def test_fault_with_a_json_body(
        self, google: GoogleState, call: Callable[..., Any], make: Make
    ) -> None:
        rule = {"match": "GET .*/events", "status": 200, "body": {"kind": "x"}, "count": 2}
        call("POST", "/faults", rule)
        with pytest.raises(Transient):
            make().mint_sync_token("primary")

    @pytest.mark.parametrize("start", ["2026-12-24", date(2026, 12, 24), {"date": "2026-12-24"}])
    def test_id_of_a_whole_day(self, start: Any) -> None:
        assert instance_id("abc", start) == "abc_20261224"

    def test_id_needs_an_offset(self) -> None:
        with pytest.raises(ValueError, match="offset"):
            instance_id("abc", "2026-12-24T09:00:00")


class TestWhoseIdIsNotTheAddress:
    def test_an_alias(self, google: GoogleState, make: Make, today: datetime) -> None:
        """The address answers 404, ``primary`` and the real id are one calendar [I14]."""
        google.add_user("ann.alias@icecream.example", calendar_id="ann.real@icecream.example")
        google.insert_event("ann.real@icecream.example", timed(today + DAY))
        client = make("ann.alias@icecream.example")
        with pytest.raises(CalendarGone):
            client.prove("ann.alias@icecream.example")
        main, real = (client.prove(each, 9) for each in ("primary", "ann.real@icecream.example"))
        assert main == real
        assert (main.role, main.names) == ("owner", ("ann.real@icecream.example",))
        assert main.title == "ann.real@icecream.example"
        with pytest.raises(CalendarGone):
            make(BOB).prove("ann.real@icecream.example")

    @pytest.mark.parametrize("repeats", [False, True])
    def test_what_is_watched_as_primary_is_named(
        self, google: GoogleState, make: Make, repeats: bool
    ) -> None:
        google.behaviour.uri_repeats_primary = repeats
        google.add_user("ann.alias@icecream.example", calendar_id="ann.real@icecream.example")
        answer = make("ann.alias@icecream.example").watch(
            "primary",
            NewChannel(channel_id="c-1", token="t", address="http://127.0.0.1:9/", ttl_seconds=60),
        )
        named = "primary" if repeats else "ann.real@icecream.example"
        assert calendar_id_of(answer.resource_uri) == named
        assert [c.resource for c in google.live_channels()] == ["ann.real@icecream.example"]

    def test_a_mailbox_is_renamed(self, google: GoogleState, make: Make, today: datetime) -> None:
        """Its events go on under the new id; tokens of before, and the old id, are of no use."""
        event = google.insert_event(ANN, timed(today + DAY))
        client = make()
        token = client.mint_sync_token(ANN)
        google.rename_mailbox(ANN, "ann.new@icecream.example")
        with pytest.raises(CalendarGone):
            list(client.changes(ANN, token))
        with pytest.raises(SyncTokenExpired):
            list(client.changes("primary", token))
        assert client.prove("ann.new@icecream.example").event_ids == (event,)
        with pytest.raises(ValueError, match="there is a calendar"):
            google.rename_mailbox(ANN, BOB)

    def test_a_user_without_calendar(self, google: GoogleState, make: Make) -> None:
        google.set_calendar_service(BOB, False)
        google.share(ANN, BOB)
        for calendar in ("primary", BOB, ANN):
            with pytest.raises(AccessLost) as caught:
                make(BOB).prove(calendar)
            assert caught.value.cause == "not_a_calendar_user"
        google.set_calendar_service(BOB, True)
        assert make(BOB).prove("primary").role == "owner"
        assert make(BOB).prove(ANN).role == "reader"
