"""How one change went from Google to ERPNext, step by step, as far as the ledger knows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from watcher.ledger.models import Run
from watcher.ledger.told import CalendarTold

MOST = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Lap:
    """The first pass after a moment that wrote something, else the last that was about a change or
    failed. ``reason``
    is why it was made; ``changed_at`` is by Google's clock, ``heard_at`` when the notification
    came; None where the pass was made for another reason, or wrote nothing. ``wrote`` counts rows,
    ``left_out`` what the rules leave out, ``aside`` what ERPNext refused. ``error`` is that of a
    pass that failed: then nothing is in ERPNext."""

    reason: str
    changed_at: datetime | None
    heard_at: datetime | None
    began_at: datetime
    read_at: datetime | None
    ended_at: datetime
    wrote: int
    unchanged: int
    left_out: int
    aside: int
    error: str = ""


def lap(session: Session, calendar_id: int, since: datetime) -> Lap | None:
    """None while no such pass has ended."""
    rows = session.scalars(
        select(Run)
        .where(Run.calendar_id == calendar_id, Run.started_at >= since)
        .order_by(Run.id)
        .limit(MOST)
    ).all()
    wrote = [row for row in rows if row.created or row.updated or row.cancelled]
    chosen = wrote[:1] or [row for row in rows if _is_of_a_change(row)][-1:]
    return _lap(chosen[0]) if chosen else None


def _is_of_a_change(row: Run) -> bool:
    """Passes without any are made as well: full syncs, polls, and one for each new channel."""
    found = row.skipped or row.unchanged or row.refused
    return row.reason == "push" or bool(row.error) or (row.kind == "delta" and found > 0)


def _lap(row: Run) -> Lap:
    ended = row.started_at + timedelta(seconds=row.seconds)
    return Lap(
        reason=row.reason,
        changed_at=_before(ended, row.lag_google),
        heard_at=_before(ended, row.lag_received) if row.reason == "push" else None,
        began_at=row.started_at,
        read_at=_after(row.started_at, row.read_seconds),
        ended_at=ended,
        wrote=row.created + row.updated + row.cancelled,
        unchanged=row.unchanged,
        left_out=row.skipped,
        aside=row.refused,
        error=row.error,
    )


def _before(moment: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else moment - timedelta(seconds=seconds)


def _after(moment: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else moment + timedelta(seconds=seconds)


def heard_since(calendar: CalendarTold, since: datetime) -> datetime | None:
    """When a change became known that waits for a worker."""
    waits = calendar.waits_since if calendar.owes else None
    return waits if waits is not None and waits >= since else None
