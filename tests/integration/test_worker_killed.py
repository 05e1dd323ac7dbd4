"""A worker is killed with -9 at work that RQ knows nothing of: after its first job a worker takes
those that wait behind it out of the queue by itself."""

from __future__ import annotations

import os
import signal

import pytest
from sqlalchemy import update

from tests.company import ADMIN, ANN, BOB, Company
from tests.waiting import wait_for
from watcher.jobs import timetable
from watcher.ledger import accounts, calendars, owing
from watcher.ledger.models import Calendar
from watcher.sync.work import work_off

pytestmark = pytest.mark.one_shape("sqlite")
PEOPLE = (ANN, BOB, ADMIN, "carla@scoopjoy.test", "dora@scoopjoy.test")
EVENTS = 3


def waiting(company: Company) -> list[int]:
    """The calendars that a job in the queue names."""
    jobs = company.services.doorbell.waiting()
    return [int(job.split("-")[1]) for lane in jobs.values() for job in lane]


def each_changes(company: Company) -> list[int]:
    """Everybody has new events and a job in the queue; returns the calendars, in that order."""
    company.setup_erpnext()
    numbers = []
    for email in PEOPLE:
        company.google.add_user(email)
        company.site.add_user(email)
        company.add(email)
        assert company.sync(email) == "done"
        for n in range(EVENTS):
            body = company.timed(hours=n + 2, summary=f"Shift {n} of {email}")
            company.google.insert_event(email, body)
        with company.services.db.reading() as session:
            account = accounts.get(session, email)
            numbers.append(calendars.of_account(session, account.id)[0].id)
    company.services.doorbell.client.flushall()
    with company.services.db.session() as session:
        owing.owe_looks(session, numbers, "push", company.services.clock())
    assert company.services.ring_all(numbers, "live", "push") == len(PEOPLE)
    return numbers


def test_a_worker_killed_at_a_job_that_it_took_by_itself_is_made_good(company: Company) -> None:
    numbers, db = each_changes(company), company.services.db
    for seconds in (0, 3):  # the first calendar's batch is carried out at once
        company.site.add_fault(match="insert_many", status=0, delay=seconds)
    worker = company.start("worker", "--queue", "live")
    wait_for(lambda: company.site.faults.waiting() == 0, what="the batch after that")
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait(10)
    assert company.mirrored(ANN) == company.expected(ANN), "the job that RQ handed over is done"
    with db.reading() as session:
        rows = {number: calendars.get(session, number) for number in numbers[1:]}
        held = [number for number, row in rows.items() if row.lease_owner is not None]
        lost = [n for n, row in rows.items() if row.owes and n not in waiting(company)]
    assert set(held) <= set(lost), "no job in the queue names it any more"
    assert held
    with db.session() as session:  # a minute later
        session.execute(update(Calendar).values(lease_until=db.now_epoch(session) - 1))
    assert timetable.sweep(company.services) == len(lost)
    rung = waiting(company)
    assert set(rung) == {number for number, row in rows.items() if row.owes}
    assert [work_off(company.services, number, "sweep") for number in rung] == ["done"] * len(rung)
    for email in PEOPLE:
        assert company.mirrored(email) == company.expected(email)
    assert len(company.site.events()) == EVENTS * len(PEOPLE)
