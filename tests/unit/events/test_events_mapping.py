"""From Google's event to ERPNext's fields: times, policy, masks, what Frappe takes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.texts import HOSTILE, ORDINARY, assert_inert, assert_no_markup
from tests.unit.events.build import NOW, ZONES, at, event, on, rules, spans
from tests.unit.events.build import zones as some_zone
from watcher.events.colours import PALETTE
from watcher.events.fields import OPTIONAL, document
from watcher.events.mapping import data_id, sync_key, to_erpnext
from watcher.events.model import (
    ErpEvent,
    EventTime,
    GoogleEvent,
    Masks,
    Skipped,
)
from watcher.events.parse import Unmappable, parse_event
from watcher.events.text import rich

SECRET = "Zyxoma-4711"
ALL_FIELDS = frozenset(OPTIONAL)
FRAPPE_STRIP = re.compile(r"(<!--.*?-->|<[^>]*>)")
"""Frappe 15's ``strip_html``: a mandatory field of which nothing stays is refused (417)."""


def sent(given_event: GoogleEvent, **changes: Any) -> ErpEvent:
    result = to_erpnext(given_event, rules(**changes))
    assert isinstance(result, ErpEvent)
    return result


def extras(row: ErpEvent) -> tuple[str, ...]:
    return tuple(row.extras[name] for name in OPTIONAL)


def skipped(given_event: GoogleEvent, **changes: Any) -> str:
    result = to_erpnext(given_event, rules(**changes))
    assert isinstance(result, Skipped)
    return result.reason


# --- times --------------------------------------------------------------------------------------


def test_an_hour_in_the_sites_zone() -> None:
    row = sent(event(start=at("2026-11-23T10:00:00-05:00"), end=at("2026-11-23T11:00:00-05:00")))
    assert (row.starts_on, row.ends_on) == ("2026-11-23 20:30:00", "2026-11-23 21:30:00")
    assert row.all_day is False
    assert document(row)["send_reminder"] == 0


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_a_day_is_the_same_day_in_every_zone_and_its_end_inclusive(zone: ZoneInfo) -> None:
    one = sent(event(start=on("2026-03-08"), end=on("2026-03-09")), site_zone=zone)
    three = sent(event(start=on("2026-03-08"), end=on("2026-03-11")), site_zone=zone)
    assert (one.starts_on, one.ends_on) == ("2026-03-08 00:00:00", "2026-03-08 23:59:59")
    assert (three.starts_on, three.ends_on) == ("2026-03-08 00:00:00", "2026-03-10 00:00:00")
    assert one.all_day is three.all_day is True


@pytest.mark.parametrize(
    ("start", "end", "starts_on", "ends_on"),
    [
        (at("2026-11-23T10:00:00Z"), None, "2026-11-23 15:30:00", "2026-11-23 15:31:00"),
        (
            at("2026-11-23T10:00:00Z"),
            at("2026-11-23T10:00:00Z"),
            "2026-11-23 15:30:00",
            "2026-11-23 15:31:00",
        ),
        (
            at("2026-11-23T10:00:00Z"),
            at("2026-11-23T10:00:59Z"),
            "2026-11-23 15:30:00",
            "2026-11-23 15:31:00",
        ),
        (
            at("2026-11-23T10:00:00Z"),
            at("2026-11-23T10:01:01Z"),
            "2026-11-23 15:30:00",
            "2026-11-23 15:31:01",
        ),
        (
            at("2026-11-23T10:00:00Z"),
            at("2026-11-22T10:00:00Z"),
            "2026-11-23 15:30:00",
            "2026-11-23 15:31:00",
        ),
        (on("2026-11-23"), None, "2026-11-23 00:00:00", "2026-11-23 23:59:59"),
        (on("2026-11-23"), on("2026-11-23"), "2026-11-23 00:00:00", "2026-11-23 23:59:59"),
        (on("2026-11-23"), on("2026-11-01"), "2026-11-23 00:00:00", "2026-11-23 23:59:59"),
        (on("2026-11-23"), on("2026-11-25"), "2026-11-23 00:00:00", "2026-11-24 00:00:00"),
    ],
)
def test_an_end_that_is_missing_or_early(
    start: EventTime, end: EventTime | None, starts_on: str, ends_on: str
) -> None:
    row = sent(event(start=start, end=end))
    assert (row.starts_on, row.ends_on) == (starts_on, ends_on)


