"""The stand-in does what Google documents of series: expansion, exceptions, splits, deltas."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from watcher_sandbox.google import GoogleState, Server, serve
from watcher_sandbox.google.errors import GoogleError

ANN = "ann@icecream.example"
WINDOW = {"timeMin": "2026-10-01T00:00:00Z", "timeMax": "2026-12-01T00:00:00Z"}


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with serve() as server:
        yield server


@pytest.fixture
def state(running: Server) -> GoogleState:
    running.state.reset()
    running.state.add_user(ANN, "Ann", "Europe/Berlin")
    return running.state


Items = list[dict[str, Any]]


class Api:
    def __init__(self, server: Server) -> None:
        self.session = requests.Session()
        token = server.state.mint_access_token(ANN)
        self.session.headers["Authorization"] = f"Bearer {token}"
        self.url = f"{server.url}/calendar/v3/calendars/primary/events"

    def list(self, **params: Any) -> Items:
        return self.pages("", params)[0]

    def delta(self, token: str, **params: Any) -> Items:
        return self.pages("", {**params, "syncToken": token})[0]

    def token(self, **params: Any) -> str:
        return self.pages("", params)[1]

    def instances(self, event_id: str, **params: Any) -> Items:
        return self.pages(f"/{event_id}/instances", {**WINDOW, **params})[0]

    def pages(self, path: str, params: dict[str, Any]) -> tuple[Items, str]:
        found: Items = []
        asked = dict(params)
        while True:
            answer = self.session.get(self.url + path, params=asked, timeout=10)
            assert answer.status_code == 200, answer.text
            body = answer.json()
            found += body["items"]
            if "nextPageToken" not in body:
                return found, body.get("nextSyncToken", "")
            asked["pageToken"] = body["nextPageToken"]


@pytest.fixture
def api(running: Server, state: GoogleState) -> Iterator[Api]:
    made = Api(running)
    yield made
    made.session.close()


def weekly(**more: Any) -> dict[str, Any]:
    """Tuesdays 09:00 in Berlin from 20 October; clocks change on 25 October 2026."""
    return {
        "summary": "Roster",
        "start": {"dateTime": "2026-10-20T09:00:00", "timeZone": "Europe/Berlin"},
        "end": {"dateTime": "2026-10-20T10:00:00", "timeZone": "Europe/Berlin"},
        "recurrence": ["RRULE:FREQ=WEEKLY"],
        **more,
    }


def at(text: str) -> dict[str, str]:
    return {"dateTime": text, "timeZone": "Europe/Berlin"}


def suffixes(items: list[dict[str, Any]]) -> list[str]:
    return [item["id"].partition("_")[2] for item in items]


def by_id(items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    assert len({item["id"] for item in items}) == len(items)
    return {item["id"]: item for item in items}


class TestExpansion:
    def test_wall_time_holds_over_the_change_of_clocks(self, state: GoogleState, api: Api) -> None:
        master = state.insert_event(ANN, weekly())
        found = api.instances(master, timeMax="2026-11-05T00:00:00Z")
        assert suffixes(found) == ["20261020T070000Z", "20261027T080000Z", "20261103T080000Z"]
        assert found[1]["start"]["dateTime"] == "2026-10-27T09:00:00+01:00"
        assert found[1]["recurringEventId"] == master
        assert found[1]["originalStartTime"] == found[1]["start"]
        assert "recurrence" not in found[1]
        assert found[0]["iCalUID"] == found[1]["iCalUID"]

    def test_all_day_ids(self, state: GoogleState, api: Api) -> None:
        body = {
            "start": {"date": "2026-11-02"},
            "end": {"date": "2026-11-04"},
            "recurrence": ["RRULE:FREQ=DAILY;INTERVAL=7;COUNT=3"],
        }
        found = api.instances(state.insert_event(ANN, body))
        assert suffixes(found) == ["20261102", "20261109", "20261116"]
        assert found[2]["end"] == {"date": "2026-11-18"}  # exclusive end

    @pytest.mark.parametrize(
        ("lines", "days"),
        [
            (["RRULE:FREQ=WEEKLY;COUNT=2"], ["20", "27"]),
            (["RRULE:FREQ=WEEKLY;UNTIL=20261103T080000Z"], ["20", "27", "03"]),
            (["RRULE:FREQ=WEEKLY;UNTIL=20261103T075959Z"], ["20", "27"]),
            (
                ["RRULE:FREQ=WEEKLY;COUNT=3", "EXDATE;TZID=Europe/Berlin:20261027T090000"],
                ["20", "03"],
            ),
            (["RRULE:FREQ=WEEKLY;COUNT=2", "RDATE:20261029T100000Z"], ["20", "27", "29"]),
            (
                [
                    "RRULE:FREQ=WEEKLY;COUNT=2",
                    "EXDATE:20261020T070000Z,20261027T080000Z",
                    "RDATE:20261029T100000Z",
                ],
                ["29"],
            ),
            (["RDATE;TZID=America/New_York:20261029T060000"], ["20", "29"]),
        ],
    )
    def test_rules(self, state: GoogleState, api: Api, lines: list[str], days: list[str]) -> None:
        found = api.instances(state.insert_event(ANN, weekly(recurrence=lines)))
        assert [item["id"].rpartition("_")[2][6:8] for item in found] == days

    @pytest.mark.parametrize(
        "line",
        [
            "FREQ=WEEKLY",
            "RRULE:FREQ=SOMETIMES",
            "RRULE:COUNT=2",
            "DTSTART:20261020T070000Z",
            "RRULE:FREQ=DAILY;COUNT=2;UNTIL=20261103",
            "RRULE:FREQ=DAILY;UNTIL=20200101T000000Z",
        ],
    )
    def test_bad_rules(self, state: GoogleState, line: str) -> None:
        with pytest.raises(GoogleError) as caught:
            state.insert_event(ANN, weekly(recurrence=[line]))
        assert (caught.value.status, caught.value.reason) == (400, "invalid")

    def test_start_in_the_gap(self, state: GoogleState, api: Api) -> None:
        body = {
            "start": at("2026-03-28T02:30:00"),
            "end": at("2026-03-28T03:00:00"),
            "recurrence": ["RRULE:FREQ=DAILY;COUNT=3"],
        }
        window = {"timeMin": "2026-03-27T00:00:00Z", "timeMax": "2026-04-01T00:00:00Z"}
        found = api.instances(state.insert_event(ANN, body), **window)
        starts = [item["start"]["dateTime"][11:16] for item in found]
        assert starts == ["02:30", "03:30", "02:30"]
        state.cancel_instance(ANN, found[1]["id"])  # its id can be used although 02:30 was not
        assert len(api.instances(found[1]["recurringEventId"], **window)) == 2

    def test_single_events_or_series(self, state: GoogleState, api: Api) -> None:
        master = state.insert_event(ANN, weekly())
        assert [item["id"] for item in api.list()] == [master]
        expanded = api.list(singleEvents="true", **WINDOW)
        assert len(expanded) == 6
        assert master not in by_id(expanded)
        outside = {"timeMin": "2026-01-01T00:00:00Z", "timeMax": "2026-02-01T00:00:00Z"}
        assert api.list(**outside) == api.list(singleEvents="true", **outside) == []


class TestExceptions:
    def test_moved_instance_keeps_its_identity(self, state: GoogleState, api: Api) -> None:
        master = state.insert_event(ANN, weekly())
        moved = f"{master}_20261027T080000Z"
        state.move_instance(ANN, moved, at("2026-10-28T12:00:00"), at("2026-10-28T13:00:00"))
        found = by_id(api.list(singleEvents="true", **WINDOW))[moved]
        assert found["start"]["dateTime"] == "2026-10-28T12:00:00+01:00"
        assert found["originalStartTime"]["dateTime"] == "2026-10-27T09:00:00+01:00"
        assert set(by_id(api.list())) == {master, moved}

    def test_moved_into_and_out_of_the_window(self, state: GoogleState, api: Api) -> None:
        master = state.insert_event(ANN, weekly())
        window = {"timeMin": "2026-10-26T00:00:00Z", "timeMax": "2026-10-30T00:00:00Z"}
        out, into = f"{master}_20261027T080000Z", f"{master}_20261124T080000Z"
        state.move_instance(ANN, out, at("2026-12-24T09:00:00"), at("2026-12-24T10:00:00"))
        state.move_instance(ANN, into, at("2026-10-29T09:00:00"), at("2026-10-29T10:00:00"))
        assert [item["id"] for item in api.instances(master, **window)] == [into]
        assert [item["id"] for item in api.list(singleEvents="true", **window)] == [into]

    def test_cancelled_instances(self, state: GoogleState, api: Api) -> None:
        master = state.insert_event(ANN, weekly())
        gone = f"{master}_20261027T080000Z"
        state.cancel_instance(ANN, gone)
        stub = by_id(api.list())[gone]  # although showDeleted is false
        assert stub["status"] == "cancelled"
        assert stub["recurringEventId"] == master
        assert stub["originalStartTime"]["dateTime"] == "2026-10-27T09:00:00+01:00"
        assert gone not in by_id(api.list(singleEvents="true", **WINDOW))
        assert gone in by_id(api.list(singleEvents="true", showDeleted="true", **WINDOW))
        assert gone not in by_id(api.instances(master))
        assert gone in by_id(api.instances(master, showDeleted="true"))
        state.patch_event(ANN, gone, {"status": "confirmed"})
        assert gone in by_id(api.instances(master))

    def test_exception_inherits_what_it_does_not_override(
        self, state: GoogleState, api: Api
    ) -> None:
        master = state.insert_event(ANN, weekly())
        one = f"{master}_20261027T080000Z"
        state.patch_event(ANN, one, {"location": "Outlet"})
        token = api.token()
        state.patch_event(ANN, master, {"summary": "Shift"})
        changed = by_id(api.delta(token))
        assert set(changed) == {master, one}
        assert (changed[one]["summary"], changed[one]["location"]) == ("Shift", "Outlet")

    def test_get_one_instance(self, state: GoogleState, running: Server, api: Api) -> None:
        master = state.insert_event(ANN, weekly())
        found = api.session.get(f"{api.url}/{master}_20261027T080000Z", timeout=10)
        assert found.json()["recurringEventId"] == master
        missing = api.session.get(f"{api.url}/{master}_20261028T080000Z", timeout=10)
        assert missing.status_code == 404


class TestSeriesChanges:
    def test_split(self, state: GoogleState, api: Api) -> None:
        master = state.insert_event(ANN, weekly(recurrence=["RRULE:FREQ=WEEKLY;COUNT=6"]))
        late = f"{master}_20261117T080000Z"
        state.patch_event(ANN, late, {"summary": "Odd one"})
        token = api.token()
        new = state.split_series(
            ANN, master, "2026-11-03T09:00:00+01:00", {"summary": "New roster"}
        )
        changed = by_id(api.delta(token))
        assert set(changed) == {master, new, late}
        assert "UNTIL=20261103T075959Z" in changed[master]["recurrence"][0]
        assert changed[new]["recurrence"] == ["RRULE:FREQ=WEEKLY;COUNT=4"]
        assert changed[late]["status"] == "cancelled"
        assert len(api.instances(master)) == 2
        assert len(api.instances(new)) == 4
        summaries = [e["summary"] for e in api.list(singleEvents="true", **WINDOW)]
        assert summaries == ["Roster"] * 2 + ["New roster"] * 4

    def test_swept_exceptions_may_go_unmentioned(self, state: GoogleState, api: Api) -> None:
        state.behaviour.reset_exceptions_reported = False
        master = state.insert_event(ANN, weekly())
        state.patch_event(ANN, f"{master}_20261117T080000Z", {"summary": "Odd one"})
        token = api.token()
        state.delete_event(ANN, master)
        assert set(by_id(api.delta(token))) == {master}

    def test_deleted_series(self, state: GoogleState, api: Api) -> None:
        master = state.insert_event(ANN, weekly())
        token = api.token()
        state.delete_event(ANN, master)
        stub = api.delta(token)[0]
        assert (stub["id"], stub["status"]) == (master, "cancelled")
        assert api.session.get(f"{api.url}/{master}/instances", timeout=10).status_code == 404
        expanded = api.list(singleEvents="true", showDeleted="true", **WINDOW)
        assert expanded == []  # no cancelled parents

    def test_new_time_and_back(self, state: GoogleState, api: Api) -> None:
        """Ids follow the original start; returning ones are no longer reported as gone."""
        master = state.insert_event(ANN, weekly())
        state.patch_event(ANN, f"{master}_20261027T080000Z", {"summary": "Odd one"})
        later = {"start": at("2026-10-20T10:00:00"), "end": at("2026-10-20T11:00:00")}
        state.patch_event(ANN, master, later)
        assert suffixes(api.instances(master))[1] == "20261027T090000Z"
        assert suffixes(api.list(showDeleted="true")).count("20261027T080000Z") == 1
        state.patch_event(ANN, master, {k: weekly()[k] for k in ("start", "end")})
        assert suffixes(api.instances(master))[1] == "20261027T080000Z"
        assert [e["id"] for e in api.list(showDeleted="true")] == [master]

    def test_single_event_becomes_a_series_and_back(self, state: GoogleState, api: Api) -> None:
        event_id = state.insert_event(ANN, weekly(recurrence=None))
        token = api.token(singleEvents="true")
        state.patch_event(ANN, event_id, {"recurrence": ["RRULE:FREQ=WEEKLY;COUNT=2"]})
        changed = by_id(api.delta(token, singleEvents="true"))
        assert changed[event_id]["status"] == "cancelled"
        assert len(changed) == 3
        token = api.token(singleEvents="true")
        state.patch_event(ANN, event_id, {"recurrence": None})
        changed = by_id(api.delta(token, singleEvents="true"))
        assert changed.pop(event_id)["status"] == "confirmed"
        assert [each["status"] for each in changed.values()] == ["cancelled"] * 2

    def test_moved_with_its_exceptions(self, state: GoogleState, api: Api) -> None:
        state.add_calendar("outlet", ANN)
        master = state.insert_event(ANN, weekly())
        one = f"{master}_20261027T080000Z"
        state.patch_event(ANN, one, {"summary": "Odd one"})
        state.move_event(ANN, master, "outlet")
        low, high = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
        assert by_id(state.truth("outlet", low, high))[one]["summary"] == "Odd one"
        assert state.truth(ANN, low, high) == []

    def test_only_default_events_move(self, state: GoogleState) -> None:
        state.add_calendar("outlet", ANN)
        event_id = state.insert_event(ANN, weekly(eventType="outOfOffice"))
        with pytest.raises(GoogleError) as caught:
            state.move_event(ANN, event_id, "outlet")
        assert caught.value.status == 400


class TestExpandedDelta:
    def test_one_touched_series_runs_far_past_the_window(
        self, state: GoogleState, api: Api
    ) -> None:
        master = state.insert_event(ANN, weekly())
        token = api.token(singleEvents="true", **WINDOW)
        state.patch_event(ANN, master, {"summary": "Shift"})
        found = api.delta(token, singleEvents="true")
        assert len(found) > 700
        assert master not in by_id(found)

    def test_vanished_instances_are_reported(self, state: GoogleState, api: Api) -> None:
        master = state.insert_event(ANN, weekly(recurrence=["RRULE:FREQ=WEEKLY;COUNT=4"]))
        token = api.token(singleEvents="true")
        state.patch_event(ANN, master, {"recurrence": ["RRULE:FREQ=WEEKLY;COUNT=3"]})
        found = by_id(api.delta(token, singleEvents="true"))
        gone = found.pop(f"{master}_20261110T080000Z")
        assert gone["status"] == "cancelled"
        assert gone["originalStartTime"]["dateTime"] == "2026-11-10T09:00:00+01:00"
        assert {item["status"] for item in found.values()} == {"confirmed"}
        state.delete_event(ANN, master)
        found = by_id(api.delta(token, singleEvents="true"))
        assert {item["status"] for item in found.values()} == {"cancelled"}
        assert len(found) == 4
