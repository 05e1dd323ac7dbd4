"""The demo as a new user runs it, with the sample company and with a calendar export."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.company import free_port
from watcher.accounts import finding
from watcher.accounts.verbs import add_delegated
from watcher.cli import cli
from watcher.errors import UserError
from watcher.services import Ledger, build
from watcher.settings import load
from watcher_sandbox import demo as play
from watcher_sandbox import ics, people
from watcher_sandbox.google import GoogleState

SAMPLE = Path(__file__).parent.parent / "data" / "sample.ics"
LOADED, LEFT_OUT = 12, 5
YOU = "you@example.com"


def demo(*words: str) -> str:
    """Run it to its end; returns what it printed."""
    port = str(free_port())
    done = subprocess.run(
        [sys.executable, "-m", "watcher", "demo", "--port", port, *words],
        text=True,
        check=False,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert f"dashboard  http://127.0.0.1:{port}/" in done.stdout
    return done.stdout


def test_the_demo_ends_well_and_shows_latencies() -> None:
    out = demo("--for", "15")
    found = re.search(r"(\d+) changes? arrived; median ([\d.]+) s, slowest ([\d.]+) s", out)
    assert found, out
    assert int(found[1]) >= 1
    assert float(found[2]) < 10
    assert float(found[2]) <= float(found[3])
    lines = re.findall(r"^  \d\d:\d\d:\d\d  \w+ .+ [\d.]+ s$", out, re.MULTILINE)
    assert len(lines) == int(found[1]), "each with its latency"
    assert "5 employees connected" in out
    assert re.search(r"both sides http://127\.0\.0\.1:\d+/  \(", out)
    assert "Google and ERPNext are equal" in out
    assert "\x1b" not in out


def test_a_persons_own_export() -> None:
    out = demo("--for", "12", "--ics", str(SAMPLE))
    assert f"{LOADED} events loaded, {LEFT_OUT} left out" in out
    assert 'left out: 1 x it ends before it begins: "The end is before the start"' in out
    assert "6 employees connected" in out
    assert "Google and ERPNext are equal" in out


def test_what_google_gets_of_an_export() -> None:
    """Instants, not wall times, whatever a zone is called; each event's oddity costs itself."""
    google = GoogleState()
    google.add_user(YOU, "You", "UTC")
    report = ics.load(google, YOU, SAMPLE)
    assert (report.loaded, report.missing) == (LOADED, LEFT_OUT)
    winter, summer = begins(google, 2026, 1), begins(google, 2026, 6)
    title = "Team, weekly: a long title that is folded over two lines because outlook does so"
    team = winter[title]
    assert team[0] == "2026-01-05T08:00:00+00:00", "09:00 in Berlin, in winter"
    days = [moment[8:10] for moment in team]
    assert not {"07", "12", "19", "21"} & set(days), "EXDATEs, one moved, one cancelled"
    assert winter["Team, moved"] == ["2026-01-19T13:00:00+00:00"]
    assert summer[title][0] == "2026-06-01T07:00:00+00:00", "09:00 in Berlin, in summer"
    assert summer["In a zone of the office's own"] == ["2026-06-01T03:30:00+00:00"]
    assert summer["Floating time"][0] == "2026-06-01T08:00:00+00:00"
    assert summer["No UID"] == ["2026-06-02"]
    assert "Cancelled" not in summer
    assert "Until" not in begins(google, 2028, 1)
    assert len(begins(google, 2027, 12)["Until"]) == 31
    (until,) = [e for e in google.truth(YOU, *month(2026, 9)) if e["summary"] == "Until"][:1]
    length = moment(until["end"]) - moment(until["start"])
    assert length.total_seconds() == 45 * 60
    assert {
        e["visibility"] for e in google.truth(YOU, *month(2026, 6)) if e["summary"] == "Doctor"
    } == {"private"}


def month(year: int, number: int) -> tuple[datetime, datetime]:
    last = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return datetime(year, number, 1, tzinfo=UTC), last


def moment(time: dict[str, str]) -> datetime:
    return datetime.fromisoformat(time["dateTime"]).astimezone(UTC)


def begins(google: GoogleState, year: int, number: int) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for event in google.truth(YOU, *month(year, number)):
        start = event["start"]
        text = start["date"] if "date" in start else moment(start).isoformat()
        found.setdefault(event["summary"], []).append(text)
    return {title: sorted(times) for title, times in found.items()}


@pytest.mark.parametrize("content", [b"", b"not a calendar", bytes(range(256))])
def test_a_file_that_is_no_export_is_told_before_anything_starts(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "mine.ics"
    path.write_bytes(content)
    done = CliRunner().invoke(cli, ["demo", "--for", "5", "--ics", str(path)])
    assert isinstance(done.exception, UserError)
    assert done.exception.exit_code == 2
    assert "mine.ics is no calendar export" in done.exception.message
    assert done.exception.next_step
    assert done.output == ""


def test_the_demo_has_further_calendars_to_choose(tmp_path: Path) -> None:
    company = play._stage(tmp_path, free_port(), 16)
    app = build(load(company.environ, tmp_path).settings, ledger=Ledger.MADE)
    standings = {}
    for person in people.PEOPLE[:1] + people.PEOPLE[4:]:
        add_delegated(app, person.email)
        for who in ("admins", "employees"):
            found = finding.find(app, person.email, who)
            standings[person.email] = {each.listed.name: each.standing for each in found}
    app.db.dispose()
    asha, emil = standings.values()
    assert [*asha.values(), *emil.values()].count("mirrored") == 2
    for mine in (asha, emil):
        assert mine["Outlet Pune: tastings & parties"] == "can_be_added"
        assert mine["Roster of all outlets"] == "can_be_added"
    assert asha["Tasting room, Pune"] == "free_busy_only"
    assert asha["Holidays in India"] == "can_be_added"
