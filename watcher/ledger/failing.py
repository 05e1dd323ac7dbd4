"""What fails and what stands aside, by cause: each is counted by the database, however many
calendars there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, String, and_, case, cast, func, or_, select
from sqlalchemy.orm import Session

from watcher.ledger import aside, runs
from watcher.ledger.fleet import Pair
from watcher.ledger.models import Account, Calendar, Quarantined, Run
from watcher.ledger.states import FOR_A_PERSON, CalendarState

_cause = case((Calendar.cause != "", Calendar.cause), else_=cast(Calendar.state, String))


@dataclass(frozen=True, kw_only=True, slots=True)
class Failing:
    """Calendars whose last pass failed, or left something for a person, for one cause. ``message``
    is what one of them says."""

    cause: str
    calendars: int
    employees: int
    since: datetime
    next_try: datetime | None
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Aside:
    """Events that stand aside for one cause. ``message`` is the reason of one of them, in ERPNext's
    words where it refused it; ``step`` is empty where nothing is known to do."""

    cause: str
    events: int
    calendars: int
    employees: int
    since: datetime
    last_try: datetime
    next_try: datetime | None
    message: str
    step: str


def fails(cause: str | None = None) -> ColumnElement[bool]:
    """Whether the last pass of a calendar failed, or left something for a person, for this cause or
    for any. Of active accounts alone: for the others nothing is tried."""
    found = and_(
        Account.is_active,
        Calendar.removed.is_(False),
        or_(Calendar.failures > 0, Calendar.state.in_(FOR_A_PERSON)),
    )
    return found if cause is None else and_(found, _cause == cause)


def causes(session: Session) -> list[Failing]:
    """The widest first."""
    rows = session.execute(
        select(
            _cause,
            func.count(),
            func.count(Calendar.account_id.distinct()),
            func.min(Calendar.since),
            func.min(Calendar.retry_at),
            func.max(Calendar.message),
        )
        .select_from(Calendar)
        .join(Account)
        .where(fails())
        .group_by(_cause)
        .order_by(func.count().desc(), _cause)
    )
    return [
        Failing(
            cause=row[0],
            calendars=row[1],
            employees=row[2],
            since=row[3],
            next_try=row[4],
            message=row[5],
        )
        for row in rows
    ]


def aside_causes(session: Session) -> list[Aside]:
    """The most frequent first."""
    asked = (
        select(
            aside.CAUSE,
            func.count(),
            func.count(Calendar.id.distinct()),
            func.count(Calendar.account_id.distinct()),
            func.min(Quarantined.first_at),
            func.max(Quarantined.last_at),
            func.min(Quarantined.next_try_at),
            func.max(Quarantined.message),
            func.max(Quarantined.step),
        )
        .select_from(Quarantined)
        .group_by(aside.CAUSE)
        .order_by(func.count().desc(), aside.CAUSE)
    )
    rows = session.execute(aside.waiting(asked))
    return [
        Aside(
            cause=row[0],
            events=row[1],
            calendars=row[2],
            employees=row[3],
            since=row[4],
            last_try=row[5],
            next_try=row[6],
            message=row[7],
            step=row[8],
        )
        for row in rows
    ]


def numbers(session: Session, cause: str | None = None) -> Sequence[int]:
    """Ids of the calendars that fail."""
    return session.scalars(select(Calendar.id).join(Account).where(fails(cause))).all()


def with_aside(session: Session, cause: str | None = None) -> Sequence[int]:
    """Ids of the calendars in which an event stands aside."""
    found = aside.waiting(select(Quarantined.calendar_id)).distinct()
    return session.scalars(found if cause is None else found.where(aside.CAUSE.in_((cause,)))).all()


def to_confirm(session: Session, most: int) -> list[Pair]:
    """Calendars whose mass cancellation waits for a person, and for no pass that does it already;
    the longest waiting first."""
    rows = session.execute(
        select(Calendar, Account)
        .join(Account)
        .where(
            Account.is_active,
            Calendar.removed.is_(False),
            Calendar.state == CalendarState.HELD,
            Calendar.sweep_shown.is_not(None),
            Calendar.sweep_allowed.is_(None),
        )
        .order_by(Calendar.since, Calendar.id)
        .limit(most)
    )
    return [(row[0], row[1]) for row in rows]


LAST_TRY_WITHIN = timedelta(days=1)


def last_tries(session: Session, now: datetime) -> dict[str, datetime]:
    """Cause -> when a pass of the last day last failed for it."""
    cause = runs.cause_of(Run.error)
    found = (
        select(cause, func.max(Run.started_at))
        .where(Run.kind == "failed", Run.started_at > now - LAST_TRY_WITHIN)
        .group_by(cause)
    )
    return {row[0]: row[1] for row in session.execute(found)}
