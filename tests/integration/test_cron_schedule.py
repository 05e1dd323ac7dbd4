"""The timetable: who is rung when, who is left alone, and two tickers at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import OperationalError

from tests.company import ANN, BOB, Company
from tests.waiting import wait_for
from watcher.accounts import tokens
from watcher.accounts import verbs as accounts_verbs
from watcher.channels.registry import stop_all
from watcher.channels.renewal import renew_due
from watcher.errors import AccountDead, Transient
from watcher.jobs import timetable
from watcher.jobs.timetable import Periodic
from watcher.ledger import accounts, leases, owing, renewals
from watcher.ledger.accounts import LedgerTokens
from watcher.ledger.models import Account, Calendar, Lease, Tick
from watcher.ledger.states import AccountState
from watcher.processes import cron
from watcher.processes.cron import run_one
from watcher.services import Services
from watcher.sync import work as working
from watcher.sync.failure import retry_seconds

pytestmark = pytest.mark.one_shape("postgres")


@pytest.fixture(autouse=True)
def connected(request: pytest.FixtureRequest) -> None:
    """A connected account with nothing owed, for the tests that have a company."""
    if "company" in request.fixturenames:
        request.getfixturevalue("company").connect_at_rest()


def waiting(company: Company) -> dict[str, int]:
    return {lane: len(jobs) for lane, jobs in company.services.doorbell.waiting().items()}


def owe(company: Company, reason: str = "push", email: str = ANN) -> None:
    number = company.calendar(email).id
    with company.services.db.session() as session:
        owing.owe_looks(session, [number], reason, company.services.clock())


def sweep(company: Company) -> int:
    return timetable.sweep(company.services)


def tick(company: Company, name: str) -> Tick | None:
    with company.services.db.session() as session:
        return session.get(Tick, name)


def test_nothing_is_rung_when_nothing_is_owed(company: Company) -> None:
    assert sweep(company) == 0
    assert waiting(company) == {"live": 0, "backfill": 0}


@pytest.mark.parametrize(("reason", "lane"), [("push", "live"), ("poll", "backfill")])
def test_pushes_and_bulk_work_never_share_a_lane(company: Company, reason: str, lane: str) -> None:
    owe(company, reason)
    assert sweep(company) == 1
    assert waiting(company)[lane] == 1
    assert sum(waiting(company).values()) == 1


def test_a_listing_that_a_push_came_to_is_bulk_work(company: Company) -> None:
    with company.services.db.session() as session:
        now = company.services.clock()
        owing.owe_listings(session, [company.calendar().id], "asked", now)
    owe(company, "push")
    sweep(company)
    assert waiting(company) == {"live": 0, "backfill": 1}


@pytest.mark.parametrize(
    "state", [AccountState.PAUSED, AccountState.NEEDS_RECONNECT, AccountState.DISCONNECTED]
)
def test_accounts_that_are_not_active_are_left_alone(company: Company, state: AccountState) -> None:
    owe(company)
    with company.services.db.session() as session:
        accounts.set_state(accounts.get(session, ANN), state, "", company.services.clock())
    company.later(days=3)
    before = company.google.log.counts()
    for row in timetable.timetable(company.services).values():
        for work in row:
            run_one(company.services, work)
    assert company.sync() == "idle"
    assert waiting(company) == {"live": 0, "backfill": 0}
    assert company.google.log.counts() == before, "no call for such an account"


def test_a_failed_calendar_is_rung_when_its_time_has_come(company: Company) -> None:
    company.google.add_fault(match=r"/events\?", status=403, reason="forbidden")
    owe(company)
    assert company.sync() == "failed"
    assert sweep(company) == 0
    retry = company.calendar().retry_at
    assert retry is not None
    company.later(seconds=(retry - company.services.clock()).total_seconds() + 1)
    assert sweep(company) == 1


def test_failures_are_retried_ever_more_slowly_up_to_a_minute() -> None:
    error = Transient("no answer", side="google")
    waits = [[retry_seconds(error, failures) for _ in range(50)] for failures in range(40)]
    assert max(waits[0]) <= 2.5
    assert max(map(max, waits)) <= 60
    assert min(waits[-1]) >= 25
    assert all(len(set(each)) > 40 for each in waits), "everybody at the same moment"
    asked = Transient("429", side="google", retry_after=90)
    assert all(90 <= retry_seconds(asked, failures) <= 100 for failures in range(40))


def test_polls_are_spread_and_come_within_their_time(company: Company) -> None:
    found = set[datetime]()
    for _ in range(5):
        assert company.sync() == "done"
        row = company.calendar()
        assert row.next_poll_at is not None
        wait = row.next_poll_at - company.services.clock()
        assert timedelta(minutes=23.9) < wait <= timedelta(minutes=33)
        found.add(row.next_poll_at)
    assert len(found) == 5


@pytest.mark.parametrize(("poll", "unwatched", "wait"), [(2, 5, 2), (30, 5, 5)])
def test_a_calendar_without_a_channel_is_polled_no_more_seldom_than_the_others(
    company: Company, poll: int, unwatched: int, wait: int
) -> None:
    company.set("poll_minutes", str(poll))
    company.set("unwatched_poll_minutes", str(unwatched))
    company.rebuild()
    company.google.add_fault(match="events/watch", status=503)
    company.add(BOB)
    assert company.sync(BOB) == "done"
    row = company.calendar(BOB)
    assert row.next_poll_at is not None
    minutes = (row.next_poll_at - company.services.clock()).total_seconds() / 60
    assert wait * 0.8 - 0.1 < minutes <= wait * 1.1


def test_a_change_whose_push_was_lost_comes_with_the_poll(company: Company) -> None:
    company.google.set_push_faults(drop=1.0)
    company.google.insert_event(ANN, company.timed(summary="Untold"))
    company.later(minutes=36)
    assert timetable.poll(company.services) == 1
    assert waiting(company) == {"live": 0, "backfill": 1}
    assert company.sync() == "done"
    assert company.subjects() == ["Untold"]


def test_the_daily_listing_heals_what_no_delta_tells_of(company: Company) -> None:
    company.google.insert_event(ANN, company.timed(hours=60))
    assert company.sync() == "done"
    company.site.remove("Event", company.rows()[0]["name"])
    assert company.sync() == "done"
    assert company.rows() == []
    company.later(hours=26, minutes=30)
    assert timetable.reconcile(company.services) == 1
    assert timetable.reconcile(company.services) == 0
    assert company.sync() == "done"
    assert company.subjects() == ["Shift"]
    assert timetable.reconcile(company.services) == 0


def test_access_tokens_are_fresh_before_they_are_needed(company: Company) -> None:
    company.add(BOB)
    assert company.sync(BOB) == "done"
    for minutes, refreshed in ((11, 0), (9, 2)):
        with company.services.db.session() as session:
            ends = company.services.clock() + timedelta(minutes=minutes)
            session.execute(update(Account).values(access_expires_at=ends))
        assert tokens.refresh(company.services) == refreshed
    assert tokens.refresh(company.services) == 0, "once each"
    asked = company.google.log.counts()["token"]
    assert company.sync() == "done"
    assert company.google.log.counts()["token"] == asked


def test_a_dead_grant_with_many_calendars_is_asked_about_once(company: Company) -> None:
    """Renewal, refresh ahead, stops: each of them has listed the account before it died."""
    for number in range(3):
        google_id = f"outlet{number}@group.calendar.google.com"
        company.google.add_calendar(google_id, ANN)
        accounts_verbs.add_calendar(company.services, ANN, google_id)
    assert len(renew_due(company.services)) == 3
    company.later(days=6, hours=12)
    company.google.delegated_to = []
    before = company.google.log.counts()["token"]
    timetable.renew(company.services)
    with company.services.db.session() as session:
        account = accounts.get(session, ANN)
        assert (account.state, account.cause) == ("needs_reconnect", "unauthorized_client")
    stop_all(company.services, account)
    assert company.google.log.counts()["token"] == before + 1


def test_a_consent_that_comes_while_the_old_grant_dies_is_not_overwritten(company: Company) -> None:
    """A call by the old grant finds it dead, and says so after the new one has come."""
    late = AccountDead("dead", cause="invalid_grant", side="google")
    late.noted = True  # or its own was refused: then the new one is another by now
    company.consented(ANN)
    with company.services.db.session() as session:
        accounts.note_dead_grant(session, company.account().id, late, company.services.clock())
        assert accounts.get(session, ANN).state == "active"
    store = LedgerTokens(company.services.db, company.services.keyring)
    tried = replace(store.grant(company.account().id), refresh_token="1//of-before")
    assert not store.bury(company.account().id, tried, "invalid_grant", company.services.clock())
    assert company.account().state == "active"


def test_one_dead_grant_is_its_own_account_s_matter(company: Company) -> None:
    company.add(BOB)
    assert company.sync(BOB) == "done"
    company.later(minutes=55)
    company.google.delegated_to = [BOB]
    assert tokens.refresh(company.services) == 1
    with company.services.db.session() as session:
        states = {account.email: account.state for account in accounts.everyone(session)}
    assert (states[ANN], states[BOB]) == ("needs_reconnect", "active")


def test_work_that_fails_is_noted_and_the_rest_goes_on(company: Company) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a defect of ours with a secret in it")

    run_one(company.services, Periodic("broken", 1.0, broken))
    noted = tick(company, "broken")
    assert noted is not None
    assert (noted.error, noted.last_ok_at) == ("ZeroDivisionError", None)
    run_one(company.services, Periodic("broken", 1.0, lambda *_: None))
    mended = tick(company, "broken")
    assert mended is not None
    assert mended.error == ""
    assert mended.last_ok_at is not None


def test_of_two_tickers_one_works_and_the_other_takes_over(company: Company) -> None:
    """Real processes; the one at work is killed with -9, its lease runs out, the other goes on."""
    company.set("sweep_seconds", "1")
    first = company.start("cron")
    wait_for(lambda: tick(company, "sweep"), what="the first ticker's work")

    def owner() -> str:
        with company.services.db.session() as session:
            return session.get_one(Lease, "cron").owner

    mine = owner()
    assert f":{first.pid}:" in mine
    second = company.start("cron", log="second.log")
    owe(company)
    wait_for(lambda: waiting(company)["live"] == 1, what="a ring")
    assert owner() == mine
    os.kill(first.pid, signal.SIGKILL)
    first.wait(10)
    with company.services.db.session() as session:
        session.execute(update(Lease).values(until=1.0))  # half a minute later
    company.services.doorbell.client.flushall()
    wait_for(lambda: waiting(company)["live"] == 1, what="a ring of the second ticker")
    assert f":{second.pid}:" in owner()
    second.terminate()
    assert second.wait(20) == 0
    with company.services.db.session() as session:
        assert session.get_one(Lease, "cron").until == 0.0, "given back at a clean end"


def test_an_account_that_is_gone_stops_no_sweep(company: Company) -> None:
    company.add(BOB)
    with company.services.db.session() as session:
        session.execute(update(Account).where(Account.email == ANN).values(state="disconnected"))
        session.execute(update(Calendar).values(dirty_seq=99))
    company.services.doorbell.client.flushall()
    assert sweep(company) == 1


@pytest.mark.parametrize(
    "database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
@pytest.mark.parametrize("work", [timetable.poll, timetable.reconcile])
def test_who_changes_several_calendars_never_waits_in_a_circle(
    company: Company, work: Callable[[Services], int]
) -> None:
    """PostgreSQL would end one of the two, as "deadlock detected"."""
    company.add(BOB)
    assert company.sync(BOB) == "done"
    services, now = company.services, company.services.clock()
    first, second = company.calendar(ANN).id, company.calendar(BOB).id
    with services.db.session() as session:
        for number, hours in ((first, 1), (second, 2)):  # the second is due longer
            due = now - timedelta(hours=hours)
            session.execute(
                update(Calendar)
                .where(Calendar.id == number)
                .values(next_poll_at=due, next_reconcile_at=due)
            )
    found: list[int] = []
    cron = threading.Thread(target=lambda: found.append(work(services)), daemon=True)

    def somebody_waits() -> int:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        with services.db.engine.connect() as observer:
            found = observer.execute(text(f"{asked} AND wait_event_type = 'Lock'")).scalar_one()
            return int(found)

    with services.db.session() as session:
        owing.owe_looks(session, [first], "restart", now)
        cron.start()
        wait_for(somebody_waits, what="both at it")
        owing.owe_looks(session, [second], "restart", now)
    cron.join(30)
    assert found == [2]


def test_a_ledger_that_is_away_during_renewal_is_noted(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not the same as another process that is at it, which is noted as well done."""
    renewal = next(
        work
        for row in timetable.timetable(company.services).values()
        for work in row
        if work.name == "renew"
    )

    def gone(*_: object, **__: object) -> None:
        driver: Any = company.services.db.engine.dialect.loaded_dbapi
        error = driver.OperationalError("server closed the connection")
        raise OperationalError("SELECT", {}, error)

    with monkeypatch.context() as away:
        away.setattr(renewals, "calendars_due", gone)
        run_one(company.services, renewal)
    noted = tick(company, "renew")
    assert noted is not None
    assert noted.error.startswith("the ledger did not answer")
    with company.services.db.session() as session:
        assert leases.take(company.services.db, session, "renew", "another machine", 60)
    run_one(company.services, renewal)
    noted = tick(company, "renew")
    assert noted is not None
    assert noted.error == ""


