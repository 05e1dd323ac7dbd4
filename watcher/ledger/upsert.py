"""Insert a row, or change the one that is there: one statement, so that the database decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from watcher.ledger.models import Base


@dataclass(frozen=True, slots=True)
class Change:
    """What a row that is there already is changed to, and under which condition (None: always)."""

    values: dict[str, Any]
    only_if: ColumnElement[bool] | None = None


def insert_into(session: Session, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
    """The session's database's own INSERT, which can say what becomes of a row that is there."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    return sqlite.insert(table) if is_sqlite else postgresql.insert(table)


def upsert(session: Session, table: type[Base], row: dict[str, Any], change: Change) -> bool:
    """Insert ``row``; where its primary key is taken, make the change. False when that row does
    not meet the condition and stays as it is."""
    keys = list(inspect(table).primary_key)
    done = session.execute(
        insert_into(session, table)
        .values(row)
        .on_conflict_do_update(index_elements=keys, set_=change.values, where=change.only_if)
        .returning(*keys)
    )
    return done.one_or_none() is not None
