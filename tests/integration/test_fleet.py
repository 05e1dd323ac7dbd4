"""What the status document counts in the database is what it says of each calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

from tests.company import ANN, BOB, Company
from watcher.ledger import fleet, listing, overview, standing
from watcher.ledger.db import Database
from watcher.ledger.models import Account, Calendar, Channel
from watcher.ledger.states import AccountState, CalendarState, CalendarStatus, ChannelState

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def fill(db: Database) -> None:
    """Accounts and calendars in every combination of what the word for a calendar depends on."""
    kinds = product(
        (AccountState.ACTIVE, AccountState.PAUSED, AccountState.DISCONNECTED),
        CalendarState,
        (0, 1, standing.FAILING_AFTER),
        (0, 1),
        (True, False, None),
        (False, True),
    )
    with db.session() as session:
        for number, (account, state, failures, owed, push, removed) in enumerate(kinds, 1):
            email, common = f"employee{number}@scoopjoy.test", {"since": NOW}
            session.add(
                Account(
                    id=number, email=email, source="oauth", state=account, created_at=NOW, **common
                )
            )
            session.add(
                Calendar(
                    id=number,
                    account_id=number,
                    google_id=email,
                    state=state,
                    failures=failures,
                    dirty_seq=owed,
                    dirty_at=NOW - timedelta(seconds=number) if owed else None,
                    push_supported=push,
                    removed=removed,
                    **common,
                )
            )
            if number % 3:
                session.add(
                    Channel(
                        id=email,
                        calendar_id=number,
                        token_hash="x",
                        state=ChannelState.LIVE,
                        requested_at=NOW,
                        opened_at=NOW,
                        expires_at=NOW + timedelta(days=7),
                        heard_at=NOW if number % 4 == 1 else None,
                    )
                )


def test_what_is_counted_is_what_is_said_of_each(db: Database) -> None:
    fill(db)
    with db.reading() as session:
        found = fleet.look(db, session, NOW)
        every = listing.page(db, session, NOW, listing.Chosen(), limit=10_000)
        assert len(every) == listing.count(session)
        for status in CalendarStatus:
            assert found.counts[status] == sum(each.status == status for each in every), status
        active = [each for each in every if each.account.state == AccountState.ACTIVE]
        restless = {e.calendar.id for e in active if e.status != CalendarStatus.UP_TO_DATE}
        assert {calendar.id for calendar, _ in found.pairs} == restless
        assert found.statuses == {
            e.calendar.id: e.status for e in active if e.calendar.id in restless
        }
        unwatched = {
            e.calendar.id
            for e in active
            if e.watch is None and e.calendar.push_supported is not False
        }
        assert {calendar.id for calendar, _ in found.unwatched} == unwatched
        assert found.poll_only == sum(e.calendar.push_supported is False for e in active)
        watches = [e.watch for e in active if e.watch is not None]
        heard = sum(watch.heard for watch in watches)
        assert (found.watching.heard, found.watching.silent) == (heard, len(watches) - heard)
        assert heard not in (0, len(watches))


def test_nobody_reads_the_rows_of_calendars_that_are_up_to_date(
    company: Company,
) -> None:
    """However many they are."""
    company.setup_erpnext()
    for email in (ANN, BOB):
        company.add(email)
        assert company.sync(email) == "done"
    with company.services.db.reading() as session:
        overview.status(company.services.db, session, company.services.clock(), {})
        assert [row for row in session if isinstance(row, (Calendar, Channel))] == []