def test_a_defect_is_told_as_one(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(working, "sync", broken)
    assert company.sync() == "failed"
    row = company.calendar()
    assert (row.state, row.cause) == ("retrying", "internal_error")
    assert row.message == "internal error: ZeroDivisionError"


def test_a_token_is_not_asked_for_before_google_wants_it(company: Company) -> None:
    """Else the next try comes within a minute, whatever the token endpoint has asked for."""
    company.later(minutes=55)
    company.google.add_fault(
        match="POST /token",
        count=None,
        status=429,
        body="<html>no</html>",
        headers={"Retry-After": "600"},
    )
    tokens.refresh(company.services)
    again = company.account().refresh_retry_at
    assert again is not None
    assert again - company.services.clock() > timedelta(minutes=9)


def test_a_lease_is_prolonged_now_and_then_and_not_at_every_step(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, taken, stop, take = list[int](), list[bool](), threading.Event(), leases.take

    def step(_: Services) -> None:
        steps.append(1)
        if len(steps) == 20:
            stop.set()

    def counted(*given: Any) -> bool:
        taken.append(take(*given))
        return taken[-1]

    monkeypatch.setattr(leases, "take", counted)
    monkeypatch.setattr(cron, "STEP_SECONDS", 0.001)
    for pause, times in ((60.0, 1), (0.0, 20)):
        steps.clear()
        taken.clear()
        stop.clear()
        monkeypatch.setattr(cron, "PROLONG_SECONDS", pause)
        cron._tick(company.services, "steps", (Periodic("step", 0.0, step),), stop)
        assert taken == [True] * times
