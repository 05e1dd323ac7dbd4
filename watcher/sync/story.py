"""The story of one pass over a calendar: read Google, look up ERPNext, decide, write the
difference. What is stored afterwards, the sync token last, is in ``outcome``.

A crash anywhere before that repeats work and loses nothing.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace

from watcher.erpnext.applied import Applied
from watcher.erpnext.refusals import Refused
from watcher.ledger.aside import SetAside
from watcher.sync.decide import Plan, Rows, decide
from watcher.sync.held import look_up
from watcher.sync.passes import Pass
from watcher.sync.reading import Reading, list_window, read_changes, read_window
from watcher.sync.touched import EVER, Written, look_back, rewritten

log = logging.getLogger(__name__)


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """What Google has told, and ``at`` which moment it was read, on the monotonic clock."""

    reading: Reading
    at: float

    def came_to(self, plan: Plan, applied: Applied, rivals: int = 0) -> Outcome:
        return Outcome(
            reading=self.reading, read_at=self.at, plan=plan, applied=applied, rivals=rivals
        )


def sync(p: Pass, heard: Heard | None = None) -> Outcome:
    """Bring ERPNext up to what Google holds for one calendar; ``heard`` is what Google has told,
    where it has been read already. Raises the errors of ``watcher.errors``; then nothing may be
    stored."""
    if heard is None:
        reading = read_changes(p) if p.kind == "delta" else read_window(p)
        heard = Heard(reading=reading, at=time.monotonic())
    if heard.reading.is_empty:
        return heard.came_to(Plan(), Applied())
    reading, rows = look_up(p, heard.reading)
    plan = decide(p.basis, reading, rows)
    if p.kind == "delta" and plan.conceals:
        plan = plan.finishing(p.mirror.leftovers(*p.basis.calendar))
    if plan.brake:
        log.warning("cancellations wait to be confirmed: %s", plan.brake.message)
    applied = p.mirror.apply(plan.actions, before_batch=p.hold, note_erased=p.note_erased)
    p.mirror.forget(plan.private, p.hold)
    outcome = replace(heard, reading=reading).came_to(plan, applied, _rivals(p, plan, rows))
    before = _stamp_before(p, rows)
    if applied.wrote and before:
        written = Written(p.basis.calendar, plan.written, before)
        seen, touched = look_back(p.mirror, written)
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
