"""The stand-in's answers hold what Google's discovery document describes, and nothing else.

They are asked for by Google's own client, which is built from the same document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from copy import deepcopy
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httplib2
import pytest
from googleapiclient.discovery import build

from tests.contract.discovery import Json, differences, with_answer
from tests.mixed_week import MixedWeek
from watcher_sandbox import ics, people
from watcher_sandbox.google import GoogleState, Server, create_app, serve

ANN, BOB, CAL = "ann@icecream.example", "bob@icecream.example", "cal@icecream.example"
TEAM = "team@group.calendar.google.com"
KOLKATA = ZoneInfo("Asia/Kolkata")
ODDITIES = Path(__file__).parents[1] / "data" / "oddities.ics"
ADDRESS = "http://127.0.0.1:9/webhooks/google"  # nobody listens: notices are not the subject here
PAGE = 7
"""Items a page: small, so that a listing has several."""

ROOM = {
    "entryPoints": [
        {"entryPointType": "video", "uri": "https://meet.google.com/abc", "label": "meet"},
        {"entryPointType": "phone", "uri": "tel:+1-555-0100", "pin": "1234", "regionCode": "US"},
    ],
    "conferenceSolution": {
        "key": {"type": "hangoutsMeet"},
        "name": "Google Meet",
        "iconUri": "https://fonts.gstatic.com/meet.png",
    },
    "conferenceId": "abc-defg-hij",
}
GUESTS = [
    {"email": ANN, "responseStatus": "declined", "organizer": True},
    {"email": BOB, "displayName": "Bob", "responseStatus": "needsAction", "optional": True},
    {"email": "room@icecream.example", "resource": True, "additionalGuests": 2},
]
DETAILS: list[Json] = [
    {"attendees": GUESTS, "conferenceData": ROOM, "hangoutLink": "https://meet.google.com/abc"},
    {"attachments": [{"fileUrl": "https://example.com/1", "title": "Plan", "fileId": "1"}]},
    {"reminders": {"useDefault": False, "overrides": [{"method": "popup", "minutes": 10}]}},
    {"extendedProperties": {"private": {"shop": "7"}, "shared": {"kind": "shift"}}},
    {"source": {"url": "https://example.com", "title": "Shop"}, "colorId": "7"},
    {"eventType": "workingLocation", "visibility": "public", "transparency": "transparent"}
    | {"workingLocationProperties": {"type": "homeOffice", "homeOffice": {}}},
    {"eventType": "focusTime", "focusTimeProperties": {"chatStatus": "doNotDisturb"}},
    {"eventType": "outOfOffice", "outOfOfficeProperties": {"declineMessage": "Away"}},
    {"eventType": "birthday", "birthdayProperties": {"type": "birthday"}},
    {"visibility": "private", "description": "CANARY", "guestsCanModify": True},
    {"visibility": "confidential", "status": "tentative", "attendees": GUESTS},
    {"endTimeUnspecified": True, "sequence": 4, "locked": True, "privateCopy": True},
]
"""Each of these is added to an hour on a day of its own."""

ODD: list[Json] = [
    {"start": {"date": "0900-01-01"}, "end": {"date": "0900-01-02"}},
    {"start": {"date": "20261201"}, "end": {"date": "20261202"}, "description": None},
    {
        "start": {"dateTime": "1890-01-01T09:00:00", "timeZone": "Asia/Kolkata"},
        "end": {"dateTime": "1890-01-01T10:00:00", "timeZone": "Asia/Kolkata"},
    },
]
"""A year below 1000, a date without hyphens, a time from before the zones, and an empty field."""


# --- what is asked ------------------------------------------------------------------------


class Caller:
    """Google's own client for one user. Every answer has passed the check."""

    def __init__(self, server: Server, email: str) -> None:
        self._token = server.state.mint_access_token(
            email, ["https://www.googleapis.com/auth/calendar.readonly"]
        )
        address = {"api_endpoint": f"{server.url}/calendar/v3/"}
        self._http = httplib2.Http(timeout=10)
        self.api = build("calendar", "v3", http=self._http, client_options=address)

    def call(self, request: Any) -> Json:
        request.headers["authorization"] = f"Bearer {self._token}"
        answer: Json = request.execute()
        assert differences(request.methodId, answer) == []
        return answer

    def pages(self, collection: Any, method: str, **params: Any) -> tuple[list[Json], str]:
        """(all items, the next sync token) of a list."""
        items: list[Json] = []
        request = getattr(collection, method)(**params)
        while True:
            page = self.call(request)
            items += page["items"]
            following = getattr(collection, f"{method}_next")(request, page)
            if following is None:
                return items, page.get("nextSyncToken", "")
            request = following

    def events(self, **params: Any) -> tuple[list[Json], str]:
        params = {"calendarId": ANN, "maxResults": PAGE, **params}
        return self.pages(self.api.events(), "list", **params)

    def close(self) -> None:
        self._http.close()


