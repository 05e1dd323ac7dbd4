"""From Google's event to ERPNext's fields: times, policy, masks, what Frappe takes."""

from __future__ import annotations

import html
import json
import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.events.build import NOW, ZONES, at, event, on, rules, spans
from tests.unit.events.build import zones as some_zone
from watcher.events.mapping import data_id, sync_key, to_erpnext
from watcher.events.model import ErpEvent, EventTime, GoogleEvent, Skipped
from watcher.events.parse import Unmappable, parse_event

SECRET = "Zyxoma-4711"
FRAPPE_STRIP = re.compile(r"(<!--.*?-->|<[^>]*>)")
"""Frappe 15's ``strip_html``: a mandatory field of which nothing stays is refused (417)."""


def sent(given_event: GoogleEvent, **changes: Any) -> ErpEvent:
    result = to_erpnext(given_event, rules(**changes))
    assert isinstance(result, ErpEvent)
    return result


def skipped(given_event: GoogleEvent, **changes: Any) -> str:
    result = to_erpnext(given_event, rules(**changes))
    assert isinstance(result, Skipped)
    return result.reason


# --- times --------------------------------------------------------------------------------------


def test_an_hour_in_the_sites_zone() -> None:
    row = sent(event(start=at("2026-11-23T10:00:00-05:00"), end=at("2026-11-23T11:00:00-05:00")))
    assert (row.starts_on, row.ends_on) == ("2026-11-23 20:30:00", "2026-11-23 21:30:00")
    assert row.all_day is False
    assert row.fields()["send_reminder"] == 0


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_a_day_is_the_same_day_in_every_zone_and_its_end_inclusive(zone: ZoneInfo) -> None:
    one = sent(event(start=on("2026-03-08"), end=on("2026-03-09")), site_zone=zone)
    three = sent(event(start=on("2026-03-08"), end=on("2026-03-11")), site_zone=zone)
    assert (one.starts_on, one.ends_on) == ("2026-03-08 00:00:00", "2026-03-08 00:00:00")
    assert (three.starts_on, three.ends_on) == ("2026-03-08 00:00:00", "2026-03-10 00:00:00")
    assert one.all_day is three.all_day is True


@pytest.mark.parametrize(
    ("start", "end", "starts_on", "ends_on"),
    [
        (at("2026-11-23T10:00:00Z"), None, "2026-11-23 15:30:00", "2026-11-23 15:30:00"),
        (on("2026-11-23"), None, "2026-11-23 00:00:00", "2026-11-23 00:00:00"),
        (on("2026-11-23"), on("2026-11-23"), "2026-11-23 00:00:00", "2026-11-23 00:00:00"),
        (on("2026-11-23"), on("2026-11-01"), "2026-11-23 00:00:00", "2026-11-23 00:00:00"),
        (at("2026-11-23T10:00:00Z"), at("2026-11-22T10:00:00Z"),
         "2026-11-23 15:30:00", "2026-11-23 15:30:00"),
    ],
)  # fmt: skip
def test_an_end_that_is_missing_or_early(
    start: EventTime, end: EventTime | None, starts_on: str, ends_on: str
) -> None:
    row = sent(event(start=start, end=end))
    assert (row.starts_on, row.ends_on) == (starts_on, ends_on)


def test_an_hour_over_the_clock_change_does_not_run_backwards() -> None:
    zone = ZoneInfo("America/New_York")
    over = event(start=at("2026-11-01T05:50:00Z"), end=at("2026-11-01T06:10:00Z"))
    row = sent(over, site_zone=zone)
    assert (row.starts_on, row.ends_on) == ("2026-11-01 01:50:00", "2026-11-01 01:50:00")


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
    assert row.starts_on <= row.ends_on


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
    walls = [m.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S") for m in (start, end)]
    assert row.ends_on == max(walls)


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
        ({"own_response": "declined", "visibility": "private"}, {"private_events": "skip"},
         "declined"),
    ],
)  # fmt: skip
def test_what_is_not_ours_to_carry(
    changes: dict[str, Any], rule: dict[str, Any], reason: str
) -> None:
    assert skipped(event(**changes), **rule) == reason


def test_what_is_skipped_needs_no_times() -> None:
    assert skipped(event(event_type="workingLocation", start=None, end=None)) == "event_type"


@pytest.mark.parametrize("kind", ["default", "outOfOffice", "focusTime", "fromGmail", "newKind"])
def test_other_kinds_are_mirrored(kind: str) -> None:
    assert sent(event(event_type=kind)).subject == "Tasting"


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
        {name: words.map(lambda word: SECRET + word) for name in
         ("summary", "description", "location", "hangout_link")}
    ),
    visibility=st.sampled_from(["private", "confidential"]),
    default=st.sampled_from(["Public", "Private"]),
    kind=st.sampled_from(["default", "outOfOffice", "focusTime"]),
)  # fmt: skip
def test_nothing_of_a_masked_event_survives(
    content: dict[str, str], visibility: str, default: str, kind: str
) -> None:
    original = event(visibility=visibility, event_type=kind, **content)
    row = sent(original, default_event_type=default)
    everything = json.dumps(row.fields(), ensure_ascii=False) + repr(row)
    assert SECRET not in everything
    assert (row.subject, row.description, row.event_type) == ("Busy", "", default)
    # Nor can two private texts be told apart, or guessed, by the hash.
    other = replace(original, summary="x", description=None, location=None, hangout_link=None)
    assert sent(other, default_event_type=default) == row


