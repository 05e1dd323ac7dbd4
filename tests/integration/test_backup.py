"""``watcher backup`` and ``watcher restore``, on both databases: what was copied comes back, what
it replaces is kept, and what cannot be restored leaves the ledger as it is."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import Mock

import pytest
from sqlalchemy import inspect
from sqlalchemy.exc import OperationalError

from tests.company import ANN, BOB, Company
from tests.integration.test_cli_runner import run
from watcher.errors import LedgerAway, UserError
from watcher.ledger import accounts, backup, presence, restored
from watcher.ledger.db import Database
from watcher.ledger.states import AccountState
from watcher.settings import load

pytestmark = pytest.mark.skipif(shutil.which("pg_dump") is None, reason="there is no pg_dump")
sqlite_alone = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
LATER = datetime(2030, 1, 1, tzinfo=UTC)


def test_a_data_directory_below_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As every installation has it that sets none."""
    monkeypatch.chdir(tmp_path)
    settings = load({"WATCHER_DATA_DIR": "watcher-data"}, tmp_path).settings
    db = Database(settings.ledger_url)
    db.migrate()
    db.dispose()
    made = backup.take(settings, tmp_path / "backups", datetime.now(UTC))
    assert made.file.is_file()


def test_no_room_for_a_ledger_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db = Database(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    full = OperationalError("CREATE TABLE", None, sqlite3.OperationalError("disk is full"))
    monkeypatch.setattr(db, "_migrate", Mock(side_effect=full))
    with pytest.raises(LedgerAway, match="the ledger did not answer: disk is full"):
        db.migrate()
    db.dispose()


@pytest.fixture
def ann(company: Company) -> Company:
    """Ann consented, Bob is mirrored by delegation, nothing is owed."""
    company.setup_erpnext()
    company.consented(ANN)
    company.add(BOB)
    for email in (ANN, BOB):
        assert company.sync(email) == "done"
    return company


def backed_up(company: Company) -> Path:
    done = run(company, "backup", str(company.folder / "backups"), "--json")
    file = Path(done.data["file"])
    assert file.stat().st_mode & 0o077 == 0, "its owner's alone"
    assert file.stat().st_size == done.data["bytes"]
    return file


def stopped(company: Company) -> None:
    """As when the service was stopped: no connection is open."""
    company.rebuild()


def test_what_was_copied_comes_back_and_what_it_replaces_is_kept(ann: Company) -> None:
    file = backed_up(ann)
    run(ann, "accounts", "disconnect", BOB, "--yes")
    with ann.services.db.session() as session:
        accounts.add(
            session,
            email="carla@scoopjoy.test",
            source="oauth",
            state=AccountState.INVITED,
            now=ann.services.clock(),
        )
    stopped(ann)
    done = run(ann, "restore", str(file), "--yes", "--json").data
    assert (done["accounts"], done["calendars"]) == (2, 2)
    assert done["active_again"] == [BOB], "an admin has to know of it"
    listed = [row["email"] for row in run(ann, "accounts", "list", "--json").data]
    assert listed == [ANN, BOB]
    for email in (ANN, BOB):
        calendar = ann.calendar(email)
        assert calendar.snapshot_seq == calendar.dirty_seq > calendar.synced_seq, "a full listing"
    assert ann.sync() == "done", "the keys still open what it holds"
    # The way back: what was there before is a backup like any other.
    stopped(ann)
    kept = Path(done["replaced"])
    assert kept.stat().st_mode & 0o077 == 0
    run(ann, "restore", str(kept), "--yes")
    assert ann.account(BOB).state == "disconnected"


def test_a_copy_is_whole_while_somebody_writes(ann: Company) -> None:
    stop, written = threading.Event(), [0]

    def write() -> None:
        while not stop.is_set():
            written[0] += 1
            email = f"e{written[0]}@scoopjoy.test"
            with ann.services.db.session() as session:
                now = ann.services.clock()
                state = AccountState.INVITED
                accounts.add(session, email=email, source="oauth", state=state, now=now)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while written[0] < 5:
            stop.wait(0.01)
        before = written[0] - 1
        made = backup.take(ann.settings, ann.folder / "backups", LATER)
    finally:
        stop.set()
        writer.join()
    stopped(ann)
    backup.put_back(ann.settings, made.file, LATER)
    with ann.services.db.session() as session:
        found = len(accounts.everyone(session)) - 2
    assert before <= found <= written[0]


def test_it_refuses_while_watcher_runs(ann: Company) -> None:
    file = backed_up(ann)
    with ann.services.db.session() as session:
        me = presence.Me(name="cron-1", kind="cron", host="here")
        presence.begin(session, me, ann.services.clock())
    says = ["Watcher is running (cron)", "stop it first"]
    run(ann, "restore", str(file), "--yes", code=2, says=says)
    later = ann.services.clock() + timedelta(seconds=100)
    assert restored.running(ann.settings, later) == []


def test_a_table_of_a_newer_version_is_not_in_the_way(ann: Company) -> None:
    """The way back from an upgrade, by the old program: it does not know the new tables."""
    file = backed_up(ann)
    with ann.services.db.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE of_the_future (id INTEGER)")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    stopped(ann)
    run(ann, "restore", str(file), "--yes")
    assert "of_the_future" not in tables(ann)
    assert ann.account().state == "active"


def tables(company: Company) -> list[str]:
    return inspect(company.services.db.engine).get_table_names()


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_restore_that_fails_leaves_the_ledger_as_it_was(ann: Company) -> None:
    """Somebody else's view needs a table; the transaction is rolled back as a whole."""
    file = backed_up(ann)
    broken = file.with_name("broken.dump")
    content = file.read_bytes()
    broken.write_bytes(content[: len(content) - 200])
    stopped(ann)
    run(ann, "restore", str(broken), "--yes", code=6, says=["pg_restore failed"])
    assert ann.account().state == "active"


@sqlite_alone
@pytest.mark.parametrize("spoiled", ["empty", "cut", "newer", "other"])
def test_what_is_no_backup_is_refused_before_anything_is_touched(
    ann: Company, spoiled: str
) -> None:
    file = backed_up(ann)
    if spoiled == "newer":
        db = Database(f"sqlite:///{file}")
        with db.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        db.dispose()
    elif spoiled == "cut":
        os.truncate(file, file.stat().st_size // 2)
    else:
        file.write_bytes(b"" if spoiled == "empty" else b"no ledger at all" * 100)
    done = run(ann, "restore", str(file), "--yes", code=2)
    assert str(file) in done.says.replace(" ", "") or file.name in done.says
    assert ann.account().state == "active"


@sqlite_alone
def test_the_keys_are_asked_for_before_anything_is_replaced(ann: Company) -> None:
    file = backed_up(ann)
    ann.environ["WATCHER_SECRET_KEYS"] = "another-key-of-forty-characters-0123456789"
    stopped(ann)
    run(ann, "restore", str(file), "--yes", code=2, says=["--keys-lost", "keys forget"])
    run(ann, "restore", str(file), "--yes", "--keys-lost")
    run(ann, "status", code=2, says=["keys forget"])


@sqlite_alone
def test_on_a_new_host_there_is_nothing_to_keep(ann: Company, tmp_path: Path) -> None:
    file = backed_up(ann)
    ann.environ |= {"WATCHER_DATABASE_URL": "", "WATCHER_DATA_DIR": str(tmp_path / "new")}
    stopped(ann)
    done = run(ann, "restore", str(file), "--yes", "--json").data
    assert done["replaced"] is None
    assert ann.account().state == "active"
    assert {path.name.partition("-")[0] for path in (tmp_path / "new").iterdir()} == {
        "ledger.sqlite3"
    }


@sqlite_alone
def test_who_is_not_the_services_user_restores_nothing(
    ann: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root's ledger the service could not open."""
    file = backed_up(ann)
    ann.environ["WATCHER_DATABASE_URL"] = ""
    (ann.folder / "data").mkdir(exist_ok=True)
    stopped(ann)
    monkeypatch.setattr(os, "geteuid", lambda: 4_711)
    with pytest.raises(UserError, match="is another user's") as refused:
        backup.put_back(ann.settings, file, LATER)
    assert "sudo -u" in refused.value.next_step


@sqlite_alone
def test_old_backups_go_and_nothing_else(ann: Company) -> None:
    folder = ann.folder / "backups"
    folder.mkdir()
    for name in ("ledger-20200101T000000Z.sqlite3", "ledger-notes.txt", "ledger.dump", "mine"):
        (folder / name).write_text("")
    done = run(ann, "backup", str(folder), "--json").data
    assert [Path(name).name for name in done["deleted"]] == ["ledger-20200101T000000Z.sqlite3"]
    assert {path.name for path in folder.iterdir()} == {
        "ledger-notes.txt",
        "ledger.dump",
        "mine",
        Path(done["file"]).name,
    }


def test_a_password_is_not_shown_to_other_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """Command lines are everybody's to read."""
    seen: list[tuple[list[str], dict[str, str]]] = []

    def run_tool(command: list[str], more: dict[str, str]) -> str:
        seen.append((command, more))
        raise UserError("enough")

    monkeypatch.setattr(backup, "_run", run_tool)
    url = "postgresql+psycopg://watcher:sesame@127.0.0.1/watcher?sslmode=require"
    settings = load({"WATCHER_DATABASE_URL": url}, Path("/nowhere")).settings
    with pytest.raises(UserError, match="enough"):
        backup.take(settings, Path(os.environ.get("TMPDIR", "/tmp")) / "w", LATER)
    ((command, more),) = seen
    assert "sesame" not in " ".join(command)
    assert "--dbname=postgresql://watcher@127.0.0.1/watcher?sslmode=require" in command
    assert more == {"PGPASSWORD": "sesame"}
