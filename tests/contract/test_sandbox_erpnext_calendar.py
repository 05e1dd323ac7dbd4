"""What the model of the Desk's calendar draws is what browsers showed on 15.43 and 16.4.1."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
import requests

from tests.contract.sandbox_erpnext import integration
from watcher_sandbox.erpnext import calendar
from watcher_sandbox.erpnext.site import Site

ZONE = "Asia/Kolkata"


def drawn(frappe: int, start: str, end: str | None, **more: Any) -> list[int]:
    """The days of December 2026."""
    row = {"starts_on": start, "ends_on": end, "all_day": 0, "status": "Open"} | more
    site = Site(ZONE, frappe=frappe)
    try:
        return [int(day[-2:]) for day in site.drawn(row)]
    finally:
        site.close()


@pytest.mark.parametrize(
    ("what", "end", "in_15", "in_16"),
    [
        ("one day, no end", None, [3, 4], [3]),
        ("one day, end of the day", "2026-12-03 23:59:59", [3], [3]),
        ("one day, its own midnight", "2026-12-03 00:00:00", [3], [3]),
        ("three days, last midnight", "2026-12-05 00:00:00", [3, 4, 5], [3, 4]),
        ("three days, end of the last", "2026-12-05 23:59:59", [3, 4, 5], [3, 4]),
        ("three days, last noon", "2026-12-05 12:00:00", [3, 4, 5], [3, 4]),
        ("three days, exclusive end", "2026-12-06 00:00:00", [3, 4, 5, 6], [3, 4, 5]),
    ],
)
def test_all_day(what: str, end: str | None, in_15: list[int], in_16: list[int]) -> None:
    start = "2026-12-03 00:00:00"
    assert drawn(15, start, end, all_day=1) == in_15, what
    assert drawn(16, start, end, all_day=1) == in_16, what


def test_a_mended_16_adds_a_day_always() -> None:
    row = {"starts_on": "2026-12-03 00:00:00", "all_day": 1, "status": "Open"}

    def days(end: str | None) -> int:
        return len(calendar.days({**row, "ends_on": end}, frappe=16, mended=True))

    assert (days(None), days("2026-12-03 23:59:59"), days("2026-12-05 00:00:00")) == (2, 1, 3)


@pytest.mark.parametrize(
    ("what", "start", "end", "in_15", "in_16"),
    [
        ("an hour", "10:00:00", "2026-12-03 11:00:00", [3], [3]),
        ("no end: a day long", "10:00:00", None, [3, 4], [3, 4]),
        ("zero length and a minute", "10:00:00", "2026-12-03 10:01:00", [3], [3]),
        ("zero length and a second", "10:00:00", "2026-12-03 10:00:01", [3], [3]),
        ("until midnight", "22:00:00", "2026-12-04 00:00:00", [3], [3]),
        ("a night shift", "22:00:00", "2026-12-04 06:00:00", [3], [3, 4]),
        ("over noon of the next day", "22:00:00", "2026-12-04 12:00:00", [3, 4], [3, 4]),
        ("an end before the start", "10:00:00", "2026-12-03 09:00:00", [3], [3]),
    ],
)
def test_timed(what: str, start: str, end: str | None, in_15: list[int], in_16: list[int]) -> None:
    assert drawn(15, f"2026-12-03 {start}", end) == in_15, what
    assert drawn(16, f"2026-12-03 {start}", end) == in_16, what


@pytest.mark.parametrize("status", ["Closed", "Completed", "Cancelled"])
def test_only_open_ones_are_drawn(status: str) -> None:
    for frappe in (15, 16):
        assert drawn(frappe, "2026-12-03 10:00:00", "2026-12-03 11:00:00", status=status) == []


EAST, WEST = "Asia/Tokyo", "America/New_York"


@pytest.mark.parametrize(
    ("what", "end", "in_the_east", "in_the_west"),
    [
        ("one day, end of the day", "2026-12-03 23:59:59", [3, 4], [2, 3]),
        ("one day, a second", "2026-12-03 00:00:01", [3], [2]),
        ("one day, noon", "2026-12-03 12:00:00", [3], [2, 3]),
        ("three days, last midnight", "2026-12-05 00:00:00", [3, 4, 5], [2, 3, 4]),
        ("three days, last noon", "2026-12-05 12:00:00", [3, 4, 5], [2, 3, 4, 5]),
        ("three days, end of the last", "2026-12-05 23:59:59", [3, 4, 5, 6], [2, 3, 4, 5]),
    ],
)
def test_all_day_for_readers_elsewhere(
    what: str, end: str, in_the_east: list[int], in_the_west: list[int]
) -> None:
    """15, and 16 with the corrections of 2026; 16.4.1 shows them nothing."""
    row = {"starts_on": "2026-12-03 00:00:00", "ends_on": end, "all_day": 1, "status": "Open"}
    for zone, expected in ((EAST, in_the_east), (WEST, in_the_west)):
        who: dict[str, Any] = {"site_zone": ZONE, "reader_zone": zone}
        for version, mended in ((15, False), (16, True)):
            found = calendar.days(row, frappe=version, mended=mended, **who)
            assert [day.day for day in found] == expected, (what, zone, version)
        assert calendar.days(row, frappe=16, **who) == [], (what, zone)


def test_a_timed_event_for_a_reader_elsewhere() -> None:
    row = {"starts_on": "2026-12-03 10:00:00", "ends_on": "2026-12-03 11:00:00", "status": "Open"}
    found = calendar.days(row, frappe=15, site_zone=ZONE, reader_zone=WEST)
    assert found == [date(2026, 12, 2)]  # 23:30 to 00:30 of their own clock
    same: dict[str, Any] = {"site_zone": ZONE, "reader_zone": "Asia/Colombo"}
    assert calendar.days(row, frappe=16, **same) == [date(2026, 12, 3)]


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        ("2026-12-03 22:00:00", "2026-12-04 06:00:00", [3, 4]),
        ("2026-12-03 22:00:00", "2026-12-04 00:00:00", [3]),
        ("2026-12-03 00:00:00", "2026-12-06 00:00:00", [3, 4, 5]),
    ],
)
def test_a_week_has_hours(start: str, end: str, days: list[int]) -> None:
    row = {"starts_on": start, "ends_on": end, "status": "Open"}
    for frappe in (15, 16):
        found = calendar.days(row, frappe=frappe, view="week", site_zone=ZONE)
        assert [day.day for day in found] == days


def test_rows_of_the_site_itself() -> None:
    with integration(frappe=16) as person:
        name = person.event(all_day=1, starts_on="2026-12-03 00:00:00", ends_on=None)
        (row,) = person.site.events()
        assert row["name"] == name
        assert person.site.drawn(row) == ["2026-12-03"]
        found = requests.get(f"{person.url}/_sandbox/drawn", timeout=10)
        assert found.json() == {name: ["2026-12-03"]}


@pytest.mark.parametrize("frappe", [15, 16])
def test_the_daily_job_closes_what_administrators_list_shows(frappe: int) -> None:
    past = {"starts_on": "2020-01-01 10:00:00", "ends_on": "2020-01-01 11:00:00"}
    with integration(frappe=frappe) as person:
        public = person.event(**past)
        private = person.event(**past, event_type="Private")
        person.event(**past, status="Completed")
        without_end = person.event(starts_on="2020-01-01 10:00:00", ends_on=None)
        before = person.read("Event", public)
        assert person.site.close_past_events() == [public]
        after = person.read("Event", public)
        assert (after["status"], after["modified_by"]) == ("Closed", "Administrator")
        assert after["modified"] > before["modified"]
        assert person.list("Version") == []
        for name in (private, without_end):
            assert person.read("Event", name)["status"] == "Open"
        person.change(public, starts_on="2026-12-03 10:00:00", ends_on="2026-12-03 11:00:00")
        assert person.site.drawn(person.read("Event", public)) == []  # it stays Closed


@pytest.mark.parametrize("frappe", [15, 16])
def test_get_events_gives_what_the_calendar_needs(frappe: int) -> None:
    with integration(frappe=frappe) as person:
        name = person.event(color="#ff0000")
        person.event(status="Closed")
        person.event(starts_on="2027-02-03 10:00:00", ends_on="2027-02-03 11:00:00")
        ask = {"start": "2026-12-01", "end": "2026-12-31"}
        path = "/api/method/frappe.desk.doctype.event.event.get_events"
        answer = person.send("GET", path, params=ask)
        (row,) = answer.json()["message"]
        assert (row["name"], row["color"], row["all_day"]) == (name, "#ff0000", 0)
        assert ("max-age=300" in answer.headers.get("Cache-Control", "")) == (frappe == 16)
