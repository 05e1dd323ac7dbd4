"""Calendars: what is owed (dirty), what is applied (synced), and the move from one to the other."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from watcher.errors import LeaseLost, NotFound
from watcher.languages.sentence import sentence
from watcher.ledger import aside
from watcher.ledger.choices import Wishes
from watcher.ledger.db import LOCKED
from watcher.ledger.leases import CalendarLease
from watcher.ledger.models import Account, Calendar, Run
from watcher.ledger.states import LEAVING, AccountState, CalendarState

RECONCILE_EVERY = timedelta(hours=24)
RUNG_PATIENCE = timedelta(seconds=60)
SURE_AFTER = 3
"""Google's 404 may be a matter of the moment: it is believed the third time in a row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """One calendar's debt as seen at the start of a pass, and whose it is.

    ``account`` is the address; ``erpnext_user`` and ``wishes`` are the account's. ``seq`` is
    what a commit will settle, ``received_at`` when the oldest change of the debt was told,
    ``window_end`` how far the mirror has been filled, ``rows_seen`` ERPNext's newest stamp of its
    rows as last seen, ``to_mask`` the keys of rows that still show what has become private,
    ``sweep_allowed`` how many cancellations an admin has confirmed (None: none was asked for),
    ``told_by`` the ids of the requests that told of it, with blanks between them.
    """

    calendar_id: int
    account_id: int
    account: str
    erpnext_user: str | None
    wishes: Wishes
    google_id: str
    seq: int
    reason: str
    received_at: datetime | None
    snapshot: bool
    sync_token: str | None
    query_fingerprint: str
    policy_fingerprint: str
    time_zone: str
    window_end: datetime | None
    first: bool
    rows_seen: str = ""
    to_mask: frozenset[str] = frozenset()
    sweep_allowed: int | None = None
    told_by: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """What a good pass leaves behind. The window is None where it was not filled any further,
    ``rows_seen`` where nothing was written, ``trouble`` where nothing waits for a person;
    ``wrote`` is whether ERPNext has got a row anew."""

    at: datetime
    next_poll_at: datetime
    sync_token: str
    query_fingerprint: str
    policy_fingerprint: str
    time_zone: str
    window_start: datetime | None = None
    window_end: datetime | None = None
    snapshot: bool = False
    wrote: bool = False
    rows_seen: str | None = None
    trouble: Trouble | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """What a pass that failed leaves behind: the state and cause that are shown, and when the next
    try is due."""

    at: datetime
    state: CalendarState
    cause: str
    message: str
    retry_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """What a pass that went through still leaves for a person: the calendar is ``held`` (a sweep
    that would cancel ``sweep`` rows waits to be confirmed) or ``refused`` (ERPNext takes nothing of
    it)."""

    state: CalendarState
    cause: str
    message: str
    step: str = ""
    sweep: int | None = None


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
    calendar.push_supported = None
    calendar.sweep_shown = calendar.sweep_allowed = None


def get(session: Session, calendar_id: int) -> Calendar:
    calendar = session.get(Calendar, calendar_id)
    if calendar is None:
        raise NotFound(
            sentence("there is no calendar %(number)s in the ledger", number=calendar_id)
        )
    return calendar


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


def peek(session: Session, calendar_id: int, *, snapshot: bool = False) -> Work:
    """The calendar's debt as it is now, as if a snapshot were owed if asked; changes nothing."""
    calendar = get(session, calendar_id)
    account = session.get_one(Account, calendar.account_id)
    return Work(
        calendar_id=calendar.id,
        account_id=account.id,
        account=account.email,
        erpnext_user=account.erpnext_user,
        wishes=Wishes.of(account),
        google_id=calendar.google_id,
        seq=calendar.dirty_seq,
        reason=calendar.dirty_reason or "asked",
        received_at=calendar.dirty_at,
        snapshot=snapshot or calendar.snapshot_seq > 0,
        sync_token=calendar.sync_token,
        query_fingerprint=calendar.query_fingerprint,
        policy_fingerprint=calendar.policy_fingerprint,
        time_zone=calendar.time_zone,
        window_end=calendar.window_end,
        first=calendar.last_snapshot_at is None,
        rows_seen=calendar.rows_seen,
        to_mask=aside.keys_to_mask(session, calendar_id),
        sweep_allowed=calendar.sweep_allowed,
        told_by=calendar.told_by,
    )


