"""Reading the audit trail: some rows of it, and all of them as a table for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from watcher.ledger.acts import What
from watcher.ledger.audit import Audit
from watcher.ledger.batches import BATCH
from watcher.ledger.db import Database

COLUMNS = ("at", "who", "what", "subject", "origin", "outcome", "cause", "figures")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """Which rows: with these letters in who did it and in what it is about, since then; ``what`` is
    a word of ``What``, or its part before the dot."""

    who: str = ""
    what: str = ""
    subject: str = ""
    since: datetime | None = None


def is_known(what: str) -> bool:
    """Whether the audit trail has such acts at all."""
    return any(what in (word.value, word.value.partition(".")[0]) for word in What)


def count(session: Session, chosen: Chosen) -> int:
    return session.scalar(select(func.count()).select_from(Audit).where(*_which(chosen))) or 0


def page(session: Session, chosen: Chosen, *, limit: int, offset: int = 0) -> list[Audit]:
    """The newest first."""
    rows = select(Audit).where(*_which(chosen)).order_by(Audit.id.desc())
    return list(session.scalars(rows.offset(offset).limit(limit)))


def _which(chosen: Chosen) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    for letters, column in ((chosen.who, Audit.who), (chosen.subject, Audit.subject)):
        if letters:
            found.append(func.lower(column).contains(letters.lower(), autoescape=True))
    if chosen.what:
        begins = Audit.what.startswith(f"{chosen.what}.", autoescape=True)
        found.append(or_(Audit.what == chosen.what, begins))
    if chosen.since is not None:
        found.append(Audit.at >= chosen.since)
    return found


def figures(row: Audit) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row.figures) if row.figures else {}
    return found


def as_json(row: Audit) -> dict[str, Any]:
    named = {name: getattr(row, name) for name in COLUMNS}
    return named | {"at": f"{row.at:%Y-%m-%dT%H:%M:%SZ}", "figures": figures(row)}


def as_csv(db: Database, chosen: Chosen, most: int | None = None) -> Iterator[str]:
    """A table for spreadsheets, the newest row first, in pieces; each piece is read in a
    transaction of its own, so that a slow reader keeps none open."""
    yield _lines([COLUMNS])
    last, left = None, most
    while left is None or left > 0:
        many = BATCH if left is None else min(BATCH, left)
        with db.reading() as session:
            rows = select(Audit).where(*_which(chosen)).order_by(Audit.id.desc()).limit(many)
            found = list(session.scalars(rows if last is None else rows.where(Audit.id < last)))
        if found:
            yield _lines([_cells(row) for row in found])
        if len(found) < many:
            return
        last, left = found[-1].id, None if left is None else left - many


def _cells(row: Audit) -> tuple[str, ...]:
    told = as_json(row) | {"figures": " ".join(f"{k}={v}" for k, v in figures(row).items())}
    return tuple(_harmless(str(told[name])) for name in COLUMNS)


def _harmless(cell: str) -> str:
    """A spreadsheet takes a cell that begins like a formula for one, and would run it: with an
    apostrophe in front it is text."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _lines(rows: list[tuple[str, ...]]) -> str:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue()
