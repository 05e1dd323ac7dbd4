"""The light tells the truth: each trouble of which `watcher status` once said "healthy"."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import text

from tests.company import free_port
from tests.ledgers import mirrored
from watcher.cli.status import _screen
from watcher.errors import WatcherError
from watcher.handlers.app import create_app
from watcher.jobs import pulse, timetable
from watcher.ledger import (
    accounts,
    aside,
    calendars,
    inbox,
    outages,
    overview,
    presence,
    renewals,
    runs,
)
from watcher.ledger import heard as channels_heard
from watcher.ledger.document import Status
from watcher.ledger.models import Account, Calendar, Channel, Run, Tick
from watcher.ledger.presence import Me
from watcher.ledger.secrets import digest
from watcher.ledger.states import AccountState, CalendarState, ChannelState
from watcher.notices.tell import observe
from watcher.services import Ledger, Services, build
from watcher.settings import load

NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
HERE = pulse.myself("web").host


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """A ledger with three employees, no queue and no process."""
    environ = {
        "WATCHER_DATA_DIR": str(tmp_path / "data"),
        "WATCHER_SECRET_KEYS": "k" * 40,
        "WATCHER_PUBLIC_URL": "https://watcher.example.com",
        "WATCHER_ERPNEXT_URL": "https://erp.example.com",
    }
    made = build(load(environ, tmp_path).settings, ledger=Ledger.MADE, clock=lambda: NOW)
    with made.db.session() as session:
        for n in range(3):
            mirrored(session, f"e{n}@example.com", NOW - timedelta(days=1))
        for name in ("sweep", "renew"):
            runs.tick(session, name, NOW)
    yield made
    made.doorbell.client.close()
    made.db.dispose()


def status(services: Services, now: datetime = NOW) -> Status:
    """While the queue answers and cron ticks."""
    with services.db.session() as session:
        for name in ("sweep", "renew"):
            runs.tick(session, name, now)
    with services.db.reading() as session:
        return overview.status(services.db, session, now, {"live": 0, "backfill": 0})


def watch(services: Services, *opened: datetime) -> list[str]:
    """Live channels, one for each calendar, of which nothing was heard."""
    names = []
    with services.db.session() as session:
        for n, at in enumerate(opened):
            names.append(f"channel-{n}")
            session.add(
                Channel(
                    id=names[-1],
                    calendar_id=n + 1,
                    resource_id="r",
                    token_hash=digest("token"),
                    state=ChannelState.LIVE,
                    requested_at=at,
                    opened_at=at,
                    expires_at=at + timedelta(days=7),
                    renew_at=at + timedelta(days=5),
                    error="",
                )
            )
    return names


def say(services: Services, channel: str, at: datetime) -> str:
    """A message of Google's arrives."""
    message = inbox.Message(channel_id=channel, token="token", resource_id="r", number=1)  # noqa: S106
    return inbox.record(services.db, message, at).word


def heard(services: Services) -> None:
    """Every calendar is watched and was told of."""
    for name in watch(services, *[NOW - MINUTE] * 3):
        say(services, name, NOW - MINUTE)
    done(services)


def done(services: Services) -> None:
    """What was told of is read."""
    with services.db.session() as session:
        session.query(Calendar).update({"rung_at": None, "synced_seq": Calendar.dirty_seq})


# --- pushes that do not arrive ------------------------------------------------------------


def test_channels_that_nothing_comes_from_are_one_problem_after_two_minutes(
    services: Services,
) -> None:
    watch(services, *[NOW] * 3)
    assert status(services, NOW + MINUTE).healthy, "Google may take a moment"
    found = status(services, NOW + 3 * MINUTE)
    (problem,) = found.problems
    assert (problem.state, problem.calendars) == ("no_push_arrives", 3)
    assert (problem.account, problem.since) == (None, NOW)
    assert (found.channels.live, found.channels.silent, found.channels.missing) == (0, 3, 0)


def test_what_to_check_names_the_public_address_and_admins_are_told(services: Services) -> None:
    watch(services, *[NOW - 3 * MINUTE] * 3)
    found = [trouble for trouble in observe(services) if trouble.cause == "no_push_arrives"]
    assert "https://watcher.example.com/healthz" in found[0].step
    assert "holds up 3 calendars" in found[0].text


