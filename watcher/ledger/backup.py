"""A copy of the ledger while it is in use, and a copy put back in its place.

SQLite is copied by its own online backup, PostgreSQL by ``pg_dump``: both see one moment, and keep
no writer waiting. The encryption keys are in neither.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import URL, inspect, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from watcher.errors import ExitCode, Transient, UserError, WatcherError
from watcher.given.files import as_owner, writing
from watcher.ledger.db import REVISIONS, Database
from watcher.ledger.secrets import key_of
from watcher.ledger.tables import VERSION_TABLE, names
from watcher.settings import Settings

SQLITE, DUMP = ".sqlite3", ".dump"
REPLACED = "ledger.replaced-"
"""How the name begins of what a restore has kept: such a file can be restored, too."""
PART = ".part"
"""The end of a file's name while it is being written: no such file is taken for a backup."""
TOOL_SECONDS = 3600.0
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Backup:
    """A file, its size, the ledger's revision in it, and the ids of the keys that its secrets were
    encrypted with (None where that takes a database to find out)."""

    file: Path
    size: int
    revision: str
    keys: tuple[str, ...] | None


def take(settings: Settings, folder: Path, now: datetime, *, word: str = "ledger") -> Backup:
    """Copy the ledger into ``folder``, readable by this user alone, and look whether the copy is
    whole. Raises ``WatcherError`` for a ledger that is not there, or a tool that is missing."""
    url = make_url(settings.ledger_url)
    ending = SQLITE if url.get_backend_name() == "sqlite" else DUMP
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / f"{word}-{now:%Y%m%dT%H%M%SZ}{ending}"
    part = file.with_name(file.name + PART)
    with writing(part):
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    try:
        if ending == SQLITE:
            _copy_file(Path(str(url.database)), part)
        else:
            _tool("pg_dump", url, "--format=custom", f"--file={part}")
        found = examine(part, ending)
        with part.open("rb") as handle:
            os.fsync(handle.fileno())
        part.rename(file)
    finally:
        part.unlink(missing_ok=True)
    return Backup(file, found.size, found.revision, found.keys)


def prune(folder: Path, days: int, now: datetime) -> list[Path]:
    """Delete backups of this folder that are older than ``days``, by the time in their names."""
    gone = []
    for file in sorted(folder.glob("ledger-*")):
        stamp = file.name.removeprefix("ledger-").partition(".")[0]
        try:
            taken = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            continue
        if (now - taken).total_seconds() > days * _DAY and file.suffix in (SQLITE, DUMP):
            file.unlink()
            gone.append(file)
    return gone


def examine(file: Path, ending: str | None = None) -> Backup:
    """Look whether a file is a whole backup of a ledger that this version knows.

    Raises ``UserError`` for what is none, or was written by a newer Watcher.
    """
    if not file.is_file():
        raise UserError(f"{file} is not a file", next_step="name a file that `watcher backup` made")
    if not os.access(file, os.R_OK):
        raise UserError(f"{file} is not for this user to read", next_step=as_owner(file))
    if (ending or file.suffix) == DUMP:
        listing = _run(["pg_restore", "--list", str(file)], {})
        if f"TABLE DATA public {VERSION_TABLE}" not in listing:
            raise UserError(f"{file} is no dump of a ledger")
        return Backup(file, file.stat().st_size, "", None)
    return _examine_sqlite(file)


