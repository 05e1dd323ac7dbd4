"""The calendars that are mirrored: which there are, and the rings for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from watcher.errors import NotFound
from watcher.languages.sentence import sentence
from watcher.ledger.db import LOCKED
from watcher.ledger.models import Account, Calendar, Run
from watcher.ledger.states import LEAVING, AccountState, CalendarState

RECONCILE_EVERY = timedelta(hours=24)
RUNG_PATIENCE = timedelta(seconds=60)
SURE_AFTER = 3
"""Google's 404 may be a matter of the moment: it is believed the third time in a row."""


def add(session: Session, account_id: int, google_id: str, now: datetime) -> Calendar:
    """Register a calendar, or bring a removed one back."""
    calendar = find(session, account_id, google_id)
    if calendar is None:
        calendar = Calendar(account_id=account_id, google_id=google_id, since=now)
        session.add(calendar)
    revive(calendar, now)
    session.flush()
    return calendar


def revive(calendar: Calendar, now: datetime) -> None:
    """Forget old failures: the account or the calendar has been mended."""
    calendar.removed = False
    calendar.state, calendar.cause, calendar.message = CalendarState.WAITING, "", ""
    calendar.since, calendar.failures, calendar.retry_at = now, 0, None
    calendar.watch_retry_at, calendar.watch_failures = None, 0
    calendar.push_supported = calendar.push_supported or None  # only a refusal is forgotten
    calendar.sweep_shown = calendar.sweep_allowed = None


def get(session: Session, calendar_id: int) -> Calendar:
    calendar = session.get(Calendar, calendar_id)
    if calendar is None:
        raise unknown(calendar_id)
    return calendar


def unknown(calendar_id: int) -> NotFound:
    """There is no such calendar."""
    return NotFound(sentence("there is no calendar %(number)s in the ledger", number=calendar_id))


def locked(session: Session, calendar_id: int) -> Calendar:
    """The row as it is now, kept from others until the transaction ends: on PostgreSQL two that
    count ``dirty_seq`` up at once would else take one of the changes for the other."""
    session.flush()
    calendar = session.get(Calendar, calendar_id, with_for_update=LOCKED, populate_existing=True)
    return calendar or get(session, calendar_id)


def of_account(session: Session, account_id: int) -> Sequence[Calendar]:
    return session.scalars(
        select(Calendar)
        .where(Calendar.account_id == account_id, Calendar.removed.is_(False))
        .order_by(Calendar.id)
    ).all()


def is_wanted(session: Session, calendar_id: int) -> bool:
    """Whether the calendar is still to be mirrored and its account stays, as committed now."""
    return (
        session.scalar(
            select(Calendar.id)
            .join(Account)
            .where(
                Calendar.id == calendar_id,
                Calendar.removed.is_(False),
                Account.state.not_in(LEAVING),
            )
        )
        is not None
    )


def find(session: Session, account_id: int, google_id: str) -> Calendar | None:
    """Also one that was removed. Upper and lower case are one: Google knows no two calendars that
    differ in nothing else."""
    wanted = google_id.strip()
    return session.scalars(
        select(Calendar)
        .where(Calendar.account_id == account_id, func.lower(Calendar.google_id) == wanted.lower())
        .order_by((Calendar.google_id == wanted).desc(), Calendar.id)
        .limit(1)
    ).first()


def note_shown(session: Session, calendar_id: int, sweep: int | None) -> None:
    """A dry run has told an admin how many rows the sweep would cancel."""
    locked(session, calendar_id).sweep_shown = sweep


def note_rung(session: Session, calendar_id: int, now: datetime) -> None:
    """A worker is about to be rung. From now on notifications rely on a pass that begins to read
    later; counting makes that pass owed, also when one is under way that has read already and
    the job of this ring finds the calendar leased, or is lost."""
    session.execute(
        update(Calendar)
        .where(Calendar.id == calendar_id)
        .values(rung_at=now, dirty_seq=Calendar.dirty_seq + 1)
    )


def not_rung(session: Session, calendar_id: int) -> None:
    """The ring has failed: the next notification rings itself."""
    session.execute(update(Calendar).where(Calendar.id == calendar_id).values(rung_at=None))


def end_pace(session: Session, calendar_id: int) -> None:
    """A pass may begin again."""
    session.execute(update(Calendar).where(Calendar.id == calendar_id).values(paced_until=None))


def owes_pass(session: Session, calendar_id: int) -> bool:
    """Whether a pass is owed that may begin: the account is active."""
    found = (
        select(Calendar.id)
        .join(Account)
        .where(
            Calendar.id == calendar_id,
            Calendar.removed.is_(False),
            Account.is_active,
            Calendar.owes,
        )
    )
    return session.scalar(found) is not None


def clean_and_active() -> list[ColumnElement[bool]]:
    return [
        Calendar.removed.is_(False),
        Account.state == AccountState.ACTIVE,
        ~Calendar.owes,
    ]


def in_lock_order(calendar_ids: Iterable[int]) -> list[int]:
    """The one order in which a transaction may change several calendars: two that meet in
    different orders wait for each other, and PostgreSQL ends one of them."""
    return sorted(set(calendar_ids))


def failed(session: Session) -> Sequence[Calendar]:
    """Calendars of active accounts whose last try failed."""
    return session.scalars(
        select(Calendar)
        .join(Account)
        .where(Account.is_active, Calendar.removed.is_(False), Calendar.failures > 0)
    ).all()


def last_run(session: Session, calendar_id: int) -> Run | None:
    return session.scalars(
        select(Run).where(Run.calendar_id == calendar_id).order_by(Run.id.desc()).limit(1)
    ).first()