def test_an_hour_over_the_clock_change_does_not_run_backwards() -> None:
    zone = ZoneInfo("America/New_York")
    over = event(start=at("2026-11-01T05:50:00Z"), end=at("2026-11-01T06:10:00Z"))
    row = sent(over, site_zone=zone)
    assert (row.starts_on, row.ends_on) == ("2026-11-01 01:50:00", "2026-11-01 01:51:00")


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (None, None),
        (None, at("2026-11-23T10:00:00Z")),
        (on("2026-11-23"), at("2026-11-23T10:00:00Z")),
        (at("2026-11-23T10:00:00Z"), on("2026-11-24")),
    ],
)
def test_without_a_usable_start_it_is_set_aside(
    start: EventTime | None, end: EventTime | None
) -> None:
    with pytest.raises(Unmappable):
        to_erpnext(event(start=start, end=end), rules())


@pytest.mark.parametrize("end", ["9998-12-31T23:00:00Z", "9999-12-31T23:59:59Z", "12000-01-01"])
def test_an_event_without_end_in_sight_ends_with_what_erpnext_holds(end: str) -> None:
    begun = {"id": "x", "start": {"dateTime": "2026-11-23T10:00:00Z"}, "end": {"dateTime": end}}
    row = sent(parse_event(begun, UTC))
    assert (row.starts_on, row.ends_on) == ("2026-11-23 15:30:00", "9998-12-31 23:59:59")


@pytest.mark.parametrize("end", ["9999-01-01", "9999-12-31", "10000-01-01"])
def test_nor_does_a_day_without_end_in_sight_get_lost(end: str) -> None:
    begun = {"id": "x", "start": {"date": "2026-11-23"}, "end": {"date": end}}
    assert sent(parse_event(begun, UTC)).ends_on == "9998-12-31 00:00:00"


@pytest.mark.parametrize("text", ["1000-01-01T00:00:00Z", "9998-12-31T23:59:59Z"])
def test_a_year_that_only_the_sites_zone_pushes_out_is_set_aside(text: str) -> None:
    zone = ZoneInfo("America/New_York" if text.startswith("1000") else "Asia/Kolkata")
    with pytest.raises(Unmappable, match="range"):
        to_erpnext(event(start=at(text), end=at(text)), rules(site_zone=zone))


@given(span=spans(), zone=some_zone)
def test_what_is_sent_never_ends_before_it_starts(
    span: tuple[EventTime, EventTime], zone: ZoneInfo
) -> None:
    row = sent(event(start=span[0], end=span[1]), site_zone=zone)
    for text in (row.starts_on, row.ends_on):
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", text)
    assert row.starts_on < row.ends_on  # an end that equals the start is stored as none


@given(
    begins=st.datetimes(datetime(2009, 1, 1), datetime(2037, 1, 1)),
    seconds=st.integers(0, 200_000),
    zone=some_zone,
)
def test_wall_times_are_pythons_own(begins: datetime, seconds: int, zone: ZoneInfo) -> None:
    start = begins.replace(tzinfo=UTC, microsecond=0)
    end = start + timedelta(seconds=seconds)
    row = sent(event(start=EventTime(instant=start), end=EventTime(instant=end)), site_zone=zone)
    assert row.starts_on == start.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    begun, ended = (m.astimezone(zone).replace(tzinfo=None) for m in (start, end))
    assert row.ends_on == str(max(begun + timedelta(minutes=1), ended))


