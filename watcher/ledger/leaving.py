"""Events that an admin leaves aside: he knows that ERPNext does not have them, and is not told of
them any more, nor are they tried again. When ERPNext refuses one of them for another reason, or
Google changes it, that ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from watcher.ledger.aside import CAUSE, URGENT, of_mirrored
from watcher.ledger.models import Account, Quarantined


@dataclass(frozen=True, kw_only=True, slots=True)
class Which:
    """Events that stand aside: those of one ``cause``, of one account (``email``), of one id; all
    where nothing is said."""

    cause: str = ""
    email: str = ""
    event_id: str = ""

    def __str__(self) -> str:
        return " ".join(each for each in (self.email, self.event_id, self.cause) if each)

    def conditions(self) -> Sequence[ColumnElement[bool]]:
        named = (
            (CAUSE, self.cause),
            (Account.email, self.email.strip().lower()),
            (Quarantined.event_id, self.event_id),
        )
        return [column == value for column, value in named if value]


def leave(session: Session, which: Which, now: datetime) -> int:
    """Returns how many. What should be gone from ERPNext and still stands there is not left: people
    have to hear of that."""
    ids = of_mirrored(select(Quarantined.id)).where(
        *which.conditions(), Quarantined.left_at.is_(None), Quarantined.kind.not_in(URGENT)
    )
    return _set(session, session.scalars(ids).all(), now)


def take_up(session: Session, which: Which) -> list[int]:
    """They count again. Returns the ids of their calendars, which are to be listed."""
    rows = session.execute(
        of_mirrored(select(Quarantined.id, Quarantined.calendar_id)).where(
            *which.conditions(), Quarantined.left_at.is_not(None)
        )
    ).all()
    _set(session, [row[0] for row in rows], None)
    return sorted({row[1] for row in rows})


def count(session: Session) -> int:
    left = of_mirrored(select(func.count(Quarantined.id)).select_from(Quarantined))
    return session.scalar(left.where(Quarantined.left_at.is_not(None))) or 0


def _set(session: Session, ids: Sequence[int], left_at: datetime | None) -> int:
    for start in range(0, len(ids), 500):
        chosen = Quarantined.id.in_(ids[start : start + 500])
        session.execute(update(Quarantined).where(chosen).values(left_at=left_at))
    return len(ids)
