"""The stand-in does what Google documents of events.list: windows, tokens, pages, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httplib2
import pytest
import requests
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from watcher_sandbox.google import Server, serve

ANN = "ann@icecream.example"
ROOT = "https://www.googleapis.com/auth/"


class Caller:
    """Calls the API by HTTP as one user."""

    def __init__(self, server: Server, email: str = ANN, scopes: tuple[str, ...] = ()) -> None:
        granted = tuple(ROOT + scope for scope in scopes) or None
        self.session = requests.Session()
        self.url = f"{server.url}/calendar/v3"
        token = server.state.mint_access_token(email, granted)
        self.session.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.session.get(f"{self.url}{path}", params=params, timeout=10)

    def events(self, calendar: str = "primary", **params: Any) -> dict[str, Any]:
        answer = self.get(f"/calendars/{calendar}/events", **params)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def refusal(self, **params: Any) -> tuple[int, str, str | None]:
        answer = self.get("/calendars/primary/events", **params)
        error = answer.json()["error"]
        assert error["code"] == answer.status_code
        assert error["message"]
        assert error["errors"][0]["domain"]
        return answer.status_code, error["errors"][0]["reason"], error["errors"][0].get("location")


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with serve() as server:
        yield server


@pytest.fixture
def google(running: Server) -> Server:
    running.state.reset()
    running.state.add_user(ANN, "Ann", "Europe/Berlin")
    return running


@pytest.fixture
def ann(google: Server) -> Iterator[Caller]:
    caller = Caller(google)
    yield caller
    caller.session.close()


def timed(day: int, hour: int, hours: float = 1, **more: Any) -> dict[str, Any]:
    minutes = int(hours * 60)
    return {
        "summary": f"Day {day}",
        "start": {"dateTime": f"2026-12-{day:02}T{hour:02}:00:00", "timeZone": "Europe/Berlin"},
        "end": {
            "dateTime": f"2026-12-{day:02}T{hour + minutes // 60:02}:{minutes % 60:02}:00",
            "timeZone": "Europe/Berlin",
        },
        **more,
    }


def ids(answer: dict[str, Any]) -> list[str]:
    return [item["id"] for item in answer["items"]]


class TestFullListing:
    def test_resource_has_googles_fields(self, google: Server, ann: Caller) -> None:
        guests = [{"email": ANN, "responseStatus": "declined"}, {"email": "b@x.example"}]
        body = timed(1, 9, visibility="private", attendees=guests, description="<b>Hi</b>")
        event_id = google.state.insert_event(ANN, body)
        answer = ann.events()
        event = answer["items"][0]
        assert answer["timeZone"] == "Europe/Berlin"
        assert answer["accessRole"] == "owner"
        assert event["id"] == event_id
        assert event["start"] == {
            "dateTime": "2026-12-01T09:00:00+01:00",
            "timeZone": "Europe/Berlin",
        }
        assert event["organizer"] == {"email": ANN, "self": True}
        assert event["creator"]["self"] is True
        assert event["attendees"][0] == {**guests[0], "self": True}
        assert "self" not in event["attendees"][1]
        assert event["status"] == "confirmed"  # declined stays confirmed
        assert event["description"] == "<b>Hi</b>"  # HTML as it is
        assert event["iCalUID"].startswith(event_id)
        assert event["sequence"] == 0
        assert event["etag"].startswith('"')
        assert event["updated"].endswith("Z")

    def test_untitled_event_has_no_summary(self, google: Server, ann: Caller) -> None:
        body = timed(1, 9)
        del body["summary"]
        google.state.insert_event(ANN, body)
        assert "summary" not in ann.events()["items"][0]

    def test_bounds_are_exclusive(self, google: Server, ann: Caller) -> None:
        inside = google.state.insert_event(ANN, timed(2, 9))
        google.state.insert_event(ANN, timed(1, 9))
        google.state.insert_event(ANN, timed(2, 11))
        window = {"timeMin": "2026-12-01T10:00:00+01:00", "timeMax": "2026-12-02T11:00:00+01:00"}
        assert ids(ann.events(**window)) == [inside]  # end > timeMin, start < timeMax

    def test_all_day_bounds_use_the_calendars_zone(self, google: Server, ann: Caller) -> None:
        day = {"start": {"date": "2026-12-05"}, "end": {"date": "2026-12-06"}}
        google.state.insert_event(ANN, day)
        ends = "2026-12-05T23:00:00Z"  # midnight in Berlin
        assert ids(ann.events(timeMin=ends, timeMax="2026-12-09T00:00:00Z")) == []
        assert len(ids(ann.events(timeMin="2026-12-05T22:59:59Z"))) == 1

    @pytest.mark.parametrize("text", ["2026-12-01T00:00:00", "2026-12-01", "yesterday"])
    def test_offset_is_mandatory(self, ann: Caller, text: str) -> None:
        assert ann.refusal(timeMin=text)[0] == 400

    def test_empty_range_is_refused(self, ann: Caller) -> None:
        moment = "2026-12-01T00:00:00Z"
        assert ann.refusal(timeMin=moment, timeMax=moment)[:2] == (400, "timeRangeEmpty")

    def test_deleted_events_only_on_request(self, google: Server, ann: Caller) -> None:
        event_id = google.state.insert_event(ANN, timed(1, 9))
        google.state.delete_event(ANN, event_id)
        assert ann.events()["items"] == []
        stub = ann.events(showDeleted="true")["items"][0]
        assert {k: stub[k] for k in ("id", "status")} == {"id": event_id, "status": "cancelled"}
        assert "summary" not in stub

    def test_event_types_filter(self, google: Server, ann: Caller) -> None:
        away = google.state.insert_event(ANN, timed(1, 9, eventType="outOfOffice"))
        google.state.insert_event(ANN, timed(1, 9))
        assert ids(ann.events(eventTypes=["outOfOffice", "focusTime"])) == [away]

    def test_answer_zone_and_guest_cap(self, google: Server, ann: Caller) -> None:
        guests = [{"email": f"g{n}@x.example"} for n in range(5)] + [{"email": ANN}]
        google.state.insert_event(ANN, timed(1, 9, attendees=guests))
        event = ann.events(timeZone="America/New_York", maxAttendees=1)["items"][0]
        assert event["start"]["dateTime"] == "2026-12-01T03:00:00-05:00"
        assert event["attendeesOmitted"] is True
        assert [guest["email"] for guest in event["attendees"]] == [ANN]

    def test_raw_events_pass_unharmed(self, google: Server, ann: Caller) -> None:
        odd = {"id": "odd", "start": {"date": "0000-12-30"}, "end": {"date": "0001-01-01"}}
        google.state.insert_event(ANN, odd, raw=True)
        google.state.insert_event(ANN, {"id": "bare", "status": "confirmed"}, raw=True)
        assert odd in ann.events()["items"]
        assert {"id": "bare", "status": "confirmed"} in ann.events()["items"]


class TestFields:
    def test_mask(self, google: Server, ann: Caller) -> None:
        google.state.insert_event(ANN, timed(1, 9, attendees=[{"email": ANN}]))
        assert list(ann.events(fields="nextPageToken,nextSyncToken")) == ["nextSyncToken"]
        mask = "items(id,start/dateTime,attendees(self)),timeZone"
        answer = ann.events(fields=mask)
        assert set(answer) == {"items", "timeZone"}
        item = answer["items"][0]
        assert set(item) == {"id", "start", "attendees"}
        assert item["attendees"] == [{"self": True}]
        assert set(item["start"]) == {"dateTime"}

    @pytest.mark.parametrize("mask", ["items(id", "items)", ",", "items(id)x", "a b!"])
    def test_malformed_mask(self, ann: Caller, mask: str) -> None:
        assert ann.refusal(fields=mask)[:2] == (400, "invalidParameter")

    @pytest.mark.parametrize("mask", ["nothing", "items(id,sumary)", "items/start/datum"])
    def test_mask_of_a_field_that_google_does_not_have(self, ann: Caller, mask: str) -> None:
        """A misspelt field must not pass here and fail at Google."""
        assert ann.refusal(fields=mask)[:2] == (400, "invalidParameter")

    def test_unknown_access_role(self, google: Server) -> None:
        caller = Caller(google, scopes=("calendar.readonly",))
        listed = caller.get("/users/me/calendarList", minAccessRole="king")
        caller.session.close()
        assert listed.status_code == 400

    def test_mask_below_free_names(self, ann: Caller) -> None:
        ann.events(fields="items(extendedProperties/private/anything,reminders/overrides/method)")

    @pytest.mark.parametrize("single", ["true", "false"])
    def test_raw_series_without_zone(self, google: Server, ann: Caller, single: str) -> None:
        raw = {
            "id": "bare",
            "status": "confirmed",
            "recurrence": ["RRULE:FREQ=DAILY;COUNT=2"],
            "start": {"dateTime": "2026-12-01T09:00:00"},
            "end": {"dateTime": "2026-12-01T10:00:00"},
        }
        google.state.insert_event(ANN, raw, raw=True)
        found = ann.events(singleEvents=single, timeMin="2026-11-30T00:00:00Z")["items"]
        assert len(found) == (2 if single == "true" else 1)


class TestSyncTokens:
    def test_delta_holds_what_changed(self, google: Server, ann: Caller) -> None:
        state = google.state
        kept, edited, gone = (state.insert_event(ANN, timed(day, 9)) for day in (1, 2, 3))
        token = ann.events()["nextSyncToken"]
        state.patch_event(ANN, edited, {"summary": "New"})
        state.delete_event(ANN, gone)
        added = state.insert_event(ANN, timed(4, 9))
        answer = ann.events(syncToken=token)
        assert ids(answer) == [edited, gone, added]
        assert kept not in ids(answer)
        assert set(answer["items"][1]) <= {"kind", "etag", "id", "status"}
        assert ann.events(syncToken=answer["nextSyncToken"])["items"] == []
        assert ids(ann.events(syncToken=token)) == [edited, gone, added]  # replay is safe

    @pytest.mark.parametrize(
        "name",
        [
            "iCalUID",
            "orderBy",
            "privateExtendedProperty",
            "q",
            "sharedExtendedProperty",
            "timeMin",
            "timeMax",
            "updatedMin",
        ],
    )
    def test_forbidden_beside_a_token(self, ann: Caller, name: str) -> None:
        token = ann.events()["nextSyncToken"]
        value = "2026-12-01T00:00:00Z" if name[-3:] in ("Min", "Max") else "updated"
        status, _, location = ann.refusal(syncToken=token, **{name: value})
        assert (status, location) == (400, name)

    def test_deletions_cannot_be_hidden(self, ann: Caller) -> None:
        token = ann.events()["nextSyncToken"]
        assert ann.refusal(syncToken=token, showDeleted="false")[0] == 400

    @pytest.mark.parametrize(
        "other",
        [
            {"singleEvents": "true"},
            {"maxResults": 10},
            {"timeZone": "UTC"},
            {"maxAttendees": 1},
            {"eventTypes": "default"},
            {"showHiddenInvitations": "true"},
            {"showDeleted": "true"},
        ],
    )
    def test_token_belongs_to_its_query(
        self, google: Server, ann: Caller, other: dict[str, Any]
    ) -> None:
        token = ann.events()["nextSyncToken"]
        assert ann.refusal(syncToken=token, **other)[0] == 400
        google.state.behaviour.bad_token_status = 410
        assert ann.refusal(syncToken=token, **other)[0] == 410

    def test_default_said_aloud_is_the_same_query(self, ann: Caller) -> None:
        token = ann.events()["nextSyncToken"]
        assert ann.events(syncToken=token, singleEvents="false", maxResults=250)["items"] == []

    def test_token_belongs_to_user_and_calendar(self, google: Server, ann: Caller) -> None:
        google.state.add_user("bob@icecream.example")
        google.state.share(ANN, "bob@icecream.example", "reader")
        token = ann.events()["nextSyncToken"]
        bob = Caller(google, "bob@icecream.example")
        answer = bob.get(f"/calendars/{ANN}/events", syncToken=token)
        bob.session.close()
        assert answer.status_code == 410

    def test_expired_token(self, google: Server, ann: Caller) -> None:
        token = ann.events()["nextSyncToken"]
        google.state.expire_sync_tokens(calendar_id=ANN)
        assert ann.refusal(syncToken=token) == (410, "fullSyncRequired", "syncToken")
        google.state.insert_event(ANN, timed(1, 9))
        assert ann.events(syncToken=ann.events()["nextSyncToken"])["items"] == []

    def test_aged_token(self, google: Server, ann: Caller) -> None:
        google.state.behaviour.sync_token_ttl = 3600
        token = ann.events()["nextSyncToken"]
        google.state.clock.set_offset(3500)
        ann.events(syncToken=token)
        google.state.clock.set_offset(3700)
        assert ann.session.headers["Authorization"]
        fresh = Caller(google)
        assert fresh.refusal(syncToken=token)[:2] == (410, "fullSyncRequired")
        fresh.session.close()

    @pytest.mark.parametrize("token", ["nonsense", "AAAA", "%%%"])
    def test_malformed_token(self, ann: Caller, token: str) -> None:
        assert ann.refusal(syncToken=token)[0] == 400  # open question 6

    @pytest.mark.parametrize("extra", [{"orderBy": "updated"}, {"q": "x"}])
    def test_no_token_for_ordered_or_searched_listings(
        self, ann: Caller, extra: dict[str, str]
    ) -> None:
        assert "nextSyncToken" not in ann.events(**extra)

    def test_order_by_start_needs_single_events(self, ann: Caller) -> None:
        assert ann.refusal(orderBy="startTime")[0] == 400

    def test_updated_min_too_long_ago(self, ann: Caller) -> None:
        refusal = ann.refusal(updatedMin="2020-01-01T00:00:00Z")
        assert refusal == (410, "updatedMinTooLongAgo", "updatedMin")

    def test_bounds_of_the_first_request(self, google: Server, ann: Caller) -> None:
        """Sources differ on whether a token keeps the time bounds of the listing that gave it: the
        stand-in can do either."""
        window = {"timeMin": "2026-12-01T00:00:00Z", "timeMax": "2026-12-03T00:00:00Z"}
        event_id = google.state.insert_event(ANN, timed(1, 9))
        token = ann.events(**window)["nextSyncToken"]
        google.state.patch_event(ANN, event_id, {k: timed(20, 9)[k] for k in ("start", "end")})
        moved = ann.events(syncToken=token)["items"][0]
        assert moved["start"]["dateTime"].startswith("2026-12-20")
        google.state.behaviour.token_keeps_bounds = True
        assert ann.events(syncToken=token)["items"][0]["status"] == "cancelled"

    def test_moved_between_calendars(self, google: Server, ann: Caller) -> None:
        google.state.add_calendar("outlet@group.calendar.google.com", ANN)
        event_id = google.state.insert_event(ANN, timed(1, 9))
        token = ann.events()["nextSyncToken"]
        google.state.move_event(ANN, event_id, "outlet@group.calendar.google.com")
        stub = ann.events(syncToken=token)["items"][0]
        assert (stub["id"], stub["status"]) == (event_id, "cancelled")
        assert ids(ann.events("outlet@group.calendar.google.com")) == [event_id]


class TestPages:
    def test_token_only_on_the_last_page(self, google: Server, ann: Caller) -> None:
        made = {google.state.insert_event(ANN, timed(day, 9)) for day in range(1, 6)}
        found: list[str] = []
        params: dict[str, Any] = {"maxResults": 2}
        for last in (False, False, True):
            answer = ann.events(**params)
            found += ids(answer)
            assert ("nextSyncToken" in answer) is last
            assert ("nextPageToken" in answer) is not last
            params["pageToken"] = answer.get("nextPageToken")
        assert set(found) == made
        assert len(found) == 5

    def test_change_while_paging_is_in_the_next_delta(self, google: Server, ann: Caller) -> None:
        for day in range(1, 4):
            google.state.insert_event(ANN, timed(day, 9))
        first = ann.events(maxResults=2)
        added = google.state.insert_event(ANN, timed(9, 9))
        last = ann.events(maxResults=2, pageToken=first["nextPageToken"])
        assert added not in ids(last)
        assert ids(ann.events(maxResults=2, syncToken=last["nextSyncToken"])) == [added]

    def test_delta_is_paged_and_may_begin_empty(self, google: Server, ann: Caller) -> None:
        token = ann.events(maxResults=2)["nextSyncToken"]
        made = [google.state.insert_event(ANN, timed(day, 9)) for day in range(1, 4)]
        google.state.behaviour.empty_first_page = True
        answer = ann.events(maxResults=2, syncToken=token)
        assert answer["items"] == []
        found: list[str] = []
        while "nextPageToken" in answer:
            page = answer["nextPageToken"]
            answer = ann.events(maxResults=2, syncToken=token, pageToken=page)
            found += ids(answer)
        assert found == made
        assert answer["nextSyncToken"]

    def test_page_token_of_another_query(self, google: Server, ann: Caller) -> None:
        for day in range(1, 4):
            google.state.insert_event(ANN, timed(day, 9))
        page = ann.events(maxResults=2)["nextPageToken"]
        assert ann.refusal(maxResults=1, pageToken=page)[0] == 400
        assert ann.refusal(maxResults=2, pageToken="made up")[0] == 400

    def test_page_size(self, google: Server, ann: Caller) -> None:
        for _ in range(251):
            google.state.insert_event(ANN, timed(1, 9))
        assert len(ann.events()["items"]) == 250
        assert len(ann.events(maxResults=99999)["items"]) == 251
        assert ann.refusal(maxResults=0)[0] == 400
        google.state.behaviour.page_limit = 7
        assert len(ann.events()["items"]) == 7


class TestAccess:
    def test_bad_token(self, google: Server, ann: Caller) -> None:
        ann.session.headers["Authorization"] = "Bearer nobody"
        assert ann.refusal()[:2] == (401, "authError")

    def test_expired_token(self, google: Server, ann: Caller) -> None:
        google.state.clock.set_offset(3600)
        assert ann.refusal()[:2] == (401, "authError")

    def test_scope(self, google: Server) -> None:
        caller = Caller(google, scopes=("calendar.events.readonly",))
        listed = caller.get("/users/me/calendarList")
        caller.session.close()
        assert listed.status_code == 403
        assert listed.json()["error"]["errors"][0]["reason"] == "insufficientPermissions"

    def test_unreadable_calendar(self, google: Server, ann: Caller) -> None:
        google.state.add_user("bob@icecream.example")
        for calendar in ("bob@icecream.example", "nobody@icecream.example"):
            answer = ann.get(f"/calendars/{calendar}/events")
            assert answer.status_code == 404
            assert answer.json()["error"]["errors"][0]["reason"] == "notFound"

    def test_reader_does_not_see_private_detail(self, google: Server, ann: Caller) -> None:
        google.state.add_calendar("team", "bob@icecream.example")
        points = {"entryPoints": [{"entryPointType": "video", "uri": "https://meet", "pin": "1"}]}
        body = timed(
            1,
            9,
            visibility="private",
            location="Clinic",
            hangoutLink="https://meet",
            conferenceData=points,
        )
        google.state.insert_event("team", body)
        for role, sees in (("writer", True), ("reader", False), ("freeBusyReader", False)):
            google.state.share("team", ANN, role)
            event = ann.events("team")["items"][0]
            details = ("summary", "location", "hangoutLink", "conferenceData")
            assert [name in event for name in details] == [sees] * 4
            assert event["start"]
        google.state.share("team", ANN, "writer")
        mask = "items(transparency,conferenceData(entryPoints(entryPointType,uri)))"
        event = ann.events("team", fields=mask)["items"][0]
        point = {"entryPointType": "video", "uri": "https://meet"}
        assert event == {"conferenceData": {"entryPoints": [point]}}

    def test_calendar_list(self, google: Server) -> None:
        caller = Caller(google, scopes=("calendar.readonly",))
        first = caller.get("/users/me/calendarList").json()
        assert [(c["id"], c["primary"]) for c in first["items"]] == [(ANN, True)]
        google.state.add_calendar("outlet", ANN, "Outlet")
        token = first["nextSyncToken"]
        delta = caller.get("/users/me/calendarList", syncToken=token).json()
        assert [c["id"] for c in delta["items"]] == ["outlet"]
        google.state.remove_access("outlet", ANN)
        token = delta["nextSyncToken"]
        delta = caller.get("/users/me/calendarList", syncToken=token).json()
        assert delta["items"][0]["deleted"] is True
        google.state.add_calendar("hidden", ANN, "Cellar")
        google.state.list_as("hidden", ANN, name="Mine", hidden=True)
        for hidden in ("false", "true"):
            listed = caller.get("/users/me/calendarList", showHidden=hidden).json()["items"]
            shown = [c["summaryOverride"] for c in listed if c.get("hidden")]
            assert shown == ["Mine"] * (hidden == "true")
        bad = caller.get("/users/me/calendarList", syncToken=token, minAccessRole="owner")
        assert bad.status_code == 400
        assert caller.get(f"/calendars/{ANN}").json()["timeZone"] == "Europe/Berlin"
        caller.session.close()

    def test_quota(self, google: Server, ann: Caller) -> None:
        google.state.behaviour.quota_per_user_minute = 2
        ann.events()
        ann.events()
        assert ann.refusal()[:2] == (403, "userRateLimitExceeded")
        google.state.clock.set_offset(61)
        ann.events()


class TestTransport:
    def test_gzip_needs_both_headers(self, google: Server, ann: Caller) -> None:
        google.state.insert_event(ANN, timed(1, 9, description="x" * 5000))
        plain = ann.get("/calendars/primary/events")
        ann.session.headers["User-Agent"] = "tests (gzip)"
        zipped = ann.get("/calendars/primary/events")
        assert "Content-Encoding" not in plain.headers
        assert zipped.headers["Content-Encoding"] == "gzip"
        assert zipped.json()["items"] == plain.json()["items"]

    def test_etag(self, google: Server, ann: Caller) -> None:
        event_id = google.state.insert_event(ANN, timed(1, 9))
        first = ann.get(f"/calendars/primary/events/{event_id}")
        ann.session.headers["If-None-Match"] = first.headers["ETag"]
        assert ann.get(f"/calendars/primary/events/{event_id}").status_code == 304
        google.state.patch_event(ANN, event_id, {"summary": "New"})
        assert ann.get(f"/calendars/primary/events/{event_id}").status_code == 200

    def test_real_client(self, google: Server) -> None:
        for day in range(1, 4):
            google.state.insert_event(ANN, timed(day, 9))
        http = httplib2.Http(timeout=5)
        token = google.state.mint_access_token(ANN)
        service = build(
            "calendar",
            "v3",
            http=http,
            client_options={"api_endpoint": f"{google.url}/calendar/v3/"},
        )

        def call(request: Any) -> Any:
            request.headers["authorization"] = f"Bearer {token}"
            return request.execute()

        asked = service.events().list(calendarId="primary", maxResults=2)
        first = call(asked)
        last = call(service.events().list_next(asked, first))
        assert len(first["items"]) + len(last["items"]) == 3
        google.state.expire_sync_tokens()
        with pytest.raises(HttpError) as caught:
            call(
                service.events().list(
                    calendarId="primary", maxResults=2, syncToken=last["nextSyncToken"]
                )
            )
        assert caught.value.resp.status == 410
        assert caught.value.error_details[0]["reason"] == "fullSyncRequired"
        service.close()
        http.close()
