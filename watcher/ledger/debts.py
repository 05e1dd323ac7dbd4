"""What a calendar owes, as a pass finds it, and what the pass leaves: settled, failed, or handed on
to another worker."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, exists, select, update
from sqlalchemy.orm import Session

from watcher.errors import LeaseLost
from watcher.ledger import aside, away, budget, calendars, heard
from watcher.ledger.choices import Wishes
from watcher.ledger.db import LOCKED
from watcher.ledger.leases import CalendarLease
from watcher.ledger.models import Account, Calendar, Quarantined
from watcher.ledger.often import run, table
from watcher.ledger.states import CalendarState

_C, _A, _Q = table(Calendar).c, table(Account).c, table(Quarantined).c


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
    """What a good pass leaves behind. ``found`` is the calendar as ``as_found`` has just read it.
    The window is None where it was not filled any further, ``rows_seen`` where nothing was written,
    ``trouble`` where nothing waits for a person; ``wrote`` is whether ERPNext has got a row
    anew, ``goes_on`` whether the calendar is to stay leased since it is about to owe more."""

    found: Row[Any] = field(repr=False)
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
    goes_on: bool = False
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


_OWED = (
    select(
        *(_C.id, _C.account_id, _C.google_id, _C.dirty_seq, _C.dirty_reason, _C.dirty_at),
        *(_C.snapshot_seq, _C.sync_token, _C.query_fingerprint, _C.policy_fingerprint),
        *(_C.time_zone, _C.window_end, _C.last_snapshot_at, _C.rows_seen, _C.sweep_allowed),
        *(_C.told_by, _C.removed, _C.retry_at, _C.paced_until, _C.synced_seq),
        *(_C.push_supported, _C.watch_retry_at, _C.failures),
        *(_A.email, _A.erpnext_user, _A.state.label("account_state")),
        *(_A.default_event_type, _A.chosen_event_type, _A.chosen_private_events),
        exists().where(_Q.calendar_id == _C.id, _Q.kind == "masking").label("has_to_mask"),
    )
    .join_from(table(Calendar), table(Account), _C.account_id == _A.id)
    .where(_C.id == bindparam("calendar"))
)


def owed(session: Session, calendar_id: int) -> Row[Any] | None:
    """What is known of a calendar and its account before a pass, as committed now; None when there
    is no such calendar."""
    return run(session, _OWED, {"calendar": calendar_id}).one_or_none()


def known(session: Session, calendar_id: int) -> Row[Any]:
    """As ``owed``. Raises ``NotFound`` when there is no such calendar."""
    found = owed(session, calendar_id)
    if found is None:
        raise calendars.unknown(calendar_id)
    return found


def peek(session: Session, calendar_id: int, *, snapshot: bool = False) -> Work:
    """The calendar's debt as it is now, as if a snapshot were owed if asked; changes nothing."""
    found = known(session, calendar_id)
    return _work(session, found, snapshot or found.snapshot_seq > 0)


def _work(session: Session, found: Row[Any], snapshot: bool) -> Work:
    by_hand = found.default_event_type, found.chosen_event_type, found.chosen_private_events
    to_mask = aside.keys_to_mask(session, found.id) if found.has_to_mask else frozenset[str]()
    return Work(
        calendar_id=found.id,
        account_id=found.account_id,
        account=found.email,
        erpnext_user=found.erpnext_user,
        wishes=Wishes(*by_hand),
        google_id=found.google_id,
        seq=found.dirty_seq,
        reason=found.dirty_reason or "asked",
        received_at=found.dirty_at,
        snapshot=snapshot,
        sync_token=found.sync_token,
        query_fingerprint=found.query_fingerprint,
        policy_fingerprint=found.policy_fingerprint,
        time_zone=found.time_zone,
        window_end=found.window_end,
        first=found.last_snapshot_at is None,
        rows_seen=found.rows_seen,
        to_mask=to_mask,
        sweep_allowed=found.sweep_allowed,
        told_by=found.told_by,
    )


_LOCK = select(_C.id).where(_C.id == bindparam("calendar")).with_for_update(**LOCKED)
_BEGIN = (
    update(table(Calendar))
    .where(_C.id == bindparam("calendar"))
    .values(rung_at=bindparam("rung"), dirty_at=None, sweep_allowed=None)
)


def begin(
    session: Session,
    lease: CalendarLease,
    found: Row[Any] | None = None,
    opens_at: datetime | None = None,
) -> Work:
    """Read the debt and take the doorbell's slot free, in one transaction, before Google is read.
    An admin's consent to a sweep is for this pass and ends here, also if the pass fails. ``found``
    is what ``owed`` has read in this transaction after the lease was taken. ``opens_at``: a channel
    is opened from now on, and the debt is read once more before Google's changes are: until then
    this pass serves what is told of, as a job that waits does, and Google's first message on the
    channel wakes nobody.

    A notification that finds ``rung_at`` set is not written at all, because the job that will
    clear it reads Google afterwards; one that comes later finds it clear and counts.
    """
    if found is None:
        run(session, _LOCK, {"calendar": lease.calendar_id})
        found = known(session, lease.calendar_id)
    run(session, _BEGIN, {"calendar": found.id, "rung": opens_at})
    return _work(session, found, found.snapshot_seq > 0)


