"""The story of one pass over a calendar: read Google, look up ERPNext, decide, write the
difference. What is stored afterwards, the sync token last, is in ``outcome``.

A crash anywhere before that repeats work and loses nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from watcher.erpnext.applied import Applied
from watcher.erpnext.client import BATCH
from watcher.erpnext.refusals import Refused
from watcher.events.mapping import data_id
from watcher.events.model import Row
from watcher.ledger.aside import SetAside
from watcher.sync.decide import Plan, Rows, decide
from watcher.sync.intake import sync_keys
from watcher.sync.passes import Basis, Pass
from watcher.sync.reading import Reading, list_window, read_changes, read_past, read_window
from watcher.sync.touched import EVER, look_back, rewritten

log = logging.getLogger(__name__)

ZONES_APART = timedelta(days=2)
"""Days of the calendar's zone and times of the site's differ by less."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a pass came to. ``read_at`` is when Google had been read, on the monotonic clock.
    ``rows_seen`` is ERPNext's newest stamp of the calendar's rows (None: nothing was written),
    ``touched`` whether somebody else has written rows meanwhile. ``rivals`` is how many rows a full
    sync has found that another Watcher wrote."""

    reading: Reading
    read_at: float
    plan: Plan
    applied: Applied
    rows_seen: str | None = None
    touched: bool = False
    rivals: int = 0

    @property
    def refused(self) -> list[SetAside]:
        """All that stands aside: what could not be read or mapped, and what ERPNext refused."""
        return [*self.plan.refused, *map(_as_refusal, self.applied.refused)]

    @property
    def settled_keys(self) -> list[str]:
        aside = {refusal.key for refusal in self.refused}
        return [action.key for action in self.plan.actions if action.key not in aside]


def sync(p: Pass) -> Outcome:
    """Bring ERPNext up to what Google holds for one calendar. Raises the errors of
    ``watcher.errors``; then nothing may be stored."""
    reading = read_changes(p) if p.kind == "delta" else read_window(p)
    read_at = time.monotonic()
    if reading.is_empty:
        return Outcome(reading=reading, read_at=read_at, plan=Plan(), applied=Applied())
    reading, rows = look_up(p, reading)
    plan = decide(p.basis, reading, rows)
    if p.kind == "delta" and plan.conceals:
        plan = plan.finishing(p.mirror.leftovers(*p.basis.calendar))
    if plan.brake:
        log.warning("cancellations wait to be confirmed: %s", plan.brake.message)
    applied = p.mirror.apply(plan.actions, before_batch=p.hold, note_erased=p.note_erased)
    p.mirror.forget(plan.private, p.hold)
    outcome = Outcome(
        reading=reading, read_at=read_at, plan=plan, applied=applied, rivals=_rivals(p, plan, rows)
    )
    before = _stamp_before(p, rows)
    if applied.wrote and before:
        seen, touched = look_back(p.mirror, p.basis.calendar, plan.written, before)
        return replace(outcome, rows_seen=seen, touched=touched)
    return replace(outcome, rows_seen=before) if p.kind == "snapshot" else outcome


def _rivals(p: Pass, plan: Plan, rows: Rows) -> int:
    """Where nothing of Watcher's own explains that rows are as it did not leave them."""
    work, same = p.basis.work, p.basis.work.policy_fingerprint == p.basis.policy
    if p.kind == "delta" or not (same and work.rows_seen) or work.reason == "unanswered":
        return 0
    return rewritten(work, rows.held, plan.actions)


def plan_only(p: Pass) -> Plan:
    """What ``sync`` would do by a full listing; writes nothing."""
    reading, rows = look_up(p, list_window(p))
    return decide(p.basis, reading, rows)


def look_up(p: Pass, reading: Reading) -> tuple[Reading, Rows]:
    """What ERPNext holds of what was read; and the reading, with the past of series that became
    private, if ERPNext holds any of it."""
    basis = p.basis
    if reading.kind == "snapshot":
        # After a change of policy rows that have aged out may have to be masked as well.
        seen = basis.work.rows_seen if basis.work.policy_fingerprint == basis.policy else ""
        rows = Rows(held=rows_of_listing(p, [*_keys(basis, reading), *basis.work.to_mask], seen))
        p.hold()
        return reading, rows
    at_once = _look_once(p, reading)
    if at_once is not None:
        return reading, at_once
    roots = [data_id(event.id) for event in reading.roots]
    of_series = p.mirror.rows_by_series(*basis.calendar, roots)
    p.hold()
    reading = read_past(p, reading, of_series)
    held = p.mirror.rows_by_keys(_keys(basis, reading))
    p.hold()
    return reading, Rows(held=list(held.values()), of_series=of_series)


def _look_once(p: Pass, reading: Reading) -> Rows | None:
    """As ``look_up``, by one call, where the changes are few and of living single events: one that
    is no series any more has its rows in this calendar alone, as good as always. The rows of a
    series that many attend would come in all their calendars; then None."""
    keys = _keys(p.basis, reading)
    roots = {data_id(event.id) for event in reading.roots}
    series = any(event.is_master or event.is_cancelled for event in reading.roots)
    if series or not keys or len(keys) + len(roots) > BATCH:
        return None
    found = p.mirror.rows_by_keys_or_series(keys, roots)
    p.hold()
    return Rows(
        held=[row for row in found if row.key in keys],
        of_series=[
            row
            for row in found
            if row.recurring_event_id in roots and row.owner_ids == p.basis.calendar
        ],
    )


def _keys(basis: Basis, reading: Reading) -> list[str]:
    events = (*reading.told, *reading.listed)
    return sync_keys(basis.rules, [event.id for event in events])


def rows_of_listing(p: Pass, keys: Iterable[str], seen: str) -> list[Row]:
    """What ERPNext holds for the calendar, as far as a listing of the window with these keys
    decides on it: the rows of the keys wherever they lie, and of the others those that do not end
    before the window, that were written after ``seen``, or that have no key. The rest is history,
    which stays as it is. All rows when ``seen`` is empty: rows that an earlier version has only
    masked may lie anywhere."""
    basis = p.basis
    if not seen:
        return p.mirror.rows_of_calendar(*basis.calendar)
    edge = (basis.window.start - ZONES_APART).astimezone(basis.rules.site_zone)
    rows = p.mirror.rows_for_listing(
        *basis.calendar, ends_after=f"{edge:%Y-%m-%d %H:%M:%S}", touched_since=seen
    )
    known = {row.key for row in rows}
    return [*rows, *p.mirror.rows_by_keys(key for key in keys if key not in known).values()]


def _stamp_before(p: Pass, rows: Rows) -> str:
    """ERPNext's newest stamp of the calendar's rows before the pass wrote. Empty in a delta that no
    snapshot with such a stamp went before: there is nothing to go on from."""
    before = p.basis.work.rows_seen
    if p.kind == "delta":
        return before
    return max([before or EVER, *(row.modified for row in rows.held)])


def _as_refusal(refused: Refused) -> SetAside:
    return SetAside(
        key=refused.key,
        event_id=refused.event_id,
        message=refused.message,
        series=refused.series,
        cause=refused.cause,
        kind=refused.kind,
        alike=refused.alike,
        step=refused.step,
    )
