"""One pass over one calendar: the sides are put together, the story told, the outcome stored."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from watcher.erpnext.applied import Applied
from watcher.ledger import aside, budget, calendars, channels, doubts, erased, leases, runs
from watcher.ledger import erpnext as known_site
from watcher.ledger.budget import Purpose
from watcher.ledger.calendars import Settled, Trouble, Work
from watcher.ledger.leases import CalendarLease
from watcher.ledger.models import Account, Run, Usage
from watcher.services import Services
from watcher.sync.policy import make_rules, policy_fingerprint, window_of
from watcher.sync.sides import Report, Sides
from watcher.sync.story import sync

log = logging.getLogger(__name__)

Progress = Callable[[str, int], None]
MAX_LAG = timedelta(days=1)
HOLD_EVERY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class RunOutcome:
    report: Report
    run: Run

    def as_log(self) -> dict[str, object]:
        run = self.run
        return {
            "kind": run.kind,
            "pages": run.pages,
            "items": run.items,
            "created": run.created,
            "updated": run.updated,
            "cancelled": run.cancelled,
            "unchanged": run.unchanged,
            "skipped": run.skipped,
            "refused": run.refused,
            "seconds": round(run.seconds, 3),
            "lag_google": run.lag_google,
            "lag_received": run.lag_received,
        }


def make_sides(services: Services, work: Work, purpose: Purpose) -> Sides:
    """Both sides and the policy for one calendar, as of now."""
    site = services.site()
    settings = services.settings
    with services.db.session() as session:
        account = session.get_one(Account, work.account_id)
        rules = make_rules(
            settings,
            account=account.email,
            calendar_id=work.google_id,
            erpnext_user=account.erpnext_user,
            event_type=account.default_event_type,
            zone=site.zone,
        )
    rules = replace(rules, site_fields=site.fields, employee=services.employee(rules.erpnext_user))
    now = services.clock()
    return Sides(
        google=services.google(work.account_id, rules.account, purpose),
        mirror=services.mirror(),
        rules=rules,
        window=window_of(settings, now),
        now=now,
        api_user=site.api_user,
        policy=policy_fingerprint(settings, rules),
        note_erased=lambda rows: _note_erased(services, rows),
    )


def _note_erased(services: Services, rows: Mapping[str, str]) -> None:
    with services.db.session() as session:
        erased.note(session, rows, services.clock())


def run_once(
    services: Services,
    lease: CalendarLease,
    work: Work,
    purpose: Purpose,
    progress: Progress,
) -> RunOutcome:
    """Sync once and commit: diary, quarantine and, last in the same transaction, the token.

    Raises the errors of ``watcher.errors``; then the token has not moved.
    """
    started, clock = services.clock(), time.monotonic()
    sides = make_sides(services, work, purpose)
    erp_calls, google_calls = sides.mirror.calls, _google_calls(services, work)
    report, settled = sync(sides, work, hold=_holder(services, lease), progress=progress)
    run = _diary(work, report, started, services.clock(), time.monotonic() - clock)
    run.erpnext_calls = sides.mirror.calls - erp_calls
    run.google_calls = _google_calls(services, work) - google_calls
    _commit(services, lease, work, report, settled, run)
    return RunOutcome(report, run)


def _holder(services: Services, lease: CalendarLease) -> Callable[[], None]:
    """Prolong the lease, at most every ten seconds: it lasts sixty."""
    last = time.monotonic()

    def hold() -> None:
        nonlocal last
        if time.monotonic() - last < HOLD_EVERY_SECONDS:
            return
        with services.db.session() as session:
            leases.extend_calendar(services.db, session, lease)
        last = time.monotonic()

    return hold


def _google_calls(services: Services, work: Work) -> int:
    """Calls of this account in this and the last minute are near enough for the diary."""
    minute = int(services.clock().timestamp()) // 60
    with services.db.session() as session:
        rows = [session.get(Usage, f"minute:{m}:{work.account_id}") for m in (minute - 1, minute)]
        return sum(row.calls for row in rows if row is not None)


def _commit(
    services: Services,
    lease: CalendarLease,
    work: Work,
    report: Report,
    settled: Settled,
    run: Run,
) -> None:
    now = services.clock()
    with services.db.session() as session:
        calendar = calendars.locked(session, work.calendar_id)
        settings = services.settings
        # Without a live channel (not only where there can be none) nothing but the poll tells.
        unwatched = not channels.is_watched(session, calendar, now)
        wanted = settings.poll_minutes
        if unwatched:
            wanted = min(wanted, settings.unwatched_poll_minutes)
        minutes = budget.poll_minutes(session, wanted, calendar.push_supported is False)
        fresh = aside.quarantine(session, work.calendar_id, report.refused, run.started_at, now)
        aside.release(session, work.calendar_id, report.settled_keys)
        if settled.snapshot:
            aside.release_others(session, work.calendar_id, {r.key for r in report.refused})
        runs.add(session, run)
        trouble = _trouble(session, work, report, now)
        if work.reason == "poll":
            _doubt_channel(session, work.calendar_id, report, run.started_at)
        calendars.settle(
            session,
            lease,
            work,
            settled,
            now,
            timedelta(minutes=minutes * random.uniform(0.8, 1.1)),
            trouble=trouble,
        )
        if report.touched and not settled.snapshot:
            calendars.want_snapshot(session, work.calendar_id, "touched", now)
        if report.applied is not None and report.applied.answered_late:
            known_site.remember_late_answers(session, report.applied.answered_late, now)
    _tell_of_refusals(report, fresh)


def _trouble(session: Session, work: Work, report: Report, now: datetime) -> Trouble | None:
    """What waits for a person although the pass went through."""
    if report.vanished_held:
        return Trouble(
            state="held",
            cause="sweep_held",
            message=report.vanished_held,
            sweep=report.sweep_held,
        )
    found = aside.refuses_everything(session, work.calendar_id)
    if found is None:
        return None
    aside.hurry(session, work.calendar_id, now)
    return Trouble(
        state="refused",
        cause="refused_by_erpnext",
        message=found.message,
        step=found.step or "watcher queue show",
    )


def _tell_of_refusals(report: Report, fresh: list[str]) -> None:
    """Each event once, when it is set aside; the message is without the event's own texts."""
    for refusal in report.refused:
        if refusal.key in fresh:
            log.warning(
                "an event was set aside: %s",
                refusal.message,
                extra={"event": refusal.event_id, "cause": refusal.cause, "kind": refusal.kind},
            )


