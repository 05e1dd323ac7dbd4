"""Leases, rings, crashes, the timetable: who works when, and that nobody does twice or never."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.company import ADMIN, ANN, BOB, Company
from tests.waiting import wait_for
from watcher.accounts import tokens
from watcher.channels import renewal
from watcher.erpnext.events import EventMirror
from watcher.errors import AccountDead
from watcher.jobs import timetable
from watcher.ledger import accounts, channels, leases, owing
from watcher.ledger.models import Account, Calendar, Tick
from watcher.processes.cron import run_one
from watcher.sync.work import work_off

pytestmark = pytest.mark.one_shape("sqlite")


@pytest.fixture(autouse=True)
def connected(company: Company) -> None:
    company.connect_at_rest()


def ring_count(company: Company) -> int:
    return sum(len(jobs) for jobs in company.services.doorbell.waiting().values())


def dirty(company: Company) -> int:
    with company.services.db.session() as session:
        number = company.calendar().id
        owing.owe_looks(session, [number], "push", company.services.clock())
        return number


def later(company: Company, **span: float) -> None:
    """Move the bridge's clock."""
    real = company.services.clock
    object.__setattr__(company.services, "clock", lambda: real() + timedelta(**span))


def test_a_leased_calendar_is_left_to_whoever_has_it(company: Company) -> None:
    number = dirty(company)
    with company.services.db.session() as session:
        lease = leases.take_calendar(session, number, "another worker")
    assert lease is not None
    assert work_off(company.services, number, "test") == "busy"
    assert timetable.sweep(company.services) == 0, "somebody is at it"
    with company.services.db.session() as session:
        leases.release_calendar(session, lease)
    assert timetable.sweep(company.services) == 1


