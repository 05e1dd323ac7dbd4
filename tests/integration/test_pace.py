"""A calendar that is told of without end is synced at a bounded pace, and the last change soon."""

from __future__ import annotations

from typing import Any

import pytest
import redis.connection
from flask.testing import FlaskClient

from tests.company import ANN, Company
from watcher.handlers.app import create_app
from watcher.handlers.context import PACE
from watcher.handlers.pace import MANY, QUIET_SECONDS, Pace
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
        self.pace = Pace(company.services, lambda: self.seconds)
        self.pace._begin = lambda: None  # type: ignore[method-assign]
        app.extensions[PACE] = self.pace
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
    assert waited <= LONGEST_PACE.total_seconds()
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