def _doubt_channel(session: Session, calendar_id: int, report: Report, started: datetime) -> None:
    """The newest change counts of which the channel has had the time to tell."""
    change = doubts.untold(session, calendar_id, report.changes, started)
    if change is not None and channels.replace_if_deaf(session, calendar_id, change, started):
        log.warning(
            "a poll found what no notification told of: the channel is replaced",
            extra={"calendar": calendar_id},
        )


def _diary(work: Work, report: Report, started: datetime, now: datetime, seconds: float) -> Run:
    applied = report.applied or Applied()
    unchanged = applied.kept.pop("unchanged", 0)
    run = Run(
        calendar_id=work.calendar_id,
        kind=report.kind,
        reason=work.reason,
        started_at=started,
        seconds=seconds,
        pages=report.pages,
        items=report.items,
        created=applied.created,
        updated=applied.updated + applied.revived,
        cancelled=applied.cancelled + applied.deleted,
        unchanged=unchanged,
        skipped=applied.kept.total(),
        refused=len(report.refused),
        error="",
    )
    if run.created or run.updated or run.cancelled:
        run.lag_google = _lag(report.oldest_change, now)
        run.lag_received = _lag(work.received_at, now)
    return run


def _lag(since: datetime | None, now: datetime) -> float | None:
    """Seconds, never negative (Google's clock may be ahead); None when it is no latency."""
    if since is None or now - since > MAX_LAG:
        return None
    return max(0.0, (now - since).total_seconds())
