"""What every pass asks and writes: Core statements over the tables, kept as constants.

A query of the ORM is put together anew each time, and its objects are made anew: of a pass over one
change that took more time than Google, ERPNext and the database together. A statement that is kept
is put into SQL once. It takes no note of objects of the ORM in the same session: what these have
changed is flushed before, and what the statement changes they do not show.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy import CursorResult, Executable, Table
from sqlalchemy.orm import Session

from watcher.ledger.base import Base


def table(model: type[Base]) -> Table:
    """The table itself: ``table(Calendar).c.id`` instead of the ORM's ``Calendar.id``."""
    return cast(Table, model.__table__)


def run(session: Session, statement: Executable, values: Mapping[str, Any]) -> CursorResult[Any]:
    """Carry out a kept statement within the transaction of ``session``."""
    session.flush()
    return session.connection().execute(statement, values)