def channel(number: int) -> Json:
    return {"id": f"channel-{number}", "type": "web_hook", "address": ADDRESS, "token": "secret"}


CALLS: dict[str, Callable[[Any, str], Any]] = {
    "calendar.calendarList.get": lambda api, _: api.calendarList().get(calendarId=TEAM),
    "calendar.calendarList.list": lambda api, _: api.calendarList().list(),
    "calendar.calendarList.watch": lambda api, _: api.calendarList().watch(body=channel(1)),
    "calendar.calendars.get": lambda api, _: api.calendars().get(calendarId="primary"),
    "calendar.events.get": lambda api, id_: api.events().get(calendarId=ANN, eventId=id_),
    "calendar.events.instances": lambda api, id_: api.events().instances(
        calendarId=ANN, eventId=id_
    ),
    "calendar.events.list": lambda api, _: api.events().list(calendarId=ANN),
    "calendar.events.watch": lambda api, _: api.events().watch(calendarId=ANN, body=channel(2)),
}
"""A call of each method that the stand-in serves; its second argument is the id of a series."""


# --- what is in the calendar --------------------------------------------------------------


class Filled:
    """Ann's calendar with something of every kind in it."""

    def __init__(self, server: Server) -> None:
        self.server, self.google = server, server.state
        for email in (ANN, BOB, CAL):
            self.google.add_user(email, time_zone=str(KOLKATA))
        self.google.add_calendar(TEAM, ANN, "Team", "America/New_York")
        self.week = MixedWeek(KOLKATA, datetime.now(KOLKATA).date())
        self.ids = {case.title: self.insert(case.title, case.body) for case in self.week.cases}
        for number, body in enumerate(DETAILS):
            hour = self.week.timed(number, "18:00", number, "19:00")
            self.insert(f"Detail {number}", hour | deepcopy(body))
        utc = {"dateTime": f"{self.week.day(3)}T09:00:00Z", "timeZone": "UTC"}
        self.insert("Greenwich", {"start": utc, "end": utc})
        daily = {"recurrence": ["RRULE:FREQ=DAILY;COUNT=9"]}
        self.shifts = self.insert("Shift", self.week.timed(1, "08:00", 1, "09:00") | daily)
        self.fair = self.insert("Days", self.week.whole(1) | daily)
        self.split = self.insert("Split", self.week.timed(1, "07:00", 1, "07:30") | daily)
        self.ended = self.insert("Ended", self.week.whole(1) | daily)

    def insert(self, title: str, body: Json) -> str:
        return self.google.insert_event(ANN, {"summary": title, **body})

    def change(self) -> None:
        """The week's own changes, and every way in which a series can change."""
        for case in self.week.cases:
            if case.after.get("status") == "cancelled":
                self.google.delete_event(ANN, self.ids[case.title])
            elif case.after:
                self.google.patch_event(ANN, self.ids[case.title], case.after)
        for series, moved in (
            (self.shifts, self.week.timed(20, "10:00", 20, "11:00")),
            (self.fair, self.week.whole(20, 21)),
        ):
            instances = self.instances(series)
            self.google.patch_event(ANN, instances[1], moved)
            self.google.patch_event(ANN, instances[2], {"summary": "Other", "attendees": GUESTS})
            self.google.delete_event(ANN, instances[3])
        self.google.split_series(ANN, self.instances(self.split)[4])
        self.google.delete_event(ANN, self.ended)

    def instances(self, series: str) -> list[str]:
        now = self.google.clock.now()
        return self.google.instance_ids(ANN, series, now, now + timedelta(days=30))


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with serve() as server:
        yield server


