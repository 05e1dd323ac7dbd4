"""Failures that others had in production, each played against Watcher. All of them are listed in
docs/failure-stories.md; here are those that no test of a single room shows."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
import requests

from tests.company import ANN, BOB, DOMAIN, Company
from tests.integration.test_cli_runner import run
from tests.waiting import wait_for
from watcher.accounts.disconnect import disconnect
from watcher.accounts.verbs import add_calendar
from watcher.channels import renewal
from watcher.google.endpoints import CALENDAR_SCOPE, OAUTH_SCOPES
from watcher.jobs import timetable
from watcher.ledger import overview, runs
from watcher.ledger.models import Calendar, Channel, Run
from watcher.processes.cron import run_one
from watcher.sync.work import work_off
from watcher_sandbox.google.shortcuts import instance_id

pytestmark = pytest.mark.one_shape("sqlite")

OUTLET = "outlet@group.calendar.google.com"
BY_ANN = {"modified_by": ANN}


@pytest.fixture(autouse=True)
def connected(company: Company) -> None:
    company.connect_at_rest()


def asked(company: Company, route: str) -> int:
    return company.google.log.counts().get(route, 0)


def renew(company: Company) -> list[str]:
    return [each.outcome for each in renewal.renew_due(company.services)]


def work(company: Company, number: int) -> str:
    with company.services.db.session() as session:
        session.get_one(Calendar, number).retry_at = None  # as if the pause were over
    return work_off(company.services, number, "test")


def kinds(company: Company, number: int) -> list[str]:
    """What the calendar's runs were, oldest first."""
    with company.services.db.session() as session:
        found = session.query(Run).filter_by(calendar_id=number).order_by(Run.id)
        return [row.kind for row in found]


def row_of(company: Company, number: int) -> Calendar:
    with company.services.db.session() as session:
        return session.get_one(Calendar, number)


def all_cron(company: Company) -> None:
    for row in timetable.timetable(company.services).values():
        for piece in row:
            run_one(company.services, piece)


# --- channels -----------------------------------------------------------------------------


def test_a_renewal_that_never_runs_is_an_alarm(company: Company) -> None:
    """Nothing fails then, so that no error tells of it: the missing run and the channel past its
    expiry do."""

    def problems() -> list[str]:
        services = company.services
        with services.db.session() as session:
            now = services.clock()
            found = overview.status(services.db, session, now, {"live": 0, "backfill": 0}).as_json()
        return sorted(problem["state"] for problem in found["problems"])

    def ticked(*names: str) -> None:
        with company.services.db.session() as session:
            for name in names:
                runs.tick(session, name, company.services.clock())

    ticked("sweep", "renew")
    assert problems() == []
    company.later(days=8)
    ticked("sweep")
    assert problems() == ["no_channel", "no_renew_run"]
    all_cron(company)
    assert problems() == []
    assert len(company.google.live_channels(ANN)) == 1


def test_the_running_program_opens_channels_by_itself(company: Company) -> None:
    company.add(BOB)
    assert company.google.live_channels(BOB) == []
    company.start("cron")
    company.start("worker", "--queue", "backfill")
    wait_for(lambda: company.google.live_channels(BOB), what="a channel")


def test_a_renewal_that_fails_keeps_the_channel_that_works(company: Company) -> None:
    """The row of the old channel is all there is to know it by and to stop it."""
    company.start("web", "--port", str(company.port))
    wait_for(company.web_is_up, what="the web server")
    (old,) = company.google.live_channels(ANN)
    company.later(days=6, hours=12)
    company.google.add_fault(match="events/watch", status=403, reason="forbidden")
    assert renew(company) == ["failed"]
    with company.services.db.session() as session:
        row = session.get_one(Channel, old.id)
        assert (row.state, row.resource_id) == ("live", old.resource_id)
    before = company.calendar().dirty_seq
    company.google.insert_event(ANN, company.timed(hours=24 * 8))
    assert company.google.wait_pushes()
    assert company.calendar().dirty_seq > before, "the old channel is still listened to"
    company.google.clear_faults()
    company.later(hours=2)
    assert renew(company) == ["renewed"]
    assert company.sync() == "done"
    renew(company)
    (channel,) = company.google.live_channels(ANN)
    assert channel.id != old.id


