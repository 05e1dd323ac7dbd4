"""A calendar that is told of without end is synced at a bounded pace, and the last change soon."""

from __future__ import annotations

from typing import Any

import pytest
import redis.connection
from flask.testing import FlaskClient

from tests.company import ANN, Company
from watcher.handlers.app import create_app
from watcher.handlers.context import PACE
from watcher.handlers.pace import (
    ALONE_AFTER,
    CROWD,
    CROWDED,
    FLOOD,
    MANY,
    QUIET_SECONDS,
    RINGS_AT_ONCE,
    UNSURE,
    Pace,
)
from watcher.jobs import timetable
from watcher.ledger import channels
from watcher.ledger.due import LONGEST_PACE
from watcher.sync import work
from watcher.sync.passes import Pass
from watcher.sync.story import Outcome, sync


class Told:
    """A company whose web process is in this one, with a clock that stands."""

    def __init__(self, company: Company) -> None:
        self.company, self.seconds = company, 1_000.0
        app = create_app(company.services)
        self.pace: Pace = app.extensions[PACE]
        self.pace._now = lambda: self.seconds
        self.pace._begin = lambda: None
        self.client: FlaskClient = app.test_client()
        with company.services.db.reading() as session:
            row = channels.live(session, company.calendar().id, company.services.clock())
        assert row is not None
        self.headers = {
            "X-Goog-Channel-ID": row.id,
            "X-Goog-Channel-Token": company.google.channels.all[row.id].token or "",
            "X-Goog-Resource-ID": row.resource_id or "",
            "X-Goog-Resource-State": "exists",
        }

    def tell(self, times: int = 1) -> None:
        for _ in range(times):
            assert self.client.post("/webhooks/google", headers=self.headers).status_code == 204

    def rings(self) -> int:
        """How many jobs have come since this was asked."""
        waiting = self.company.services.doorbell.waiting()
        self.company.services.doorbell.client.flushall()
        return sum(len(jobs) for jobs in waiting.values())

    def listings(self) -> int:
        return self.company.google.log.counts().get("events.list", 0)

    def flood(self) -> None:
        """Many notifications before the job that the first one rang has begun, and one after."""
        self.tell(MANY + 1)
        assert self.rings() == 1
        assert self.company.sync() == "done"
        self.tell()


@pytest.fixture
def told(company: Company) -> Told:
    company.connect_at_rest()
    assert company.sync() == "done"
    return Told(company)


def test_a_flood_is_served_at_once_and_then_when_it_ceases(told: Told) -> None:
    told.flood()
    told.pace.ring_due()
    told.tell(100)
    before = told.listings()
    assert (told.rings(), told.company.sync()) == (0, "waits")
    assert timetable.sweep(told.company.services) == 0
    assert told.listings() == before
    told.seconds += QUIET_SECONDS
    told.pace.ring_due()
    told.pace.ring_due()
    assert told.rings() == 1
    assert told.company.sync() == "done"
    assert told.listings() == before + 1
    calendar = told.company.calendar()
    assert calendar.dirty_seq == calendar.synced_seq


def test_a_flood_without_end_is_served_all_the_same(told: Told) -> None:
    told.flood()
    waited = 0.0
    while not told.rings():
        told.seconds += QUIET_SECONDS / 2
        waited += QUIET_SECONDS / 2
        told.tell()
        told.pace.ring_due()
    assert waited <= FLOOD.longest
    assert told.company.sync() == "done"


def test_changes_that_come_one_by_one_are_not_kept_waiting(told: Told) -> None:
    """Ten a second, in passes of a second."""
    for _ in range(5):
        for _ in range(10):
            told.tell()
            told.seconds += 0.1
        assert told.rings() == 1
        assert told.company.sync() == "done"


