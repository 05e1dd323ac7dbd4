"""What a pass, or several at once, leave in the ledger, in one transaction: the diary, what stands
aside, and last the sync token. The lease goes back in it as well, unless the calendar has changed
meanwhile."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session

from watcher.errors import Cause
from watcher.google.client import QUERY_FINGERPRINT
from watcher.ledger import aside, away, budget, channels, debts, doubts, heard, owing, rivals, runs
from watcher.ledger import erpnext as known_site
from watcher.ledger.models import Run
from watcher.ledger.states import CalendarState
from watcher.services import Services
from watcher.sync.attempt import Attempt, End, about
from watcher.sync.passes import Pass
from watcher.sync.story import Outcome

log = logging.getLogger(__name__)

MAX_LAG = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """A pass that has gone through on both sides, and what it came to."""

    attempt: Attempt
    p: Pass
    outcome: Outcome

    @property
    def calendar_id(self) -> int:
        return self.p.basis.work.calendar_id


@dataclass(frozen=True, kw_only=True, slots=True)
class _Noted:
    """Its line in the diary, its calendar as ``as_found`` has read it, whether events of it stand
    aside, or did, and the keys of those that do from now on."""

    run: Run
    found: Row[Any] = field(repr=False)
    has_aside: bool
    fresh: Sequence[str] = ()


def commit(services: Services, *made: Made) -> list[End]:
    """Store what passes came to, in one transaction; several in the order of their calendars'
    numbers. ``DONE``: the calendar has not changed meanwhile, and is let go; else ``CHANGED``.
    Raises ``LeaseLost``; then nothing is stored."""
    now = services.clock()
    with services.counts.taken() as counted, services.db.session() as session:
        noted = [_note(session, each, now) for each in made]
        runs.add(session, [each.run for each in noted], counted)
        let_go = [
            _settle(services, session, each, note, now)
            for each, note in zip(made, noted, strict=True)
        ]
    for each, note in zip(made, noted, strict=True):
        with about(each.attempt):
            _tell_of_refusals(each.outcome, note.fresh)
            log.info("synced", extra={"run": _as_log(note.run)})
    return [End.DONE if gone else End.CHANGED for gone in let_go]


def _note(session: Session, made: Made, now: datetime) -> _Noted:
    """What stands aside from now on, and no more. The calendar is kept from others until the
    transaction ends."""
    run, found = _diary(made, now), debts.as_found(session, made.calendar_id, now)
    calendar_id, refused = made.calendar_id, made.outcome.refused
    if not (found.has_aside or refused):
        return _Noted(run=run, found=found, has_aside=False)
    fresh = aside.quarantine(session, calendar_id, refused, made.attempt.started, now)
    aside.release(session, calendar_id, made.outcome.settled_keys)
    if made.p.kind == "snapshot":
        aside.release_others(session, calendar_id, {r.key for r in refused})
    return _Noted(run=run, found=found, has_aside=True, fresh=fresh)


def _settle(services: Services, session: Session, made: Made, noted: _Noted, now: datetime) -> bool:
    """What is owed from now on; true when the calendar is let go."""
    attempt, p, outcome = made.attempt, made.p, made.outcome
    calendar_id, found, run, reading = made.calendar_id, noted.found, noted.run, outcome.reading
    if p.basis.work.reason == "poll":
        _doubt_channel(session, outcome, calendar_id, attempt.started)
    settled = debts.Settled(
        found=found,
        at=now,
        next_poll_at=_next_poll(services, session, found, now),
        sync_token=reading.token,
        query_fingerprint=QUERY_FINGERPRINT,
        policy_fingerprint=p.basis.policy,
        time_zone=reading.zone_name,
        window_start=reading.filled.start if reading.filled else None,
        window_end=reading.filled.end if reading.filled else None,
        snapshot=p.kind == "snapshot",
        wrote=bool(run.created or run.updated or run.cancelled),
        goes_on=outcome.touched
        and p.kind == "delta"
        and not rivals.is_known(session, calendar_id, now),
        rows_seen=outcome.rows_seen,
        trouble=_held(outcome)
        or (_refused(session, calendar_id, now) if noted.has_aside else None),
    )
    let_go = debts.settle(session, attempt.lease, p.basis.work, settled)
    if p.kind == "snapshot":
        rivals.note(session, calendar_id, outcome.rivals, now)
    if settled.goes_on:
        owing.owe_listings(session, [calendar_id], "touched", now)
    if outcome.applied.answered_late:
        known_site.remember_late_answers(session, outcome.applied.answered_late, now)
    if found.is_away:
        away.answered(session, _answered(outcome), now)
    return let_go


def _answered(outcome: Outcome) -> list[str]:
    """ERPNext is asked only where Google has told of something."""
    return ["google"] if outcome.reading.is_empty else ["google", "erpnext"]


def _next_poll(services: Services, session: Session, found: Row[Any], now: datetime) -> datetime:
    """Without a live channel (not only where there can be none) nothing but the poll tells."""
    settings = services.settings
    wanted = settings.poll_minutes
    if not heard.tells(found, found.watch_retry_at):
        wanted = min(wanted, settings.unwatched_poll_minutes)
    minutes = wanted
    if found.push_supported is not False:
        minutes = budget.stretched(session, found, wanted, settings.google_calls_per_day, now)
    return now + timedelta(minutes=minutes * random.uniform(0.8, 1.1))


def _held(outcome: Outcome) -> debts.Trouble | None:
    brake = outcome.plan.brake
    if brake is None:
        return None
    return debts.Trouble(
        state=CalendarState.HELD,
        cause=Cause.SWEEP_HELD,
        message=brake.message,
        sweep=brake.rows,
    )


def _refused(session: Session, calendar_id: int, now: datetime) -> debts.Trouble | None:
    found = aside.refuses_everything(session, calendar_id)
    if found is None:
        return None
    aside.hurry(session, calendar_id, now)
    return debts.Trouble(
        state=CalendarState.REFUSED,
        cause=Cause.REFUSED_BY_ERPNEXT,
        message=found.message,
        step=found.step or "watcher queue show",
    )


def _doubt_channel(session: Session, outcome: Outcome, calendar_id: int, started: datetime) -> None:
    """The newest change counts of which the channel has had the time to tell."""
    changes = [event.updated for event in outcome.reading.told if event.updated]
    change = doubts.untold(session, calendar_id, changes, started)
    if change is not None and channels.replace_if_deaf(session, calendar_id, change, started):
        log.warning("a poll found what no notification told of: the channel is replaced")


def _tell_of_refusals(outcome: Outcome, fresh: Sequence[str]) -> None:
    """Each event once, when it is set aside; the message is without the event's own texts."""
    for refusal in outcome.refused:
        if refusal.key in fresh:
            log.warning(
                "an event was set aside: %s",
                refusal.message,
                extra={"event": refusal.event_id, "cause": refusal.cause, "kind": refusal.kind},
            )