def test_a_refused_watch_is_not_repeated_by_restarts(company: Company) -> None:
    """The pause is in the ledger: no process that starts afresh asks again."""
    company.google.add_fault(match="events/watch", status=403, reason="quotaExceeded")
    company.add(BOB)
    assert company.sync(BOB) == "done"
    before = asked(company, "events.watch")
    for _ in range(2):
        run(company, "channels", "renew", "--all", says=("nothing is due",))
        run(company, "resync", "--all")
    assert asked(company, "events.watch") == before


def test_channels_opened_together_are_not_renewed_together(company: Company) -> None:
    crew = [f"crew{number}@{DOMAIN}" for number in range(6)]
    for email in crew:
        company.google.add_user(email)
        company.add(email)
        assert company.sync(email) == "done"
    with company.services.db.session() as session:
        rows = session.query(Channel).filter_by(state="live").all()
    points = [row.renew_at for row in rows if row.renew_at is not None]
    assert len(points) == 7
    assert max(points) - min(points) > timedelta(hours=3), "of a life of seven days"


def test_what_changed_between_two_channels_is_fetched_without_a_push(company: Company) -> None:
    company.later(days=8)
    assert company.google.live_channels(ANN) == []
    company.google.insert_event(ANN, company.timed(hours=24 * 10, summary="Untold"))
    assert renew(company) == ["opened"]
    row = company.calendar()
    assert row.dirty_seq > row.synced_seq
    company.start("worker", "--queue", "backfill")
    wait_for(lambda: company.subjects() == ["Untold"], what="the look after the watch")


# --- sync tokens --------------------------------------------------------------------------


def test_after_a_410_all_is_read_anew_once_and_peoples_own_stays(company: Company) -> None:
    """No wiping: what a person put into the rows outlives it, and so do their names. The dead
    token is replaced, and the account is not taken for dead."""
    ids = [company.google.insert_event(ANN, company.timed(hours=n + 2)) for n in range(3)]
    assert company.sync() == "done"
    for row in company.rows():
        company.site.put("Event", row | {"color": "#ff0000"} | BY_ANN)
    names, token = {row["name"] for row in company.rows()}, company.calendar().sync_token
    company.google.delete_event(ANN, ids[0])
    company.google.expire_sync_tokens()
    assert company.sync() == "done"
    number = company.calendar().id
    assert kinds(company, number)[-1] == "snapshot", "which `watcher status` and the log show"
    assert company.calendar().sync_token != token
    assert {row["name"] for row in company.rows(live=False)} == names
    assert {row["color"] for row in company.rows(live=False)} == {"#ff0000"}
    assert company.mirrored() == company.expected()
    company.google.insert_event(ANN, company.timed(hours=9, summary="Next"))
    assert company.sync() == "done"
    assert kinds(company, number)[-1] == "delta"
    assert "Next" in company.subjects()
    assert company.google.log.statuses()["events.list 410"] == 1
    assert company.account().state == "active"


@pytest.mark.both_shapes
def test_one_calendar_of_two_accounts_has_two_sync_tokens(company: Company) -> None:
    company.google.add_calendar(OUTLET, ANN, "Outlet")
    company.google.share(OUTLET, BOB)
    company.add(BOB)
    numbers = [add_calendar(company.services, email, OUTLET).number for email in (ANN, BOB)]
    for summary in ("Opening", "Tasting", "Closing"):
        company.google.insert_event(OUTLET, company.timed(summary=summary))
        assert [work(company, number) for number in numbers] == ["done", "done"]
    assert len({row_of(company, number).sync_token for number in numbers}) == 2
    assert [kinds(company, number).count("snapshot") for number in numbers] == [1, 1]
    assert not {"events.list 400", "events.list 410"} & set(company.google.log.statuses())
    company.google.expire_sync_tokens(BOB, OUTLET)
    assert [work(company, number) for number in numbers] == ["done", "done"]
    assert [kinds(company, number)[-1] for number in numbers] == ["delta", "snapshot"]
    for email in (ANN, BOB):
        assert sorted(company.subjects(email)) == ["Closing", "Opening", "Tasting"]