@pytest.fixture
def filled(running: Server) -> Filled:
    running.state.reset()
    return Filled(running)


@pytest.fixture
def caller(filled: Filled) -> Iterator[Callable[[str], Caller]]:
    with ExitStack() as stack:
        yield lambda email: stack.enter_context(closing(Caller(filled.server, email)))


Call = Callable[[str], Caller]


class TestAnswers:
    def test_every_method_that_the_stand_in_serves_is_asked(self) -> None:
        rules = create_app(GoogleState()).url_map.iter_rules()
        served = {rule.endpoint.replace("_", ".") for rule in rules}
        assert CALLS.keys() == served & with_answer()

    @pytest.mark.parametrize("method", CALLS)
    def test_of_each_method(self, filled: Filled, caller: Call, method: str) -> None:
        ann = caller(ANN)
        request = CALLS[method](ann.api, filled.shifts)
        assert request.methodId == method
        assert ann.call(request)["kind"]

    @pytest.mark.parametrize("switches", [{}, {"full_tombstones": True}])
    @pytest.mark.parametrize("single", [False, True])
    def test_listings_and_deltas(
        self, filled: Filled, caller: Call, single: bool, switches: Json
    ) -> None:
        filled.google.behaviour.update(switches)
        ann = caller(ANN)
        before, token = ann.events(singleEvents=single)
        filled.change()
        changed, _ = ann.events(singleEvents=single, syncToken=token)
        after, _ = ann.events(singleEvents=single, showDeleted=True)
        assert len(before) > len(filled.ids)
        assert _cancelled(changed)
        assert _cancelled(after)

    def test_what_left_the_window_of_a_token(self, filled: Filled, caller: Call) -> None:
        filled.google.behaviour.token_keeps_bounds = True
        ann = caller(ANN)
        low, high = (f"{filled.week.day(n)}T00:00:00Z" for n in (-7, 15))
        _, token = ann.events(timeMin=low, timeMax=high)
        filled.change()
        changed, _ = ann.events(syncToken=token)
        assert _cancelled(changed)

    def test_instances_and_single_events(self, filled: Filled, caller: Call) -> None:
        filled.change()
        ann = caller(ANN)
        for series in (filled.shifts, filled.fair, filled.split):
            params = {"calendarId": ANN, "eventId": series, "maxResults": 2, "showDeleted": True}
            items, _ = ann.pages(ann.api.events(), "instances", **params)
            for each in items:
                ann.call(ann.api.events().get(calendarId=ANN, eventId=each["id"]))
        for event_id in filled.ids.values():
            ann.call(ann.api.events().get(calendarId=ANN, eventId=event_id))
        assert any(item.get("attendeesOmitted") for item in ann.events(maxAttendees=1)[0])

    @pytest.mark.parametrize("role", ["writerWithoutPrivateAccess", "reader", "freeBusyReader"])
    def test_as_other_roles_see_it(self, filled: Filled, caller: Call, role: str) -> None:
        filled.google.share(ANN, BOB, role)
        bob = caller(BOB)
        _, token = bob.events(timeZone="America/New_York")
        filled.change()
        assert bob.events(timeZone="America/New_York", syncToken=token)[0]
        assert bob.call(bob.api.calendarList().get(calendarId=ANN))["accessRole"] == role

    def test_calendars_gained_and_lost(self, filled: Filled, caller: Call) -> None:
        filled.google.share(ANN, BOB)
        bob = caller(BOB)
        lists = bob.api.calendarList()
        _, token = bob.pages(lists, "list", maxResults=1)
        filled.google.share(TEAM, BOB)
        filled.google.remove_access(ANN, BOB)
        changed, _ = bob.pages(lists, "list", maxResults=1, syncToken=token)
        assert {each["id"]: each.get("deleted", False) for each in changed} == {
            TEAM: False,
            ANN: True,
        }

    @pytest.mark.parametrize("body", ODD)
    def test_odd_times_and_empty_fields(self, filled: Filled, caller: Call, body: Json) -> None:
        yearly = filled.insert("Odd", body | {"recurrence": ["RRULE:FREQ=YEARLY;COUNT=3"]})
        ann = caller(ANN)
        first = ann.call(ann.api.events().get(calendarId=ANN, eventId=yearly))
        items, _ = ann.pages(ann.api.events(), "instances", calendarId=ANN, eventId=yearly)
        assert [item["start"] for item in items][0] == first["start"]
        filled.google.patch_event(ANN, items[1]["id"], {"summary": None, "location": None})
        changed = ann.call(ann.api.events().get(calendarId=ANN, eventId=items[1]["id"]))
        assert not {"summary", "location"} & set(changed)

    def test_demo_and_exports(self, filled: Filled, caller: Call) -> None:
        people.fill(filled.google)
        ics.load(filled.google, CAL, ODDITIES)
        for email in (CAL, *(person.email for person in people.PEOPLE)):
            items, _ = caller(email).events(calendarId=email)
            assert items


