"""Times by instant, and one window for both sides."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.events.build import (
    NOW,
    ZONES,
    at,
    event,
    held,
    instants,
    on,
    place,
    rules,
    spans,
)
from tests.unit.events.build import zones as some_zone
from watcher.events.mapping import to_erpnext
from watcher.events.model import ErpEvent, EventTime, Window
from watcher.events.times import from_site, midnight, site_string
from watcher.events.window import (
    in_window,
    make_window,
    row_bounds,
    row_in_window,
    row_is_past,
)

NEW_YORK = ZoneInfo("America/New_York")
WINDOW = make_window(NOW, 7, 30)


@pytest.mark.parametrize(
    ("utc", "zone", "wall"),
    [
        # New York, 2026-11-01: 01:30 comes twice.
        ("2026-11-01T05:30:00+00:00", "America/New_York", "2026-11-01 01:30:00"),
        ("2026-11-01T06:30:00+00:00", "America/New_York", "2026-11-01 01:30:00"),
        # New York, 2026-03-08: 02:00 to 03:00 never comes.
        ("2026-03-08T06:59:59+00:00", "America/New_York", "2026-03-08 01:59:59"),
        ("2026-03-08T07:00:00+00:00", "America/New_York", "2026-03-08 03:00:00"),
        # Lord Howe moves by half an hour.
        ("2026-10-03T15:29:59+00:00", "Australia/Lord_Howe", "2026-10-04 01:59:59"),
        ("2026-10-03T15:30:00+00:00", "Australia/Lord_Howe", "2026-10-04 02:30:00"),
        # Apia skipped 30 December 2011.
        ("2011-12-30T09:59:59+00:00", "Pacific/Apia", "2011-12-29 23:59:59"),
        ("2011-12-30T10:00:00+00:00", "Pacific/Apia", "2011-12-31 00:00:00"),
        ("2026-11-23T12:00:00.900+00:00", "Asia/Kolkata", "2026-11-23 17:30:00"),
    ],
)
def test_site_string_goes_by_instant(utc: str, zone: str, wall: str) -> None:
    assert site_string(datetime.fromisoformat(utc), ZoneInfo(zone)) == wall


@given(
    moment=instants(datetime(2009, 1, 1, tzinfo=UTC), datetime(2037, 1, 1, tzinfo=UTC)),
    zone=some_zone,
)
def test_a_site_string_reads_back_but_for_the_repeated_hour(
    moment: datetime, zone: ZoneInfo
) -> None:
    back = from_site(site_string(moment, zone), zone)
    folded = moment.astimezone(zone).fold == 1
    assert back < moment if folded else back == moment
    assert moment - back <= timedelta(hours=1)


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_midnights_never_run_backwards(zone: ZoneInfo) -> None:
    days = [date(2011, 12, 25) + timedelta(days=n) for n in range(800)]
    moments = [midnight(day, zone) for day in days]
    assert moments == sorted(moments)


@pytest.mark.parametrize("name", ["America/New_York", "Pacific/Apia", "Asia/Kolkata"])
@pytest.mark.parametrize("all_day", [True, False])
def test_a_row_that_a_person_dated_to_the_end_of_time_is_read(name: str, all_day: bool) -> None:
    sent = to_erpnext(event(), rules())
    assert isinstance(sent, ErpEvent)
    row = held(sent, ends_on="9999-12-31 23:59:59", all_day=all_day)
    assert row_in_window(row, WINDOW, ZoneInfo(name), ZoneInfo(name))


@pytest.mark.parametrize(
    ("start", "end", "inside"),
    [
        ("2026-11-16T11:00:00+00:00", "2026-11-16T12:00:00+00:00", False),  # ends at its start
        ("2026-11-16T11:00:00+00:00", "2026-11-16T12:00:01+00:00", True),
        ("2026-11-16T12:00:00+00:00", "2026-11-16T12:00:00+00:00", True),  # ends a minute later
        ("2026-11-16T11:59:00+00:00", "2026-11-16T11:59:00+00:00", False),
        ("2026-11-16T12:00:01+00:00", "2026-11-16T12:00:01+00:00", True),
        ("2026-12-23T11:59:59+00:00", "2026-12-23T13:00:00+00:00", True),
        ("2026-12-23T12:00:00+00:00", "2026-12-23T13:00:00+00:00", False),  # starts at its end
        ("2026-01-01T00:00:00+00:00", "2027-01-01T00:00:00+00:00", True),
    ],
)
def test_the_window_bounds_the_end_and_the_start(start: str, end: str, inside: bool) -> None:
    assert in_window(at(start), at(end), WINDOW, NEW_YORK) is inside


def test_days_begin_in_the_calendars_zone() -> None:
    window = Window(
        start=datetime(2026, 11, 16, 12, tzinfo=UTC), end=datetime(2026, 12, 23, 12, tzinfo=UTC)
    )
    day = on("2026-11-16"), on("2026-11-17")
    assert in_window(*day, window, NEW_YORK)
    # In Kiritimati (UTC+14) that day is over at 10:00 UTC.
    assert not in_window(*day, window, ZoneInfo("Pacific/Kiritimati"))


def test_a_day_without_an_end_is_as_long_as_the_row_we_write() -> None:
    day = on("2026-11-16")
    assert in_window(day, day, WINDOW, NEW_YORK)


def test_the_window_is_in_whole_seconds() -> None:
    window = make_window(NOW + timedelta(microseconds=700_000), 7, 30)
    assert window == Window(start=NOW - timedelta(days=7), end=NOW + timedelta(days=30))


@given(span=spans(), site=some_zone, calendar=some_zone)
def test_both_sides_agree_on_what_we_wrote(
    span: tuple[EventTime, EventTime], site: ZoneInfo, calendar: ZoneInfo
) -> None:
    start, end = span
    if start.instant is not None and end.instant is not None:  # of the repeated hour ERPNext
        assume(not start.instant.astimezone(site).fold)  # cannot tell the second from the first
        assume(not end.instant.astimezone(site).fold)
    sent = to_erpnext(event(start=start, end=end), rules(site_zone=site))
    assert isinstance(sent, ErpEvent)
    inside = in_window(start, end, WINDOW, calendar)
    row = held(sent)
    assert row_in_window(row, WINDOW, site, calendar) is inside
    if inside:
        assert not row_is_past(row, WINDOW, site, calendar)


@pytest.mark.parametrize("ends_on", [None, "2026-11-16 00:00:00", "2026-11-16 23:59:59"])
def test_a_single_day_is_read_alike_however_it_ends(ends_on: str | None) -> None:
    """0.1.0 ended it at midnight, which ERPNext stores as nothing."""
    sent = to_erpnext(event(start=on("2026-11-16"), end=on("2026-11-17")), rules())
    assert isinstance(sent, ErpEvent)
    row = held(sent, ends_on=ends_on)
    zone = ZoneInfo("Asia/Kolkata")
    day = midnight(date(2026, 11, 16), zone), midnight(date(2026, 11, 17), zone)
    assert row_bounds(row, zone, zone) == day


@pytest.mark.parametrize("ends_on", [None, "2026-11-23 17:30:00", "2026-11-23 17:31:00"])
def test_an_event_of_no_length_is_read_alike_however_it_ends(ends_on: str | None) -> None:
    sent = to_erpnext(event(start=at(NOW.isoformat()), end=at(NOW.isoformat())), rules())
    assert isinstance(sent, ErpEvent)
    row = held(sent, ends_on=ends_on)
    zone = ZoneInfo("Asia/Kolkata")
    assert row_bounds(row, zone, zone) == (NOW, NOW + timedelta(minutes=1))


@given(offset=st.integers(-1, 1), length=st.integers(1, 5))
def test_a_row_is_past_exactly_when_it_ended_by_the_windows_start(offset: int, length: int) -> None:
    ends = WINDOW.start + timedelta(seconds=offset)
    start, end = EventTime(instant=ends - timedelta(hours=length)), EventTime(instant=ends)
    sent = to_erpnext(event(start=start, end=end), rules())
    assert isinstance(sent, ErpEvent)
    where = place()
    assert where.is_past(held(sent)) is (offset <= 0)
