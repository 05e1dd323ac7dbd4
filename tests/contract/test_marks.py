"""Rows in ERPNext say when their calendar is no longer kept current, and say it no more once it is.

In one process: a ledger, and stand-ins for both sides.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.company import ANN
from tests.shop import Shop
from watcher.accounts import verbs
from watcher.accounts.disconnect import disconnect
from watcher.erpnext import marks as batches
from watcher.errors import Cause
from watcher.events.fields import STALE
from watcher.ledger import accounts, leases
from watcher.ledger.calendars import locked
from watcher.ledger.marks import Mark
from watcher.ledger.states import AccountState, CalendarState
from watcher.sync.marking import mark_calendars

BULK = "bulk_update"


@pytest.fixture(autouse=True)
def mirrored(shop: Shop) -> None:
    """Three events to come, one that has ended, one that is cancelled."""
    shop.add()
    for hours in (30, 54, 78, -50, 100):
        shop.google.insert_event(ANN, shop.timed(hours=hours, summary=f"in {hours}"))
    assert shop.sync() == "done"
    last = next(row for row in shop.rows() if row["subject"] == "in 100")
    shop.google.delete_event(ANN, last["custom_google_event_id"])
    assert shop.sync() == "done"
    assert len(shop.rows(live=False)) == 5


def marked(shop: Shop) -> list[str]:
    """Titles of the rows that bear the mark."""
    return sorted(row["subject"] for row in shop.rows(live=False) if row[STALE])


FUTURE = ["in 30", "in 54", "in 78"]


def pause(shop: Shop, hours: float = 2) -> None:
    verbs.pause(shop.services, ANN)
    shop.later(hours=hours)


def fails(shop: Shop, cause: str, hours: float) -> None:
    """The calendar's passes have failed for so long."""
    with shop.services.db.session() as session:
        calendar = locked(session, shop.calendar().id)
        calendar.state, calendar.cause, calendar.failures = CalendarState.RETRYING, cause, 40
    shop.later(hours=hours)


def writes(shop: Shop) -> int:
    return sum(n for what, n in shop.site.requests.items() if BULK in what)


def is_forgotten(shop: Shop) -> bool:
    with shop.services.db.reading() as session:
        return session.query(Mark).count() == 0


def settled(shop: Shop) -> None:
    """As often as cron would, until nothing is left to do."""
    for _ in range(20):
        if not mark_calendars(shop.services):
            return
    raise AssertionError("it does not end")


def test_of_who_is_paused_what_is_to_come_says_so(shop: Shop) -> None:
    before = shop.calendar().last_success_at
    assert before is not None
    pause(shop, hours=0.5)
    mark_calendars(shop.services)
    assert marked(shop) == [], "who is back within the hour costs nothing"
    shop.later(hours=1)
    mark_calendars(shop.services)
    assert marked(shop) == FUTURE
    told = {row[STALE] for row in shop.rows() if row[STALE]}
    assert told == {f"{before.astimezone(shop.services.site().zone):%Y-%m-%d %H:%M:%S}"}


def test_it_is_written_once(shop: Shop) -> None:
    pause(shop)
    settled(shop)
    shop.site.requests.clear()
    for _ in range(3):
        shop.later(hours=30)
        assert mark_calendars(shop.services) == 0
    assert shop.site.requests == {}


def test_it_goes_with_the_next_good_pass(shop: Shop) -> None:
    pause(shop)
    settled(shop)
    shop.google.patch_event(ANN, shop.rows()[1]["custom_google_event_id"], {"summary": "in 31"})
    verbs.resume(shop.services, ANN)
    mark_calendars(shop.services)
    assert marked(shop) == FUTURE, "not current before it is"
    assert shop.sync() == "done"
    assert marked(shop) == ["in 54", "in 78"], "the pass takes it off what it writes"
    settled(shop)
    assert marked(shop) == []
    assert is_forgotten(shop)


def test_marking_is_no_reason_to_list_the_calendar_anew(shop: Shop) -> None:
    pause(shop)
    settled(shop)
    verbs.resume(shop.services, ANN)
    assert shop.sync() == "done"
    settled(shop)
    newest = max(row["modified"] for row in shop.rows(live=False))
    assert shop.calendar().rows_seen == newest