def test_a_channel_is_heard_also_where_a_waiting_job_serves_the_message(services: Services) -> None:
    (name, *_) = watch(services, *[NOW] * 3)
    with services.db.session() as session:
        session.get_one(Calendar, 1).rung_at = NOW
        session.get_one(Calendar, 1).dirty_reason = "push"
    assert say(services, name, NOW) == "coalesced"
    found = status(services, NOW + 3 * MINUTE)
    assert (found.channels.live, found.channels.silent) == (1, 2)


def test_one_lost_sync_is_amber_and_no_alarm(services: Services) -> None:
    first, second, _ = watch(services, NOW, NOW, NOW + SECOND)
    for name in (first, second):
        say(services, name, NOW + 2 * SECOND)
    done(services)
    found = status(services, NOW + 3 * MINUTE)
    assert (found.healthy, found.light) == (True, "amber")
    assert [(w.state, w.calendars) for w in found.warnings] == [("channel_silent", 1)]


def test_a_new_address_that_is_wrong_is_seen_while_old_channels_are_heard(
    services: Services,
) -> None:
    old, *_ = watch(services, NOW - timedelta(days=3), NOW, NOW)
    say(services, old, NOW + MINUTE)
    done(services)
    (problem,) = status(services, NOW + 3 * MINUTE).problems
    assert (problem.state, problem.calendars) == ("no_push_arrives", 2)


def due(services: Services, now: datetime) -> list[str]:
    with services.db.session() as session:
        renewals.try_silent(session, now)
    with services.db.reading() as session:
        return [
            c.id
            for c in session.query(Channel).order_by(Channel.id)
            if c.renew_at and c.renew_at <= now
        ]


def test_one_silent_channel_is_tried_again_and_all_when_pushes_arrive(services: Services) -> None:
    first, *_, last = watch(services, NOW, NOW + SECOND, NOW + 2 * SECOND)
    assert due(services, NOW + 4 * MINUTE) == []
    assert due(services, NOW + 6 * MINUTE) == [last]
    say(services, last, NOW + 6 * MINUTE)
    assert due(services, NOW + 7 * MINUTE)[0] == first
    assert len(due(services, NOW + 7 * MINUTE)) == 3


def test_a_silent_channel_is_polled_for(services: Services) -> None:
    name, *_ = watch(services, *[NOW] * 3)
    with services.db.session() as session:
        assert not channels_heard.is_watched(session, 1, None, NOW + MINUTE)
    say(services, name, NOW + MINUTE)
    with services.db.session() as session:
        assert channels_heard.is_watched(session, 1, None, NOW + MINUTE)
        assert not channels_heard.is_watched(session, 1, NOW + timedelta(days=99), NOW + MINUTE)


def test_a_calendar_that_is_watched_is_still_when_it_is_taken_up_again(
    services: Services,
) -> None:
    with services.db.session() as session:
        for number, watchable, then in ((1, True, True), (2, False, None)):
            calendar = session.get_one(Calendar, number)
            calendar.push_supported = watchable
            calendars.revive(calendar, NOW)
            assert calendar.push_supported is then


# --- processes ----------------------------------------------------------------------------


def me(kind: str) -> Me:
    return Me(name=f"{HERE}:{kind}", kind=kind, host=HERE)


def run_all(services: Services, *kinds: str, began: datetime = NOW - 10 * MINUTE) -> None:
    with services.db.session() as session:
        for kind in kinds:
            presence.begin(session, me(kind), began)
            presence.tick(session, me(kind), NOW)


@pytest.mark.parametrize("gone", presence.KINDS)
def test_a_process_that_is_gone_is_named(services: Services, gone: str) -> None:
    heard(services)
    run_all(services, *presence.KINDS)
    assert status(services).healthy
    with services.db.session() as session:
        for kind in presence.KINDS:
            presence.tick(session, me(kind), NOW if kind == gone else NOW + 100 * SECOND)
    found = status(services, NOW + 100 * SECOND)
    (problem,) = found.problems
    assert (problem.state, problem.since) == ("not_running", NOW)
    assert getattr(found.processes, gone) == 0


def test_one_of_several_that_is_silent_is_amber_until_it_is_followed(services: Services) -> None:
    heard(services)
    run_all(services, *presence.KINDS)
    second = Me(name=f"{HERE}:live-2", kind="live", host=HERE)
    with services.db.session() as session:
        presence.begin(session, second, NOW - 10 * MINUTE)
        presence.tick(session, second, NOW - 5 * MINUTE)
    found = status(services)
    assert (found.healthy, [w.state for w in found.warnings]) == (True, ["process_silent"])
    assert "live-2" in (found.warnings[0].message or "")
    assert found.warnings[0].since == NOW - 5 * MINUTE
    assert not status(services, NOW + timedelta(days=1)).warnings, "nobody else runs either"
    with services.db.session() as session:
        follower = Me(name=f"{HERE}:live-3", kind="live", host=HERE)
        presence.begin(session, follower, NOW - MINUTE)
    assert not status(services).warnings