def test_a_pass_during_which_a_flood_goes_on_is_the_last_for_now(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flooded(p: Pass) -> Outcome:
        told.tell()
        return sync(p)

    told.tell(MANY + 1)
    monkeypatch.setattr(work, "sync", flooded)
    before = told.listings()
    assert told.company.sync() == "waits"
    assert told.listings() == before + 1
    assert told.company.calendar().lease_owner is None
    monkeypatch.setattr(work, "sync", sync)
    told.seconds += QUIET_SECONDS
    told.pace.ring_due()
    assert told.company.sync() == "done"


def test_when_the_web_process_dies_meanwhile_the_sweep_rings(told: Told) -> None:
    told.flood()
    told.company.google.insert_event(ANN, told.company.timed(summary="Last"))
    told.company.later(seconds=LONGEST_PACE.total_seconds() + 1)
    assert timetable.sweep(told.company.services) == 1
    assert told.company.sync() == "done"
    assert told.company.subjects() == ["Last"]


def test_without_a_queue_a_paced_calendar_is_left_to_the_sweep(told: Told) -> None:
    told.flood()
    told.seconds += QUIET_SECONDS
    told.company.services.doorbell._open_until = float("inf")
    told.pace.ring_due()
    calendar = told.company.calendar()
    assert (calendar.rung_at, calendar.paced_until) == (None, None)
    assert calendar.dirty_seq > calendar.synced_seq


def test_a_ring_is_one_round_trip(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    doorbell, sent = company.services.doorbell, []
    assert doorbell.ring(1, "live", "push")  # the first one also connects
    real: Any = redis.connection.AbstractConnection.send_packed_command

    def counted(connection: Any, *given: Any, **named: Any) -> Any:
        sent.append(given)
        return real(connection, *given, **named)

    monkeypatch.setattr(redis.connection.AbstractConnection, "send_packed_command", counted)
    assert doorbell.ring(2, "live", "push")
    assert len(sent) == 1
    assert [len(jobs) for jobs in doorbell.waiting().values()] == [2, 0]


def test_who_is_told_of_once_overtakes_a_crowd(told: Told) -> None:
    """Hundreds of calendars hold the same meeting and are told of again and again; a change that
    another calendar is told of once does not wait behind them. Those of the crowd keep their
    order, and so does everybody where all are alone."""
    doorbell, pace = told.company.services.doorbell, told.pace
    for number in (*range(1, CROWD + 1), 77):
        pace.recorded(number, paced=False)
        pace.rung(number, doorbell.ring(number, "live", "push"))
    crowd = doorbell.waiting()["live"][:-1]
    last = doorbell.waiting()["live"][-1]
    told.seconds += ALONE_AFTER + 0.1
    assert pace.let_pass() == 0, "so far everybody was told of once"
    for number in range(1, CROWD + 1):
        pace.coalesced(number)
    assert pace.let_pass() == 1
    assert doorbell.waiting()["live"] == [last, *crowd]
    assert pace.let_pass() == 1
    assert doorbell.waiting()["live"] == [last, *crowd]
    pace.coalesced(77)
    assert pace.let_pass() == 0, "it is one of them after all"


def test_a_calendar_of_the_crowd_that_is_rung_again_is_still_of_it(told: Told) -> None:
    doorbell, pace = told.company.services.doorbell, told.pace
    pace.recorded(77, paced=False)
    pace.coalesced(77)
    told.seconds += 60  # what was told of a minute ago is forgotten
    for _ in range(2):  # the job of the first ring has been worked off
        doorbell.client.flushall()
        for number in range(1, CROWD + 1):
            pace.recorded(number, paced=False)
            pace.rung(number, doorbell.ring(number, "live", "push"))
        told.seconds += ALONE_AFTER + 0.1
    pace.recorded(77, paced=False)
    pace.rung(77, doorbell.ring(77, "live", "push"))
    told.seconds += ALONE_AFTER + 0.1
    assert pace.let_pass() == 1
    assert doorbell.waiting()["live"][0].startswith("calendar-77-")


def crowd(told: Told) -> list[str]:
    """So many calendars are told of again and again; returns their jobs."""
    jobs = []
    for number in range(101, 101 + CROWD):
        told.pace.recorded(number, paced=False)
        jobs.append(told.company.services.doorbell.ring(number, "live", "push"))
        told.pace.rung(number, jobs[-1])
        told.pace.coalesced(number)
    told.pace.let_pass()
    return jobs


def test_who_is_of_a_crowd_is_read_at_once_and_then_when_it_is_told_of_no_more(
    told: Told,
) -> None:
    """A pass for every few of its notifications would keep the rest of the crowd waiting."""
    crowd(told)
    told.rings()
    told.tell()
    assert (told.rings(), told.company.sync()) == (1, "done")
    waited = 0.0
    while waited < CROWDED.longest - 2:
        told.tell()
        told.pace.ring_due()
        assert (told.rings(), told.company.sync()) == (0, "waits")
        told.seconds += CROWDED.quiet / 2
        waited += CROWDED.quiet / 2
        told.pace.let_pass()
    told.seconds += CROWDED.quiet / 2
    told.pace.ring_due()
    assert (told.rings(), told.company.sync()) == (1, "done")
    calendar = told.company.calendar()
    assert calendar.dirty_seq == calendar.synced_seq


def test_a_rush_is_taken_for_a_crowd_until_it_is_known(told: Told) -> None:
    """Twenty calendars are rung within a second, before any of them was told of again: whichever
    is told of a second time is not read back to back."""
    for number in range(101, 101 + CROWD):
        told.pace.recorded(number, paced=False)
        told.pace.rung(number, told.company.services.doorbell.ring(number, "live", "push"))
    told.rings()
    told.tell()
    assert (told.rings(), told.company.sync()) == (1, "done")
    for _ in range(3):
        told.tell()
        told.pace.ring_due()
        assert (told.rings(), told.company.sync()) == (0, "waits")
        told.seconds += UNSURE.quiet
    told.pace.ring_due()
    assert told.rings() == 0, "it was told of again and again"
    told.seconds += CROWDED.quiet
    told.pace.ring_due()
    assert (told.rings(), told.company.sync()) == (1, "done")


def test_the_first_message_of_a_channel_tells_of_no_change(told: Told) -> None:
    """A change that follows soon is the first one, also while there is a crowd."""
    jobs = crowd(told)
    told.headers["X-Goog-Resource-State"] = "sync"
    told.tell()
    assert told.company.sync() == "done"
    told.tell(2)  # and one that a waiting job serves
    assert told.company.sync() == "done"
    told.headers["X-Goog-Resource-State"] = "exists"
    told.seconds += 1
    told.tell()
    doorbell = told.company.services.doorbell
    last = doorbell.waiting()["live"][-1]
    assert last not in jobs
    told.seconds += ALONE_AFTER + 0.1
    assert told.pace.let_pass() == 1
    assert doorbell.waiting()["live"][0] == last, "it overtakes the crowd"
    told.rings()
    assert told.company.sync() == "done"
    told.tell()
    assert (told.rings(), told.company.sync()) == (0, "waits"), "Google sends two for one change"
    told.seconds += UNSURE.quiet
    told.pace.ring_due()
    assert (told.rings(), told.company.sync()) == (1, "done")


def test_the_jobs_of_a_crowd_are_overtaken_to_the_last(told: Told) -> None:
    """Also when nobody is told of any more, and the jobs still wait."""
    jobs = crowd(told)
    told.seconds += 30
    doorbell = told.company.services.doorbell
    told.pace.recorded(77, paced=False)
    told.pace.rung(77, doorbell.ring(77, "live", "push"))
    told.seconds += ALONE_AFTER + 0.1
    assert told.pace.let_pass() == 1
    assert doorbell.waiting()["live"][1:] == jobs


def test_a_whole_crowd_is_not_rung_in_one_go(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is to overtake it would wait for the end of that."""
    rung: list[int] = []

    def ring(_: Pace, number: int) -> bool:
        rung.append(number)
        return True

    monkeypatch.setattr(Pace, "_ring", ring)
    for number in range(RINGS_AT_ONCE + 5):
        told.pace.recorded(number, paced=True)
        told.seconds += 0.01
    told.seconds += QUIET_SECONDS
    told.pace.ring_due()
    assert rung == list(range(RINGS_AT_ONCE)), "the one that waits the longest comes first"
    told.pace.ring_due()
    assert len(rung) == RINGS_AT_ONCE + 5


def test_a_job_that_a_worker_has_taken_is_not_put_back(told: Told) -> None:
    doorbell = told.company.services.doorbell
    taken, waiting = (doorbell.ring(number, "live", "push") for number in (1, 2))
    assert doorbell.client.lpop(doorbell.queue("live").key) == taken.encode()
    assert doorbell.move_to_front("live", [taken, waiting], most=1) == {waiting}
    assert doorbell.waiting()["live"] == [waiting]


def test_a_calendar_that_goes_on_changing_lets_others_go_first(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another change comes in during each pass over it: after two in a row it waits behind those
    that were rung meanwhile."""
    company, passes = told.company, list[str]()
    number = company.calendar().id

    def told_meanwhile(p: Pass) -> Outcome:
        passes.append(p.kind)
        told.tell()
        return sync(p)

    monkeypatch.setattr(work, "sync", told_meanwhile)
    told.tell()
    company.services.doorbell.client.flushall()
    other = company.services.doorbell.ring(77, "live", "push")
    assert work.work_off(company.services, number, "push", "live") == "done"
    assert passes == ["delta", "delta"]
    waiting = company.services.doorbell.waiting()["live"]
    assert waiting[0] == other
    assert waiting[-1].startswith(f"calendar-{number}-")
