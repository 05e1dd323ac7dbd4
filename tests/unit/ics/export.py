"""Calendar exports in a few lines, and what became of one in the sandbox Google."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from watcher_sandbox import ics
from watcher_sandbox.google import GoogleState
from watcher_sandbox.ics.report import Report

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