def test_all_stopped_is_one_line_at_once(services: Services) -> None:
    heard(services)
    run_all(services, *presence.KINDS)
    with services.db.session() as session:
        for kind in presence.KINDS:
            presence.end(session, me(kind), NOW)
    later = NOW + timedelta(hours=1)
    with services.db.reading() as session:
        found = overview.status(services.db, session, later, None).problems
    assert [p.cause for p in found if p.state != "queue_down"] == ["watcher_not_running"]


def test_a_crash_loop_is_told_and_one_accident_is_not(services: Services) -> None:
    heard(services)
    run_all(services, *presence.KINDS)
    for restart in range(4):
        with services.db.session() as session:
            presence.begin(session, me("web"), NOW + restart * 5 * SECOND)
        found = status(services, NOW + restart * 5 * SECOND).problems
        assert [p.state for p in found] == (["restarts"] if restart > 2 else [])
    assert found[0].since == NOW


def test_a_web_server_that_hangs_is_told(services: Services) -> None:
    """It lives and ticks, and does not answer its own question."""
    heard(services)
    run_all(services, *presence.KINDS)
    closed = f"http://127.0.0.1:{free_port()}"
    hangs = Me(name=f"{HERE}:web", kind="web", host=HERE, address=closed)
    pulse.Pulse(services, hangs, lambda: pulse.silent(closed)).beat()
    (problem,) = status(services).problems
    assert (problem.state, problem.since) == ("not_answering", NOW)


class Answers(BaseHTTPRequestHandler):
    code = 200

    def do_GET(self) -> None:
        self.send_response(self.code)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@pytest.mark.parametrize(("code", "word"), [(200, ""), (500, "it answers with 500")])
def test_status_asks_the_web_server_of_this_machine(
    services: Services, code: int, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Answers, "code", code)
    server = HTTPServer(("127.0.0.1", 0), Answers)
    Thread(target=server.serve_forever, daemon=True).start()
    address = pulse.listening_at("0.0.0.0", server.server_port)  # noqa: S104
    web = Me(name=f"{HERE}:web", kind="web", host=HERE, address=address)
    with services.db.session() as session:
        presence.begin(session, web, NOW)
    assert pulse.from_here(services) == (f"{HERE}:web: {word}" if word else "")
    server.shutdown()
    server.server_close()