def test_a_worker_that_lost_its_lease_stores_nothing(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.google.insert_event(ANN, company.timed())
    number, before = dirty(company), company.calendar().sync_token
    apply = EventMirror.apply

    def stolen(self: EventMirror, *args: object, **options: object) -> object:
        with company.services.db.session() as session:
            row = session.get_one(Calendar, number)
            row.fence, row.lease_owner = row.fence + 1, "thief"
        return apply(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(EventMirror, "apply", stolen)
    assert work_off(company.services, number, "test") == "busy"
    assert company.calendar().sync_token == before


@pytest.mark.parametrize("batches", [0, 1])
def test_a_crash_between_batches_repeats_and_doubles_nothing(
    company: Company, monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    before = company.calendar().sync_token
    for number in range(3):
        company.google.insert_event(ANN, company.timed(hours=number + 1))
    apply = EventMirror.apply

    def dies(self: EventMirror, actions: list[object], **options: object) -> object:
        apply(self, actions[: batches * 2], **options)  # type: ignore[arg-type]
        raise KeyboardInterrupt  # what no handler of ours may swallow

    with monkeypatch.context() as broken:
        broken.setattr(EventMirror, "apply", dies)
        with pytest.raises(KeyboardInterrupt):
            company.sync()
    assert company.calendar().sync_token == before
    assert company.sync() == "done"
    assert company.mirrored() == company.expected()
    assert len(company.rows(live=False)) == 3


def test_an_abandoned_lease_lapses(company: Company) -> None:
    number = dirty(company)
    with company.services.db.session() as session:
        leases.take_calendar(session, number, "killed")
        session.get_one(Calendar, number).lease_until = 1.0
    assert timetable.sweep(company.services) == 1
    assert work_off(company.services, number, "test") == "done"


def test_a_change_during_a_pass_is_served_by_the_same_job(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply, late = EventMirror.apply, ["Late"]

    def and_meanwhile(self: EventMirror, *args: object, **options: object) -> object:
        if late:
            company.google.insert_event(ANN, company.timed(summary=late.pop()))
            dirty(company)
        return apply(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(EventMirror, "apply", and_meanwhile)
    company.google.insert_event(ANN, company.timed(summary="Early"))
    assert work_off(company.services, dirty(company), "test") == "done"
    assert sorted(company.subjects()) == ["Early", "Late"]


def test_the_sweep_rings_what_nobody_will_do_and_only_once(company: Company) -> None:
    dirty(company)
    assert timetable.sweep(company.services) == 1
    assert timetable.sweep(company.services) == 0
    assert ring_count(company) == 1
    company.services.doorbell.client.flushall()  # Redis loses everything
    assert timetable.sweep(company.services) == 1


def test_poll_and_reconcile_when_due(company: Company) -> None:
    assert timetable.poll(company.services) == 0
    later(company, hours=1)
    assert timetable.poll(company.services) == 1
    assert timetable.poll(company.services) == 0
    assert company.sync() == "done"
    later(company, hours=30)
    assert timetable.reconcile(company.services) == 1
    assert company.calendar().snapshot_seq > 0


def spoke_a_minute_ago(company: Company) -> None:
    """The calendar's live channel has sent its last notification then."""
    with company.services.db.session() as session:
        row = channels.live(session, company.calendar().id, company.services.clock())
        assert row is not None
        row.last_message_at = company.services.clock() - timedelta(minutes=1)


def test_a_poll_that_finds_what_no_push_told_replaces_the_channel(company: Company) -> None:
    (channel,) = company.google.live_channels(ANN)
    spoke_a_minute_ago(company)
    company.google.kill_channels(ANN)
    company.google.insert_event(ANN, company.timed())
    later(company, minutes=45)
    assert timetable.poll(company.services) == 1
    assert company.sync() == "done"
    assert timetable.renew(company.services) == 1
    assert [c.id for c in company.google.live_channels(ANN)] not in ([], [channel.id])


def test_a_poll_that_overtakes_a_notification_condemns_no_channel(company: Company) -> None:
    """The change is a second old: what tells of it is still on its way."""
    (channel,) = company.google.live_channels(ANN)
    spoke_a_minute_ago(company)
    company.later(minutes=45)
    company.google.insert_event(ANN, company.timed())
    assert timetable.poll(company.services) == 1
    assert company.sync() == "done"
    assert timetable.renew(company.services) == 0
    assert [c.id for c in company.google.live_channels(ANN)] == [channel.id]


def test_two_rings_for_one_debt_are_two_jobs(company: Company) -> None:
    """RQ drops a job that has the id of one that is just ending, and the calendar would count as
    rung."""
    bell = company.services.doorbell
    number = company.calendar().id
    for _ in range(2):
        assert bell.ring(number, "live", "sweep")
    first, second = bell.waiting()["live"]
    assert first != second
    dirty(company)
    assert timetable.sweep(company.services) == 0, "it is rung for already"


def test_refresh_ahead_and_a_dead_grant(company: Company) -> None:
    assert tokens.refresh(company.services) == 0
    later(company, minutes=55)
    assert tokens.refresh(company.services) == 1
    company.google.delegated_to = []
    with company.services.db.session() as session:
        number = accounts.get(session, ANN).id
    error = tokens.refresh_one(company.services, number)
    assert isinstance(error, AccountDead)
    asked = company.google.log.counts()["token"]
    with company.services.db.session() as session:
        account = session.get_one(Account, number)
        assert account.state == "needs_reconnect"
        assert account.access_token is None
    later(company, hours=3)
    tokens.refresh(company.services)
    timetable.poll(company.services)
    timetable.renew(company.services)
    assert company.sync() == "idle"
    assert company.google.log.counts()["token"] == asked


@pytest.mark.parametrize("status", [502, 503, 429])
def test_a_token_endpoint_in_trouble_ends_no_account(company: Company, status: int) -> None:
    company.google.add_fault(match="POST /token", status=status, body="<html>no</html>")
    with company.services.db.session() as session:
        number = accounts.get(session, ANN).id
    assert tokens.refresh_one(company.services, number) is not None
    company.google.clear_faults()
    assert tokens.refresh_one(company.services, number) is None
    with company.services.db.session() as session:
        assert session.get_one(Account, number).state == "active"


def test_two_renewals_at_once_open_one_channel(company: Company) -> None:
    later(company, days=6, hours=12)
    before = company.google.log.counts()["events.watch"]
    threads = [
        threading.Thread(target=timetable.renew, args=(machine,))
        for machine in (company.services, replace(company.services, owner="another machine"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert company.google.log.counts()["events.watch"] == before + 1


def test_the_new_channel_is_live_before_the_old_one_stops(company: Company) -> None:
    (old,) = company.google.live_channels(ANN)
    later(company, days=6, hours=12)
    assert timetable.renew(company.services) == 1
    assert {c.id for c in company.google.live_channels(ANN)} > {old.id}
    assert company.sync() == "done"
    later(company, minutes=11)
    timetable.renew(company.services)
    assert old.id not in {c.id for c in company.google.live_channels(ANN)}


def test_the_cap_of_channels_a_minute(company: Company) -> None:
    company.rebuild()
    company.set("renew_per_minute", "1")
    company.add(BOB)
    company.add("admin@scoopjoy.test")
    assert [each.outcome for each in renewal.renew_due(company.services)] == ["later", "later"]
    assert len(company.google.live_channels()) == 1, "Ann's came within this minute"


def test_the_worker_who_lists_a_new_calendar_opens_its_channel(company: Company) -> None:
    """Cron opens it only when no worker comes in time, or when the worker has failed."""
    company.add(BOB)
    assert timetable.renew(company.services) == 0
    assert company.google.live_channels(BOB) == []
    with company.services.db.session() as session:
        session.get_one(Calendar, company.calendar(BOB).id).failures = 1
    assert timetable.renew(company.services) == 1
    company.add(ADMIN)
    later(company, minutes=11)
    assert timetable.renew(company.services) == 1
    assert len(company.google.live_channels()) == 3


def test_an_unwatchable_calendar_is_polled_and_healthy(company: Company) -> None:
    company.google.set_unwatchable(BOB)
    company.add(BOB)
    assert company.sync(BOB) == "done"
    row = company.calendar(BOB)
    assert row.push_supported is False
    assert row.watch_retry_at is not None
    assert timedelta(days=6) < row.watch_retry_at - company.services.clock() <= timedelta(days=7)
    run_all(company)
    assert company.watcher("status").returncode == 0
    later(company, minutes=7)
    assert timetable.poll(company.services) == 1


def run_all(company: Company) -> None:
    for row in timetable.timetable(company.services).values():
        for work in row:
            run_one(company.services, work)


def test_every_line_of_the_timetable_runs_and_is_noted(company: Company) -> None:
    run_all(company)
    with company.services.db.session() as session:
        for row in timetable.timetable(company.services).values():
            for work in row:
                tick = session.get_one(Tick, work.name)
                assert (tick.error, tick.last_ok_at is not None) == ("", True)


def test_a_queue_that_is_away_is_no_error_for_the_caller(company: Company) -> None:
    doorbell = company.services.doorbell
    doorbell._url, doorbell._client = "unix:///nowhere/valkey.sock", None
    dirty(company)
    assert timetable.sweep(company.services) == 0
    assert company.sync() == "done"


def test_real_workers_take_the_rings(company: Company) -> None:
    company.google.insert_event(ANN, company.timed(summary="By a worker"))
    dirty(company)
    company.start("worker", "--queue", "live")
    timetable.sweep(company.services)
    wait_for(lambda: company.subjects() == ["By a worker"], what="the worker's pass")