@pytest.mark.parametrize("word", ["private", "confidential", "PRIVATE", "secret", 3, ["private"]])
def test_a_private_item_is_masked_from_the_json_on(word: Any) -> None:
    item = {
        "id": "x",
        "summary": SECRET,
        "visibility": word,
        "start": {"date": "2026-11-23"},
        "end": {"date": "2026-11-24"},
    }
    assert SECRET not in repr(sent(parse_event(item)))


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


@pytest.mark.parametrize(
    "summary",
    ["Ice & cream", "3 < 5", "a > b", "Q&amp;A", "Grüße 🍦", "x <b>y</b>", "<3 Valentine", "<- in",
     "<", "<![CDATA[ x"],
)  # fmt: skip
def test_a_title_that_the_server_keeps_is_sent_as_it_is(summary: str) -> None:
    assert sent(event(summary=summary)).subject == summary


@pytest.mark.parametrize(
    "summary", ["<x>", "<b></b>", " <i> </i> ", "<!-- a > b -->", "<!-- a -->"]
)
def test_a_title_of_nothing_but_markup_stays_readable(summary: str) -> None:
    subject = sent(event(summary=summary)).subject
    assert html.unescape(subject) == summary
    assert FRAPPE_STRIP.sub("", subject).strip()


@pytest.mark.parametrize("text", ["<![5]>", "stand <![5]> by", "<![ x"])
def test_markup_on_which_frappes_parser_fails_is_escaped(text: str) -> None:
    """Python's html.parser raises AssertionError: a 500, for every try."""
    row = sent(event(summary=text, description=text))
    assert "<![" not in row.subject + row.description
    assert html.unescape(row.subject) == html.unescape(row.description) == text


def test_an_image_in_a_description_becomes_no_file_of_erpnext() -> None:
    text = """<p>a</p><img alt="b" src="data:image/png;base64,iVBO"><IMG SRC = 'data:image/png'>"""
    row = sent(event(description=text + "src=data: stays"))
    expected = """<p>a</p><img alt="b" src=""><IMG SRC = ''>src=data: stays"""
    assert row.description == expected


titles = st.text(max_size=60) | st.text("<>!-/ab&\n \x00\ud800🍦", max_size=40)


@given(summary=titles, repeat=st.sampled_from([1, 1, 1, 100, 3000]))
def test_frappe_takes_every_title(summary: str, repeat: int) -> None:
    subject = sent(event(summary=summary * repeat)).subject
    assert FRAPPE_STRIP.sub("", subject).strip()
    assert len(subject.encode()) <= 60_000
    assert "\x00" not in subject


def test_a_title_that_escaping_makes_longer_still_fits() -> None:
    subject = sent(event(summary="<" * 30_000)).subject
    assert len(subject) <= 60_000
    assert set(html.unescape(subject)) == {"<"}


@pytest.mark.parametrize("unit", ["<", "<!--", "<!-- >", "-->", "<!-->"])
def test_no_title_takes_long(unit: str) -> None:
    began = time.monotonic()
    assert sent(event(summary=unit * 60_000)).subject
    assert time.monotonic() - began < 1


def test_description_place_and_link() -> None:
    row = sent(
        event(
            description="<b>bring</b> scoops\x00\ud800",
            location='<Outlet> & "3"',
            hangout_link="https://meet.google.com/a?b=1&c=2",
        )
    )
    link = "https://meet.google.com/a?b=1&amp;c=2"
    assert row.description.split("\n") == [
        "<b>bring</b> scoops",
        "<p>Place: &lt;Outlet&gt; &amp; &quot;3&quot;</p>",
        f'<p>Meeting: <a href="{link}">{link}</a></p>',
    ]


def test_nothing_is_appended_when_nothing_is_there() -> None:
    assert sent(event(description=None)).description == ""
    assert sent(event(description="x")).description == "x"


def test_a_description_has_an_end() -> None:
    assert len(sent(event(description="x" * 3_000_000)).description) <= 500_000


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


@given(value=st.text(max_size=300))
def test_an_id_of_any_kind_fits(value: str) -> None:
    assert len(data_id(value)) <= 140


CHANGES: list[dict[str, Any]] = [
    {"summary": "Other"},
    {"description": "x"},
    {"location": "x"},
    {"hangout_link": "https://x.example"},
    {"start": EventTime(instant=NOW + timedelta(minutes=1))},
    {"end": EventTime(instant=NOW + timedelta(hours=2))},
    {"recurring_event_id": "series"},
    {"visibility": "private"},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_the_hash_sees_every_change_that_is_written(change: dict[str, Any]) -> None:
    assert sent(event(**change)).content_hash != sent(event()).content_hash


@pytest.mark.parametrize(
    "rule", [{"default_event_type": "Private"}, {"site_zone": ZoneInfo("UTC")},
             {"erpnext_user": "other@example.com"}]
)  # fmt: skip
def test_the_hash_sees_a_change_of_policy(rule: dict[str, Any]) -> None:
    assert sent(event(), **rule).content_hash != sent(event()).content_hash


def test_the_hash_does_not_see_what_is_not_written() -> None:
    touched = event(updated=NOW, own_response="accepted", status="tentative")
    assert sent(touched).content_hash == sent(event()).content_hash


def test_a_new_version_of_the_mapping_rewrites(monkeypatch: pytest.MonkeyPatch) -> None:
    before = sent(event()).content_hash
    monkeypatch.setattr("watcher.events.mapping.MAPPING_VERSION", 10_000)
    assert sent(event()).content_hash != before