# --- policy -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "rule", "reason"),
    [
        ({"event_type": "workingLocation"}, {}, "event_type"),
        ({"event_type": "birthday"}, {}, "event_type"),
        ({"own_response": "declined"}, {}, "declined"),
        ({"visibility": "private"}, {"private_events": "skip"}, "private"),
        ({"visibility": "confidential"}, {"private_events": "skip"}, "private"),
        ({"event_type": "birthday", "own_response": "declined"}, {}, "event_type"),
        (
            {"own_response": "declined", "visibility": "private"},
            {"private_events": "skip"},
            "declined",
        ),
        (
            {"event_type": "focusTime", "description": "x https://tasks.google.com/task/a1?sa=6 y"},
            {},
            "google_task",
        ),
    ],
)
def test_what_is_not_ours_to_carry(
    changes: dict[str, Any], rule: dict[str, Any], reason: str
) -> None:
    assert skipped(event(**changes), **rule) == reason


def test_what_is_skipped_needs_no_times() -> None:
    assert skipped(event(event_type="workingLocation", start=None, end=None)) == "event_type"


@pytest.mark.parametrize("kind", ["default", "outOfOffice", "focusTime", "fromGmail", "newKind"])
def test_other_kinds_are_mirrored(kind: str) -> None:
    assert sent(event(event_type=kind)).subject == "Tasting"


def test_a_link_to_a_task_alone_makes_no_task() -> None:
    assert sent(event(description="https://tasks.google.com/task/a1")).subject == "Tasting"
    assert sent(event(event_type="focusTime", description="tasks.google.com")).subject == "Tasting"


@pytest.mark.parametrize("response", [None, "accepted", "needsAction", "tentative"])
def test_what_is_not_declined_is_mirrored(response: str | None) -> None:
    assert sent(event(own_response=response)).subject == "Tasting"


def test_declined_can_be_mirrored() -> None:
    assert sent(event(own_response="declined"), declined_events="mirror").subject == "Tasting"


def test_public_is_readable_and_private_is_shared_with_its_owner() -> None:
    public = sent(event())
    default = sent(event(), default_event_type="Private")
    private = sent(event(visibility="private"), private_events="private")
    assert (public.event_type, public.share_with) == ("Public", None)
    for row in (default, private):
        assert (row.event_type, row.share_with) == ("Private", "maya@example.com")
        assert row.subject == "Tasting"


words = st.text(st.characters(codec="utf-8", categories=("L", "N")), min_size=6, max_size=30)


@given(
    content=st.fixed_dictionaries(
        {
            name: words.map(lambda word: SECRET + word)
            for name in ("summary", "description", "location", "meeting_link")
        }
    ),
    visibility=st.sampled_from(["private", "confidential"]),
    default=st.sampled_from(["Public", "Private"]),
    kind=st.sampled_from(["default", "outOfOffice", "focusTime"]),
)
def test_nothing_of_a_masked_event_survives(
    content: dict[str, str], visibility: str, default: str, kind: str
) -> None:
    original = event(visibility=visibility, event_type=kind, **content)
    row = sent(original, default_event_type=default, site_fields=ALL_FIELDS, employee="HR-1")
    everything = json.dumps(document(row), ensure_ascii=False) + repr(row)
    assert SECRET not in everything
    assert (row.subject, row.description, row.event_type) == ("Busy", "", default)
    # Empty, not left out: else what was readable before would stay.
    assert extras(row) == ("", "", "", "HR-1")
    assert row.masked
    # Nor can two private texts be told apart, or guessed, by the hash.
    other = replace(original, summary="x", description=None, location=None, meeting_link=None)
    assert sent(other, default_event_type=default, site_fields=ALL_FIELDS, employee="HR-1") == row


@pytest.mark.parametrize("visibility", ["private", "confidential"])
def test_private_and_free_is_not_busy(visibility: str) -> None:
    free = event(visibility=visibility, is_free=True)
    assert sent(free).subject == "Private"
    assert sent(free).masked
    assert sent(free).content_hash != sent(replace(free, is_free=False)).content_hash
    assert sent(replace(free, is_free=False)).subject == "Busy"
    german = {"masks": Masks("Beschäftigt", "Privat")}
    assert sent(free, **german).subject == "Privat"
    assert sent(replace(free, is_free=False), **german).subject == "Beschäftigt"
    assert sent(free, private_events="private").subject == "Tasting"
    assert not sent(free, private_events="private").masked
    assert sent(event(is_free=True)) == sent(event())


