"""The last of an installation: the files in its data directory, and its tables in a PostgreSQL."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import make_url, text

from watcher.ledger import tables
from watcher.ledger.backup import REPLACED
from watcher.ledger.db import Database
from watcher.settings import Settings

_KNOWN = ("secret.key", "up.lock", "valkey", "valkey.sock")
_ENDINGS = ("", "-wal", "-shm", ".migrate.lock")


def is_there(settings: Settings) -> bool:
    """Whether there is a ledger. Raises ``WatcherError`` when it cannot be opened."""
    db = Database(settings.ledger_url)
    try:
        return db.form()[0] is not None
    finally:
        db.dispose()


def files(settings: Settings) -> list[Path]:
    """What Watcher has made in its data directory, and an SQLite ledger elsewhere. Of the folder
    only names that Watcher gives are taken: it may hold what is not ours."""
    folder = settings.data_dir.resolve()
    ledger = make_url(settings.ledger_url)
    named = [folder / name for name in _KNOWN]
    if ledger.get_backend_name() == "sqlite" and ledger.database:
        path = Path(ledger.database).resolve()
        named += [path.with_name(path.name + ending) for ending in _ENDINGS]
    named += folder.glob(f"{REPLACED}*")  # what a restore has kept
    return sorted(path for path in named if path.exists())


def drop(settings: Settings) -> None:
    """Drop Watcher's tables in a database server; others' stay. Nothing for an SQLite file."""
    db = Database(settings.ledger_url)
    try:
        if not db.is_sqlite:
            with db.engine.begin() as connection:
                for name in sorted(tables.names()):
                    connection.execute(text(f'DROP TABLE IF EXISTS "{name}" CASCADE'))
    finally:
        db.dispose()


@dataclass(slots=True)
class Removed:
    """Files that are gone, and those that this user may not delete, with the system's word."""

    gone: list[Path] = field(default_factory=list)
    stay: dict[Path, str] = field(default_factory=dict)


def remove(settings: Settings, more: tuple[Path, ...]) -> Removed:
    """Delete the tables, then the files and ``more`` of them. The ledger goes first: without it a
    second run knows that only files are left. The file of the keys is often root's."""
    drop(settings)
    done = Removed()
    found = sorted({*files(settings), *(path for path in more if path.exists())}, key=_order)
    for path in found:
        try:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError as error:
            done.stay[path] = error.strerror or type(error).__name__
        else:
            done.gone.append(path)
    with suppress(OSError):  # it holds something else, or belongs to systemd
        settings.data_dir.resolve().rmdir()
    return done


def _order(path: Path) -> tuple[bool, str]:
    return "ledger" not in path.name, str(path)
