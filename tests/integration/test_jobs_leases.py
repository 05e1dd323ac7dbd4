"""Who works on a calendar and who may store: every order of two processes, on both databases."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from tests.company import ANN, Company
from tests.waiting import wait_for
from watcher.channels import registry
from watcher.erpnext.events import EventMirror
from watcher.errors import LeaseLost
from watcher.jobs import timetable
from watcher.ledger import aside, calendars, channels, debts, inbox, leases, opening, owing
from watcher.ledger.debts import Work
from watcher.ledger.leases import CalendarLease
from watcher.ledger.models import Calendar, Run
from watcher.services import Services
from watcher.sync import work
from watcher.sync.passes import Pass
from watcher.sync.story import Outcome, sync
from watcher.sync.work import work_off


@pytest.fixture(autouse=True)
def connected(company: Company) -> None:
    company.connect_at_rest()
    with company.services.db.session() as session:
        session.execute(update(Calendar).values(rung_at=None))


def notify(company: Company) -> str:
    """A genuine notification of the live channel; returns what became of it."""
    services = company.services
    with services.db.session() as session:
        row = channels.live(session, company.calendar().id, services.clock())
        assert row is not None
        channel_id, resource_id = row.id, row.resource_id or ""
    token = company.google.channels.all[channel_id].token or ""
    message = inbox.Message(channel_id=channel_id, token=token, resource_id=resource_id, number=7)
    return inbox.record(services.db, message, services.clock()).word


def start_work(company: Company, owner: str = "another worker") -> tuple[CalendarLease, Work]:
    """Take the lease and read the debt, as a worker does before it reads Google."""
    db = company.services.db
    with db.session() as session:
        lease = leases.take_calendar(session, company.calendar().id, owner)
    assert lease is not None
    with db.session() as session:
        return lease, debts.begin(session, lease)


def settles(company: Company, lease: CalendarLease, work: Work) -> bool:
    """End the pass; whether the calendar is let go."""
    now = company.services.clock()
    with company.services.db.session() as session:
        done = debts.Settled(
            found=debts.as_found(session, lease.calendar_id, company.services.clock()),
            at=now,
            next_poll_at=now,
            sync_token="t",
            query_fingerprint="",
            policy_fingerprint="",
            time_zone="UTC",
        )
        return debts.settle(session, lease, work, done)


def at_once(*works: Callable[[], object]) -> list[BaseException | None]:
    """Run all at the same time; what each raised."""
    gate = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        gate.wait(10)
        work()

    with ThreadPoolExecutor(len(works)) as pool:
        return [each.exception(30) for each in [pool.submit(run, work) for work in works]]


def test_of_many_takers_one_gets_the_lease(company: Company) -> None:
    db, number, won = company.services.db, company.calendar().id, list[CalendarLease]()

    def take(owner: str) -> None:
        with db.session() as session:
            lease = leases.take_calendar(session, number, owner)
        if lease is not None:
            won.append(lease)

    assert at_once(*(lambda n=n: take(f"worker {n}") for n in range(6))) == [None] * 6
    assert len(won) == 1
    assert company.calendar().lease_owner == won[0].owner


def test_no_change_is_lost_in_counting(company: Company) -> None:
    """Polls, wishes and notifications count the same number up from several processes."""
    db, number, now = company.services.db, company.calendar().id, company.services.clock()
    before = company.calendar().dirty_seq

    def count(mark: Callable[..., object]) -> None:
        for _ in range(8):
            with db.session() as session:
                mark(session, [number], "poll", now)

    works = [lambda: count(owing.owe_looks)] * 3 + [lambda: count(owing.owe_listings)]
    assert at_once(*works) == [None] * 4
    row = company.calendar()
    assert row.dirty_seq == before + 32
    assert before < row.snapshot_seq <= row.dirty_seq


def test_a_wish_for_a_listing_during_a_pass_survives_it(company: Company) -> None:
    lease, work = start_work(company)
    with company.services.db.session() as session:
        owing.owe_listings(session, [lease.calendar_id], "asked", company.services.clock())
    with company.services.db.session() as session:
        leases.release_calendar(session, lease)
    assert work_off(company.services, lease.calendar_id, "x") == "done"
    with company.services.db.session() as session:
        last = calendars.last_run(session, lease.calendar_id)
        assert last is not None
        assert last.kind == "snapshot"
    assert work.seq < company.calendar().synced_seq


def test_the_fence_outlives_a_new_lease_of_the_same_process(company: Company) -> None:
    """A worker that slept through its lease and took it anew cannot store what it read before."""
    db, services = company.services.db, company.services
    stale, _ = start_work(company, services.owner)
    with db.session() as session:
        session.get_one(Calendar, stale.calendar_id).lease_until = 1.0
    fresh, _ = start_work(company, services.owner)
    assert fresh.fence > stale.fence
    with db.session() as session, pytest.raises(LeaseLost):
        leases.extend_calendar(db, session, stale)
    with db.session() as session:
        leases.release_calendar(session, stale)
    assert company.calendar().lease_owner == services.owner, "a stale release frees nothing"


def test_a_run_that_lost_its_lease_leaves_no_trace(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither token nor diary nor what was set aside: all one transaction, all under the fence."""
    broken = company.timed(summary="Broken")
    del broken["start"]
    company.google.insert_event(ANN, broken, raw=True)
    before = company.calendar()
    with company.services.db.session() as session:
        diary = session.query(Run).count()
    apply = EventMirror.apply

    def taken_over(self: EventMirror, *args: Any, **options: Any) -> object:
        with company.services.db.session() as session:
            row = session.get_one(Calendar, before.id)
            row.fence, row.lease_owner, row.lease_until = row.fence + 1, "thief", 9e12
        return apply(self, *args, **options)

    monkeypatch.setattr(EventMirror, "apply", taken_over)
    assert company.sync() == "busy"
    after = company.calendar()
    assert (after.sync_token, after.synced_seq) == (before.sync_token, before.synced_seq)
    assert after.lease_owner == "thief"
    with company.services.db.session() as session:
        assert session.query(Run).count() == diary
        assert aside.everything(session) == []


