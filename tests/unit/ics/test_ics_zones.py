"""Times without a zone, and zones by any name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.ics.export import BERLIN, ONE_HOUR, Played, calendar, event
from watcher_sandbox import ics


def test_a_time_without_a_zone_is_in_the_calendars_zone(tmp_path: Path) -> None:
    floating = event("DTSTART:20260601T080000\nDTEND:20260601T090000")
    named = Played(tmp_path, calendar("X-WR-TIMEZONE:Asia/Kolkata\n", floating))
    assert named.starts() == ["2026-06-01 02:30"]
    assert 'no zone at its time: read as Asia/Kolkata: "It"' in named.told
    assert Played(tmp_path, calendar(floating)).starts() == ["2026-06-01 12:00"], "Google's"
    wrong = Played(tmp_path, calendar("X-WR-TIMEZONE:Nowhere\n", floating))
    assert wrong.starts() == ["2026-06-01 12:00"]
    assert '"Nowhere" is not known: America/New_York instead' in wrong.told


def test_the_calendar_gets_the_zone_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.ics"
    for name, zone in (
        ("Europe/Paris", "Europe/Paris"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("Nowhere", "Asia/Kolkata"),
    ):
        path.write_text(calendar(f"X-WR-TIMEZONE:{name}\n"))
        assert ics.zone_of(path, "Asia/Kolkata") == zone
    path.write_text(calendar())
    assert ics.zone_of(path, "Asia/Kolkata") == "Asia/Kolkata"


@pytest.mark.parametrize(
    ("tzid", "winter", "summer"),
    [
        ("GMT+0100", "09:00", "09:00"),
        ("GMT+01:00", "09:00", "09:00"),
        ("UTC+05:30", "04:30", "04:30"),
        ('"UTC+05:30"', "04:30", "04:30"),
        ("UTC-3", "13:00", "13:00"),
        ("+0545", "04:15", "04:15"),
        ("Z", "15:00", "14:00"),  # no zone's name: the calendar's zone
        ("UTC", "10:00", "10:00"),
        ("(UTC) Coordinated Universal Time", "10:00", "10:00"),
        ("(UTC+01:00) Amsterdam", "09:00", "08:00"),
        ("(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna", "09:00", "08:00"),
        ("(GMT+01.00) Sarajevo/Warsaw/Zagreb", "09:00", "08:00"),
        ("(UTC-05:00) Eastern Time (US & Canada)", "15:00", "14:00"),
        ("(UTC-05:00) Indiana (East)", "15:00", "15:00"),
        ("(UTC+05:30) Chennai\\, Kolkata\\, Mumbai\\, New Delhi", "04:30", "04:30"),
        ("(GMT) Greenwich Mean Time : Dublin, Edinburgh, Lisbon, London", "10:00", "09:00"),
        ("W. Europe Standard Time", "09:00", "08:00"),
        ("india standard time", "04:30", "04:30"),
        ("europe/berlin", "09:00", "08:00"),
        ("/freeassociation.sourceforge.net/Europe/Berlin", "09:00", "08:00"),
        ("/mozilla.org/20050126_1/America/Argentina/Buenos_Aires", "13:00", "13:00"),
        ("tzone://Microsoft/Utc", "10:00", "10:00"),
        ("EST5EDT", "15:00", "14:00"),
    ],
)
def test_zones_by_any_name(tmp_path: Path, tzid: str, winter: str, summer: str) -> None:
    lines = f"DTSTART;TZID={tzid}:20260105T100000\nDURATION:PT1H\nRRULE:FREQ=MONTHLY;INTERVAL=6"
    played = Played(tmp_path, calendar(event(lines)))
    assert played.starts() == [f"2026-01-05 {winter}", f"2026-07-05 {summer}"], played.told


@pytest.mark.parametrize(
    "name",
    [
        "GMT+0100",
        "UTC+01:00",
        "(UTC+01:00) Amsterdam",
        "W. Europe Standard Time",
        "Customized Time Zone",
        "tzone://Microsoft/Custom",
    ],
)
def test_a_zone_that_the_file_explains(tmp_path: Path, name: str) -> None:
    """Its own rules hold, for a series too."""
    lines = f"DTSTART;TZID={name}:20260105T100000\nDURATION:PT1H\nRRULE:FREQ=MONTHLY;INTERVAL=6"
    for parts in (
        (BERLIN.format(name=name), event(lines)),
        (event(lines), BERLIN.format(name=name)),
    ):
        played = Played(tmp_path, calendar(*parts))
        assert played.starts() == ["2026-01-05 09:00", "2026-07-05 08:00"]
        assert "note" not in played.told


def test_an_unknown_zone_is_the_calendars_and_named(tmp_path: Path) -> None:
    lines = "DTSTART;TZID=Bureau:20260601T080000\nDTEND;TZID=Bureau:20260601T090000"
    played = Played(tmp_path, calendar("X-WR-TIMEZONE:Asia/Tokyo\n", event(lines)))
    assert played.starts() == ["2026-05-31 23:00"]
    assert 'note: 1 x zone "Bureau" is not known' in played.told
    assert "read as Asia/Tokyo" in played.told


def test_a_zone_that_is_like_no_other_keeps_its_instants(tmp_path: Path) -> None:
    odd = BERLIN.format(name="Odd").replace("+0100", "+0117").replace("+0200", "+0217")
    lines = "DTSTART;TZID=Odd:20260601T080000\nDTEND;TZID=Odd:20260601T090000"
    played = Played(tmp_path, calendar(odd, event(lines)))
    assert played.starts() == ["2026-06-01 05:43"]
    assert 'zone "Odd" is like no other' in played.told


def test_a_broken_zone_spoils_nothing(tmp_path: Path) -> None:
    broken = BERLIN.format(name="Bad").replace("16011028T030000", "yesterday")
    bad = event("DTSTART;TZID=Bad:20260601T080000\nDURATION:PT1H", "Bad")
    played = Played(tmp_path, calendar(broken, bad, event(ONE_HOUR)))
    assert played.starts() == ["2026-06-01 08:00"]
    assert played.starts("Bad") == ["2026-06-01 12:00"]
    assert '"Bad" is not known' in played.told


def test_utc_wins_over_a_zone_named_beside_it(tmp_path: Path) -> None:
    lines = "DTSTART;TZID=Asia/Tokyo:20260601T080000Z\nDURATION:PT1H"
    assert Played(tmp_path, calendar(event(lines))).starts() == ["2026-06-01 08:00"]
