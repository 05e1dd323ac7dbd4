"""A person's calendar export: what Google gets of it, and what the person is told."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from watcher.sandbox import ics
from watcher.sandbox.google import GoogleState
from watcher.sandbox.ics.report import Report

YOU = "you@example.com"
BERLIN = """BEGIN:VTIMEZONE
TZID:{name}
BEGIN:STANDARD
DTSTART:16011028T030000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010325T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
END:VTIMEZONE
"""
ONE_HOUR = "DTSTART:20260601T080000Z\nDTEND:20260601T090000Z\n"


def event(lines: str, title: str = "It", uid: str = "") -> str:
    uid_line = f"UID:{uid}\n" if uid else ""
    return f"BEGIN:VEVENT\nSUMMARY:{title}\n{uid_line}{lines.strip()}\nEND:VEVENT\n"


def calendar(*parts: str) -> str:
    return f"BEGIN:VCALENDAR\nVERSION:2.0\n{''.join(parts)}END:VCALENDAR\n"


class Played:
    """An export that was loaded into a calendar of the zone America/New_York."""

    def __init__(self, folder: Path, content: str | bytes) -> None:
        data = content if isinstance(content, bytes) else content.replace("\n", "\r\n").encode()
        path = folder / "mine.ics"
        path.write_bytes(data)
        self.google = GoogleState()
        self.google.add_user(YOU, "You", "America/New_York")
        self.report: Report = ics.load(self.google, YOU, path)

    def events(self, title: str = "It", year: int = 2026) -> list[dict[str, Any]]:
        window = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
        found = [e for e in self.google.truth(YOU, *window) if e.get("summary") == title]
        return sorted(found, key=lambda e: when(e["start"]))

    def starts(self, title: str = "It", year: int = 2026) -> list[str]:
        return [when(e["start"]) for e in self.events(title, year)]

    def spans(self, title: str = "It") -> list[tuple[str, str]]:
        return [(when(e["start"]), when(e["end"])) for e in self.events(title)]

    @property
    def told(self) -> str:
        return "\n".join(self.report.lines("mine.ics"))


def when(value: dict[str, str]) -> str:
    """A day, or the instant in UTC."""
    if "date" in value:
        return value["date"]
    return f"{datetime.fromisoformat(value['dateTime']).astimezone(UTC):%Y-%m-%d %H:%M}"


# --- zones --------------------------------------------------------------------------------


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


# --- series -------------------------------------------------------------------------------

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
        f"DTSTART;TZID=Europe/Berlin:{soon(7):%Y%m%d}T080000\nDURATION:PT1H", "Single", uid="a",
    )  # fmt: skip
    played = Played(tmp_path, calendar(single, following(3, lines), series()))
    berlin = played.google.store.calendar(YOU)
    berlin.time_zone = "Europe/Berlin"
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


# --- starts and ends ----------------------------------------------------------------------


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
        ("X-MICROSOFT-CDO-ALLDAYEVENT:TRUE\nDTSTART;TZID=Tokyo Standard Time:20260601T000000\n"
         "DTEND;TZID=Tokyo Standard Time:20260602T000000", ("2026-06-01", "2026-06-02")),
        ("X-MICROSOFT-CDO-ALLDAYEVENT:TRUE\nDTSTART:20260601T040000Z\nDTEND:20260602T040000Z",
         ("2026-06-01", "2026-06-02")),
        # The clocks change on 29 March: 23 hours, not 24.
        ("DTSTART;TZID=Europe/Berlin:20260328T120000\nDTEND;TZID=Europe/Berlin:20260329T120000",
         ("2026-03-28 11:00", "2026-03-29 10:00")),
    ],
)  # fmt: skip
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


# --- files --------------------------------------------------------------------------------

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
        b"\r\n\xef\xbb\xbf".strip() + GOOD.replace(b"\n", b"\r\n"),
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
        + calendar(other, event(own, "Other")),
    )
    assert played.starts("Tokyo") == ["2026-05-31 23:00"]
    assert played.starts("Paris") == ["2026-06-01 06:00"]
    assert played.starts("Own") == ["2026-06-01 06:00"]
    assert played.starts("Other") == ["2026-06-01 02:00"]
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
