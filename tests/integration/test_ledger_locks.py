"""Who waits for whom in the ledger: SQLite has one writer at a time, and readers are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import bindparam, event, select, text, update
from sqlalchemy.orm import Session

from tests.company import ADMIN, ANN, Company
from tests.integration.test_cli_runner import run
from watcher.errors import ExitCode, LedgerAway
from watcher.handlers.admin import ADMIN as SIGNED_IN
from watcher.handlers.app import create_app
from watcher.jobs import timetable
from watcher.ledger import accounts, batches, budget, calendars, channels, inbox, overview, owing
from watcher.ledger.db import Database
from watcher.ledger.models import Account, Calendar, Usage
from watcher.ledger.prepared import Query
from watcher.ledger.quick import Ask, Row
from watcher.ledger.states import AccountState, ChannelState
from watcher.notices.tell import observe

NOW = datetime(2026, 11, 24, 9, 30, 15, tzinfo=UTC)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who would wait for a lock fails at once, also in the commands that are forked from here."""
    monkeypatch.setattr("watcher.ledger.db.BUSY_MS", 200)
    monkeypatch.setattr("watcher.ledger.server.STATEMENT_SECONDS", 2)


def add_calendars(db: Database, many: int) -> list[int]:
    with db.session() as session:
        account = accounts.add(
            session, email=ANN, source="service-account", state=AccountState.ACTIVE, now=NOW
        )
        return [calendars.add(session, account.id, f"c{n}", NOW).id for n in range(many)]


@contextmanager
def writer(db: Database) -> Iterator[None]:
    """Another process has written to every account and calendar and has not committed."""
    other = Database(db.engine.url.render_as_string(hide_password=False))
    with other.session() as session:
        session.execute(update(Account).values(cause="written and not committed"))
        session.execute(update(Calendar).values(message="written and not committed"))
        yield
        session.rollback()
    other.dispose()


@contextmanager
def counted(db: Database) -> Iterator[list[str]]:
    """The statements that are carried out meanwhile, other than looks outside of a transaction."""
    seen: list[str] = []
    write = db._quick.write

    def noted(act: Callable[[Ask], Any]) -> Any:
        def asked(ask: Ask, statement: Query, values: Mapping[str, Any]) -> Row | None:
            seen.append(str(statement))
            return ask(statement, values)

        return write(lambda ask: act(partial(asked, ask)))

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    db._quick.write = noted  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        db._quick.write = write  # type: ignore[method-assign]
        event.remove(db.engine, "before_cursor_execute", note)


# --- a transaction that only reads ------------------------------------------------------------


def change_a_row(session: Session) -> None:
    accounts.get(session, ANN).cause = "changed"


def change_all(session: Session) -> None:
    session.execute(update(Account).values(cause="changed"))


def add_one(session: Session) -> None:
    accounts.add(
        session, email="new@scoopjoy.test", source="oauth", state=AccountState.INVITED, now=NOW
    )


@pytest.mark.parametrize("write", [change_a_row, change_all, add_one])
def test_a_write_in_a_reading_transaction_fails_loudly(
    db: Database, write: Callable[[Session], None]
) -> None:
    add_calendars(db, 1)
    with pytest.raises(RuntimeError, match="no place for a write"), db.reading() as session:
        write(session)
    with db.reading() as session:
        assert [a.cause for a in accounts.everyone(session)] == [""]
    with db.session() as session:  # by the same connection: it is not read-only for ever
        change_all(session)
    with db.reading() as session:
        assert accounts.get(session, ANN).cause == "changed"


def test_a_reader_waits_for_no_writer(db: Database) -> None:
    add_calendars(db, 2)
    with writer(db), db.reading() as session:
        document = overview.status(db, session, NOW, {})
        assert document.accounts.active == 1
        assert accounts.get(session, ANN).cause == ""
    assert db.revision() is not None


