"""Recurring series: Google expands them, the mirror follows every way in which they change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.company import ANN, SITE_ZONE, Company

pytestmark = pytest.mark.one_shape("postgres")

SECRET = "Therapy"


@pytest.fixture(autouse=True)
def connected(company: Company) -> None:
    company.connect()


def series(company: Company, rule: str = "FREQ=DAILY;COUNT=10", **extra: Any) -> str:
    body = company.timed(**({"hours": 20} | extra))
    return company.google.insert_event(ANN, {**body, "recurrence": [f"RRULE:{rule}"]})


def instances(company: Company, master: str) -> list[str]:
    now = datetime.now(UTC)
    window = (now - timedelta(days=7), now + timedelta(days=30))
    return company.google.instance_ids(ANN, master, *window)


def synced(company: Company) -> None:
    assert company.sync() == "done"
    assert company.mirrored() == company.expected()
    keys = [row["custom_google_sync_key"] for row in company.site.events()]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    "rule",
    ["FREQ=DAILY;COUNT=10", "FREQ=WEEKLY;BYDAY=MO,WE,FR", "FREQ=MONTHLY", "FREQ=DAILY;INTERVAL=3"],
)
def test_a_series_is_its_instances_in_the_window(company: Company, rule: str) -> None:
    master = series(company, rule)
    synced(company)
    assert len(company.rows()) == len(instances(company, master)) > 0
    assert {row["custom_google_recurring_event_id"] for row in company.rows()} == {master}


def test_a_series_that_began_long_ago(company: Company) -> None:
    series(company, "FREQ=DAILY", hours=-24 * 200)
    synced(company)
    assert 36 <= len(company.expected()) <= 38


def test_the_whole_series_changes(company: Company) -> None:
    master = series(company)
    synced(company)
    company.google.patch_event(ANN, master, {"summary": "Night shift"})
    synced(company)
    later = company.timed(hours=23)
    company.google.patch_event(ANN, master, {"start": later["start"], "end": later["end"]})
    synced(company)
    assert len(company.rows()) == 10


def test_one_instance_is_moved_renamed_dropped_and_restored(company: Company) -> None:
    master = series(company)
    synced(company)
    second, third, fourth = instances(company, master)[1:4]
    other = company.timed(hours=24 * 12)
    company.google.move_instance(ANN, second, other["start"], other["end"])
    company.google.patch_event(ANN, third, {"summary": "Swapped"})
    company.google.delete_event(ANN, fourth)
    synced(company)
    assert len(company.rows()) == 9
    company.google.patch_event(ANN, fourth, {"status": "confirmed"})
    synced(company)
    assert len(company.rows()) == 10


def test_an_instance_moved_out_of_the_window_and_back(company: Company) -> None:
    master = series(company)
    synced(company)
    instance = instances(company, master)[4]
    far, near = company.timed(hours=24 * 70), company.timed(hours=24 * 9)
    company.google.move_instance(ANN, instance, far["start"], far["end"])
    synced(company)
    company.google.move_instance(ANN, instance, near["start"], near["end"])
    synced(company)


@pytest.mark.parametrize("reported", [True, False])
def test_a_time_change_sweeps_exceptions_away(company: Company, reported: bool) -> None:
    company.google.behaviour.reset_exceptions_reported = reported
    master = series(company)
    synced(company)
    ids = instances(company, master)
    company.google.patch_event(ANN, ids[2], {"summary": "Swapped"})
    company.google.delete_event(ANN, ids[3])
    synced(company)
    later = company.timed(hours=26)
    company.google.patch_event(ANN, master, {"start": later["start"], "end": later["end"]})
    synced(company)


def test_this_and_following(company: Company) -> None:
    master = series(company, "FREQ=DAILY")
    synced(company)
    company.google.split_series(
        ANN, instances(company, master)[5], changes={"summary": "New roster"}
    )
    synced(company)
    assert {"Shift", "New roster"} == set(company.subjects())


def test_series_deleted_shortened_and_ended(company: Company) -> None:
    deleted, shortened = series(company), series(company, "FREQ=DAILY")
    synced(company)
    company.google.delete_event(ANN, deleted)
    company.google.patch_event(ANN, shortened, {"recurrence": ["RRULE:FREQ=DAILY;COUNT=3"]})
    synced(company)
    assert len(company.rows()) == 3


def test_single_to_series_and_back(company: Company) -> None:
    event = company.google.insert_event(ANN, company.timed())
    synced(company)
    company.google.patch_event(ANN, event, {"recurrence": ["RRULE:FREQ=DAILY;COUNT=4"]})
    synced(company)
    assert len(company.rows()) == 4
    company.google.patch_event(ANN, event, {"recurrence": None})
    synced(company)
    assert len(company.rows()) == 1


def test_many_changed_series_are_read_in_one_listing(company: Company) -> None:
    masters = [series(company, "FREQ=DAILY;COUNT=3", hours=n + 1) for n in range(12)]
    assert company.sync() == "done"
    before = company.google.log.counts().get("events.instances", 0)
    for master in masters:
        company.google.patch_event(ANN, master, {"summary": f"Roster {master[:3]}"})
    synced(company)
    assert company.google.log.counts().get("events.instances", 0) == before


def test_all_day_series(company: Company) -> None:
    first = datetime.now(SITE_ZONE).date() + timedelta(days=1)
    master = company.google.insert_event(
        ANN,
        {
            "summary": "Stock day",
            "start": {"date": first.isoformat()},
            "end": {"date": (first + timedelta(days=1)).isoformat()},
            "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=4"],
        },
    )
    synced(company)
    company.google.delete_event(ANN, instances(company, master)[1])
    synced(company)
    assert len(company.rows()) == 3


def test_a_series_made_private_hides_its_past_too(company: Company) -> None:
    master = series(company, "FREQ=DAILY", hours=-24 * 6, summary=SECRET, description=SECRET)
    synced(company)
    dropped = instances(company, master)[3]
    company.google.delete_event(ANN, dropped)
    synced(company)
    # Two days later the first instances have aged out of the window; their rows stay.
    company.rebuild()
    company.set("window_past_days", "3")
    assert company.sync() == "done"
    aged = len(company.rows())
    company.google.patch_event(ANN, master, {"visibility": "private"})
    assert company.sync() == "done"
    assert SECRET not in repr(company.site.events())
    assert len(company.rows()) == aged, "history was cancelled"


def test_an_instance_of_the_past_that_is_made_private_is_hidden(company: Company) -> None:
    """Together with a change of its series, whose expansion reaches no further than the window."""
    master = series(company, "FREQ=DAILY", hours=-24 * 6, summary=SECRET)
    synced(company)
    first = instances(company, master)[0]
    company.rebuild()
    company.set("window_past_days", "3")
    assert company.sync() == "done"
    rows = len(company.rows())
    company.google.patch_event(ANN, first, {"visibility": "private"})
    company.google.patch_event(ANN, master, {"location": "Baner"})
    assert company.sync() == "done"
    subjects = {row["custom_google_event_id"]: row["subject"] for row in company.rows()}
    assert subjects[first] == "Busy"
    assert len(company.rows()) == rows