def test_another_question_to_google_begins_with_a_token_of_its_own(company: Company) -> None:
    """After an upgrade that asks otherwise, the old token is not sent once more."""
    for number in range(3):
        company.google.insert_event(ANN, company.timed(hours=number + 2))
    assert company.sync() == "done"
    mine, token = company.calendar().id, company.calendar().sync_token
    with company.services.db.session() as session:
        session.get_one(Calendar, mine).query_fingerprint = "of another release"
    company.google.log.clear()
    company.google.insert_event(ANN, company.timed(hours=8))
    assert company.sync() == "done"
    sent = [entry.query.get("syncToken") for entry in company.google.log.entries()]
    assert token not in sent
    assert kinds(company, mine)[-1] == "snapshot"
    assert company.sync() == "done"
    assert kinds(company, mine)[-1] == "delta"
    assert len(company.rows(live=False)) == 4


# --- calendars that end -------------------------------------------------------------------


def test_a_deleted_calendar_is_told_of_and_can_be_let_go(company: Company) -> None:
    company.google.add_calendar(OUTLET, ANN, "Outlet")
    company.google.insert_event(OUTLET, company.timed(hours=24 * 9, summary="Opening"))
    company.google.insert_event(ANN, company.timed(hours=24 * 9))
    number = add_calendar(company.services, ANN, OUTLET).number
    assert (work(company, number), company.sync()) == ("done", "done")
    company.google.delete_calendar(OUTLET)
    assert [work(company, number) for _ in range(3)] == ["failed"] * 3
    row = row_of(company, number)
    assert (row.state, row.cause) == ("gone", "not_found")
    assert row.retry_at is not None
    assert row.retry_at - company.services.clock() > timedelta(minutes=14), "not in a hurry"
    assert company.subjects() == ["Opening", "Shift"], "nobody said that it is cancelled"
    status = json.loads(run(company, "status", "--json", code=7).out)
    steps = {p["calendar"]: p["next_step"] for p in status["problems"]}
    assert steps[OUTLET] == f"watcher calendars remove {ANN} {OUTLET}"

    company.later(days=6, hours=12)
    assert sorted(renew(company)) == ["failed", "renewed"]
    assert renew(company) == [], "the channel is not asked for again at once"
    run(company, "calendars", "remove", ANN, OUTLET, "--events", "cancel", "--yes")
    assert company.subjects() == ["Shift"]
    company.google.log.clear()
    company.later(days=2)
    all_cron(company)
    assert company.sync() == "done"
    assert [e.path for e in company.google.log.entries() if OUTLET in e.path] == []
    assert work(company, number) == "idle"


# --- the window ---------------------------------------------------------------------------


def test_an_edited_series_without_end_stays_within_the_window(company: Company) -> None:
    body = company.timed(hours=20)
    begins = datetime.fromisoformat(body["start"]["dateTime"])
    series = company.google.insert_event(ANN, body | {"recurrence": ["RRULE:FREQ=DAILY"]})
    assert company.sync() == "done"
    held = {row["custom_google_event_id"] for row in company.rows(live=False)}
    assert 28 <= len(held) <= 31
    company.google.patch_event(ANN, series, {"summary": "Night shift"})
    assert company.sync() == "done"
    soon, *far = [instance_id(series, begins + timedelta(days=n)) for n in (90, 365, 1825, 4745)]
    for each in (soon, far[0]):
        company.google.patch_event(ANN, each, {"summary": "Far ahead"})
    for each in far[1:]:
        company.google.delete_event(ANN, each)  # comes as an id without a time
    assert company.sync() == "done"
    assert {row["custom_google_event_id"] for row in company.rows(live=False)} == held
    assert set(company.subjects()) == {"Night shift"}
    with company.services.db.session() as session:
        assert max(row.items for row in session.query(Run)) < 50


