"""Calendars whose Google answers hang hold up no other calendar's changes."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.company import ADMIN, ANN, BOB, Company
from tests.waiting import wait_for
from watcher.google.client import Patience
from watcher.jobs.doorbell import Doorbell
from watcher.ledger import owing
from watcher.sync import passes
from watcher.sync.attempt import End
from watcher.sync.work import work_off

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
PROMISED = 5.0


@pytest.fixture
def shop(company: Company) -> Company:
    company.setup_erpnext()
    for email in (ANN, BOB, ADMIN):
        company.add(email)
        assert company.sync(email) == "done"
    company.services.doorbell.client.flushall()
    return company


def tell(shop: Company, email: str) -> None:
    """As a notification does it."""
    number = shop.calendar(email).id
    with shop.services.db.session() as session:
        owing.owe_looks(session, [number], "push", shop.services.clock())
    assert shop.services.ring(number, "live", "push")


def arrives(shop: Company, title: str) -> float:
    """Seconds from a notification of Ann's change to her row in ERPNext."""
    shop.google.insert_event(ANN, shop.timed(summary=title))
    begun = time.monotonic()
    tell(shop, ANN)
    wait_for(lambda: title in shop.subjects(), what=title)
    return time.monotonic() - begun


def test_two_calendars_that_hang_do_not_hold_up_a_third(shop: Company) -> None:
    """With the two workers for pushes of `watcher up`. How long a change takes on this machine
    while nothing hangs is measured too, and taken off."""
    for lane in ("live", "live", "backfill"):
        shop.start("worker", "--queue", lane, log=f"{lane}.log")
    usual = arrives(shop, "Before")
    for email in (BOB, ADMIN):
        shop.google.add_fault(match=f"GET .*{email}/events", delay=30)
    shop.google.log.clear()
    for email in (BOB, ADMIN):
        shop.google.insert_event(email, shop.timed())
        tell(shop, email)
    wait_for(lambda: _hang(shop), what="both workers to hang")
    assert arrives(shop, "Meanwhile") - usual < PROMISED
    shop.google.clear_faults()


def _hang(shop: Company) -> bool:
    return sum(int(fault["struck"]) for fault in shop.google.faults.rules()) >= 2


@pytest.mark.parametrize(
    ("fault", "end"),
    [
        ({"delay": 1.0}, End.LEFT),
        ({"status": 503}, End.LEFT),
        ({"status": 503, "headers": {"Retry-After": "60"}}, End.FAILED),
    ],
)
def test_a_worker_for_pushes_leaves_what_needs_patience_to_the_other_lane(
    shop: Company, monkeypatch: pytest.MonkeyPatch, fault: dict[str, object], end: End
) -> None:
    monkeypatch.setitem(passes.PATIENCE, "live", Patience(timeout=0.2, retries=0))
    rung: list[tuple[int, str, str]] = []

    def ring(_: Doorbell, *words: Any) -> bool:
        rung.append(words)
        return True

    monkeypatch.setattr(Doorbell, "ring", ring)
    shop.google.insert_event(ANN, shop.timed(summary="Tasting"))
    shop.google.add_fault(match=f"GET .*{ANN}/events", count=1, **fault)
    number = shop.calendar().id
    with shop.services.db.session() as session:
        owing.owe_looks(session, [number], "push", shop.services.clock())
    since = shop.calendar().dirty_at
    assert work_off(shop.services, number, "push", "live") == end
    left = shop.calendar()
    assert left.dirty_seq > left.synced_seq
    assert left.dirty_at == since
    assert left.failures == (end == End.FAILED), "what is left to another worker has not failed"
    assert rung == ([(number, "backfill", "left")] if end == End.LEFT else [])
    if end == End.LEFT:
        assert work_off(shop.services, number, "left", "backfill") == End.DONE
        assert shop.subjects() == ["Tasting"]
