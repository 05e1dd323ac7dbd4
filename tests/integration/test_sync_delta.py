"""One calendar, one worker's pass: sandbox Google over HTTP, a real ledger, sandbox ERPNext."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.company import ANN, BOB, Company
from watcher.ledger import aside

pytestmark = pytest.mark.one_shape("sqlite")

SECRET = "Root canal at Dr. Frost"


@pytest.fixture(autouse=True)
def connected(company: Company) -> None:
    company.connect()


def put(company: Company, **extra: Any) -> str:
    return company.google.insert_event(ANN, company.timed(**extra))


def row_of(company: Company, event: str) -> dict[str, Any]:
    found = [r for r in company.rows(live=False) if r["custom_google_event_id"] == event]
    assert len(found) == 1
    return found[0]


def synced(company: Company) -> None:
    """One pass, after which both sides are equal and nothing is double."""
    assert company.sync() == "done"
    assert company.mirrored() == company.expected()
    keys = [row["custom_google_sync_key"] for row in company.site.events()]
    assert len(keys) == len(set(keys))


def test_insert_edit_move_delete_and_back(company: Company) -> None:
    event = put(company, summary="Morning shift")
    synced(company)
    name = row_of(company, event)["name"]
    company.google.patch_event(ANN, event, {"summary": "Late shift"})
    synced(company)
    moved = company.timed(hours=50, length=3)
    company.google.patch_event(ANN, event, {"start": moved["start"], "end": moved["end"]})
    synced(company)
    company.google.delete_event(ANN, event)
    synced(company)
    assert row_of(company, event)["status"] == "Cancelled"
    company.google.patch_event(ANN, event, {"status": "confirmed"})
    synced(company)
    row = row_of(company, event)
    assert (row["status"], row["name"], row["subject"]) == ("Open", name, "Late shift")


def test_a_pass_without_changes_writes_nothing(company: Company) -> None:
    put(company)
    synced(company)
    before = company.services.erpnext.calls
    synced(company)
    assert company.services.erpnext.calls == before


def test_a_new_event_and_an_edit_take_three_calls_each(company: Company) -> None:
    """One looks up what is there, one writes, one looks what else was written meanwhile."""
    put(company, summary="The first, which reads the site's time zone and fields")
    synced(company)
    for verb in ("insert_many", "bulk_update"):
        before = company.services.erpnext.calls, company.site.requests.copy()
        if verb == "insert_many":
            event = put(company, summary="Morning shift")
        else:
            company.google.patch_event(ANN, event, {"summary": "Late shift"})
        synced(company)
        assert company.services.erpnext.calls == before[0] + 3
        made = {
            name.rpartition(".")[2]: n for name, n in (company.site.requests - before[1]).items()
        }
        assert made == {"get_list": 2, verb: 1}


def test_a_series_that_becomes_a_single_event_leaves_none_of_its_days(company: Company) -> None:
    body = company.timed(recurrence=["RRULE:FREQ=DAILY;COUNT=4"])
    series = company.google.insert_event(ANN, body)
    synced(company)
    assert len(company.rows()) == 4
    company.google.patch_event(ANN, series, {"recurrence": None})
    synced(company)
    assert [row["custom_google_event_id"] for row in company.rows()] == [series]


def test_titles(company: Company) -> None:
    for title in (None, "", "   ", "🍦 Überstunden & more", "<b>Bold</b>", "x" * 3000):
        put(company, summary=title)
    assert company.sync() == "done"
    subjects = sorted(company.subjects(), key=len)
    assert subjects.count("(No title)") == 3
    assert "🍦 Überstunden & more" in subjects
    assert subjects[-1] == "x" * 3000


@pytest.mark.both_shapes
def test_private_events_are_masked_on_first_delivery(company: Company) -> None:
    event = put(company, summary=SECRET, description=SECRET, location=SECRET, visibility="private")
    synced(company)
    row = row_of(company, event)
    assert (row["subject"], row["description"] or "") == ("Busy", "")
    assert SECRET not in repr(company.site.events())


@pytest.mark.both_shapes
def test_made_private_later(company: Company) -> None:
    event = put(company, summary=SECRET, description=SECRET)
    synced(company)
    company.google.patch_event(ANN, event, {"visibility": "private"})
    synced(company)
    assert SECRET not in repr(company.site.events())


@pytest.mark.parametrize("policy", ["busy", "private", "skip"])
def test_made_private_and_moved_away_in_one_edit(company: Company, policy: str) -> None:
    company.rebuild()
    company.set("private_events", policy)
    company.sync()
    event = put(company, summary=SECRET, description=SECRET)
    assert company.sync() == "done"
    far = company.timed(hours=24 * 90)
    change = {"visibility": "private", "start": far["start"], "end": far["end"]}
    company.google.patch_event(ANN, event, change)
    assert company.sync() == "done"
    assert row_of(company, event)["status"] == "Cancelled"
    assert SECRET not in repr(company.site.events())


def test_declined_and_other_kinds_are_left_out(company: Company) -> None:
    me = {"email": ANN, "self": True, "responseStatus": "declined"}
    put(company, summary="Declined", attendees=[me])
    put(
        company,
        summary="Home",
        eventType="workingLocation",
        visibility="public",
        transparency="transparent",
        workingLocationProperties={"type": "homeOffice"},
    )
    accepted = put(company, attendees=[me | {"responseStatus": "accepted"}])
    synced(company)
    assert company.subjects() == ["Shift"]
    company.google.patch_event(ANN, accepted, {"attendees": [me]})
    synced(company)
    assert company.subjects() == []
    company.google.patch_event(ANN, accepted, {"attendees": [me | {"responseStatus": "tentative"}]})
    synced(company)
    assert company.subjects() == ["Shift"]


@pytest.mark.both_shapes
def test_all_day(company: Company) -> None:
    first = datetime.now(UTC).date() + timedelta(days=3)
    event = company.google.insert_event(
        ANN,
        {
            "summary": "Leave",
            "start": {"date": first.isoformat()},
            "end": {"date": (first + timedelta(days=3)).isoformat()},
        },
    )
    synced(company)
    row = row_of(company, event)
    assert row["all_day"] == 1
    assert row["starts_on"] == f"{first} 00:00:00"
    assert row["ends_on"] == f"{first + timedelta(days=2)} 00:00:00"
    company.google.patch_event(ANN, event, {"end": {"date": str(first + timedelta(days=1))}})
    synced(company)


@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
def test_zones(company: Company, zone: str) -> None:
    day = date.today() + timedelta(days=4)
    put(
        company,
        start={"dateTime": f"{day}T02:30:00", "timeZone": zone},
        end={"dateTime": f"{day}T03:45:00", "timeZone": zone},
    )
    synced(company)


def test_out_of_the_window_and_back(company: Company) -> None:
    event = put(company)
    synced(company)
    name = row_of(company, event)["name"]
    far, near = company.timed(hours=24 * 60), company.timed(hours=30)
    company.google.patch_event(ANN, event, {"start": far["start"], "end": far["end"]})
    synced(company)
    assert row_of(company, event)["status"] == "Cancelled"
    company.google.patch_event(ANN, event, {"start": near["start"], "end": near["end"]})
    synced(company)
    assert row_of(company, event)["name"] == name


@pytest.mark.parametrize("keeps_bounds", [True, False])
@pytest.mark.parametrize("full", [True, False])
def test_whatever_google_does_with_bounds_and_tombstones(
    company: Company, keeps_bounds: bool, full: bool
) -> None:
    company.google.tokens_keep_bounds = keeps_bounds
    company.google.behaviour.full_tombstones = full
    company.google.expire_sync_tokens()
    inside, outside = put(company, summary="In"), put(company, summary="Out", hours=24 * 50)
    synced(company)
    far, near = company.timed(hours=24 * 60), company.timed(hours=5)
    company.google.patch_event(ANN, inside, {"start": far["start"], "end": far["end"]})
    company.google.patch_event(ANN, outside, {"start": near["start"], "end": near["end"]})
    synced(company)
    assert company.subjects() == ["Out"]


def test_many_pages(company: Company) -> None:
    company.google.behaviour.page_limit = 3
    company.google.behaviour.empty_first_page = True
    for number in range(20):
        put(company, summary=f"Shift {number}", hours=number + 1)
    synced(company)
    assert len(company.rows()) == 20


def test_two_accounts_with_the_same_event_are_two_rows(company: Company) -> None:
    company.add(BOB)
    event = put(company, summary="Meeting")
    body = company.google.get_event(ANN, event)
    company.google.insert_event(BOB, {k: body[k] for k in ("id", "summary", "start", "end")})
    synced(company)
    assert company.sync(BOB) == "done"
    assert company.subjects(ANN) == company.subjects(BOB) == ["Meeting"]


@pytest.mark.both_shapes
def test_fields_that_erpnext_shows(company: Company) -> None:
    event = put(
        company,
        location="Outlet <5>",
        description="<p>Bring <b>cones</b></p>",
        hangoutLink="https://meet.google.com/abc-defg-hij",
    )
    synced(company)
    row = row_of(company, event)
    assert "cones" in row["description"]
    place = {15: row["description"], 16: row.get("location")}[company.site.frappe]
    assert {15: "Outlet &lt;5&gt;", 16: "Outlet <5>"}[company.site.frappe] in place
    assert "https://meet.google.com/abc-defg-hij" in row["description"]
    assert row["event_type"] == "Public"
    assert row["custom_google_user"] == ANN
    assert row["custom_synced_from"] == "Google Calendar"
    assert len(row["custom_google_sync_key"]) == 64
    assert not row["send_reminder"]


def test_the_link_of_another_provider_arrives(company: Company) -> None:
    """An add-on leaves its link in the conference data alone, which the response mask asks for."""
    points = [
        {"entryPointType": "phone", "uri": "tel:+49-30-1234", "pin": "4711"},
        {"entryPointType": "video", "uri": "https://meet.example/j/1?pwd=a&b=c", "label": "Join"},
    ]
    event = put(company, conferenceData={"entryPoints": points, "notes": "secret notes"})
    hidden = put(
        company,
        visibility="private",
        transparency="transparent",
        conferenceData={"entryPoints": points},
    )
    synced(company)
    description = row_of(company, event)["description"]
    assert 'href="https://meet.example/j/1?pwd=a&amp;b=c"' in description
    assert "4711" not in description
    assert (row_of(company, hidden)["subject"], row_of(company, hidden)["description"]) == (
        "Private",
        "",
    )


@pytest.mark.both_shapes
def test_titles_that_erpnext_would_refuse_arrive_all_the_same(company: Company) -> None:
    """Small Text ends between 65,000 and 66,000 bytes; what sanitises to nothing is refused."""
    for title in ("x" * 70_000, "é" * 40_000, "🍦" * 20_000, "<x>", "<!-- -->", "a\x00b"):
        put(company, summary=title)
    assert company.sync() == "done"
    assert len(company.rows()) == 6
    with company.services.db.session() as session:
        assert aside.everything(session) == []
    before = company.services.erpnext.calls
    assert company.sync(snapshot=True) == "done"
    assert company.services.erpnext.calls - before == 1, "read once, nothing written again"


@pytest.mark.parametrize(
    ("zone", "day"), [("Europe/Berlin", "2026-10-25"), ("America/New_York", "2026-11-01")]
)
def test_the_hour_that_comes_twice(company: Company, zone: str, day: str) -> None:
    """Both instants of one wall time are told apart: by instant, never by wall time."""
    noon = datetime.fromisoformat(f"{day}T12:00:00+00:00")
    real = company.services.clock
    shift = noon - timedelta(days=2) - datetime.now(UTC)
    object.__setattr__(company.services, "clock", lambda: real() + shift)
    summer, winter = ("+02:00", "+01:00") if zone == "Europe/Berlin" else ("-04:00", "-05:00")
    hour = "02" if zone == "Europe/Berlin" else "01"
    for name, offset in (("First", summer), ("Second", winter)):
        at = {"dateTime": f"{day}T{hour}:30:00{offset}", "timeZone": zone}
        put(company, summary=name, start=at, end=at)
    assert company.sync(force=True) == "done"
    starts = {row["subject"]: datetime.fromisoformat(row["starts_on"]) for row in company.rows()}
    assert starts["Second"] - starts["First"] == timedelta(hours=1)