_SETTLED = (
    *("sync_token", "query_fingerprint", "policy_fingerprint", "time_zone", "window_start"),
    *("window_end", "synced_seq", "snapshot_seq", "told_by", "rows_seen", "changed_at", "failures"),
    *("retry_at", "last_success_at", "last_snapshot_at", "next_poll_at", "next_reconcile_at"),
    *("sweep_shown", "state", "cause", "message", "step", "since", "lease_owner", "lease_until"),
)
"""All that a good pass may change, in one statement that is always the same."""
_FOUND = (
    select(
        *(_C[name] for name in _SETTLED),
        *(_C.id, _C.dirty_seq, _C.push_supported, _C.watch_retry_at),
        exists().where(_Q.calendar_id == _C.id).label("has_aside"),
        *(*heard.LIVE, *budget.SO_FAR, away.IS_AWAY),
    )
    .where(_C.id == bindparam("calendar"))
    .with_for_update(**LOCKED)
)
_SETTLE = (
    update(table(Calendar))
    .where(
        _C.id == bindparam("calendar"),
        _C.lease_owner == bindparam("holder"),
        _C.fence == bindparam("held_fence"),
    )
    .returning(_C.id)
)


def as_found(session: Session, calendar_id: int, now: datetime) -> Row[Any]:
    """The calendar at the end of a pass, kept from others until the transaction ends; with
    ``has_aside``, whether any of its events stands aside, and all else that decides on what the
    pass leaves: each question of its own would be a round trip."""
    values = {"calendar": calendar_id, "now": now, "day": budget.day_of(now)}
    found = run(session, _FOUND, values).one_or_none()
    if found is None:
        raise calendars.unknown(calendar_id)
    return found


def settle(session: Session, lease: CalendarLease, work: Work, done: Settled) -> bool:
    """Store the token and what it covers, if the fence still holds, and let the calendar go unless
    a change has come in since ``work``: then False, and it stays leased. Raises ``LeaseLost``.

    This is the last write of a pass: the token is never ahead of what ERPNext has taken.
    """
    found = done.found
    is_clean = found.dirty_seq == work.seq and not done.goes_on
    values: dict[str, object] = {
        **{name: getattr(found, name) for name in _SETTLED},
        "sync_token": done.sync_token,
        "query_fingerprint": done.query_fingerprint,
        "policy_fingerprint": done.policy_fingerprint,
        "time_zone": done.time_zone,
        "synced_seq": work.seq,
        "failures": 0,
        "retry_at": None,
        "last_success_at": done.at,
        "next_poll_at": done.next_poll_at,
        **_covered(work, done),
        **_state_after(done),
        **({"lease_owner": None, "lease_until": 0.0} if is_clean else {}),
    }
    whose = {"calendar": found.id, "holder": lease.owner, "held_fence": lease.fence}
    if run(session, _SETTLE, values | whose).one_or_none() is None:
        raise LeaseLost
    return is_clean


def _covered(work: Work, done: Settled) -> dict[str, object]:
    """What depends on the kind of pass, and on what it wrote."""
    now, found, trouble = done.at, done.found, done.trouble
    values: dict[str, object] = {}
    if done.snapshot:
        values |= {
            "last_snapshot_at": now,
            "next_reconcile_at": now + calendars.RECONCILE_EVERY * random.uniform(0.9, 1.1),
            "sweep_shown": trouble.sweep if trouble else None,
        }
        if found.snapshot_seq <= work.seq:
            values["snapshot_seq"] = 0
    if done.wrote:
        values["changed_at"] = now
    if done.rows_seen is not None:
        values["rows_seen"] = done.rows_seen
    if done.window_end is not None and not (trouble and trouble.state == CalendarState.HELD):
        # Of what was held back the old window is still the judge.
        values |= {"window_start": done.window_start, "window_end": done.window_end}
    if work.told_by:  # those that came in meanwhile are of the next pass
        values["told_by"] = found.told_by.removeprefix(work.told_by).strip()
    return values


def _state_after(done: Settled) -> dict[str, object]:
    """``ok``, or what the pass leaves for a person. ``held`` stays until a snapshot has gone
    through whole (or was forced)."""
    before = done.found
    if not done.snapshot and before.state == CalendarState.HELD:
        return {}
    found = done.trouble or Trouble(state=CalendarState.OK, cause="", message="")
    since = before.since if before.state == found.state else done.at
    return {
        "state": found.state,
        "cause": found.cause,
        "message": found.message,
        "step": found.step,
        "since": since,
    }


def fail(session: Session, lease: CalendarLease, work: Work, failure: Failure) -> None:
    """Record a failure; the debt stays."""
    calendar = calendars.get(session, lease.calendar_id)
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
    calendar = calendars.locked(session, lease.calendar_id)
    if calendar.fence != lease.fence:
        raise LeaseLost
    calendar.sweep_allowed = work.sweep_allowed
    _still_owed(calendar, work)
    return calendar


def _still_owed(calendar: Calendar, work: Work) -> None:
    """``begin`` has taken note of the debt as if it were paid: since when it is owed stays."""
    if work.received_at is not None:
        calendar.dirty_at = work.received_at