def test_a_dead_permission_needs_no_google(shop: Shop) -> None:
    with shop.services.db.session() as session:
        account = accounts.get(session, ANN)
        now = shop.services.clock()
        accounts.set_state(account, AccountState.NEEDS_RECONNECT, "invalid_grant", now)
    shop.google.add_fault(match="", status=500, count=None)
    shop.later(hours=2)
    settled(shop)
    assert marked(shop) == FUTURE


def test_rows_that_are_kept_of_who_is_gone(shop: Shop) -> None:
    disconnect(shop.services, ANN, events="keep")
    settled(shop)
    assert marked(shop) == FUTURE


@pytest.mark.parametrize(
    ("cause", "hours", "expected"),
    [
        ("google_unavailable", 23, []),
        ("google_unavailable", 25, FUTURE),
        (Cause.ERPNEXT_UNAVAILABLE, 25, []),
        (Cause.PERMISSION, 25, []),
        (Cause.REFUSED_BY_ERPNEXT, 25, []),
    ],
)
def test_a_calendar_that_fails(shop: Shop, cause: str, hours: float, expected: list[str]) -> None:
    """A day of failing, unless it is ERPNext that fails: what stands there is what was read."""
    fails(shop, cause, hours)
    settled(shop)
    assert marked(shop) == expected


def test_a_pass_and_the_mark_are_never_at_one_calendar_at_once(shop: Shop) -> None:
    pause(shop)
    services = shop.services
    with services.db.session() as session:
        held = leases.take_calendar(session, shop.calendar().id, "a worker")
        assert held is not None
    assert mark_calendars(services) == 0
    assert marked(shop) == []
    with services.db.session() as session:
        leases.release_calendar(session, held)
    settled(shop)
    assert marked(shop) == FUTURE


def test_a_site_without_the_field_is_mirrored_all_the_same(shop: Shop) -> None:
    shop.services.erpnext.delete("Custom Field", f"Event-{STALE}")
    pause(shop)
    assert mark_calendars(shop.services) == 0
    verbs.resume(shop.services, ANN)
    shop.google.patch_event(ANN, shop.rows()[1]["custom_google_event_id"], {"summary": "new"})
    assert shop.sync() == "done"
    assert "new" in shop.subjects()


def test_rows_that_erpnext_refuses_are_left_out(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH", 2)
    pause(shop)
    refused: dict[str, Any] = {"status": 417, "exc_type": "ValidationError", "count": None}
    shop.site.add_fault("bulk_update", **refused)
    assert mark_calendars(shop.services) == 0
    shop.site.clear_faults()
    settled(shop)
    assert marked(shop) == FUTURE


@pytest.mark.parametrize("seed", range(8))
def test_broken_off_anywhere_it_comes_right(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Pauses, resumptions, passes and cron in any order, while ERPNext breaks off before or after
    it wrote: once all is quiet, exactly the rows of a calendar that is not current say so, and the
    rows are as Google has them."""
    monkeypatch.setattr(batches, "BATCH", 2)
    dice = random.Random(seed)
    ids = [row["custom_google_event_id"] for row in shop.rows()]

    def change() -> None:
        shop.google.patch_event(ANN, dice.choice(ids), {"location": f"Room {dice.random()}"})

    def run() -> None:
        shop.site.add_fault(
            f"{BULK}|get_list",
            status=dice.choice((0, 502)),
            html=True,
            count=1,
            after_commit=dice.random() < 0.5,
        )
        mark_calendars(shop.services)
        shop.site.clear_faults()

    def turn() -> None:
        if shop.account().state == AccountState.ACTIVE:
            verbs.pause(shop.services, ANN)
        else:
            verbs.resume(shop.services, ANN)
        shop.later(hours=dice.choice((0.1, 2)))

    def sync() -> None:
        if shop.account().state == AccountState.ACTIVE:
            shop.sync()

    for _ in range(25):
        dice.choice((change, run, run, turn, sync, shop.rebuild))()
    if shop.account().state == AccountState.ACTIVE:
        assert shop.sync() == "done"
        settled(shop)
        assert marked(shop) == []
    else:
        shop.later(hours=2)
        settled(shop)
        assert marked(shop) == FUTURE
        verbs.resume(shop.services, ANN)
        assert shop.sync() == "done"
    settled(shop)
    assert marked(shop) == []
    assert is_forgotten(shop)
    assert shop.mirrored() == shop.expected()