@pytest.mark.parametrize("word", ["private", "confidential", "PRIVATE", "secret", 3, ["private"]])
def test_a_private_item_is_masked_from_the_json_on(word: Any) -> None:
    item = {
        "id": "x",
        "summary": SECRET,
        "visibility": word,
        "start": {"date": "2026-11-23"},
        "end": {"date": "2026-11-24"},
    }
    assert SECRET not in repr(sent(parse_event(item, UTC)))


def test_a_skipped_private_event_carries_no_content() -> None:
    result = to_erpnext(
        event(summary=SECRET, description=SECRET, visibility="private"),
        rules(private_events="skip"),
    )
    assert SECRET not in repr(result)


# --- text ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("summary", [None, "", "   ", "\n\t", "\x00", "\ud800", "\xa0"])
def test_no_title(summary: str | None) -> None:
    assert sent(event(summary=summary)).subject == "(No title)"


titles = st.text(max_size=60) | st.text("<>!-/ab&\n \x00\ud800🍦", max_size=40)


@given(summary=titles, repeat=st.sampled_from([1, 1, 1, 100, 3000]))
def test_frappe_takes_every_title(summary: str, repeat: int) -> None:
    subject = sent(event(summary=summary * repeat)).subject
    assert FRAPPE_STRIP.sub("", subject).strip()
    assert len(subject.encode()) <= 60_000
    assert "\x00" not in subject


@given(text=st.sampled_from([*HOSTILE, *ORDINARY]), length=st.integers(1, 400))
def test_every_field_is_inert(text: str, length: int) -> None:
    text = text[:length]
    row = sent(
        event(
            text,
            summary=text,
            description=text,
            location=text,
            meeting_link=text,
            recurring_event_id=text,
        ),
        site_fields=ALL_FIELDS,
        calendar_id=text,
    )
    assert_inert(row.description)
    for value in (
        row.subject,
        row.extras["location"],
        row.extras["google_meet_link"],
        row.event_id,
        row.recurring_event_id,
        row.calendar_id,
    ):
        assert value is not None
        assert_no_markup(value)


MEET = "https://meet.google.com/a?b=1&c=2"
ANCHOR = (
    '<a href="https://meet.google.com/a?b=1&amp;c=2" rel="noopener noreferrer">'
    "https://meet.google.com/a?b=1&amp;c=2</a>"
)


def test_description_place_and_link() -> None:
    row = sent(
        event(
            description="<b>bring</b> scoops\x00\ud800",
            location='Outlet\n& "3"',
            meeting_link=MEET,
        )
    )
    assert row.description == (
        f'<b>bring</b> scoops<p>Place: Outlet &amp; "3"</p><p>Meeting: {ANCHOR}</p>'
    )
    assert rich(row.description) == row.description
    assert row.extras == {}


def test_a_place_and_a_link_that_have_fields_of_their_own() -> None:
    row = sent(
        event(location=" Outlet\n& 3 ", meeting_link=MEET),
        site_fields=ALL_FIELDS,
        employee="HR-1",
        colour=PALETTE[0],
    )
    assert extras(row) == ("Outlet & 3", MEET, PALETTE[0], "HR-1")
    assert row.description == f"<p>Meeting: {ANCHOR}</p>"
    fields = document(row)
    assert [fields[name] for name in OPTIONAL] == ["Outlet & 3", MEET, PALETTE[0], "HR-1"]


def test_what_no_longer_has_them_is_emptied() -> None:
    row = sent(event(), site_fields=ALL_FIELDS)
    assert extras(row) == ("", "", "", "")


def test_a_field_that_the_site_has_not_is_not_written() -> None:
    row = sent(event(location="x", meeting_link=MEET), employee="HR-1")
    assert not set(OPTIONAL) & set(document(row))


