"""A write that ERPNext carries out after Watcher has given it up: it overwrites nothing that is
newer, and what it makes is found."""

from __future__ import annotations

import threading
import time

import pytest

from tests.company import ANN, Company
from tests.waiting import wait_for
from watcher.erpnext.client import ErpNextClient
from watcher.jobs.timetable import look_after_writes

PATIENCE, HELD_UP = 0.5, 2.0
"""Seconds that Watcher waits for an answer here, and that ERPNext takes."""


@pytest.fixture(autouse=True)
def impatient(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    company.connect()
    real = ErpNextClient.__init__

    def init(self: ErpNextClient, *args: str, **more: object) -> None:
        real(self, *args, **{**more, "timeout": (5, PATIENCE)})  # type: ignore[arg-type]

    monkeypatch.setattr(ErpNextClient, "__init__", init)
    company.rebuild()


def hold_up(company: Company, match: str) -> None:
    """The next such request is carried out ``HELD_UP`` seconds after it came."""
    company.site.add_fault(match, status=0, delay=HELD_UP)


def update_late(company: Company) -> None:
    """A pass fails whose update ERPNext carries out only after the pass has gone."""
    hold_up(company, "bulk_update")
    company.site.add_fault("^PUT ", status=502, html=True, count=1)
    assert company.sync() == "failed"


def test_a_late_update_does_not_bring_back_what_was_made_private(company: Company) -> None:
    event_id = company.google.insert_event(ANN, company.timed(summary="First"))
    assert company.sync() == "done"
    company.google.patch_event(ANN, event_id, {"summary": "Interview with a rival"})
    update_late(company)
    company.google.patch_event(ANN, event_id, {"visibility": "private"})
    assert company.sync() == "done"
    time.sleep(HELD_UP + 0.5)
    assert company.subjects() == ["Busy"]
    company.site.run_background_jobs()
    assert "rival" not in company.site.dump()


def test_a_late_update_overwrites_nothing_that_is_newer(company: Company) -> None:
    event_id = company.google.insert_event(ANN, company.timed(summary="First"))
    assert company.sync() == "done"
    company.google.patch_event(ANN, event_id, {"summary": "Second"})
    update_late(company)
    company.google.patch_event(ANN, event_id, {"summary": "Third"})
    assert company.sync() == "done"
    time.sleep(HELD_UP + 0.5)
    assert company.subjects() == ["Third"]


def test_a_late_insert_is_swept_when_its_event_has_gone(company: Company) -> None:
    event_id = company.google.insert_event(ANN, company.timed(summary="Ghost"))
    hold_up(company, "insert_many")
    assert company.sync() == "failed"
    assert company.calendar().look_at is not None
    company.google.delete_event(ANN, event_id)
    assert company.sync() == "done"
    wait_for(lambda: company.subjects() == ["Ghost"], what="the late insert")
    company.later(seconds=200)
    assert look_after_writes(company.services) == 1
    assert company.sync() == "done"
    assert company.subjects() == []
    assert company.calendar().look_at is None


def test_an_answered_failure_owes_no_look(company: Company) -> None:
    company.google.insert_event(ANN, company.timed())
    company.site.add_fault("insert_many", status=502, html=True)
    assert company.sync() == "failed"
    assert company.calendar().look_at is None


def test_each_write_names_the_row_it_was_decided_on(company: Company) -> None:
    """A person writes between Watcher's look and its write: the stale write is refused, the row is
    read again, and the mirrored fields are put right all the same."""
    event_id = company.google.insert_event(ANN, company.timed(summary="First"))
    assert company.sync() == "done"
    [row] = company.rows()
    company.google.patch_event(ANN, event_id, {"summary": "Second"})
    started = threading.Event()

    def person() -> None:
        started.wait(10)
        time.sleep(0.2)
        with company.site.transaction():
            now = company.site.row("Event", row["name"])
            assert now is not None
            company.site.put("Event", now | {"color": "#aabbcc", "modified": company.site.now()})

    thread = threading.Thread(target=person)
    thread.start()
    company.site.add_fault("bulk_update", status=0, delay=0.4)
    started.set()
    assert company.sync() == "done"
    thread.join()
    [row] = company.rows()
    assert (row["subject"], row["color"]) == ("Second", "#aabbcc")
    assert company.calendar().last_success_at is not None
