"""Series of an export: more days, fewer, others, and others from a day on."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.ics.export import ONE_HOUR, YOU, Played, calendar, event

DAILY = "DTSTART;TZID=Europe/Berlin:20260601T100000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=5\n"


def test_rdates_with_periods(tmp_path: Path) -> None:
    lines = f"{ONE_HOUR}RDATE;VALUE=PERIOD:20260602T080000Z/PT3H,20260603T100000Z/20260603T101500Z"
    spans = Played(tmp_path, calendar(event(lines))).spans()
    assert spans == [
        ("2026-06-01 08:00", "2026-06-01 09:00"),
        ("2026-06-02 08:00", "2026-06-02 11:00"),
        ("2026-06-03 10:00", "2026-06-03 10:15"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "EXDATE:20260603T080000Z",
        "EXDATE;TZID=Europe/Berlin:20260603T100000",
        "EXDATE;TZID=Asia/Kolkata:20260603T133000",
        "EXDATE:20260603T100000",
        "EXDATE;VALUE=DATE:20260603",
        "EXDATE:20260603",
    ],
)
def test_exdates_of_a_series_of_times(tmp_path: Path, line: str) -> None:
    played = Played(tmp_path, calendar(event(DAILY + line)))
    assert [text[8:10] for text in played.starts()] == ["01", "02", "04", "05"]


@pytest.mark.parametrize(
    "line",
    [
        "EXDATE;VALUE=DATE:20260603",
        "EXDATE:20260603T000000",
        "EXDATE:20260603T000000Z",
        "EXDATE;TZID=Asia/Kolkata:20260603T000000",
        "EXDATE:20260603T040000Z",
        "EXDATE:\nEXDATE;VALUE=DATE:20260603",
    ],
)
def test_exdates_of_a_series_of_days(tmp_path: Path, line: str) -> None:
    days = "DTSTART;VALUE=DATE:20260601\nRRULE:FREQ=DAILY;COUNT=4\n"
    played = Played(tmp_path, calendar(event(days + line)))
    assert played.starts() == ["2026-06-01", "2026-06-02", "2026-06-04"]


def test_exrule_and_a_rule_that_cannot_be_read(tmp_path: Path) -> None:
    less = event(f"{DAILY}EXRULE:FREQ=DAILY;INTERVAL=2;COUNT=3")
    bad = event(f"{ONE_HOUR}RRULE:FREQ=SOMETIMES", "Bad")
    played = Played(tmp_path, calendar(less, bad))
    assert [text[8:10] for text in played.starts()] == ["02", "04"]
    assert 'its RRULE cannot be read: "Bad"' in played.told


def test_an_instance_named_by_its_day(tmp_path: Path) -> None:
    change = "RECURRENCE-ID;VALUE=DATE:20260603\nDTSTART:20260603T150000Z\nDURATION:PT1H"
    played = Played(tmp_path, calendar(event(DAILY, uid="a"), event(change, "Moved", uid="a")))
    assert played.starts("Moved") == ["2026-06-03 15:00"]
    assert len(played.starts()) == 4


def soon(days: int) -> date:
    return datetime.now(UTC).date() + timedelta(days=days)


def series(uid: str = "a") -> str:
    lines = f"DTSTART;TZID=Europe/Berlin:{soon(1):%Y%m%d}T100000\nDURATION:PT1H\n"
    return event(f"{lines}RRULE:FREQ=DAILY;COUNT=8\nEXDATE;VALUE=DATE:{soon(6):%Y%m%d}", uid=uid)


def following(day: int, lines: str, title: str = "New", uid: str = "a") -> str:
    name = "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Berlin"
    return event(f"{name}:{soon(day):%Y%m%d}T100000\n{lines}", title, uid=uid)


def by_day(played: Played, title: str) -> list[tuple[int, str]]:
    """(days from today, wall time in Berlin) of the events with this title."""
    now = datetime.now(UTC)
    found = []
    for each in played.google.truth(YOU, now - timedelta(days=5), now + timedelta(days=40)):
        if each["summary"] == title:
            start = datetime.fromisoformat(each["start"]["dateTime"])
            found.append(((start.date() - soon(0)).days, f"{start:%H:%M}"))
    return sorted(found)


def test_this_and_following_to_another_day_and_time(tmp_path: Path) -> None:
    lines = f"DTSTART;TZID=Europe/Berlin:{soon(4):%Y%m%d}T140000\nDURATION:PT2H"
    single = event(
        f"RECURRENCE-ID;TZID=Europe/Berlin:{soon(7):%Y%m%d}T100000\n"
        f"DTSTART;TZID=Europe/Berlin:{soon(7):%Y%m%d}T080000\nDURATION:PT1H",
        "Single",
        uid="a",
    )
    played = Played(tmp_path, calendar(single, following(3, lines), series()))
    played.google.store.calendar(YOU).time_zone = "Europe/Berlin"  # in which times are shown
    assert by_day(played, "It") == [(1, "10:00"), (2, "10:00")]
    assert by_day(played, "New") == [(4, "14:00"), (5, "14:00"), (6, "14:00"), (9, "14:00")]
    assert by_day(played, "Single") == [(7, "08:00")]
    assert played.report.missing == 0
    assert "changed from a day on" in played.told


def test_this_and_following_cancelled(tmp_path: Path) -> None:
    lines = f"STATUS:CANCELLED\nDTSTART:{soon(3):%Y%m%d}T140000Z"
    played = Played(tmp_path, calendar(series(), following(3, lines)))
    assert [day for day, _ in by_day(played, "It")] == [1, 2]


def test_this_and_following_of_a_series_that_has_ended(tmp_path: Path) -> None:
    lines = f"DTSTART:{soon(30):%Y%m%d}T140000Z\nDURATION:PT1H"
    played = Played(tmp_path, calendar(series(), following(30, lines)))
    assert 'the series that it changes has no such day: "New"' in played.told


def test_an_override_without_its_series_is_an_event(tmp_path: Path) -> None:
    """As of a series to one of whose meetings one was asked."""
    lines = f"RECURRENCE-ID:20260601T080000Z\n{ONE_HOUR}"
    played = Played(tmp_path, calendar(event(lines, uid="a")))
    assert played.starts() == ["2026-06-01 08:00"]
    gone = event(f"{ONE_HOUR}STATUS:CANCELLED", "Gone", uid="a")
    played = Played(tmp_path, calendar(gone, event(lines, uid="a")))
    assert played.starts() == []
    assert "the series that it changes was left out" in played.told


def test_a_change_of_no_day_that_can_be_read(tmp_path: Path) -> None:
    lines = f"RECURRENCE-ID;RANGE=THISANDFUTURE:someday\n{ONE_HOUR}"
    played = Played(tmp_path, calendar(series(), event(lines, "Bad", uid="a")))
    assert 'its RECURRENCE-ID cannot be read: "Bad"' in played.told
