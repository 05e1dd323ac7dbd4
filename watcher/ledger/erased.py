"""Rows whose history was erased. ERPNext writes some of its logs later (errors for up to a quarter
of an hour, by its scheduler), so they are looked through again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from watcher.ledger.models import Erased

LOOKS = (timedelta(minutes=20), timedelta(hours=2), timedelta(hours=24))
"""After the erasing, and each after the one before."""


def note(session: Session, rows: Mapping[str, str], now: datetime) -> None:
    """``rows`` maps the names of rows to their keys. Told before they are erased, so that a kill in
    the middle is looked after as well."""
    session.add_all(
        Erased(row_name=name[:140], sync_key=key[:64], looks=0, due_at=now + LOOKS[0])
        for name, key in rows.items()
    )


def due(session: Session, now: datetime, most: int) -> list[Erased]:
    """Rows to look after now, the longest due first."""
    return list(
        session.scalars(
            select(Erased).where(Erased.due_at <= now).order_by(Erased.due_at).limit(most)
        )
    )


def looked(session: Session, ids: Collection[int], now: datetime) -> None:
    """They were looked after: they are due again later, or not any more."""
    for row in session.scalars(select(Erased).where(Erased.id.in_(ids))):
        row.looks += 1
        if row.looks < len(LOOKS):
            row.due_at = now + LOOKS[row.looks]
        else:
            session.delete(row)
