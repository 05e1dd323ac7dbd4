"""The file of an SQLite ledger that is deleted, replaced, damaged or not there yet."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest
import requests

from tests.company import Company
from tests.integration.test_cli_runner import run
from tests.waiting import wait_for
from watcher.errors import Transient, WatcherError
from watcher.ledger import accounts
from watcher.ledger.db import Database


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """A file is what this is about; the folder is not there yet."""
    return f"sqlite:///{tmp_path / 'there' / 'data' / 'ledger.sqlite3'}"


def ledger_of(company: Company) -> Path:
    return company.folder / "there" / "data" / "ledger.sqlite3"


def test_a_command_makes_no_ledger_in_the_place_of_a_deleted_one(company: Company) -> None:
    """`status` once made a new, empty ledger there and said that all is healthy."""
    for file in ledger_of(company).parent.iterdir():
        file.unlink()
    for words in (
        ("status",),
        ("accounts", "list"),
        ("keys", "list"),
        ("worker",),
        ("cron",),
        ("web",),
    ):
        run(company, *words, code=6, says=("there is no ledger at", "watcher up"))
    assert not list(ledger_of(company).parent.iterdir())
    run(company, "init")
    run(company, "status", says=("Watcher",))


def test_an_empty_file_is_no_ledger(company: Company) -> None:
    ledger_of(company).write_bytes(b"")
    run(company, "status", code=6, says=("there is no ledger yet in",))


def test_a_running_web_server_notices_that_its_ledger_is_gone(company: Company) -> None:
    company.start("web", "--port", str(company.port))
    wait_for(company.web_is_up, what="the web server")
    kept = company.folder / "kept"
    shutil.move(ledger_of(company).parent, kept)
    gone = requests.get(f"{company.public_url}/readyz", timeout=10)
    assert gone.status_code == 503
    assert "is gone" in gone.json()["ledger"]
    assert not ledger_of(company).exists()
    shutil.move(kept, ledger_of(company).parent)
    wait_for(lambda: requests.get(f"{company.public_url}/readyz", timeout=10).ok, what="it is back")


def test_another_file_in_its_place_is_noticed(database_url: str) -> None:
    ledger = Database(database_url)
    ledger.migrate()
    with ledger.session() as session:
        assert accounts.everyone(session) == []
    path = Path(database_url.removeprefix("sqlite:///"))
    shutil.copy(path, f"{path}.copy")
    os.replace(f"{path}.copy", path)
    with pytest.raises(Transient, match="was replaced") as told, ledger.session():
        pass
    assert told.value.side == "ledger"
    assert told.value.next_step == "restart Watcher"
    ledger.dispose()


@pytest.mark.parametrize("how", ["garbage", "torn"])
def test_a_damaged_file_is_told_as_what_it_is(company: Company, how: str) -> None:
    path = ledger_of(company)
    company.services.db.dispose()
    if how == "garbage":
        path.write_bytes(b"nothing of a database " * 500)
    else:
        whole = path.read_bytes()
        path.write_bytes(whole[:4096] + os.urandom(len(whole) - 4096))
    run(company, "status", code=6, says=("is damaged", str(path), "backup"))
    with pytest.raises(WatcherError, match="is damaged"):
        company.services.db.migrate()
    with pytest.raises(Transient, match="is damaged"):
        company.services.db.examine()


def test_what_is_made_is_for_its_user_alone(database_url: str) -> None:
    before = os.umask(0o000)
    try:
        ledger = Database(database_url)
        ledger.migrate()
        with ledger.session() as session:
            accounts.everyone(session)
            made = list(Path(database_url.removeprefix("sqlite:///")).parent.iterdir())
        ledger.dispose()
    finally:
        os.umask(before)
    modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in made if path.exists()}
    assert set(modes.values()) == {"0o600"}, modes
    folder = made[0].parent
    for each in (folder, folder.parent):
        assert oct(stat.S_IMODE(each.stat().st_mode)) == "0o700"
