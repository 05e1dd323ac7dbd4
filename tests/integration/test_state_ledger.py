"""The ledger itself: migrations, times, secrets at rest, the budget, what is forgotten."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, inspect, text
from sqlalchemy.exc import StatementError

from tests.company import ANN, Company
from watcher.errors import ExitCode, Transient, UserError, WatcherError
from watcher.google.refresh import Fresh
from watcher.ledger import accounts, budget, calendars, debts, heard, leases, runs
from watcher.ledger.accounts import LedgerTokens
from watcher.ledger.db import REVISIONS, Database
from watcher.ledger.migrations import run
from watcher.ledger.models import (
    Account,
    Base,
    Calendar,
    Channel,
    Fact,
    Invitation,
    OAuthFlow,
    Run,
    Usage,
)
from watcher.ledger.secrets import Keyring, SecretUnreadable
from watcher.ledger.states import AccountState

NOW = datetime(2026, 11, 24, 9, 30, 15, 123456, tzinfo=UTC)
OLD_KEY, NEW_KEY = "old-key-of-the-tests-0123456789abc", "new-key-of-the-tests-0123456789abc"
MIGRATE = "import sys; from watcher.ledger.db import Database; Database(sys.argv[1]).migrate()"
REFRESH_TOKEN = "1//refresh-token-that-nobody-may-read"


def add_account(db: Database, email: str = ANN) -> int:
    with db.session() as session:
        account = accounts.add(
            session, email=email, source="service-account", state=AccountState.ACTIVE, now=NOW
        )
        return account.id


def add_calendar(db: Database, account_id: int) -> int:
    with db.session() as session:
        return calendars.add(session, account_id, ANN, NOW).id


# --- migrations -------------------------------------------------------------------------------


def test_migrations_make_exactly_the_models(db: Database) -> None:
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    assert set(inspect(db.engine).get_table_names()) == {*Base.metadata.tables, "alembic_version"}


def test_the_files_of_migrations_are_named_as_alembic_orders_them() -> None:
    known = ScriptDirectory.from_config(run.config()).walk_revisions()
    assert [script.revision for script in known] == REVISIONS[::-1]


def test_several_processes_migrate_one_empty_ledger(empty_url: str) -> None:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("WATCHER_")}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE, empty_url],
            env=environ,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in started:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    ledger = Database(empty_url)
    assert ledger.revision() is not None
    ledger.migrate()  # and again: nothing to do
    ledger.dispose()


def test_a_new_file_that_another_is_just_writing_to_is_waited_for(tmp_path: Path) -> None:
    """Several processes begin at once: the switch to WAL is refused without waiting for a lock."""
    path = tmp_path / "ledger.sqlite3"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE theirs (n)")
    other.execute("BEGIN IMMEDIATE")
    ends = threading.Timer(0.5, other.execute, ["COMMIT"])
    ends.start()
    ledger = Database(f"sqlite:///{path}")
    ledger.migrate()
    ends.join()
    other.close()
    with ledger.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
    ledger.dispose()


def test_a_newer_ledger_is_refused_and_left_alone(db: Database) -> None:
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(UserError, match="newer Watcher") as refused:
        db.migrate()
    assert refused.value.next_step
    assert db.revision() == "9999"


# --- times and transactions -------------------------------------------------------------------


def test_times_come_back_as_they_went_in(db: Database) -> None:
    number = add_account(db)
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    with db.session() as session:
        session.get_one(Account, number).since = elsewhere
    with db.session() as session:
        since = session.get_one(Account, number).since
        assert since == NOW
        assert since.utcoffset() == timedelta(0)
        assert session.query(Account).filter(Account.since < NOW).count() == 0
        assert session.query(Account).filter(Account.since <= elsewhere).count() == 1


def test_a_naive_time_is_refused(db: Database) -> None:
    number = add_account(db)
    with pytest.raises(StatementError, match="aware"), db.session() as session:
        session.get_one(Account, number).since = NOW.replace(tzinfo=None)


def test_a_transaction_is_whole_or_not_at_all(db: Database) -> None:
    def breaks_off() -> None:
        with db.session() as session:
            accounts.add(session, email=ANN, source="oauth", state=AccountState.INVITED, now=NOW)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        breaks_off()
    with db.session() as session:
        assert accounts.find(session, ANN) is None


def test_the_database_says_what_time_it_is(db: Database) -> None:
    with db.session() as session:
        assert abs(db.now_epoch(session) - datetime.now(UTC).timestamp()) < 5


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_statement_that_waits_for_ever_is_given_up(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody's forgotten transaction must not hold all threads of the web server."""
    monkeypatch.setattr("watcher.ledger.server.STATEMENT_SECONDS", 1)
    ledger = Database(database_url)
    ledger.migrate()
    with ledger.session() as holder:
        holder.execute(text("LOCK TABLE accounts"))
        with pytest.raises(Transient, match="took too long"), ledger.session() as session:
            accounts.everyone(session)
    with ledger.session() as session:
        assert accounts.everyone(session) == []
    ledger.dispose()


