"""Which worker makes a full listing, and from which share of Google's calls it is paid."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy.orm import Session

from tests.company import ANN, Company
from watcher.google.answers import WatchAnswer
from watcher.google.client import CalendarClient, NewChannel
from watcher.ledger import budget, inbox, owing
from watcher.ledger.budget import Purpose
from watcher.ledger.models import Calendar, Run
from watcher.ledger.rings import LANES, Lane
from watcher.sync.work import work_off


@pytest.fixture
def paid(company: Company, monkeypatch: pytest.MonkeyPatch) -> list[Purpose]:
    """For what Google was called, call by call."""
    counted, count = list[Purpose](), budget.count

    def note(
        session: Session, account_id: int, purpose: Purpose, now: datetime, calls: int = 1
    ) -> None:
        counted.extend([purpose] * calls)
        count(session, account_id, purpose, now, calls)

    monkeypatch.setattr(budget, "count", note)
    return counted


def owe(company: Company, reason: str = "push") -> int:
    with company.services.db.session() as session:
        number = company.calendar().id
        owing.owe_looks(session, [number], reason, company.services.clock())
    return number


def left_for_bulk(company: Company) -> bool:
    """Whether the one job that waits is a bulk worker's."""
    waiting = company.services.doorbell.waiting()
    return (len(waiting["live"]), len(waiting["backfill"])) == (0, 1)


def test_a_first_listing_is_no_work_for_the_lane_of_pushes(
    company: Company, paid: list[Purpose]
) -> None:
    company.setup_erpnext()
    company.add()
    company.google.insert_event(ANN, company.timed(summary="Shift"))
    company.services.doorbell.client.flushall()
    number = owe(company)
    before = company.calendar().dirty_at
    paid.clear()
    assert work_off(company.services, number, "push", "live") == "left"
    assert paid == []
    assert left_for_bulk(company)
    row = company.calendar()
    assert (row.lease_owner, row.dirty_at, row.synced_seq) == (None, before, 0)
    assert work_off(company.services, number, "left") == "done"
    assert company.mirrored() == company.expected()
    assert paid == ["poll", "backfill", "backfill"], "the channel, a sync token, the listing"


@pytest.mark.parametrize("lane", LANES)
def test_a_job_that_comes_too_late_makes_no_pass(company: Company, lane: Lane) -> None:
    """A change that comes in during a pass rings once more, and the same job reads it at once: the
    job that was rung for it finds nothing owed. Of two jobs that wait the first reads for both."""
    company.connect_at_rest()
    assert company.sync() == "done"
    before = company.google.log.counts().get("events.list", 0)
    assert work_off(company.services, company.calendar().id, "push", lane) == "done"
    assert company.google.log.counts().get("events.list", 0) == before
    assert work_off(company.services, owe(company), "push", lane) == "done"
    assert company.google.log.counts().get("events.list", 0) == before + 1


def test_the_first_message_of_a_channel_that_a_pass_opens_wakes_nobody(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes before the pass reads Google, which reads for it; a later message is a change."""
    company.setup_erpnext()
    company.add()
    company.services.doorbell.client.flushall()
    told, watch = list[str](), CalendarClient.watch

    def say(channel: NewChannel, resource_id: str) -> str:
        message = inbox.Message(
            channel_id=channel.channel_id, token=channel.token, resource_id=resource_id, number=1
        )
        return inbox.record(company.services.db, message, company.services.clock()).word

    def says_sync(client: CalendarClient, calendar_id: str, channel: NewChannel) -> WatchAnswer:
        answer = watch(client, calendar_id, channel)
        told.append(say(channel, answer.resource_id))
        opened.append((channel, answer.resource_id))
        return answer

    opened = list[tuple[NewChannel, str]]()
    monkeypatch.setattr(CalendarClient, "watch", says_sync)
    number = owe(company, "connect")
    assert work_off(company.services, number, "connect", "backfill") == "done"
    assert told == ["coalesced"]
    row = company.calendar()
    assert (row.rung_at, row.synced_seq) == (None, row.dirty_seq)
    assert say(*opened[0]) == "recorded"


def test_opening_a_channel_costs_no_pass_of_its_own(company: Company) -> None:
    """What the opening leaves owing is read by the pass that opens it."""
    company.setup_erpnext()
    company.add()
    company.services.doorbell.client.flushall()
    number = owe(company, "connect")
    with company.services.db.session() as session:
        before = session.get_one(Calendar, number).dirty_seq
    assert work_off(company.services, number, "connect") == "done"
    with company.services.db.reading() as session:
        row = session.get_one(Calendar, number)
        assert row.synced_seq == row.dirty_seq > before
        assert [(run.kind, run.reason) for run in session.query(Run)] == [("snapshot", "connect")]


def test_a_changed_setting_is_bulk_work_also_when_a_push_brings_it_to_light(
    company: Company, paid: list[Purpose]
) -> None:
    company.connect_at_rest()
    company.set("private_events", "skip")
    company.rebuild()
    number = owe(company)
    paid.clear()
    assert work_off(company.services, number, "push", "live") == "left"
    assert paid == ["push"], "counted with the lease; of no call more"
    assert left_for_bulk(company)
    assert work_off(company.services, number, "left") == "done"
    assert set(paid[1:]) == {"backfill"}
    assert work_off(company.services, owe(company), "push", "live") == "done"
    assert paid[-1] == "push"


def test_an_expired_sync_token_is_found_by_a_push_and_made_good_by_bulk_work(
    company: Company, paid: list[Purpose]
) -> None:
    company.connect_at_rest()
    company.google.insert_event(ANN, company.timed(summary="New"))
    company.google.expire_sync_tokens(ANN)
    number = owe(company)
    paid.clear()
    assert work_off(company.services, number, "push", "live") == "left"
    assert paid == ["push"]
    assert company.calendar().sync_token is None
    assert work_off(company.services, number, "left") == "done"
    assert company.mirrored() == company.expected()
    assert set(paid[1:]) == {"backfill"}