def test_a_place_that_does_not_fit_is_whole_in_the_description() -> None:
    exact, long = "p" * 140, "p" * 141
    fits = sent(event(location=exact), site_fields=ALL_FIELDS)
    assert (fits.extras["location"], fits.description) == (exact, "")
    cut = sent(event(location=long), site_fields=ALL_FIELDS)
    assert (cut.extras["location"], cut.description) == ("p" * 139 + "…", f"<p>Place: {long}</p>")


def test_a_link_that_does_not_fit_is_in_the_description_alone() -> None:
    long = "https://e.example/" + "x" * 130
    row = sent(event(meeting_link=long), site_fields=ALL_FIELDS)
    assert row.extras["google_meet_link"] == ""
    assert f'href="{long}"' in row.description


@pytest.mark.parametrize("address", ["javascript:alert(1)", "sip:x@e.example", "https://e/'x"])
def test_what_is_no_web_address_is_no_link(address: str) -> None:
    row = sent(event(meeting_link=address), site_fields=ALL_FIELDS)
    assert (row.extras["google_meet_link"], row.description) == ("", "")


def test_nothing_is_appended_when_nothing_is_there() -> None:
    assert sent(event(description=None)).description == ""
    assert sent(event(description="x")).description == "<p>x</p>"


# --- identity -----------------------------------------------------------------------------------


def test_the_key_is_lower_case_hex_and_knows_no_case_of_the_account() -> None:
    key = sync_key("Maya@Example.com", "c", "e")
    assert re.fullmatch(r"[0-9a-f]{64}", key)
    assert key == sync_key("maya@example.com", "c", "e")


parts = st.tuples(*[st.text('ab|:,"[]\\ \x00', max_size=4)] * 3)


@given(one=parts, other=parts)
def test_keys_are_equal_only_for_equal_parts(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    assert (sync_key(*one) == sync_key(*other)) is (one == other)


def test_long_ids_fit_and_stay_apart() -> None:
    long, other = "a" * 1024, "a" * 1023 + "b"
    one, two = sent(event(long, recurring_event_id=long)), sent(event(other))
    for value in (one.event_id, one.recurring_event_id, two.event_id):
        assert value is not None
        assert len(value) <= 140
    assert one.event_id == one.recurring_event_id == data_id(long)
    assert one.event_id != two.event_id
    assert one.key != two.key
    assert data_id("a" * 140) == "a" * 140


@given(value=st.text(max_size=300) | st.text("<>/&ltg;\x00\ud800b", max_size=20))
def test_an_id_of_any_kind_fits(value: str) -> None:
    assert len(data_id(value)) <= 140
    assert_no_markup(data_id(value))


CHANGES: list[dict[str, Any]] = [
    {"summary": "Other"},
    {"description": "x"},
    {"location": "x"},
    {"meeting_link": "https://x.example"},
    {"start": EventTime(instant=NOW + timedelta(minutes=1))},
    {"end": EventTime(instant=NOW + timedelta(hours=2))},
    {"recurring_event_id": "series"},
    {"visibility": "private"},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_the_hash_sees_every_change_that_is_written(change: dict[str, Any]) -> None:
    assert sent(event(**change)).content_hash != sent(event()).content_hash


@pytest.mark.parametrize(
    "rule",
    [
        {"default_event_type": "Private"},
        {"site_zone": ZoneInfo("UTC")},
        {"erpnext_user": "other@example.com"},
        {"site_fields": ALL_FIELDS},
        {"default_event_type": "Private", "erpnext_user": "other@example.com"},
    ],
)
def test_the_hash_sees_a_change_of_policy(rule: dict[str, Any]) -> None:
    assert sent(event(), **rule).content_hash != sent(event()).content_hash


def test_the_hash_does_not_see_what_is_not_written() -> None:
    touched = event(updated=NOW, own_response="accepted", status="tentative")
    assert sent(touched).content_hash == sent(event()).content_hash


def test_a_new_version_of_the_mapping_rewrites(monkeypatch: pytest.MonkeyPatch) -> None:
    before = sent(event()).content_hash
    monkeypatch.setattr("watcher.events.mapping.MAPPING_VERSION", 10_000)
    assert sent(event()).content_hash != before