def test_a_ledger_out_of_reach_is_said_without_its_password() -> None:
    ledger = Database("postgresql+psycopg://watcher:secret-of-the-database@127.0.0.1:1/none")
    with pytest.raises(WatcherError, match="cannot open the ledger") as failed:
        ledger.migrate()
    assert failed.value.exit_code == ExitCode.UNAVAILABLE
    for shown in (repr(failed.value), failed.value.message, repr(ledger)):
        assert "secret-of-the-database" not in shown


# --- secrets ----------------------------------------------------------------------------------


def sealed(db: Database, ring: Keyring) -> int:
    number = add_account(db)
    store = LedgerTokens(db, ring)
    fresh = Fresh(access_token="ya29.access", expires_at=NOW, refresh_token=REFRESH_TOKEN)
    assert store.keep(number, store.grant(number), fresh)
    return number


def test_secrets_are_not_readable_in_the_ledger(db: Database) -> None:
    sealed(db, Keyring([OLD_KEY]))
    with db.engine.connect() as connection:
        held = repr([list(row) for row in connection.execute(text("SELECT * FROM accounts"))])
    assert ANN in held
    assert "refresh-token-that-nobody" not in held
    assert "ya29" not in held
    if db.is_sqlite:
        path = db.engine.url.database or ""
        raw = b"".join(Path(each).read_bytes() for each in (path, f"{path}-wal"))
        assert ANN.encode() in raw
        assert b"refresh-token-that-nobody" not in raw


def test_an_old_key_still_opens_and_a_lost_one_is_named(db: Database) -> None:
    number = sealed(db, Keyring([OLD_KEY]))
    opened = LedgerTokens(db, Keyring([NEW_KEY, OLD_KEY])).grant(number)
    assert opened.refresh_token == REFRESH_TOKEN
    with pytest.raises(SecretUnreadable) as lost:
        LedgerTokens(db, Keyring([NEW_KEY])).grant(number)
    assert Keyring([OLD_KEY]).first in lost.value.message
    assert REFRESH_TOKEN not in lost.value.message


def test_a_secret_moved_to_another_row_does_not_open(db: Database) -> None:
    ring = Keyring([OLD_KEY])
    number = sealed(db, ring)
    other = add_account(db, "bob@scoopjoy.test")
    with db.session() as session:
        session.get_one(Account, other).refresh_token = session.get_one(
            Account, number
        ).refresh_token
    with pytest.raises(SecretUnreadable):
        LedgerTokens(db, ring).grant(other)


def test_nothing_secret_is_shown(db: Database) -> None:
    ring = Keyring([OLD_KEY])
    grant = LedgerTokens(db, ring).grant(sealed(db, ring))
    with db.session() as session:
        shown = f"{accounts.get(session, ANN)!r} {ring!r} {grant!r} {db!r}"
    for secret in (OLD_KEY, REFRESH_TOKEN, "ya29"):
        assert secret not in shown


# --- leases, budget, forgetting ---------------------------------------------------------------


def test_a_named_lease_has_one_owner_at_a_time(db: Database) -> None:
    def take(owner: str, seconds: float = 30.0) -> bool:
        with db.session() as session:
            return leases.take(db, session, "cron", owner, seconds)

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(take, ["a", "b", "c", "d"]))
    assert won.count(True) == 1
    owner = "abcd"[won.index(True)]
    assert take(owner), "its owner may prolong it"
    with db.session() as session:
        leases.drop(session, "cron", "somebody else")
    assert not take("e")
    with db.session() as session:
        leases.drop(session, "cron", owner)
    assert take("e", -1.0)
    assert take("f"), "it has lapsed"


def test_the_budget_keeps_room_for_pushes(db: Database) -> None:
    number = add_account(db)
    minute = int(NOW.timestamp()) // 60
    with db.session() as session:
        for bucket, calls in ((f"minute:{minute}", 6_500), (f"minute:{minute}:{number}", 3)):
            session.add(Usage(bucket=bucket, calls=calls, expires_at=NOW + timedelta(hours=1)))
    for purpose in ("backfill", "poll"):
        with pytest.raises(Transient, match="project's share") as refused:
            budget.spend(db, number, purpose, NOW)
        assert refused.value.side == "google"
        assert 44 < (refused.value.retry_after or 0) < 46, "until the next minute begins"
    budget.spend(db, number, "push", NOW)
    budget.spend(db, number, "poll", NOW + timedelta(minutes=1))