def test_a_ledger_that_takes_no_write_is_a_problem(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full as far as SQLite knows: the file may not grow."""
    heard(services)
    assert pulse.write_tried(services) == ""
    monkeypatch.setattr("watcher.ledger.runs.tick", fill)
    refusal = pulse.write_tried(services)
    assert "full" in refusal
    (problem,) = [
        p for p in overview.look(services, refusal=refusal).problems if "ledger" in p.cause
    ]
    assert refusal in str(problem.message)
    assert problem.since == NOW


def fill(session: Any, *_: object) -> None:
    session.execute(text("PRAGMA max_page_count = 1"))
    session.execute(text("INSERT INTO facts VALUES ('big', hex(zeroblob(100000)), '2026-11-30')"))


# --- one cause, one line ------------------------------------------------------------------


def fail(services: Services, many: int, cause: str = "erpnext_unavailable") -> None:
    with services.db.session() as session:
        for n in range(1, many + 1):
            calendar = session.get_one(Calendar, n)
            calendar.state, calendar.cause, calendar.failures = CalendarState.RETRYING, cause, 2
            calendar.message, calendar.dirty_seq = "an old sentence", calendar.synced_seq + 1
            calendar.since, calendar.retry_at = NOW - n * MINUTE, NOW + n * SECOND
            session.add(
                Run(
                    calendar_id=n,
                    kind="failed",
                    reason="poll",
                    started_at=NOW - (many - n) * SECOND,
                    error=f"{cause}: answer {n}",
                )
            )


def test_an_outage_is_one_problem_with_its_figures(services: Services) -> None:
    heard(services)
    fail(services, 3)
    found = overview.look(services).as_json()["problems"]
    assert found[0]["account"] is None, "the installation's causes come first"
    (outage,) = [p for p in found if p["cause"] == "erpnext_unavailable"]
    assert outage == {
        "account": None,
        "calendar": None,
        "state": "delayed",
        "cause": "erpnext_unavailable",
        "since": "2026-11-30T08:57:00Z",
        "next_step": "see that ERPNext answers (WATCHER_ERPNEXT_URL); it is tried again by itself",
        "message": "answer 3",
        "calendars": 3,
        "host": "erp.example.com",
        "last_try": "2026-11-30T09:00:00Z",
        "next_try": "2026-11-30T09:00:01Z",
    }
    (told,) = [p for p in overview.look(services).problems if p.cause == "erpnext_unavailable"]
    assert "next try 2026-11-30T09:00:01Z" in told.facts, "as all times on the screen"


def test_who_is_the_only_one_an_outage_holds_up_is_named(services: Services) -> None:
    heard(services)
    fail(services, 1)
    (outage,) = status(services).problems
    assert (outage.account, outage.calendars) == ("e0@example.com", 1)


def test_a_try_that_hangs_like_the_one_before_is_no_sign_of_health(services: Services) -> None:
    """A worker is at it again, and may wait for a minute for what does not come."""
    heard(services)
    fail(services, 1)
    leased(services, 5)
    found = status(services, NOW + 2 * SECOND)
    (outage,) = found.problems
    assert (outage.state, outage.cause, found.light) == ("delayed", "erpnext_unavailable", "red")
    assert outage.next_try is None, "it is tried now"


def leased(services: Services, kept_before: float) -> None:
    """A worker works on the first calendar, and was last answered so many seconds ago."""
    with services.db.session() as session:
        calendar = session.get_one(Calendar, 1)
        epoch = services.db.now_epoch(session)
        calendar.lease_owner, calendar.lease_until = "w", epoch - kept_before + 60
        calendar.dirty_seq, calendar.dirty_at = calendar.synced_seq + 1, NOW - 31 * SECOND


def test_what_only_follows_is_left_out_and_counted(services: Services) -> None:
    """Without a worker each change waits for one: that is the worker's problem alone."""
    heard(services)
    run_all(services, "web", "cron", "backfill")
    with services.db.session() as session:
        for calendar in session.query(Calendar):
            calendar.dirty_seq, calendar.dirty_at = calendar.dirty_seq + 1, NOW - 5 * MINUTE
            calendar.dirty_reason, calendar.sync_token = "push", "t"  # noqa: S105
    (problem,) = status(services).problems
    assert (problem.cause, problem.calendars) == ("worker_not_running", 3)


def test_a_calendar_that_works_again_shows_no_old_sentence(services: Services) -> None:
    heard(services)
    with services.db.session() as session:
        session.get_one(Calendar, 1).message = "an old sentence"
    client = create_app(services).test_client()
    services.settings.__dict__["admin_emails"] = ("admin@example.com",)
    with client.session_transaction() as cookie:
        cookie["admin"] = "admin@example.com"
    page = client.get("/").get_data(as_text=True)
    assert "e0@example.com" in page
    assert "an old sentence" not in page


# --- amber --------------------------------------------------------------------------------


def test_an_event_set_aside_is_amber_with_count_oldest_and_cause(services: Services) -> None:
    heard(services)
    refusals = [
        aside.SetAside(key=f"k{n}", event_id=f"e{n}", message="No Outlet", cause="mandatory")
        for n in range(2)
    ]
    with services.db.session() as session:
        aside.quarantine(session, 1, refusals, NOW - MINUTE, NOW)
    found = status(services)
    assert (found.healthy, found.light, found.sentence != "All is well") == (True, "amber", True)
    (warning,) = found.warnings
    assert (warning.state, warning.cause, warning.count) == ("set_aside", "mandatory", 2)
    assert warning.since == NOW - MINUTE


def test_a_call_without_an_answer_is_amber_long_before_it_is_given_up(services: Services) -> None:
    heard(services)
    leased(services, 20)
    assert status(services).light == "green", "a batch may take its time"
    leased(services, 30)
    (warning,) = status(services).warnings
    assert (warning.state, warning.cause) == ("changes_wait", "waiting_for_answer")
    assert warning.since is not None
    assert abs(warning.since - (NOW - 30 * SECOND)) < 2 * SECOND


def test_changes_that_wait_are_amber_with_the_oldest(services: Services) -> None:
    """Bulk work, one calendar after the other, is no problem and is not done either."""
    heard(services)
    with services.db.session() as session:
        for calendar in session.query(Calendar):
            calendar.dirty_seq, calendar.dirty_reason = calendar.dirty_seq + 1, "restart"
            calendar.dirty_at = NOW - 407 * SECOND
        session.add(
            Run(calendar_id=1, kind="delta", reason="restart", started_at=NOW - SECOND, error="")
        )
    found = status(services)
    assert (found.healthy, found.light) == (True, "amber")
    (warning,) = found.warnings
    assert (warning.state, warning.calendars) == ("changes_wait", 3)
    assert warning.since == NOW - 407 * SECOND


def test_the_dashboard_and_the_metrics_say_the_same(services: Services) -> None:
    watch(services, *[NOW - 3 * MINUTE] * 3)
    text = create_app(services).test_client().get("/metrics").get_data(as_text=True)
    assert 'watcher_light{colour="red"} 1.0' in text
    assert 'watcher_problems{cause="no_push_arrives",state="no_push_arrives"} 3.0' in text
    assert "watcher_channels_live 0.0" in text


# --- since when, and who may look ---------------------------------------------------------


def test_where_nobody_is_connected_not_all_is_said_to_be_well(services: Services) -> None:
    heard(services)
    assert (status(services).sentence, status(services).word) == ("All is well", "healthy")
    with services.db.session() as session:
        session.query(Account).update({"state": AccountState.DISCONNECTED})
    document = status(services)
    assert document.healthy
    assert document.sentence == "Nothing is copied yet"
    assert document.word == "healthy, and nobody is connected yet"


def test_every_problem_says_since_when(services: Services) -> None:
    """Also of a queue that is away, which cron has noted, and of work that never ran."""
    assert timetable.sweep(services) == 0
    with services.db.session() as session:
        session.query(Tick).delete()
        presence.begin(session, me("cron"), NOW - 10 * MINUTE)
        presence.tick(session, me("cron"), NOW)
    found = {str(p.state): p.since for p in overview.look(services).problems}
    assert found["queue_down"] == NOW
    assert {"no_sweep_run", "not_running"} < set(found)
    assert None not in found.values()


def test_a_queue_that_is_back_is_away_no_longer(services: Services) -> None:
    for answers, since in ((False, NOW), (False, NOW), (True, None)):
        with services.db.session() as session:
            outages.note_queue(session, NOW if since else NOW + MINUTE, answers=answers)
        with services.db.reading() as session:
            assert outages.queue_away_since(session) == since


def test_a_ledger_of_another_user_s_says_whom_to_run_as(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    monkeypatch.setattr("watcher.ledger.ledger_file.may", lambda *_: False)
    with pytest.raises(WatcherError, match="is not for this user") as found:
        services.db.migrate(make=False)
    assert "sudo -u " in found.value.next_step


def test_a_next_try_is_never_in_the_past(services: Services) -> None:
    """One that is due, or under way and hangs, is the next one."""
    with services.db.session() as session:
        refused = [aside.SetAside(key="k", event_id="e", kind="event", message="no")]
        aside.quarantine(session, 1, refused, NOW, NOW)
    later = status(services, NOW + timedelta(hours=3))
    told = [each.next_try for each in later.warnings if each.state == "set_aside"]
    assert told == [later.set_aside.next_try] == [NOW + timedelta(hours=3)]


# --- the screen ---------------------------------------------------------------------------


@pytest.mark.parametrize(("columns", "widest"), [(200, 80), (60, 60), (40, 40), (10, 40)])
def test_the_screen_fits_the_terminal_and_says_since_when(
    services: Services,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    columns: int,
    widest: int,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    heard(services)
    fail(services, 2)
    with services.db.session() as session:
        for account in accounts.everyone(session):
            accounts.set_state(account, AccountState.NEEDS_RECONNECT, "invalid_grant", NOW)
    document = overview.look(services)
    monkeypatch.setenv("NO_COLOR", "1")
    _screen(document)
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines if " " in line.strip()) <= widest
    shown = " ".join(" ".join(lines).split())
    for problem in document.problems:
        if problem.since is not None:
            since = f"{problem.since:%Y-%m-%dT%H:%M:%SZ}"
            assert f"{problem.title}, since {since}" in shown


def test_the_state_has_its_colour_unless_nobody_wants_it(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("click.echo", said.append)
    document = overview.look(services)
    _screen(document)
    assert said[0].startswith("\x1b[31m"), "red"
    said.clear()
    monkeypatch.setenv("NO_COLOR", "1")
    _screen(document)
    assert said[0].startswith("Watcher ")
