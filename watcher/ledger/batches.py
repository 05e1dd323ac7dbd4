"""Much at once, without keeping others from the ledger: SQLite has one writer at a time."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, select
from sqlalchemy.orm import InstrumentedAttribute

from watcher.ledger.db import Database

BATCH = 1_000


def delete_all(db: Database, key: InstrumentedAttribute[Any], which: ColumnElement[bool]) -> int:
    """Delete the rows of ``key``'s table that ``which`` names, each thousand in a transaction of
    its own; returns how many there were."""
    gone = 0
    while True:
        with db.session() as session:
            some = delete(key.class_).where(key.in_(select(key).where(which).limit(BATCH)))
            done = session.execute(some.execution_options(synchronize_session=False))
            count = cast("CursorResult[Any]", done).rowcount
        gone += count
        if count < BATCH:
            return gone