def _cancelled(items: list[Json]) -> list[str]:
    return [item["id"] for item in items if item["status"] == "cancelled"]


# --- the check itself ---------------------------------------------------------------------

EVENT: Json = {
    "kind": "calendar#event",
    "id": "abcde",
    "status": "confirmed",
    "sequence": 0,
    "updated": "2026-12-01T09:00:00.000Z",
    "start": {"dateTime": "2026-12-01T09:00:00+05:30", "timeZone": "Asia/Kolkata"},
    "end": {"date": "2026-12-02"},
    "attendees": [{"email": ANN, "self": True}],
    "extendedProperties": {"shared": {"any name": "text"}},
    "workingLocationProperties": {"homeOffice": [1, "any type"]},
}


class TestTheCheckItself:
    def test_a_documented_answer_passes(self) -> None:
        assert differences("calendar.events.get", EVENT) == []
        assert differences("calendar.events.list", {"items": [EVENT, {"id": "x"}]}) == []
        assert differences("calendar.events.watch", {"expiration": "1764579600000"}) == []

    @pytest.mark.parametrize(
        ("wrong", "path"),
        [
            ({"colour": "7"}, "colour"),
            ({"start": {"date": "2026-12-01", "zone": "UTC"}}, "start.zone"),
            ({"attendees": [{"email": ANN}, {"mail": ANN}]}, "attendees[1].mail"),
            ({"kind": "calendar#events"}, "kind"),
            ({"summary": None}, "summary"),
            ({"summary": 7}, "summary"),
            ({"sequence": "0"}, "sequence"),
            ({"sequence": True}, "sequence"),
            ({"sequence": 2**31}, "sequence"),
            ({"locked": "true"}, "locked"),
            ({"attendees": {"email": ANN}}, "attendees"),
            ({"attendees": [{"self": 1}]}, "attendees[0].self"),
            ({"organizer": ANN}, "organizer"),
            ({"extendedProperties": {"shared": {"n": 1}}}, "extendedProperties.shared.n"),
            ({"status": "deleted"}, "status"),
            ({"attendees": [{"responseStatus": "maybe"}]}, "attendees[0].responseStatus"),
            ({"end": {"date": "20261202"}}, "end.date"),
            ({"end": {"date": "2026-02-30"}}, "end.date"),
            ({"updated": "2026-12-01T09:00:00"}, "updated"),
            ({"updated": "2026-12-01 09:00:00Z"}, "updated"),
            ({"updated": "2026-12-01T25:00:00Z"}, "updated"),
        ],
    )
    def test_a_difference_is_found_at_its_place(self, wrong: Json, path: str) -> None:
        (line,) = differences("calendar.events.get", EVENT | wrong)
        assert line.startswith(f"{path}: ")
        (line,) = differences("calendar.events.list", {"items": [EVENT, EVENT | wrong]})
        assert line.startswith(f"items[1].{path}: ")

    @pytest.mark.parametrize("wrong", [1764579600000, "soon", "", str(2**63)])
    def test_64_bits_are_a_string_of_digits(self, wrong: Any) -> None:
        assert differences("calendar.events.watch", {"expiration": wrong})

    def test_an_answer_that_is_no_object(self) -> None:
        assert differences("calendar.events.list", [EVENT])