def test_a_notification_waits_for_no_reader(company: Company) -> None:
    company.connect_at_rest()
    services, now = company.services, company.services.clock()
    other = Database(company.settings.ledger_url)
    with other.reading() as reader:
        overview.status(other, reader, now, {})
        before = reader.scalar(select(Calendar.dirty_seq))
        with services.db.session() as session:
            row = channels.live(session, company.calendar().id, now)
            assert row is not None
        message = inbox.Message(
            channel_id=row.id,
            token=company.google.channels.all[row.id].token or "",
            resource_id=row.resource_id or "",
            number=7,
        )
        verdict = inbox.record(services.db, message, now)
        assert verdict.word == "recorded"
        overview.status(other, reader, now, {})
    other.dispose()
    assert company.calendar().dirty_seq == (before or 0) + 1


@pytest.mark.parametrize(
    ("sent", "state", "status"),
    [
        ({}, "live", 204),
        ({"X-Goog-Channel-Token": "wrong"}, "live", 404),
        ({"X-Goog-Channel-ID": "nobody's"}, "live", 404),
        ({"X-Goog-Resource-ID": "another"}, "live", 404),
        ({}, "stopped", 204),
    ],
    ids=["coalesced", "wrong token", "unknown channel", "another resource", "retired"],
)
def test_a_notification_that_changes_nothing_waits_for_no_writer(
    company: Company, sent: dict[str, str], state: str, status: int
) -> None:
    """A burst, and whatever strangers send: each once queued up for the turn to write."""
    company.connect()
    services, now = company.services, company.services.clock()
    with services.db.session() as session:
        row = channels.live(session, company.calendar().id, now)
        assert row is not None
        row.state, row.heard_at = ChannelState(state), now
        calendars.note_rung(session, row.calendar_id, now)
        calendars.get(session, row.calendar_id).dirty_reason = "push"
    genuine = {
        "X-Goog-Channel-ID": row.id,
        "X-Goog-Channel-Token": company.google.channels.all[row.id].token or "",
        "X-Goog-Resource-ID": row.resource_id or "",
        "X-Goog-Resource-State": "exists",
    }
    client, before = create_app(services).test_client(), company.calendar().dirty_seq
    with writer(services.db), counted(services.db) as statements:
        answer = client.post("/webhooks/google", headers=genuine | sent)
    assert (answer.status_code, statements) == (status, [])
    assert company.calendar().dirty_seq == before


def cut_off(db: Database) -> None:
    """The server ends all connections but one of the pool, and is there again."""
    if db.is_sqlite:
        return
    with db.engine.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )


def test_looking_at_one_row_waits_for_no_writer_and_outlives_a_broken_connection(
    db: Database,
) -> None:
    add_calendars(db, 1)
    query = select(Account.cause).where(Account.email == bindparam("email"))
    assert db.glance(query, {"email": "nobody@scoopjoy.test"}) is None
    cut_off(db)
    with writer(db):
        assert db.glance(query, {"email": ANN}) == ("",)


SET = update(Account).values(cause=bindparam("to")).returning(Account.id)


def said(db: Database) -> str:
    with db.reading() as session:
        return accounts.get(session, ANN).cause


def test_what_is_written_at_once_is_there_when_it_returns_or_not_at_all(db: Database) -> None:
    add_calendars(db, 1)

    def fails(ask: Ask) -> None:
        ask(SET, {"to": "half of it"})
        raise RuntimeError

    for word in ("one", "two"):
        assert db.at_once(lambda ask, to=word: ask(SET, {"to": to})) == (1,)  # type: ignore[misc]
        with pytest.raises(RuntimeError):
            db.at_once(fails)
        assert said(db) == word
    cut_off(db)
    times: list[Ask] = []

    def again(ask: Ask) -> Row | None:
        times.append(ask)
        return ask(SET, {"to": "three"})

    assert db.at_once(again) == (1,)
    assert (said(db), len(times) <= 2) == ("three", True)


def test_what_is_written_at_once_waits_for_its_turn_and_says_when_it_got_none(
    db: Database,
) -> None:
    add_calendars(db, 1)
    with writer(db), pytest.raises(LedgerAway):
        db.at_once(lambda ask: ask(SET, {"to": "too soon"}))
    assert db.at_once(lambda ask: ask(SET, {"to": "now"})) == (1,)
    assert said(db) == "now"


