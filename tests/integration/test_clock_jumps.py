"""A clock that ran a day ahead and was put right: dates that it wrote count as reached, and nothing
waits for them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from tests.company import ANN, BOB, Company
from watcher.accounts import tokens
from watcher.channels import renewal
from watcher.errors import Transient
from watcher.jobs import timetable
from watcher.ledger import aside, due, late, leases, renewals
from watcher.ledger.accounts import LedgerTokens
from watcher.ledger.aside import SetAside
from watcher.ledger.db import Database
from watcher.ledger.models import Account, Calendar, Channel
from watcher.sync.failure import retry_seconds


@pytest.fixture(autouse=True)
def connected(request: pytest.FixtureRequest) -> None:
    if "company" in request.fixturenames:
        request.getfixturevalue("company").connect_at_rest()


@pytest.mark.parametrize("side", ["google", "erpnext"])
def test_a_try_that_failed_then_is_made_again_now(company: Company, side: str) -> None:
    company.google.insert_event(ANN, company.timed(summary="New"))
    if side == "google":
        company.google.add_fault(match=r"/events\?", status=403, reason="quotaExceeded", count=1)
    else:
        company.site.add_fault(match="insert_many", status=429, headers={"Retry-After": "900"})
    with company.services.db.session() as session:
        session.execute(update(Calendar).values(dirty_seq=Calendar.dirty_seq + 1))
    company.jump(days=1)
    assert company.sync() == "failed"
    assert timetable.sweep(company.services) == 0, "the pause is kept"
    company.site.clear_faults()
    company.jump()
    assert timetable.sweep(company.services) == 1


def test_polls_listings_and_rings_of_then_are_due_now(company: Company) -> None:
    company.jump(days=1)
    assert company.sync(snapshot=True) == "done"
    services = company.services
    company.jump()
    assert timetable.poll(services) == 1
    assert company.sync() == "done"
    number = company.calendar().id
    with services.db.session() as session:
        assert due.due_for_reconcile(session, services.clock(), 10) == [number]
        assert due.due_for_poll(session, services.clock(), 10, 30.0) == []


def ahead(company: Company, table: type, **columns: object) -> None:
    with company.services.db.session() as session:
        session.execute(update(table).values(**columns))


def test_tries_of_other_kinds_are_due_now(company: Company) -> None:
    services, tomorrow = company.services, company.services.clock() + timedelta(days=1, minutes=1)
    now, number = company.services.clock(), company.calendar().id
    with services.db.session() as session:
        aside.quarantine(
            session,
            number,
            [SetAside(key="k", event_id="e", message="", kind="event")],
            tomorrow,
            tomorrow,
        )
        late.note_unanswered(session, number, tomorrow)
    ahead(company, Account, refresh_retry_at=tomorrow, access_expires_at=now)
    with services.db.session() as session:
        assert aside.due(session, now, 10) == [number]
        assert late.due(session, now, 10) == [number]
    assert tokens.refresh(services) == 1


def test_channels_asked_for_then_block_nobody_now(company: Company) -> None:
    """Channels dated ahead count neither for the cap of this minute nor as a refusal that still
    holds."""
    services, tomorrow = company.services, company.services.clock() + timedelta(days=1)
    company.set("renew_per_minute", "1")
    company.rebuild()
    ahead(company, Channel, requested_at=tomorrow)
    company.google.set_unwatchable(BOB)
    company.add(BOB)
    ahead(company, Calendar, watch_retry_at=tomorrow)
    ahead(company, Channel, state="expired")
    ahead(company, Calendar, watch_due_at=None)
    assert [r.outcome for r in renewal.renew_due(company.services)][:1] == ["opened"]
    with company.services.db.session() as session:
        session.execute(
            update(Calendar).values(
                push_supported=False, watch_retry_at=services.clock() + timedelta(days=6)
            )
        )
        assert renewals.calendars_due(session, services.clock()) == [], "a week is no wrong date"


def test_leases_of_then_are_free_now(db: Database) -> None:
    """The database's clock ran ahead, and whoever had the lease was killed meanwhile."""

    def take(owner: str) -> bool:
        with db.session() as session:
            return leases.take(db, session, "cron", owner, 30.0)

    assert take("a")
    assert not take("b")
    with db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE leases SET until = until + 86400")
    assert take("b")


def test_a_calendar_leased_then_is_free_now(company: Company) -> None:
    db, number = company.services.db, company.calendar().id
    with db.session() as session:
        assert leases.take_calendar(session, number, "killed") is not None
        session.execute(update(Calendar).values(lease_until=Calendar.lease_until + 86_400))
        session.execute(update(Account).values(refresh_claimed_until=db.now_epoch(session) + 9e4))
    assert company.sync() == "done"
    assert LedgerTokens(db, company.services.keyring).claim_refresh(company.account().id, 30.0)


def test_a_wish_for_a_whole_day_is_kept_for_an_hour() -> None:
    error = Transient("come back tomorrow", side="google", retry_after=86_400)
    assert 3_600 <= retry_seconds(error, 3) < 3_610
