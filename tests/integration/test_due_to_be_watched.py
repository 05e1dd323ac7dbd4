"""A calendar says itself when somebody has to look at its channel: so nobody looks at the channels
of all. Whoever opens, ends or doubts a channel keeps what it says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, update
from sqlalchemy.orm import Session

from tests.company import ANN
from watcher.ledger import accounts, budget, calendars, channels, freshness, opening, renewals
from watcher.ledger.db import Database
from watcher.ledger.models import Account, Calendar, Channel, Run
from watcher.ledger.opening import Granted, Request
from watcher.ledger.states import AccountState, ChannelState

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def calendar_id(db: Database) -> int:
    """Of a calendar that is watched and need not be looked at for six days."""
    with db.session() as session:
        account = accounts.add(
            session, email=ANN, source="oauth", state=AccountState.ACTIVE, now=NOW
        )
        number = calendars.add(session, account.id, ANN, NOW).id
        assert due(session) == [number], "nobody has watched it yet"
        open_one(session, number, "first", None)
        session.get_one(Channel, "first").heard_at = NOW
        assert due(session) == []
    return number


def open_one(session: Session, number: int, name: str, instead_of: str | None) -> None:
    request = Request(channel_id=name, calendar_id=number, token_hash="x", instead_of=instead_of)
    assert opening.add_requesting(session, request, 60, NOW)
    found = opening.asked_for(session, name)
    assert found is not None
    granted = Granted("r", NOW + timedelta(days=7), NOW + timedelta(days=6))
    opening.confirm(session, found, granted, NOW)


def due(session: Session, when: datetime = LATER) -> list[int]:
    return [each.calendar_id for each in renewals.calendars_due(session, when)]


def unheard(session: Session, _number: int) -> None:
    session.get_one(Channel, "first").heard_at = None
    renewals.try_silent(session, LATER)


ENDS: dict[str, Callable[[Session, int], object]] = {
    "stopped": lambda session, _: channels.stopped(session, "first", LATER),
    "retired": lambda session, number: channels.retire_all(session, number, LATER),
    "deaf": lambda session, number: channels.replace_if_deaf(session, number, LATER, LATER),
    "asked for": lambda session, _: renewals.make_due(session, LATER),
    "unheard": unheard,
}


@pytest.mark.parametrize("end", ENDS)
def test_who_ends_or_doubts_a_channel_has_its_calendar_looked_at(
    db: Database, calendar_id: int, end: str
) -> None:
    with db.session() as session:
        ENDS[end](session, calendar_id)
    with db.reading() as session:
        assert due(session) == [calendar_id]


def test_the_end_of_the_channel_before_is_no_reason_to_look(db: Database, calendar_id: int) -> None:
    with db.session() as session:
        open_one(session, calendar_id, "second", "first")
        channels.stopped(session, "first", LATER)
        assert due(session) == []
        assert due(session, NOW + timedelta(days=6, seconds=1)) == [calendar_id]


def test_what_was_missed_is_found_once_an_hour(db: Database, calendar_id: int) -> None:
    """Such as a row that somebody has changed by hand."""
    with db.session() as session:
        session.execute(update(Channel).values(state=ChannelState.STOPPED))
        assert due(session) == []
    assert renewals.look_at_all(db, LATER) == 1
    with db.reading() as session:
        assert due(session) == [calendar_id]
    assert renewals.look_at_all(db, LATER) == 0


def test_no_pass_counts_the_calendars_that_cron_has_counted(db: Database, calendar_id: int) -> None:
    """In a company with so many that polls are stretched, each pass asks how far."""
    asked: list[str] = []
    event.listen(
        db.engine, "before_cursor_execute", lambda _c, _x, statement, *_: asked.append(statement)
    )
    with db.session() as session:
        account = session.query(Account).one()
        for number in range(9):
            calendars.add(session, account.id, f"room{number}", NOW)
        line = 1_440  # calls a day: with the share of polls less than one calendar each minute
        exact = budget.poll_minutes(session, 1, line, NOW)
        assert exact == pytest.approx(10 / 0.6)
        budget.count_calendars(session, line, NOW)
        asked.clear()
        assert budget.poll_minutes(session, 1, line, NOW) == exact
        budget.count_calendars(session, line, NOW)
        assert not any("count(" in statement.lower() for statement in asked)
        calendars.add(session, account.id, "one more", NOW)
        budget.count_calendars(session, line, LATER)
        assert budget.poll_minutes(session, 1, line, LATER) == pytest.approx(11 / 0.6)


@pytest.mark.parametrize("many", [0, 1, 7, 20, 100])
def test_the_database_finds_the_percentiles(db: Database, calendar_id: int, many: int) -> None:
    lags = [float(number * 37 % 101) for number in range(many)]
    with db.session() as session:
        session.add_all(
            Run(
                calendar_id=calendar_id, kind="delta", reason="push", started_at=NOW, lag_google=lag
            )
            for lag in lags
        )
        found = freshness.measured(session, LATER)
    assert found.count == many
    assert [found.p50, found.p95, found.p99] == [
        freshness.percentile(sorted(lags), share) for share in (0.50, 0.95, 0.99)
    ]


def test_a_calendar_that_is_made_new_is_looked_at(db: Database, calendar_id: int) -> None:
    with db.session() as session:
        session.get_one(Calendar, calendar_id).removed = True
        channels.retire_all(session, calendar_id, LATER)
        assert due(session) == []
        calendars.add(session, session.query(Account).one().id, ANN, LATER)
        assert due(session) == [calendar_id]