def test_a_call_that_is_refused_is_not_counted(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else bulk work that goes on asking would use up what is kept for pushes."""
    number, other = add_account(db), add_account(db, "bob@scoopjoy.test")
    monkeypatch.setattr(budget, "PROJECT_PER_MINUTE", {"push": 9, "poll": 6, "backfill": 4})
    monkeypatch.setattr(budget, "ACCOUNT_PER_MINUTE", {"push": 8, "poll": 3, "backfill": 3})
    refused = 0
    for asker in [number] * 6 + [other] * 6:
        try:
            budget.spend(db, asker, "backfill", NOW)
        except Transient:
            refused += 1
    assert refused == 8, "three of one account, one of the other up to the project's four"
    with db.session() as session:
        assert budget.today(session, NOW) == 4
    for _ in range(5):
        budget.spend(db, number, "push", NOW)
    with pytest.raises(Transient, match="project's share"):
        budget.spend(db, number, "push", NOW)


def test_one_account_cannot_use_more_than_google_gives_a_user(db: Database) -> None:
    number, other = add_account(db), add_account(db, "bob@scoopjoy.test")
    minute = int(NOW.timestamp()) // 60
    with db.session() as session:
        session.add(
            Usage(
                bucket=f"minute:{minute}:{number}", calls=599, expires_at=NOW + timedelta(hours=1)
            )
        )
    with pytest.raises(Transient, match="account's share"):
        budget.spend(db, number, "push", NOW)
    budget.spend(db, other, "backfill", NOW)


def test_a_call_of_google_costs_one_statement(db: Database) -> None:
    sent: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *given: sent.append(given[2]))
    budget.spend(db, 1, "push", NOW)
    assert sum("usage" in statement for statement in sent) == 1


def test_calls_of_all_processes_are_counted(db: Database) -> None:
    number = add_account(db)

    def some(_: int) -> None:
        for _ in range(5):
            budget.spend(db, number, "push", NOW)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(some, range(4)))
    with db.session() as session:
        assert budget.today(session, NOW) == 20
        assert budget.today(session, NOW + timedelta(days=1)) == 0
        assert budget.forecast(session, NOW) == int(20 * 86_400 / (9.5 * 3600 + 15.123456))


def test_polls_of_a_large_fleet_stay_below_the_billing_line(db: Database) -> None:
    with db.session() as session:
        assert budget.poll_minutes(session, 30, budget.DAY_LINE, NOW) == 30
        account = accounts.add(
            session, email=ANN, source="oauth", state=AccountState.ACTIVE, now=NOW
        )
        session.add_all(
            Calendar(account_id=account.id, google_id=str(n), since=NOW) for n in range(1_000)
        )
        session.flush()
        minutes = budget.poll_minutes(session, 1, budget.DAY_LINE, NOW)
        assert 1_000 * 1_440 / minutes <= budget.DAY_LINE * 0.6 + 1
        assert budget.poll_minutes(session, 30, 20_000, NOW) == 30 * 4, "the line is a setting"


def test_polls_make_room_when_the_days_calls_near_the_line(db: Database) -> None:
    for _ in range(20):
        budget.spend(db, 1, "push", NOW)
    with db.session() as session:
        expected = budget.forecast(session, NOW)
        assert budget.poll_minutes(session, 30, expected * 2, NOW) == 30
        stretched = budget.poll_minutes(session, 30, expected // 2, NOW)
        assert stretched == pytest.approx(30 * 2 / 0.9, rel=0.05)


def test_no_pass_counts_the_calendars_of_a_company(db: Database) -> None:
    """Each pass asks for the interval: the whole table is counted only where it may matter."""
    asked: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    with db.session() as session:
        budget.poll_minutes(session, 30, budget.DAY_LINE, NOW)
    assert not any("count(" in statement.lower() for statement in asked)


def test_what_is_over_is_not_kept_for_ever(db: Database) -> None:
    """Closed channels, spent invitations, grants that died: each only as long as it is of use."""
    account = add_account(db)
    number = add_calendar(db, account)
    with db.session() as session:
        for days in (5, 40):
            at = NOW - timedelta(days=days)
            session.add(Invitation(id=f"i{days}", account_id=account, created_at=at, expires_at=at))
            session.add(Fact(name=f"dead_grant:{days}", value="", learned_at=at))
            session.add(Fact(name=f"site:{days}", value="", learned_at=at))
            for state, closed in (("stopped", at), ("live", None)):
                session.add(
                    Channel(
                        id=f"{state}{days}",
                        calendar_id=number,
                        token_hash="t",
                        state=state,
                        requested_at=at,
                        closed_at=closed,
                    )
                )

    def left() -> tuple[set[str], set[str], set[str]]:
        runs.prune(db, NOW)
        with db.session() as session:
            facts = {fact.name for fact in session.query(Fact)}
            return (
                {invitation.id for invitation in session.query(Invitation)},
                {channel.id for channel in session.query(Channel)},
                facts - {"site:5", "site:40"},
            )

    with db.session() as session:
        row = session.get_one(Account, account)
        row.source, row.state = "erpnext", AccountState.NEEDS_RECONNECT
    kept = ({"i5"}, {"stopped5", "live5", "live40"})
    assert left() == (*kept, {"dead_grant:5", "dead_grant:40"}), "Frappe may still hold that token"
    with db.session() as session:
        session.get_one(Account, account).state = AccountState.ACTIVE
    assert left() == (*kept, {"dead_grant:5"})


def test_the_diary_of_a_large_company_is_bounded(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passes that found nothing are kept for a day, all others for two weeks, and of very many the
    newest."""
    number = add_calendar(db, add_account(db))
    kinds = {"nothing": (0, 0, ""), "found": (1, 0, ""), "refused": (0, 1, ""), "bad": (0, 0, "e")}
    with db.session() as session:
        for hours in (48, 1):
            for name, (items, refused, error) in kinds.items():
                run = Run(
                    calendar_id=number,
                    kind="delta",
                    reason=name,
                    started_at=NOW - timedelta(hours=hours),
                    items=items,
                    refused=refused,
                    error=error,
                )
                runs.add(session, [run])

    def left() -> list[tuple[str, float]]:
        with db.session() as session:
            found = session.query(Run).order_by(Run.id)
            return [(each.reason, (NOW - each.started_at) / timedelta(hours=1)) for each in found]

    assert runs.prune(db, NOW) == 1
    late = [("found", 48), ("refused", 48), ("bad", 48)]
    assert left() == [*late, *((name, 1) for name in kinds)]
    monkeypatch.setattr(runs, "MOST_RUNS", 5)
    assert runs.prune(db, NOW) == 2
    assert left() == [("bad", 48), *((name, 1) for name in kinds)]


def test_what_is_old_is_forgotten_and_the_rest_kept(db: Database) -> None:
    number = add_calendar(db, add_account(db))
    with db.session() as session:
        for days in (0, 13, 15, 400):
            run = Run(
                calendar_id=number,
                kind="delta",
                reason="push",
                started_at=NOW - timedelta(days=days),
                items=1,
                error="",
            )
            runs.add(session, [run])
        for minutes, name in ((10, "fresh"), (90, "stale")):
            session.add(
                OAuthFlow(
                    state_hash=name,
                    browser_hash="b",
                    purpose="connect",
                    verifier=b"v",
                    nonce="n",
                    created_at=NOW - timedelta(minutes=minutes),
                )
            )
        session.add(Usage(bucket="minute:1", calls=1, expires_at=NOW - timedelta(minutes=1)))
        session.add(Usage(bucket="day:x", calls=1, expires_at=NOW + timedelta(days=1)))
    assert runs.prune(db, NOW) == 2
    budget.prune(db, NOW)
    with db.session() as session:
        assert session.query(Run).count() == 2
        assert [flow.state_hash for flow in session.query(OAuthFlow)] == ["fresh"]
        assert [usage.bucket for usage in session.query(Usage)] == ["day:x"]


def test_the_end_of_a_pass_learns_all_by_one_question(company: Company) -> None:
    """What it asks together is what each question of its own would be answered."""
    company.connect_at_rest()
    now = company.services.clock()
    with company.services.db.session() as session:
        calendar = company.calendar()
        found = debts.as_found(session, calendar.id, now)
        assert heard.tells(found, None)
        assert heard.tells(found, None) == heard.is_watched(session, calendar.id, None, now)
        late = now + timedelta(days=99)
        assert not heard.tells(debts.as_found(session, calendar.id, late), None)
        assert found.spent == budget.today(session, now) > 0
        assert found.highest == calendar.id
        assert not found.is_away
        session.add(Fact(name="away:erpnext", value="1", learned_at=now))
        assert debts.as_found(session, calendar.id, now).is_away


def test_a_connection_is_told_when_it_may_write_and_when_not(db: Database) -> None:
    """The same one of the pool serves both kinds, by turns."""
    asked: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    for _ in range(2):
        for _ in range(2):
            with db.session() as session:
                runs.tick(session, "here", NOW)
        for _ in range(2):
            with (
                pytest.raises(RuntimeError, match="no place for a write"),
                db.reading() as session,
            ):
                runs.tick(session, "there", NOW)
    told = [statement for statement in asked if "query_only" in statement]
    if db.is_sqlite:
        assert [each.rpartition("=")[2] for each in told][-3:] == ["ON", "OFF", "ON"]
        assert len(told) <= 4