def test_a_notification_while_a_job_waits_costs_nothing_more(company: Company) -> None:
    assert [notify(company) for _ in range(4)] == ["recorded"] + ["coalesced"] * 3


def test_a_ring_that_a_wrong_clock_has_dated_ahead_counts_as_none(company: Company) -> None:
    company.jump(days=1)
    assert [notify(company), notify(company)] == ["recorded", "coalesced"]
    company.services.doorbell.client.flushall()
    company.jump()
    assert [notify(company), notify(company)] == ["recorded", "coalesced"]


def test_pushes_that_come_while_a_full_listing_is_owed_wait_for_it(company: Company) -> None:
    """Each would otherwise wake a worker who can only leave it to the bulk lane again."""
    company.google.expire_sync_tokens(ANN)
    assert notify(company) == "recorded"
    assert work.work_off(company.services, company.calendar().id, "push", "live") == "left"
    assert notify(company) == "coalesced"


def test_a_notification_after_the_reading_began_is_kept(company: Company) -> None:
    assert notify(company) == "recorded"
    lease, work = start_work(company)
    assert [notify(company), notify(company)] == ["recorded", "coalesced"]
    assert not settles(company, lease, work)


def test_a_ring_that_comes_too_late_swallows_no_notification(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep has chosen the calendar; before it rings, a worker begins to read. The sweep's job
    finds the calendar busy, and a notification relies on that job."""
    assert notify(company) == "recorded"
    with company.services.db.session() as session:
        session.execute(update(Calendar).values(rung_at=None))  # its ring was lost
    ring, begun = Services.ring, list[tuple[CalendarLease, Work]]()

    def late(*args: Any) -> bool:
        begun.append(start_work(company))
        return ring(*args)

    monkeypatch.setattr(Services, "ring", late)
    assert timetable.sweep(company.services) == 1
    (lease, work) = begun[0]
    assert notify(company) == "coalesced"
    assert work_off(company.services, lease.calendar_id, "sweep") == "busy"
    assert not settles(company, lease, work), "the change would be lost"


def test_a_ring_whose_job_is_lost_swallows_no_notification(company: Company) -> None:
    """A pass has begun to read; somebody rings; a notification relies on that ring, whose job dies
    before it has done anything. The pass that is under way has to look again."""
    assert notify(company) == "recorded"
    lease, work = start_work(company)
    assert company.services.ring(lease.calendar_id, "live", "sweep")
    assert notify(company) == "coalesced"
    company.services.doorbell.client.flushall()
    assert not settles(company, lease, work), "the change would be lost"


def test_the_sync_message_and_the_answer_of_watch_do_not_block_each_other(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both write the channel and the calendar, in processes of their own, at the same moment."""
    confirm, pool, messages = opening.confirm, ThreadPoolExecutor(1), list[Future[str]]()

    def with_message(*args: Any, **options: Any) -> list[str]:
        found: list[str] = confirm(*args, **options)
        messages.append(pool.submit(notify, company))
        wait(messages, 0.2)  # it is done by then, or waits for this transaction: both are right
        return found

    monkeypatch.setattr(opening, "confirm", with_message)
    number = company.calendar().id
    (old,) = company.google.live_channels(ANN)
    registry.open_channel(company.services, number, instead_of=old.id)
    assert messages[0].exception(20) is None
    pool.shutdown()
    with company.services.db.session() as session:
        states = [row.state for row in channels.open_of_calendar(session, number)]
    assert sorted(states) == ["live", "retiring"]


@pytest.mark.parametrize("stage", ["read", "look_up", "apply", "settle"])
def test_a_death_at_any_stage_is_made_good(
    company: Company, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    master = company.timed(hours=3, summary="Roster")
    company.google.insert_event(ANN, {**master, "recurrence": ["RRULE:FREQ=DAILY;COUNT=5"]})
    event = company.google.insert_event(ANN, company.timed(summary="First"))
    assert company.sync() == "done"
    company.google.patch_event(ANN, event, {"summary": "Second"})
    company.google.insert_event(ANN, company.timed(summary="New"))
    before = company.calendar().sync_token
    owner, name = {
        "read": (debts, "begin"),
        "look_up": (EventMirror, "rows_by_keys_or_series"),
        "apply": (EventMirror, "apply"),
        "settle": (debts, "settle"),
    }[stage]
    real = getattr(owner, name)

    def dies(*args: Any, **options: Any) -> object:
        real(*args, **options)
        raise KeyboardInterrupt  # like a kill: nothing of ours handles it

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, dies)
        with pytest.raises(KeyboardInterrupt):
            company.sync()
    assert company.calendar().sync_token == before
    assert company.sync() == "done"
    assert company.mirrored() == company.expected()
    assert len(company.site.events()) == len(company.expected()) == 7


def test_a_worker_killed_in_the_middle_is_succeeded(company: Company) -> None:
    """A real process, killed with -9 while ERPNext is at its batch, which lands later all the same:
    before or after that of the successor."""
    for n in range(3):
        company.google.insert_event(ANN, company.timed(hours=n + 1, summary=f"Shift {n}"))
    company.site.add_fault(match="insert_many", status=0, delay=5)
    assert notify(company) == "recorded"
    worker = company.start("worker", "--queue", "live")
    company.services.doorbell.ring(company.calendar().id, "live", "push")
    wait_for(lambda: company.site.faults.waiting() == 0, what="the batch under way")
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait(10)
    left = company.calendar()
    assert left.lease_owner is not None
    assert timetable.sweep(company.services) == 0, "the lease still runs"
    with company.services.db.session() as session:
        epoch = company.services.db.now_epoch(session)
        assert 0 < left.lease_until - epoch <= leases.CALENDAR_LEASE_SECONDS
        session.execute(update(Calendar).values(lease_until=epoch - 1))  # a minute later
    company.start("worker", "--queue", "live")
    assert timetable.sweep(company.services) == 1
    wait_for(
        lambda: company.calendar().synced_seq >= left.dirty_seq, what="the succeeding worker's pass"
    )
    assert company.mirrored() == company.expected()
    assert len(company.site.events()) == 3


# --- the pause after a failure ----------------------------------------------------------------


def rung_for(company: Company) -> int:
    """Work the rings off as workers do; how many calls it cost at the side in trouble."""
    for jobs in company.services.doorbell.waiting().values():
        for job in jobs:
            work_off(company.services, int(job.split("-")[1]), "push")
    company.services.doorbell.client.flushall()
    return company.google.log.counts()["events.list"]


def told(company: Company) -> str:
    """A notification, and the ring that the web server makes of it."""
    word = notify(company)
    if word == "recorded":
        assert company.services.doorbell.ring(company.calendar().id, "live", "push")
    return word


@pytest.mark.parametrize("side", ["google", "erpnext"])
def test_a_pause_that_a_side_asked_for_is_kept_whatever_is_told(
    company: Company, side: str
) -> None:
    """Google's hour after ``quotaExceeded``, ERPNext's ``Retry-After``: five notifications in that
    time wake nobody, and what they told of comes when the pause is over."""
    seconds = 3_600 if side == "google" else 120
    if side == "google":
        company.google.add_fault(match=r"/events\?", status=403, reason="quotaExceeded")
    else:
        company.google.insert_event(ANN, company.timed(summary="Kept waiting"))
        company.site.add_fault(
            match="insert_many", count=None, status=429, headers={"Retry-After": "120"}
        )
    before = company.google.log.counts()["events.list"]
    assert told(company) == "recorded"
    assert rung_for(company) == before + 1
    assert company.calendar().failures == 1
    for _ in range(5):
        assert told(company) == "parked"
    assert rung_for(company) == before + 1
    late_job = work_off(company.services, company.calendar().id, "push")
    assert late_job == "waits", "a job that was queued before the failure"
    assert timetable.sweep(company.services) == 0
    company.google.clear_faults()
    company.site.clear_faults()
    company.later(seconds=seconds * 0.9)
    assert timetable.sweep(company.services) == 0
    company.later(seconds=seconds * 0.2 + 10)
    assert timetable.sweep(company.services) == 1
    rung_for(company)
    assert company.calendar().state == "ok"
    assert company.mirrored() == company.expected()


def test_who_is_rung_for_a_calendar_that_never_rests_finds_it_free(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After five passes it goes to the end of the queue; a worker that takes the ring at once must
    not find it leased by the one that has rung."""
    number, found = company.calendar().id, list[str]()
    ring, once = Services.ring, sync

    def restless(p: Pass) -> Outcome:
        outcome = once(p)
        if not found:
            with company.services.db.session() as session:
                owing.owe_looks(session, [number], "push", company.services.clock())
        return outcome

    def quick(services: Services, *ring_for: Any) -> bool:
        rung = ring(services, *ring_for)
        found.append("rung")
        other = replace(company.services, owner="a quick worker")
        found.append(work.work_off(other, number, "again"))
        return rung

    monkeypatch.setattr(work, "sync", restless)
    monkeypatch.setattr(Services, "ring", quick)
    assert company.sync() == "done"
    assert found == ["rung", "done"]
    row = company.calendar()
    assert (row.dirty_seq, row.lease_owner) == (row.synced_seq, None)
