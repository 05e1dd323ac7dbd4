"""Single events of an export, and what the person is told of those left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.ics.export import ONE_HOUR, Played, calendar, event


@pytest.mark.parametrize(
    ("lines", "span"),
    [
        ("DTSTART;VALUE=DATE:20260601\nDTEND;VALUE=DATE:20260601", ("2026-06-01", "2026-06-02")),
        ("DTSTART;VALUE=DATE:20260601", ("2026-06-01", "2026-06-02")),
        ("DTSTART;VALUE=DATE:20260601\nDTEND:", ("2026-06-01", "2026-06-02")),
        ("DTSTART;VALUE=DATE:20260601\nDURATION:P2D", ("2026-06-01", "2026-06-03")),
        ("DTSTART;VALUE=DATE:20260601\nDURATION:PT1H", ("2026-06-01", "2026-06-02")),
        ("DTSTART;VALUE=DATE:20260601\nDURATION:PT36H", ("2026-06-01", "2026-06-03")),
        ("DTSTART;VALUE=DATE:20260601T000000", ("2026-06-01", "2026-06-02")),
        ("DTSTART:20260601T080000Z", ("2026-06-01 08:00", "2026-06-01 08:00")),
        ("DTSTART:20260601T080000Z\nDURATION:PT90M", ("2026-06-01 08:00", "2026-06-01 09:30")),
        (
            "X-MICROSOFT-CDO-ALLDAYEVENT:TRUE\nDTSTART;TZID=Tokyo Standard Time:20260601T000000\n"
            "DTEND;TZID=Tokyo Standard Time:20260602T000000",
            ("2026-06-01", "2026-06-02"),
        ),
        (
            "X-MICROSOFT-CDO-ALLDAYEVENT:TRUE\nDTSTART:20260601T040000Z\nDTEND:20260602T040000Z",
            ("2026-06-01", "2026-06-02"),
        ),
        # The clocks change on 29 March: 23 hours, not 24.
        (
            "DTSTART;TZID=Europe/Berlin:20260328T120000\nDTEND;TZID=Europe/Berlin:20260329T120000",
            ("2026-03-28 11:00", "2026-03-29 10:00"),
        ),
    ],
)
def test_starts_and_ends(tmp_path: Path, lines: str, span: tuple[str, str]) -> None:
    played = Played(tmp_path, calendar(event(lines)))
    assert played.spans() == [span], played.told


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("DTSTART:20260601T080000Z\nDTEND:20260601T070000Z", "it ends before it begins"),
        ("DTSTART:20260601T080000Z\nDURATION:-PT1H", "it ends before it begins"),
        ("DTSTART;VALUE=DATE:20260602\nDTEND;VALUE=DATE:20260601", "it ends before it begins"),
        ("DTSTART;VALUE=DATE:20260601\nDTEND:20260601T070000Z", "begins as a day and ends at"),
        ("DTEND:20260601T070000Z", "it has no start"),
        ("DTSTART:2026-06-01T08:00:00Z", "its DTSTART cannot be read"),
        (f"{ONE_HOUR}STATUS:cancelled", "it is cancelled"),
        (f"{ONE_HOUR}RRULE:FREQ=DAILY\nEXDATE:tomorrow", "its EXDATE cannot be read"),
        ("DTSTART:99991231T235900\nDURATION:PT1H", "a time in it makes no sense"),
        (f"{ONE_HOUR}RDATE;VALUE=PERIOD:20260602T080000Z/20260602T090000", "makes no sense"),
    ],
)
def test_what_is_left_out_is_named(tmp_path: Path, lines: str, reason: str) -> None:
    played = Played(tmp_path, calendar(event(lines, "Bad"), event(ONE_HOUR)))
    assert "1 event loaded, 1 left out" in played.told
    assert reason in played.told
    assert '"Bad"' in played.told
    assert played.starts("Bad") == []
    assert played.starts() == ["2026-06-01 08:00"]


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("CLASS:PRIVATE", "visibility", "private"),
        ("CLASS:Confidential", "visibility", "private"),
        ("CLASS:X-PERSONAL", "visibility", "private"),
        ("CLASS:PUBLIC", "visibility", None),
        ("TRANSP:TRANSPARENT", "transparency", "transparent"),
        ("TRANSP:OPAQUE", "transparency", None),
        ("STATUS:TENTATIVE", "status", "tentative"),
        ("SUMMARY:Twice", "summary", "It"),
    ],
)
def test_what_else_an_event_says(tmp_path: Path, line: str, field: str, value: str | None) -> None:
    (found,) = Played(tmp_path, calendar(event(ONE_HOUR + line))).events()
    assert found.get(field) == value