def begin(session: Session, lease: CalendarLease) -> Work:
    """Read the debt and take the doorbell's slot free, in one transaction, before Google is read.
    An admin's consent to a sweep is for this pass and ends here, also if the pass fails.

    A notification that finds ``rung_at`` set is not written at all, because the job that will
    clear it reads Google afterwards; one that comes later finds it clear and counts.
    """
    calendar = locked(session, lease.calendar_id)
    work = peek(session, lease.calendar_id)
    calendar.rung_at = None
    calendar.dirty_at = None
    calendar.sweep_allowed = None
    return work


def settle(session: Session, lease: CalendarLease, work: Work, done: Settled) -> None:
    """Store the token and what it covers, if the fence still holds. Raises ``LeaseLost``.

    This is the last write of a pass: the token is never ahead of what ERPNext has taken.
    """
    now, trouble = done.at, done.trouble
    values: dict[str, object] = {
        "sync_token": done.sync_token,
        "query_fingerprint": done.query_fingerprint,
        "policy_fingerprint": done.policy_fingerprint,
        "time_zone": done.time_zone,
        "synced_seq": work.seq,
        "failures": 0,
        "retry_at": None,
        "last_success_at": now,
        "next_poll_at": done.next_poll_at,
    }
    if done.snapshot:
        values |= {
            "last_snapshot_at": now,
            "next_reconcile_at": now + RECONCILE_EVERY * random.uniform(0.9, 1.1),
            "sweep_shown": trouble.sweep if trouble else None,
        }
    if done.wrote:
        values["changed_at"] = now
    if done.rows_seen is not None:
        values["rows_seen"] = done.rows_seen
    if done.window_end is not None and not (trouble and trouble.state == CalendarState.HELD):
        # Of what was held back the old window is still the judge.
        values |= {"window_start": done.window_start, "window_end": done.window_end}
    calendar = locked(session, lease.calendar_id)
    if work.told_by:  # those that came in meanwhile are of the next pass
        values["told_by"] = calendar.told_by.removeprefix(work.told_by).strip()
    if done.snapshot and calendar.snapshot_seq <= work.seq:
        values["snapshot_seq"] = 0
    values |= _state_after(calendar, done)
    kept = session.execute(
        update(Calendar)
        .where(
            Calendar.id == lease.calendar_id,
            Calendar.lease_owner == lease.owner,
            Calendar.fence == lease.fence,
        )
        .values(values)
        .returning(Calendar.id)
    ).scalar_one_or_none()
    if kept is None:
        raise LeaseLost


def _state_after(calendar: Calendar, done: Settled) -> dict[str, object]:
    """``ok``, or what the pass leaves for a person. ``held`` stays until a snapshot has gone
    through whole (or was forced)."""
    if not done.snapshot and calendar.state == CalendarState.HELD:
        return {}
    found = done.trouble or Trouble(state=CalendarState.OK, cause="", message="")
    since = calendar.since if calendar.state == found.state else done.at
    return {
        "state": found.state,
        "cause": found.cause,
        "message": found.message,
        "step": found.step,
        "since": since,
    }


def fail(session: Session, lease: CalendarLease, work: Work, failure: Failure) -> None:
    """Record a failure; the debt stays."""
    calendar = get(session, lease.calendar_id)
    if calendar.fence != lease.fence:
        return
    if calendar.state != CalendarState.HELD:  # which waits for a person, not for the next good pass
        if (calendar.state, calendar.cause) != (failure.state, failure.cause):
            calendar.state, calendar.cause = failure.state, failure.cause
            calendar.since = failure.at
        calendar.message, calendar.step = failure.message, ""
    calendar.failures += 1
    calendar.retry_at = failure.retry_at
    _still_owed(calendar, work)


def leave(session: Session, lease: CalendarLease, work: Work, *, token_expired: bool) -> None:
    """The pass that began with ``work`` does not take place, and the calendar owes a full listing;
    with ``token_expired`` one that takes a new sync token."""
    calendar = hand_on(session, lease, work)
    calendar.snapshot_seq = calendar.dirty_seq
    if token_expired:
        calendar.sync_token = None


def hand_on(session: Session, lease: CalendarLease, work: Work) -> Calendar:
    """The pass that began with ``work`` is left to another worker: what is owed stays owed. Raises
    ``LeaseLost``."""
    calendar = locked(session, lease.calendar_id)
    if calendar.fence != lease.fence:
        raise LeaseLost
    calendar.sweep_allowed = work.sweep_allowed
    _still_owed(calendar, work)
    return calendar


def _still_owed(calendar: Calendar, work: Work) -> None:
    """``begin`` has taken note of the debt as if it were paid: since when it is owed stays."""
    if work.received_at is not None:
        calendar.dirty_at = work.received_at


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
