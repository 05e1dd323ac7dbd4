"""Events that stand aside: refused by ERPNext, or not to be expressed there. What is refused is
tried again by itself, with growing pauses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVarTuple

from sqlalchemy import ColumnElement, Select, case, delete, func, select, update
from sqlalchemy.orm import Session

from watcher.ledger import models
from watcher.ledger.states import AccountState
from watcher.ledger.when import has_come
from watcher.waiting import Backoff

_Columns = TypeVarTuple("_Columns")

AGAIN = Backoff(first=30.0, longest=6 * 3_600.0)
LONGEST_WHEN_ALL_IS_REFUSED = timedelta(minutes=5)
"""The cause is most likely one, and gone in one moment; Watcher sends few events until then."""
ALIKE = 3
"""So many series that are refused alike, with nothing accepted since, make the calendar failing."""
URGENT = ("masking", "cancellation")
"""Kinds of which people are told at once: what should be gone still stands in ERPNext."""
UNMAPPABLE = "unmappable"
CAUSE = case((models.Quarantined.cause != "", models.Quarantined.cause), else_=UNMAPPABLE)
"""The cause of an event that stands aside, in a query."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SetAside:
    """An event that stands aside: the key it would have, and the reason. See ``Quarantined``."""

    key: str
    event_id: str
    message: str
    series: str = ""
    cause: str = ""
    kind: str = UNMAPPABLE
    alike: str = ""
    step: str = ""


def quarantine(
    session: Session, calendar_id: int, refusals: Iterable[SetAside], since: datetime, now: datetime
) -> list[str]:
    """Set events aside. ``since`` is when the pass that met the refusals began. Returns the keys of
    those that did not stand aside before."""
    known = {row.sync_key: row for row in of_calendar(session, calendar_id)}
    fresh = []
    for refusal in refusals:
        row = known.get(refusal.key)
        if row is None:
            row = models.Quarantined(
                calendar_id=calendar_id,
                sync_key=refusal.key,
                event_id=refusal.event_id[:1024],
                message="",
                first_at=since,
                last_at=now,
                attempts=0,
            )
            session.add(row)
            known[refusal.key] = row
            fresh.append(refusal.key)
        _note(row, refusal, now)
    session.flush()
    return fresh


def _note(row: models.Quarantined, refusal: SetAside, now: datetime) -> None:
    if (row.kind, row.cause, row.alike) != (refusal.kind, refusal.cause[:80], refusal.alike[:300]):
        row.left_at = None  # for another reason: whoever left it aside does not know this one
    row.message, row.last_at = refusal.message, now
    row.series, row.cause = refusal.series[:1024], refusal.cause[:80]
    row.kind, row.alike, row.step = refusal.kind, refusal.alike[:300], refusal.step
    row.next_try_at = None if refusal.kind == UNMAPPABLE else now + _pause(row.attempts)
    row.attempts += 1


def _pause(attempts: int) -> timedelta:
    return timedelta(seconds=AGAIN.seconds(attempts))


def of_calendar(session: Session, calendar_id: int) -> Sequence[models.Quarantined]:
    return session.scalars(
        select(models.Quarantined).where(models.Quarantined.calendar_id == calendar_id)
    ).all()


def newest(
    session: Session, calendar_id: int, most: int
) -> tuple[Sequence[models.Quarantined], int]:
    """The ``most`` that were tried last, and how many there are."""
    mine = models.Quarantined.calendar_id == calendar_id
    rows = session.scalars(
        select(models.Quarantined)
        .where(mine)
        .order_by(models.Quarantined.last_at.desc(), models.Quarantined.id)
        .limit(most)
    ).all()
    return rows, session.scalar(select(func.count()).where(mine)) or 0


def release(session: Session, calendar_id: int, keys: Sequence[str]) -> None:
    """Events that went through (or are gone) stand aside no longer."""
    for start in range(0, len(keys), 500):
        session.execute(
            delete(models.Quarantined).where(
                models.Quarantined.calendar_id == calendar_id,
                models.Quarantined.sync_key.in_(keys[start : start + 500]),
            )
        )


def release_others(session: Session, calendar_id: int, keys: Collection[str]) -> None:
    """After a full listing only what it set aside (``keys``) stands aside: the rest is gone."""
    for row in of_calendar(session, calendar_id):
        if row.sync_key not in keys:
            session.delete(row)