READING = [
    ("status",),
    ("accounts", "list"),
    ("accounts", "show", ANN),
    ("calendars", "list"),
    ("channels", "list"),
    ("tokens", "list"),
    ("keys", "list"),
    ("queue", "show"),
    ("notify", "list"),
]


def test_commands_that_only_look_wait_for_nobody(company: Company) -> None:
    company.connect_at_rest()
    with writer(company.services.db):
        for words in READING:
            # Nothing of Watcher runs here, and status says so.
            code = ExitCode.UNHEALTHY if words == ("status",) else ExitCode.OK
            assert "ledger" not in run(company, *words, code=code).err


def test_pages_that_only_look_wait_for_nobody(company: Company) -> None:
    company.connect_at_rest()
    with create_app(company.services).test_client() as browser:
        with browser.session_transaction() as cookie:
            cookie[SIGNED_IN] = ADMIN
        with writer(company.services.db):
            assert "watcher_healthy" in browser.get("/metrics").text
            assert ANN in browser.get("/").text


def test_the_sweep_s_look_waits_for_nobody(company: Company) -> None:
    company.connect_at_rest()
    with writer(company.services.db):
        assert timetable.sweep(company.services) == 0
    assert observe(company.services) is not None


# --- much at once -----------------------------------------------------------------------------


@pytest.mark.parametrize("owe", [owing.owe_looks, owing.owe_listings, owing.owe_now])
def test_many_calendars_cost_as_many_statements_as_one(
    db: Database, owe: Callable[[Session, list[int], str, datetime], list[int]]
) -> None:
    ids = add_calendars(db, 40)
    figures = []
    for some in (ids[:1], ids):
        with counted(db) as seen, db.session() as session:
            assert owe(session, list(reversed(some)), "poll", NOW) == some
        figures.append(len(seen))
    assert figures[0] == figures[1]
    with db.reading() as session:
        rows = [calendars.get(session, number) for number in ids]
    snapshots = 0 if owe is owing.owe_looks else 1
    assert [row.dirty_seq for row in rows] == [2] + [1] * 39
    assert [row.snapshot_seq for row in rows] == [2 * snapshots] + [snapshots] * 39
    assert {(row.dirty_reason, row.dirty_at) for row in rows} == {("poll", NOW)}


def test_a_start_has_each_active_calendar_owe_a_look(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owing, "BATCH", 10)
    ids = add_calendars(db, 25)
    with db.session() as session:
        owing.owe_looks(session, [ids[3]], "push", NOW - timedelta(hours=1))
        calendars.get(session, ids[4]).removed = True
    assert owing.owe_all(db, "restart", NOW) == 24
    with db.reading() as session:
        owed = [calendars.get(session, number) for number in ids]
    assert [row.dirty_seq for row in owed] == [1, 1, 1, 2, 0] + [1] * 20
    assert owed[3].dirty_at == NOW - timedelta(hours=1)


def test_a_consent_is_for_the_sweep_that_was_shown(db: Database) -> None:
    shown, other = add_calendars(db, 2)
    with db.session() as session:
        calendars.note_shown(session, shown, 7)
        owing.owe_now(session, [shown, other], "resync", NOW)
        owing.allow_sweeps(session, [shown, other], NOW)
    with db.reading() as session:
        assert calendars.get(session, shown).sweep_allowed == 7
        assert calendars.get(session, other).sweep_allowed is None


def test_what_is_forgotten_goes_piece_by_piece(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH", 10)
    with db.session() as session:
        for n in range(25):
            session.add(Usage(bucket=f"minute:{n}", calls=1, expires_at=NOW - timedelta(days=1)))
        session.add(Usage(bucket="day:x", calls=1, expires_at=NOW + timedelta(days=1)))
    commits: list[object] = []
    event.listen(db.engine, "commit", commits.append)
    budget.prune(db, NOW)
    assert len(commits) == 3
    with db.reading() as session:
        assert list(session.scalars(select(Usage.bucket))) == ["day:x"]
