"""Files as programs write them: encodings, line ends, broken parts, several calendars."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.ics.export import BERLIN, ONE_HOUR, Played, calendar, event, when
from watcher_sandbox import ics
from watcher_sandbox.ics.report import Report

DAILY = "DTSTART;TZID=Europe/Berlin:20260601T100000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=5\n"

GOOD = calendar(event(f"{ONE_HOUR}DESCRIPTION:café", "Good")).encode()


@pytest.mark.parametrize(
    "data",
    [
        GOOD,
        GOOD.replace(b"\n", b"\r\n"),
        GOOD.replace(b"\n", b"\r"),
        GOOD.replace(b"\n", b"\r\r\n"),
        GOOD.replace(b"\n", b"\r\n", 3),
        GOOD.replace(b"\n", b"\r\n\r\n"),
        b"\xef\xbb\xbf" + GOOD,
        GOOD.decode().encode("utf-16"),
        GOOD.decode().encode("cp1252"),
        GOOD.replace(b"\xc3\xa9", b"\xc3\r\n \xa9"),
        GOOD.replace(b"caf", b"c\n\taf"),
        GOOD.replace(b"SUMMARY:Good", b"SUMMARY;LANGUAGE=en:Go\n od"),
        GOOD.replace(b"BEGIN:VEVENT", b"begin:vevent").replace(b"DTSTART", b"dtstart"),
        GOOD.replace(b"END:VCALENDAR\n", b""),
        GOOD.removesuffix(b"\n"),
        GOOD.replace(b"BEGIN:VCALENDAR\nVERSION:2.0\n", b"").replace(b"END:VCALENDAR\n", b""),
    ],
)
def test_files_as_they_come(tmp_path: Path, data: bytes) -> None:
    played = Played(tmp_path, data)
    (found,) = played.events("Good")
    assert found["description"] == "café"
    assert when(found["start"]) == "2026-06-01 08:00"
    assert played.report.missing == 0


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("BEGIN:VEVENT\nSUMMARY:Bad\nDTSTART:20260601T080000Z\n", "cut off"),
        ("BEGIN:VTODO\nSUMMARY:Bad\nDUE:never\nEND:VTODO\n", "no event but a VTODO"),
        ("BEGIN:VTODO\nSUMMARY:Bad\n", "no event but a VTODO"),
        ("END:VEVENT\nEND:VALARM\n", ""),
        (event(f"{ONE_HOUR}BEGIN:VALARM\nTRIGGER:soon\nACTION\nEND:VALARM", "Alarm"), ""),
        (event(f"{ONE_HOUR}BEGIN:VALARM\nACTION:AUDIO", "Alarm"), ""),
        (event(f"{ONE_HOUR}no line at all", "Text"), "a line that cannot be read is missing"),
        ("BEGIN:VTIMEZONE\nTZID:x\nEND:VTIMEZONE\n", ""),
        ("this is nothing\n", ""),
    ],
)
def test_the_broken_among_the_good(tmp_path: Path, broken: str, reason: str) -> None:
    before, after = event(ONE_HOUR, "Before"), event(ONE_HOUR, "After")
    played = Played(tmp_path, calendar(before, broken, after))
    assert len(played.events("Before") + played.events("After")) == 2
    assert reason in played.told
    assert '"Bad"' in played.told or "Bad" not in broken


def test_a_file_that_was_cut_off(tmp_path: Path) -> None:
    whole = calendar(event(ONE_HOUR), event(f"{ONE_HOUR}DESCRIPTION:long", "Last"))
    played = Played(tmp_path, whole[: whole.index("long")])
    assert played.starts() == ["2026-06-01 08:00"]
    assert 'cut off or cannot be read: "Last"' in played.told


def test_several_calendars_in_a_file(tmp_path: Path) -> None:
    """Each with its own zones; an override finds its series in another one."""
    floating = "DTSTART:20260601T080000\nDURATION:PT1H"
    own = "DTSTART;TZID=Mine:20260601T080000\nDURATION:PT1H"
    other = BERLIN.format(name="Mine").replace("+0100", "+0500").replace("+0200", "+0600")
    change = "RECURRENCE-ID:20260603T080000Z\nDTSTART:20260603T150000Z\nDURATION:PT1H"
    played = Played(
        tmp_path,
        calendar(
            "X-WR-TIMEZONE:Asia/Tokyo\n", event(floating, "Tokyo"), event(change, "Moved", "a")
        )
        + calendar("X-WR-TIMEZONE:Europe/Paris\n", event(floating, "Paris"), event(DAILY, uid="a"))
        + calendar(BERLIN.format(name="Mine"), event(own, "Own"))
        + calendar(other, event(own, "Other"))
        + calendar(event(own, "Last")),
    )
    assert played.starts("Tokyo") == ["2026-05-31 23:00"]
    assert played.starts("Paris") == ["2026-06-01 06:00"]
    assert played.starts("Own") == ["2026-06-01 06:00"]
    assert played.starts("Other") == ["2026-06-01 02:00"]
    assert played.starts("Last") == ["2026-06-01 02:00"], "explained elsewhere in the file"
    assert played.starts("Moved") == ["2026-06-03 15:00"]
    assert len(played.starts()) == 4


def test_the_same_event_twice_is_there_once_in_its_last_state(tmp_path: Path) -> None:
    old, new = event(ONE_HOUR, "Old", "a"), event(f"{ONE_HOUR}SEQUENCE:2", "New", "a")
    played = Played(tmp_path, calendar(old) + calendar(new))
    assert len(played.events("New")) == 1
    assert played.events("Old") == []
    assert 'in the file once more, with the same UID: "Old"' in played.told


def test_a_cancellation_has_no_events(tmp_path: Path) -> None:
    played = Played(tmp_path, calendar("METHOD:CANCEL\n", event(ONE_HOUR)))
    assert played.starts() == []
    assert "it is cancelled" in played.told


@pytest.mark.parametrize("content", [calendar(), "BEGIN:VCALENDAR\n", calendar() + calendar()])
def test_an_empty_calendar(tmp_path: Path, content: str) -> None:
    assert Played(tmp_path, content).told == "mine.ics: there are no events in it"


def test_a_zip_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "mine.ics"
    path.write_bytes(b"PK\x03\x04...")
    with pytest.raises(ValueError, match="unpack it"):
        ics.read(path)


def test_what_is_shown_of_a_title() -> None:
    report = Report(loaded=1)
    for title in ("a\x1b[31m\nb", "x" * 80, "", "d", "e"):
        report.leave_out("reason", title)
    assert list(report.lines("f")) == [
        "f: 1 event loaded, 5 left out",
        f'  left out: 5 x reason: "a [31m b", "{"x" * 39}…", "d" and 2 more',
    ]


def test_a_file_that_has_them_all(tmp_path: Path) -> None:
    """The one to look at: ``make demo ARGS="--ics tests/data/oddities.ics"``."""
    played = Played(tmp_path, (Path(__file__).parents[2] / "data" / "oddities.ics").read_bytes())
    assert (played.report.loaded, played.report.missing) == (24, 6), played.told