def refuses_everything(session: Session, calendar_id: int) -> models.Quarantined | None:
    """One of the refusals that make a calendar failing: several series alike, and nothing accepted
    since the first of them. None when there is no such cause."""
    groups: dict[str, list[models.Quarantined]] = defaultdict(list)
    for row in of_calendar(session, calendar_id):
        if row.kind == "event":
            groups[row.alike].append(row)
    for rows in groups.values():
        oldest = min(row.first_at for row in rows)
        if len({row.series for row in rows}) >= ALIKE and not _accepted(
            session, calendar_id, oldest
        ):
            return rows[0]
    return None


def _accepted(session: Session, calendar_id: int, since: datetime) -> bool:
    written = models.Run.created + models.Run.updated + models.Run.cancelled
    found = select(models.Run.id).where(
        models.Run.calendar_id == calendar_id, models.Run.started_at >= since, written > 0
    )
    return session.scalars(found.limit(1)).first() is not None


def hurry(session: Session, calendar_id: int, now: datetime) -> None:
    """Where all is refused a try costs little, and is made every few minutes."""
    session.execute(
        update(models.Quarantined)
        .where(
            models.Quarantined.calendar_id == calendar_id,
            models.Quarantined.next_try_at > now + LONGEST_WHEN_ALL_IS_REFUSED,
        )
        .values(next_try_at=now + LONGEST_WHEN_ALL_IS_REFUSED)
    )


def keys_to_mask(session: Session, calendar_id: int) -> frozenset[str]:
    """Keys of rows that became private and could be neither masked nor deleted so far."""
    masking = models.Quarantined.calendar_id == calendar_id, models.Quarantined.kind == "masking"
    return frozenset(session.scalars(select(models.Quarantined.sync_key).where(*masking)))


def due(session: Session, now: datetime, most: int) -> list[int]:
    """Ids of calendars with an event to be tried again, which are neither failing for another
    reason nor about to be listed anyway."""
    return list(
        session.scalars(
            select(models.Quarantined.calendar_id)
            .join(models.Calendar, models.Quarantined.calendar_id == models.Calendar.id)
            .join(models.Account, models.Calendar.account_id == models.Account.id)
            .where(
                has_come(models.Quarantined.next_try_at, now, timedelta(seconds=AGAIN.longest)),
                models.Quarantined.left_at.is_(None),
                models.Account.is_active,
                models.Calendar.removed.is_(False),
                models.Calendar.failures == 0,
                models.Calendar.snapshot_seq == 0,
            )
            .group_by(models.Quarantined.calendar_id)
            .order_by(func.min(models.Quarantined.next_try_at))
            .limit(most)
        )
    )


def everything(
    session: Session, *which: ColumnElement[bool]
) -> list[tuple[models.Quarantined, models.Calendar, models.Account]]:
    """All that stands aside (or those ``which`` are chosen), with its calendar and account, the
    newest first."""
    asked = of_mirrored(select(models.Quarantined, models.Calendar, models.Account)).where(*which)
    rows = session.execute(asked.order_by(models.Quarantined.last_at.desc()))
    return [(row[0], row[1], row[2]) for row in rows]


def latest(
    session: Session, most: int
) -> tuple[list[tuple[models.Quarantined, models.Calendar, models.Account]], int]:
    """The ``most`` that were tried last, of whichever calendars, and how many there are."""
    asked = waiting(select(models.Quarantined, models.Calendar, models.Account))
    rows = session.execute(asked.order_by(models.Quarantined.last_at.desc()).limit(most))
    counted = waiting(select(func.count(models.Quarantined.id)).select_from(models.Quarantined))
    return [(row[0], row[1], row[2]) for row in rows], session.scalar(counted) or 0


def urgent(
    session: Session,
) -> list[tuple[models.Quarantined, models.Calendar, models.Account]]:
    """As ``everything``, of the kinds of which people are told at once."""
    return everything(session, models.Quarantined.kind.in_(URGENT))


def waiting(asked: Select[*_Columns]) -> Select[*_Columns]:
    """As ``of_mirrored``, without the events that an admin leaves aside."""
    return of_mirrored(asked).where(models.Quarantined.left_at.is_(None))


def of_mirrored(asked: Select[*_Columns]) -> Select[*_Columns]:
    """What is asked of events that stand aside, of the calendars that are mirrored."""
    return (
        asked.join(models.Calendar, models.Quarantined.calendar_id == models.Calendar.id)
        .join(models.Account, models.Calendar.account_id == models.Account.id)
        .where(
            models.Account.state != AccountState.DISCONNECTED, models.Calendar.removed.is_(False)
        )
    )
