"""A token store over SQLite, as several processes would share one."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from watcher.google.grants import Grant
from watcher.google.refresh import Fresh


class SqliteTokens:
    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(
                "CREATE TABLE IF NOT EXISTS grants (id INTEGER PRIMARY KEY, source, email,"
                " refresh, access, expires REAL, claimed REAL DEFAULT 0, dead DEFAULT '')"
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self._path, timeout=10, isolation_level=None)
        try:
            yield db
        finally:
            db.close()

    def add(
        self,
        account_id: int,
        *,
        source: str = "oauth",
        refresh: str | None = "1//refresh-secret",
        access: str | None = None,
        expires_at: datetime | None = None,
    ) -> None:
        stamp = expires_at.timestamp() if expires_at else None
        row = (account_id, source, "ann@example.com", refresh, access, stamp)
        with self._open() as db:
            db.execute("INSERT OR REPLACE INTO grants VALUES (?, ?, ?, ?, ?, ?, 0, '')", row)

    def grant(self, account_id: int) -> Grant:
        with self._open() as db:
            row: tuple[Any, ...] = db.execute(
                "SELECT source, email, refresh, access, expires, dead FROM grants WHERE id = ?",
                (account_id,),
            ).fetchone()
        expires_at = None if row[4] is None else datetime.fromtimestamp(row[4], UTC)
        return Grant(
            source=row[0],
            email=row[1],
            refresh_token=row[2],
            access_token=row[3],
            expires_at=expires_at,
            dead=row[5],
        )

    def access_token(self, account_id: int) -> str | None:
        return self.grant(account_id).access_token

    def keep(self, account_id: int, used: Grant, fresh: Fresh) -> bool:
        with self._open() as db:
            done = db.execute(
                "UPDATE grants SET access = ?, expires = ?, refresh = coalesce(?, refresh)"
                " WHERE id = ? AND refresh IS ?",
                (
                    fresh.access_token,
                    fresh.expires_at.timestamp(),
                    fresh.refresh_token,
                    account_id,
                    used.refresh_token,
                ),
            )
            return done.rowcount == 1

    def bury(self, account_id: int, tried: Grant, cause: str, now: datetime) -> bool:
        with self._open() as db:
            done = db.execute(
                "UPDATE grants SET access = NULL, dead = ? WHERE id = ? AND refresh IS ?",
                (cause, account_id, tried.refresh_token),
            )
            return done.rowcount == 1

    def note_dead(self, email: str, refresh_token: str) -> None:
        raise NotImplementedError

    def claim_refresh(self, account_id: int, seconds: float) -> bool:
        now = time.time()
        with self._open() as db:
            done = db.execute(
                "UPDATE grants SET claimed = ? WHERE id = ? AND claimed < ?",
                (now + seconds, account_id, now),
            )
            return done.rowcount == 1

    def release_refresh(self, account_id: int) -> None:
        with self._open() as db:
            db.execute("UPDATE grants SET claimed = 0 WHERE id = ?", (account_id,))