def _diary(made: Made, now: datetime) -> Run:
    attempt, p, outcome = made.attempt, made.p, made.outcome
    work, applied = p.basis.work, outcome.applied
    run = Run(
        calendar_id=work.calendar_id,
        kind=p.kind,
        reason=work.reason,
        started_at=attempt.started,
        seconds=attempt.seconds,
        read_seconds=max(0.0, outcome.read_at - attempt.mark),
        pages=outcome.reading.pages,
        items=outcome.reading.items,
        created=applied.created,
        updated=applied.updated + applied.revived,
        cancelled=applied.cancelled + applied.deleted,
        unchanged=applied.unchanged,
        skipped=applied.skipped.total(),
        refused=len(outcome.refused),
        held=outcome.plan.brake.rows if outcome.plan.brake else 0,
        trace=attempt.trace,
        told_by=work.told_by,
        error="",
    )
    if run.created or run.updated or run.cancelled:
        run.lag_google = _lag(outcome.plan.oldest_change, now)
        run.lag_received = _lag(work.received_at, now)
    return run


def _lag(since: datetime | None, now: datetime) -> float | None:
    """Seconds, never negative (Google's clock may be ahead); None when it is no latency."""
    if since is None or now - since > MAX_LAG:
        return None
    return max(0.0, (now - since).total_seconds())


def _as_log(run: Run) -> dict[str, object]:
    names = (
        *("kind", "pages", "items", "created", "updated", "cancelled", "unchanged", "skipped"),
        *("refused", "held", "lag_google", "lag_received"),
    )
    return {**{name: getattr(run, name) for name in names}, "seconds": round(run.seconds, 3)}