@pytest.mark.parametrize("days", [-40, 60])
def test_both_edges_of_the_window_hold_in_a_delta(company: Company, days: int) -> None:
    event = company.google.insert_event(ANN, company.timed())
    assert company.sync() == "done"
    company.google.insert_event(ANN, company.timed(hours=24 * days, summary="Outside"))
    assert company.sync() == "done"
    assert [row["subject"] for row in company.rows(live=False)] == ["Shift"]
    away = company.timed(hours=24 * days)
    company.google.patch_event(ANN, event, {"start": away["start"], "end": away["end"]})
    assert company.sync() == "done"
    assert [row["status"] for row in company.rows(live=False)] == ["Cancelled"]
    assert set(kinds(company, company.calendar().id)[-2:]) == {"delta"}
    before = company.site.events()
    assert company.sync(snapshot=True) == "done"
    assert company.site.events() == before, "a full listing sees it alike"


# --- one way ------------------------------------------------------------------------------


def test_google_is_only_read_and_nothing_goes_round(company: Company) -> None:
    """Every request of a whole life, and every scope that was asked for."""
    company.add(BOB)
    company.google.insert_event(ANN, company.timed(recurrence=["RRULE:FREQ=DAILY;COUNT=3"]))
    for email in (ANN, BOB):
        company.google.insert_event(email, company.timed(summary="Meeting"))
    held = [
        company.google.get_event(email, each["id"])
        for email in (ANN, BOB)
        for each in company.google.truth(email, *span(company))
    ]
    for _ in range(3):
        for email in (ANN, BOB):
            assert company.sync(email) == "done"
        for row in company.site.events():
            company.site.put("Event", row | {"subject": "By hand"} | BY_ANN)
        for email in (ANN, BOB):
            assert company.sync(email, snapshot=True) == "done"
    assert len(company.site.events()) == 5
    assert "By hand" not in company.subjects()
    for row in company.site.events():  # Frappe's own way to Google is not switched on
        assert not row["sync_with_google_calendar"]
        assert not row["google_calendar"]
    now = [
        company.google.get_event(email, each["id"])
        for email in (ANN, BOB)
        for each in company.google.truth(email, *span(company))
    ]
    assert now == held
    company.later(days=6, hours=12)
    renew(company)
    disconnect(company.services, BOB, events="delete")
    written = {e.route for e in company.google.log.entries() if e.method != "GET"}
    assert written == {"events.watch", "channels.stop", "token"}
    tokens = company.google.oauth.access_tokens.values()
    assert {scope for token in tokens for scope in token.scopes} == {CALENDAR_SCOPE}
    assert {*OAUTH_SCOPES} == {CALENDAR_SCOPE, "openid", "email"}
    assert CALENDAR_SCOPE.endswith(".readonly")


def span(company: Company) -> tuple[datetime, datetime]:
    now = company.services.clock()
    return now - timedelta(days=7), now + timedelta(days=30)


# --- who sees it --------------------------------------------------------------------------


@pytest.mark.both_shapes
def test_a_private_event_is_read_by_its_owner_and_by_no_colleague(company: Company) -> None:
    company.rebuild()
    company.set("private_events", "private")
    company.google.insert_event(ANN, company.timed(summary="Doctor", visibility="private"))
    assert company.sync() == "done"
    (row,) = company.rows()
    address = f"{company.environ['WATCHER_ERPNEXT_URL']}/api/resource/Event/{row['name']}"
    seen = {}
    for email in (ANN, BOB):
        key, secret = company.site.add_user(email)
        signed = {"Authorization": f"token {key}:{secret}"}
        answer = requests.get(address, headers=signed, timeout=10)
        seen[email] = (answer.status_code, "Doctor" in answer.text)
    assert seen == {ANN: (200, True), BOB: (403, False)}
