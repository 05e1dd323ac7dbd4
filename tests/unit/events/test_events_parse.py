"""Google's JSON as it really comes: fields missing, of odd types, odd dates."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.events.model import GoogleEvent
from watcher.events.parse import Unmappable, parse_event

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
times = st.fixed_dictionaries(
    {}, optional={"date": json_values, "dateTime": json_values, "timeZone": json_values}
)
NAMES = [
    "status",
    "summary",
    "description",
    "location",
    "hangoutLink",
    "conferenceData",
    "transparency",
    "visibility",
    "eventType",
    "recurringEventId",
    "recurrence",
    "attendees",
    "updated",
]


def start_of(start: Any) -> GoogleEvent:
    return parse_event({"id": "x", "start": start}, UTC)


KOLKATA = ZoneInfo("Asia/Kolkata")


def test_of_an_id_alone_an_event_is_made() -> None:
    assert parse_event({"id": "x"}, UTC) == GoogleEvent(id="x")


@pytest.mark.parametrize("item", [{}, {"id": None}, {"id": ""}, {"id": 7}, {"id": ["x"]}])
def test_without_an_id_it_is_set_aside(item: dict[str, Any]) -> None:
    with pytest.raises(Unmappable, match="without an id"):
        parse_event(item, UTC)


def test_all_fields() -> None:
    parsed = parse_event(
        {
            "id": "x_20261123T080000Z",
            "status": "tentative",
            "summary": "Roster",
            "description": "<b>bring</b> scoops",
            "location": "Outlet 3",
            "hangoutLink": "https://meet.google.com/abc",
            "visibility": "confidential",
            "eventType": "focusTime",
            "start": {"dateTime": "2026-11-23T13:30:00+05:30", "timeZone": "Asia/Kolkata"},
            "end": {"dateTime": "2026-11-23T08:30:00.250Z"},
            "recurringEventId": "x",
            "attendees": [
                {"email": "other@example.com", "responseStatus": "accepted"},
                {"email": "me@example.com", "self": True, "responseStatus": "declined"},
            ],
            "updated": "2026-11-20T00:00:00.123Z",
            "transparency": "transparent",
        },
        UTC,
    )
    assert parsed.start is not None
    assert parsed.end is not None
    assert parsed.start.instant == datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
    assert parsed.end.instant == datetime(2026, 11, 23, 8, 30, 0, 250_000, tzinfo=UTC)
    assert (parsed.own_response, parsed.visibility) == ("declined", "confidential")
    assert (parsed.recurring_event_id, parsed.is_master) == ("x", False)
    assert (parsed.meeting_link, parsed.is_free) == ("https://meet.google.com/abc", True)
    assert parsed.updated == datetime(2026, 11, 20, 0, 0, 0, 123_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("recurrence", "is_master"), [(["RRULE:FREQ=DAILY"], True), ([], False), (None, False)]
)
def test_only_a_recurrence_makes_a_master(recurrence: Any, is_master: bool) -> None:
    assert parse_event({"id": "x", "recurrence": recurrence}, UTC).is_master is is_master


@pytest.mark.parametrize(
    ("given_value", "seen"),
    [
        (None, "default"),
        ("", "default"),
        ("public", "public"),
        ("confidential", "confidential"),
        ("Private", "private"),
        ("secret", "private"),
        (7, "private"),
        ([], "private"),
    ],
)
def test_a_visibility_we_do_not_know_is_private(given_value: Any, seen: str) -> None:
    assert parse_event({"id": "x", "visibility": given_value}, UTC).visibility == seen


@pytest.mark.parametrize(
    ("text", "zone", "utc"),
    [
        ("2026-07-01T10:00:00", "Europe/Berlin", "2026-07-01T08:00:00+00:00"),
        ("2026-12-01T10:00:00", "Europe/Berlin", "2026-12-01T09:00:00+00:00"),
        ("2026-12-01T10:00:00", None, "2026-12-01T04:30:00+00:00"),
        ("2026-12-01T10:00:00", "", "2026-12-01T04:30:00+00:00"),
        ("2026-12-01T10:00:00", "GMT+05:30", "2026-12-01T04:30:00+00:00"),
        ("2026-12-01T10:00:00", "GMT+0530", "2026-12-01T04:30:00+00:00"),
        ("2026-12-01T10:00:00", "utc+5", "2026-12-01T05:00:00+00:00"),
        ("2026-12-01T10:00:00", "GMT-3", "2026-12-01T13:00:00+00:00"),
        ("2026-12-01T10:00:00", "Etc/GMT-3", "2026-12-01T07:00:00+00:00"),  # POSIX: the other way
        ("2026-12-01T10:00:00-03:00", "Europe/Berlin", "2026-12-01T13:00:00+00:00"),
        ("2026-12-01T10:00:00-03:00", "Mars/Base", "2026-12-01T13:00:00+00:00"),
    ],
)
def test_a_time_without_offset_is_in_its_zone_or_the_calendars(
    text: str, zone: str | None, utc: str
) -> None:
    given = {"id": "x", "start": {"dateTime": text, "timeZone": zone}}
    start = parse_event(given, KOLKATA).start
    assert start is not None
    assert start.instant == datetime.fromisoformat(utc)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-12-01t10:00:00z", "2026-12-01T10:00:00+00:00"),
        ("2026-12-01 10:00:00Z", "2026-12-01T10:00:00+00:00"),
        ("2026-12-01T10:00Z", "2026-12-01T10:00:00+00:00"),
        ("2026-12-01T10:00:00 +05:30", "2026-12-01T04:30:00+00:00"),
        ("2026-12-01T10:00:00+0530", "2026-12-01T04:30:00+00:00"),
        ("2026-12-01T10:00:00-05", "2026-12-01T15:00:00+00:00"),
        ("2026-12-01T10:00:00.5Z", "2026-12-01T10:00:00.500000+00:00"),
        ("2026-12-01T10:00:00,123456789Z", "2026-12-01T10:00:00.123456+00:00"),
        (" 2026-12-01T10:00:00Z ", "2026-12-01T10:00:00+00:00"),
        ("2026-12-01T24:00:00Z", "2026-12-02T00:00:00+00:00"),
        ("2026-12-31T24:00Z", "2027-01-01T00:00:00+00:00"),
        ("2026-12-31T23:59:60Z", "2027-01-01T00:00:00+00:00"),
        ("20261201T100000Z", "2026-12-01T10:00:00+00:00"),
    ],
)
def test_a_time_as_lenient_programs_write_it(text: str, utc: str) -> None:
    start = start_of({"dateTime": text}).start
    assert start is not None
    assert start.instant == datetime.fromisoformat(utc)


@pytest.mark.parametrize(
    "text",
    [
        "2026-12-01T24:00:01Z",
        "2026-12-01T24:30:00Z",
        "2026-12-01T10:60:00Z",
        "2026-12-01T10:00:61Z",
        "2026-12-01T10:00:00+25:00",
        "2026-12-01T10:00:00 IST",
    ],
)
def test_what_can_mean_nothing_is_set_aside(text: str) -> None:
    with pytest.raises(Unmappable, match="its start is not a time"):
        start_of({"dateTime": text})


@pytest.mark.parametrize(
    "text", ["0000-01-01", "0999-12-31", "9999-01-01", "10000-01-01", "+12026-01-01", "-0001-01-01"]
)
@pytest.mark.parametrize("kind", ["date", "dateTime"])
def test_a_year_out_of_range_is_told_in_one_way(text: str, kind: str) -> None:
    text += "T00:00:00Z" if kind == "dateTime" else ""
    with pytest.raises(Unmappable) as refused:
        start_of({kind: text})
    assert refused.value.message == (f"its start is out of the range that ERPNext holds: {text!r}")


MIDNIGHTS = [
    ("2026-12-01T00:00:00+05:30", "2026-12-03T00:00:00+05:30", None, "2026-12-01", "2026-12-03"),
    ("2026-12-01T00:00:00", "2026-12-02T00:00:00", None, "2026-12-01", "2026-12-02"),
    (
        "2026-12-01T00:00:00+01:00",
        "2026-12-02T00:00:00+01:00",
        "Europe/Berlin",
        "2026-12-01",
        "2026-12-02",
    ),
    (
        "2026-03-29T00:00:00+01:00",
        "2026-03-30T00:00:00+02:00",
        "Europe/Berlin",
        "2026-03-29",
        "2026-03-30",
    ),
]


@pytest.mark.parametrize(("begins", "ends", "zone", "first", "last"), MIDNIGHTS)
@pytest.mark.parametrize("kind", ["outOfOffice", "default"])
def test_an_absence_of_whole_days_is_all_day(
    kind: str, begins: str, ends: str, zone: str | None, first: str, last: str
) -> None:
    times = {
        "start": {"dateTime": begins, "timeZone": zone},
        "end": {"dateTime": ends, "timeZone": zone},
    }
    parsed = parse_event({"id": "x", "eventType": kind, **times}, KOLKATA)
    assert parsed.start is not None
    assert parsed.end is not None
    if kind == "default":
        assert parsed.start.day is parsed.end.day is None
    else:
        assert (str(parsed.start.day), str(parsed.end.day)) == (first, last)


@pytest.mark.parametrize(
    ("begins", "ends"),
    [
        ("2026-12-01T09:00:00", "2026-12-02T00:00:00"),
        ("2026-12-01T00:00:00", "2026-12-01T23:59:59"),
        ("2026-12-01T00:00:00", "2026-12-01T00:00:00"),
        ("2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z"),
    ],
)
def test_any_other_absence_keeps_its_hours(begins: str, ends: str) -> None:
    times = {"start": {"dateTime": begins}, "end": {"dateTime": ends}}
    parsed = parse_event({"id": "x", "eventType": "outOfOffice", **times}, KOLKATA)
    assert parsed.start is not None
    assert parsed.start.day is None


@pytest.mark.parametrize(
    ("points", "link"),
    [
        (
            [
                {"entryPointType": "phone", "uri": "tel:+49"},
                {"entryPointType": "more", "uri": "https://e.example/more"},
                {"entryPointType": "video", "uri": "https://e.example/video"},
            ],
            "https://e.example/video",
        ),
        (
            [
                {"entryPointType": "phone", "uri": "https://e.example/phone"},
                {"entryPointType": "more", "uri": "https://e.example/more"},
            ],
            "https://e.example/more",
        ),
        ([{"uri": "HTTPS://e.example/x"}], "HTTPS://e.example/x"),
        ([{"entryPointType": "video", "uri": "http://e.example/"}], None),
        ([{"entryPointType": "video"}, None, 5, "x"], None),
        ([], None),
        (None, None),
        ("x", None),
        ({}, None),
    ],
)
def test_the_link_of_another_provider(points: Any, link: str | None) -> None:
    item = {"id": "x", "conferenceData": {"entryPoints": points}}
    assert parse_event(item, UTC).meeting_link == link
    meet = parse_event({**item, "hangoutLink": "https://meet.google.com/a"}, UTC)
    assert meet.meeting_link == "https://meet.google.com/a"


@pytest.mark.parametrize("data", [None, 5, "x", [], {"entryPoints": {"uri": "https://x"}}])
def test_conference_data_of_no_known_form(data: Any) -> None:
    assert parse_event({"id": "x", "conferenceData": data}, UTC).meeting_link is None


@pytest.mark.parametrize("zone", ["Mars/Base", "Europe", "../etc/passwd", "a" * 400, "\ud800", "."])
def test_an_unknown_zone_sets_one_event_aside(zone: str) -> None:
    with pytest.raises(Unmappable, match="unknown time zone"):
        start_of({"dateTime": "2026-12-01T10:00:00", "timeZone": zone})


@pytest.mark.parametrize(
    "start",
    [
        {"date": "0000-01-01"},
        {"date": "0999-12-31"},
        {"date": "2026-02-30"},
        {"date": "soon"},
        {"date": 20260101},
        {"dateTime": "0000-00-00T00:00:00Z"},
        {"dateTime": "0001-01-01T00:00:00Z"},
        {"dateTime": "2026-01-01T25:00:00Z"},
        {"dateTime": 5},
        {"dateTime": ["2026-01-01T00:00:00Z"]},
    ],
)
@pytest.mark.parametrize("name", ["start", "end"])
def test_a_malformed_time_says_which(start: dict[str, Any], name: str) -> None:
    with pytest.raises(Unmappable, match=f"its {name} is"):
        parse_event({"id": "x", name: start}, UTC)


def test_a_broken_time_does_not_keep_a_cancelled_event_alive() -> None:
    parsed = parse_event({"id": "x", "status": "cancelled", "start": {"date": "0000-01-01"}}, UTC)
    assert parsed.is_cancelled


def test_a_broken_time_of_a_series_does_not_keep_its_instances_away() -> None:
    """Google holds series of the year 1; what they have in the window is sound."""
    odd = {"date": "0001-11-25"}
    parsed = parse_event(
        {"id": "x", "recurrence": ["RRULE:FREQ=DAILY"], "start": odd, "end": odd}, UTC
    )
    assert parsed.is_master


def test_a_day_is_a_day() -> None:
    start = start_of({"date": "2026-11-23"}).start
    assert start is not None
    assert (start.day, start.instant) == (date(2026, 11, 23), None)


@given(
    item=st.fixed_dictionaries({"id": json_values}, optional=dict.fromkeys(NAMES, json_values)),
    start=times | json_values,
    end=times | json_values,
)
def test_anything_is_an_event_or_set_aside(item: dict[str, Any], start: Any, end: Any) -> None:
    try:
        parsed = parse_event({**item, "start": start, "end": end}, UTC)
    except Unmappable:
        return  # any other error would stop a whole page
    assert parsed.id == item["id"]
    assert parsed.visibility in {"default", "public", "private", "confidential"}
