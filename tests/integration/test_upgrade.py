"""A ledger that Watcher 0.1.0 has made is carried over: nobody has to connect anew.

``tests/data/ledger-0.1.0.*.sql`` are dumps of two ledgers that 0.1.0 itself has written, one on
each database: Ann is connected by delegation, Bob by consent, Carl is invited; there are passes,
live channels, a refused event and a counter. Everybody in them is invented.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import func, make_url, select

from tests.company import ANN, BOB
from watcher.ledger import accounts, aside, calendars, channels, keys, overview, owing
from watcher.ledger.accounts import LedgerTokens
from watcher.ledger.db import Database
from watcher.ledger.models import Base, Counter, Invitation, Run, Tick
from watcher.ledger.secrets import Keyring

DATA = Path(__file__).parent.parent / "data"
KEY = "key-of-the-ledger-of-0.1.0-made-for-tests"
THEN = datetime(2026, 11, 30, 11, 40, tzinfo=UTC)
"""A few minutes after the dumps were made."""


@pytest.fixture
def old(empty_url: str) -> Database:
    """The ledger as 0.1.0 has left it."""
    if empty_url.startswith("sqlite"):
        path = make_url(empty_url).database
        assert path is not None
        with sqlite3.connect(path) as connection:
            connection.executescript((DATA / "ledger-0.1.0.sqlite.sql").read_text())
        connection.close()
    else:
        with psycopg.connect(empty_url.replace("+psycopg", "")) as server:
            server.execute((DATA / "ledger-0.1.0.postgresql.sql").read_bytes())
    return Database(empty_url)


def test_a_ledger_of_0_1_0_is_carried_over_whole(old: Database) -> None:
    assert old.revision() == "0002"
    old.migrate(make=False)
    with old.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    keyring = Keyring([KEY])
    keys.require_known(old, keyring)
    with old.reading() as session:
        everyone = {a.email: a for a in accounts.everyone(session)}
        states = {email: (a.source, a.state) for email, a in everyone.items()}
        assert states == {
            ANN: ("service-account", "active"),
            BOB: ("oauth", "active"),
            "carl@scoopjoy.test": ("oauth", "invited"),
        }
        for email in (ANN, BOB):
            (calendar,) = calendars.of_account(session, everyone[email].id)
            assert (calendar.google_id, calendar.state) == (email, "ok")
            assert calendar.sync_token
            assert calendar.dirty_seq == calendar.synced_seq > 0
            assert (calendar.sweep_shown, calendar.sweep_allowed) == (None, None)
            live = channels.live(session, calendar.id, THEN)
            assert live is not None
            assert live.resource_id
            assert (live.heard_at is None) == (live.last_message_at is None), "as before"
        assert session.scalar(select(func.count(Run.id))) == 6
        assert session.scalar(select(func.count(Invitation.id))) == 1
        assert session.get_one(Counter, "forged").value == 3
        assert session.get_one(Tick, "sweep").last_ok_at is not None
        ((refused, of, _),) = aside.everything(session)
        assert (refused.message, of.google_id) == ("ERPNext refused it", ANN)
        document = overview.status(old, session, THEN, {})
        assert document.accounts.active == 2
    tokens = LedgerTokens(old, keyring)
    assert tokens.grant(everyone[ANN].id).access_token
    assert tokens.grant(everyone[BOB].id).refresh_token
    old.dispose()


def test_a_ledger_of_0_1_0_goes_on_working(old: Database) -> None:
    """What the new code writes goes into the columns that the old rows lacked."""
    old.migrate(make=False)
    with old.session() as session:
        calendar = calendars.of_account(session, accounts.get(session, ANN).id)[0]
        calendars.note_shown(session, calendar.id, 3)
        owing.owe_listings(session, [calendar.id], "asked", THEN)
    with old.reading() as session:
        again = calendars.get(session, calendar.id)
        assert (again.sweep_shown, again.snapshot_seq) == (3, again.dirty_seq)
    old.dispose()