def _examine_sqlite(file: Path) -> Backup:
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as copy:
            (word,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
            if word != "ok":
                raise UserError(f"{file} is damaged: {word}", next_step="take an older backup")
            (revision,) = copy.execute("SELECT version_num FROM alembic_version").fetchone()
            blobs = copy.execute(
                "SELECT refresh_token FROM accounts UNION SELECT access_token FROM accounts"
            ).fetchall()
    except sqlite3.DatabaseError:
        raise UserError(
            f"{file} is no backup of a ledger", next_step="name a file that `watcher backup` made"
        ) from None
    if revision not in REVISIONS:
        raise UserError(
            f"{file} was written by a newer Watcher (revision {revision})",
            next_step="install that version, then restore it",
        )
    found = sorted({key_of(blob) for (blob,) in blobs if blob is not None})
    return Backup(file, file.stat().st_size, revision, tuple(found))


def put_back(settings: Settings, file: Path, now: datetime) -> str:
    """Put a backup in the ledger's place. What is there now is kept, and where is returned; empty
    when there is nothing. Nobody may use the ledger meanwhile.

    Raises ``WatcherError``; then the ledger is as it was.
    """
    url = make_url(settings.ledger_url)
    is_file = url.get_backend_name() == "sqlite"
    ending = SQLITE if is_file else DUMP
    if file.suffix != ending:
        raise UserError(
            f"{file} is not for this ledger, whose backups end in {ending}",
            next_step="set WATCHER_DATABASE_URL to where the ledger is to be",
        )
    if is_file:
        _refuse_other_user(settings.data_dir.resolve())
        return _replace_file(Path(str(url.database)).resolve(), file, now)
    kept = _kept_dump(settings, now)
    _replace_tables(url, file)
    return kept


def _refuse_other_user(folder: Path) -> None:
    """What root makes in the service's folder the service could not open."""
    if folder.exists() and folder.stat().st_uid != os.geteuid():
        raise UserError(f"{folder} is another user's", next_step=as_owner(folder))


# --- SQLite -------------------------------------------------------------------------------------


def _copy_file(ledger: Path, part: Path) -> None:
    if not ledger.is_file():
        raise WatcherError(f"there is no ledger at {ledger}", exit_code=ExitCode.UNAVAILABLE)
    try:
        with (
            closing(
                sqlite3.connect(f"{ledger.resolve().as_uri()}?mode=ro", uri=True, timeout=30)
            ) as source,
            closing(sqlite3.connect(part)) as copy,
        ):
            source.backup(copy)  # in one step: several would begin anew at each write beside them
            # One file, and not a file and its log, is what people copy.
            copy.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.DatabaseError as error:
        raise Transient(f"the ledger {ledger} cannot be copied: {error}", side="ledger") from None


def _replace_file(ledger: Path, file: Path, now: datetime) -> str:
    """The copy is whole, and on the disk, before the old file gives up its name."""
    ledger.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(prefix=f"{ledger.name}.", suffix=PART, dir=ledger.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as into, file.open("rb") as source:
            shutil.copyfileobj(source, into)
            into.flush()
            os.fsync(into.fileno())
        kept = _set_aside(ledger, f"{REPLACED}{now:%Y%m%dT%H%M%SZ}{SQLITE}")
        part.rename(ledger)
    finally:
        part.unlink(missing_ok=True)
    return kept


def _set_aside(ledger: Path, name: str) -> str:
    """With its log, where the last process could not write that back into it."""
    kept = ledger.with_name(name)
    for part in ("-shm", "-wal", ""):
        old = ledger.with_name(ledger.name + part)
        if old.exists():
            old.rename(kept.with_name(kept.name + part))
    return str(kept) if kept.exists() else ""


# --- PostgreSQL ---------------------------------------------------------------------------------


def _kept_dump(settings: Settings, now: datetime) -> str:
    db = Database(settings.ledger_url)
    try:
        with db.engine.connect() as connection:
            if not inspect(connection).has_table(VERSION_TABLE):
                return ""
    except SQLAlchemyError:
        raise Transient("the ledger's database does not answer", side="ledger") from None
    finally:
        db.dispose()
    folder = settings.data_dir.resolve()
    return str(take(settings, folder, now, word=REPLACED.removesuffix("-")).file)


def _replace_tables(url: URL, file: Path) -> None:
    """In one transaction: drop what is there, then all that is in the dump."""
    with tempfile.TemporaryDirectory(prefix="watcher-restore-") as folder:
        drops, rest = Path(folder) / "drop.sql", Path(folder) / "restore.sql"
        drops.write_text("".join(f'DROP TABLE IF EXISTS "{n}" CASCADE;\n' for n in _tables(url)))
        plain = ["pg_restore", "--no-owner", "--no-privileges", f"--file={rest}", str(file)]
        _run(plain, {})
        files = ("--file", str(drops), "--file", str(rest))
        quiet = ("--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--single-transaction")
        _tool("psql", url, *quiet, "--output", os.devnull, *files)


def _tables(url: URL) -> list[str]:
    """Watcher's tables that are there. Of a newer Watcher's ledger all tables of this schema are
    taken: this version does not know their names, and they would be in the way of the next
    upgrade."""
    db = Database(url.render_as_string(hide_password=False))
    try:
        with db.engine.connect() as connection:
            there = inspect(connection).get_table_names()
            known = set(names())
            if VERSION_TABLE in there:
                found = connection.scalar(text("SELECT version_num FROM alembic_version"))
                known = known if found in REVISIONS else {*there}
    finally:
        db.dispose()
    return sorted(known & {*there})


def _tool(name: str, url: URL, *words: str) -> None:
    """One of PostgreSQL's programs on the ledger's database; the password goes by the environment,
    where no other user sees it."""
    password = {"PGPASSWORD": str(url.password)} if url.password is not None else {}
    named = URL.create(
        "postgresql",
        username=url.username,
        host=url.host,
        port=url.port,
        database=url.database,
        query=url.query,
    )
    _run([name, f"--dbname={named.render_as_string(hide_password=False)}", *words], password)


def _run(command: Sequence[str], more: dict[str, str]) -> str:
    """What it printed. Raises ``WatcherError`` with its own first words when it fails."""
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=TOOL_SECONDS,
        )
    except FileNotFoundError:
        raise UserError(
            f"{command[0]} is not installed here",
            next_step="install PostgreSQL's client programs (Debian: postgresql-client)",
        ) from None
    except subprocess.TimeoutExpired:
        raise Transient(f"{command[0]} took longer than an hour", side="ledger") from None
    if done.returncode:
        words = _first_words(done.stderr.splitlines())
        raise WatcherError(f"{command[0]} failed: {words}", exit_code=ExitCode.UNAVAILABLE)
    return done.stdout


def _first_words(lines: Iterable[str]) -> str:
    said = [line.strip() for line in lines if line.strip() and "NOTICE:" not in line]
    errors = [line for line in said if "error" in line.lower()]
    return next(iter([*errors, *said]), "it said nothing")
