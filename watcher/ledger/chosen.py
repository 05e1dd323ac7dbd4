"""Further calendars that employees have chosen themselves, which they may let go again. What an
admin has added stays until an admin removes it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from watcher.ledger import calendars
from watcher.ledger.models import Calendar, Fact

_PREFIX = "chosen_calendar:"
_MIRRORED = "mirrored"


def note(session: Session, calendar_id: int, now: datetime) -> None:
    """The employee has chosen it just now."""
    session.merge(Fact(name=f"{_PREFIX}{calendar_id}", value=_MIRRORED, learned_at=now))


def of_account(session: Session, account_id: int) -> list[Calendar]:
    """Those that are mirrored."""
    mine = calendars.of_account(session, account_id)
    names = [f"{_PREFIX}{each.id}" for each in mine]
    found = set(session.scalars(select(Fact.name).where(Fact.name.in_(names))))
    return [each for each in mine if f"{_PREFIX}{each.id}" in found]


def let_go(session: Session, calendar_id: int, events: str, now: datetime) -> None:
    """The employee wants it no longer; ``events`` (``keep``, ``cancel``, ``delete``) is what is to
    become of the rows, which waits in ``left`` until it is done."""
    session.merge(Fact(name=f"{_PREFIX}{calendar_id}", value=events, learned_at=now))


def left(session: Session) -> Sequence[tuple[int, str]]:
    """Numbers of calendars that were let go, with what is to become of their rows."""
    facts = session.scalars(
        select(Fact).where(Fact.name.startswith(_PREFIX), Fact.value != _MIRRORED)
    )
    return [(int(fact.name.removeprefix(_PREFIX)), fact.value) for fact in facts]


def done(session: Session, calendar_id: int) -> None:
    """Nothing waits any more."""
    fact = session.get(Fact, f"{_PREFIX}{calendar_id}")
    if fact is not None and fact.value != _MIRRORED:
        session.delete(fact)
