"""The story of one sync: read Google, map, compare with ERPNext, write the difference, then store
the token.

Google is read in two ways (docs/how-it-works.md):

- a **delta** by sync token brings changed single events, exceptions and series masters; the
  expansion of a changed series is asked of Google for the window (events.instances);
- a **snapshot** lists the window expanded and sweeps what ERPNext holds beyond it.

The token moves last. A crash anywhere before repeats work and loses nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from watcher.errors import SweepHeld, SyncTokenExpired
from watcher.events.compare import Difference, difference
from watcher.events.mapping import PRIVATE, data_id, sync_key
from watcher.events.model import (
    Action,
    Cancel,
    Create,
    ErpEvent,
    GoogleEvent,
    Keep,
    MappingRules,
    Row,
    Update,
    Window,
)
from watcher.events.plan import (
    ChangedSeries,
    Situation,
    Trust,
    Veil,
    conceals,
    discards,
    newest_by_id,
    plan_delta,
    plan_snapshot,
)
from watcher.events.window import REACH
from watcher.google.client import QUERY_FINGERPRINT
from watcher.ledger.aside import Refusal
from watcher.ledger.calendars import Settled, Work
from watcher.sync.expansion import expand, history, listing
from watcher.sync.intake import (
    Mapped,
    made_private,
    map_events,
    map_items,
    parse_items,
    sync_keys,
    zone_or_utc,
)
from watcher.sync.sides import Report, Sides
from watcher.sync.touched import EVER, rows_seen, was_touched

log = logging.getLogger(__name__)

ROLL_AFTER = REACH / 4
CLOCK_TOLERANCE = timedelta(hours=1)
"""Clocks of several machines differ a little; a shorter window is another policy."""


def sync(
    sides: Sides,
    work: Work,
    *,
    hold: Callable[[], None],
    dry_run: bool = False,
    progress: Callable[[str, int], None] = lambda _stage, _count: None,
) -> tuple[Report, Settled]:
    """Bring ERPNext up to what Google holds for one calendar; returns what to store.

    ``hold`` keeps the calendar's lease and raises ``LeaseLost`` when it is gone; it is called
    between calls to either side. Raises the errors of ``watcher.errors``; then nothing may be
    stored. The caller stores ``Settled`` in one transaction, under the lease's fence.
    """
    if not _token_is_good(sides, work) or work.snapshot or was_touched(sides, work):
        return _snapshot(sides, work, hold, dry_run, progress)
    try:
        return _delta(sides, work, hold, dry_run, progress)
    except SyncTokenExpired:
        log.info("sync token expired, full sync", extra={"calendar": work.calendar_id})
        return _snapshot(sides, work, hold, dry_run, progress, fresh_token=True)


def compare(
    sides: Sides, covered_to: datetime | None = None, seen: str = ""
) -> tuple[Difference, int]:
    """What ERPNext holds against what Google holds in the window, now; writes nothing.

    ``covered_to`` is how far the mirror has been filled: it is not late for what comes after.
    ``seen`` is as in ``Sides.rows_for``.
    Returns the difference and how many of Google's events are mirrored.
    """
    end = min(sides.window.end - REACH, covered_to or sides.window.end)
    sides = replace(sides, window=replace(sides.window, end=end))
    items: list[dict[str, Any]] = []
    zone_name = ""
    for page in sides.google.snapshot(sides.rules.calendar_id, sides.window):
        items += page.items
        zone_name = page.time_zone or zone_name
    zone = zone_or_utc(zone_name)
    mapped = map_items(items, sides.rules, sides.window, zone)
    rows = sides.rows_for(mapped.keys, seen)
    found = difference(mapped.told(sides.rules), rows, sides.place(zone))
    return found, sum(isinstance(event, ErpEvent) for event in mapped.live)


def _token_is_good(sides: Sides, work: Work) -> bool:
    return (
        work.sync_token is not None
        and work.query_fingerprint == QUERY_FINGERPRINT
        and work.policy_fingerprint == sides.policy
        and not work.first
    )


def _snapshot(
    sides: Sides,
    work: Work,
    hold: Callable[[], None],
    dry_run: bool,
    progress: Callable[[str, int], None],
    fresh_token: bool = False,
) -> tuple[Report, Settled]:
    """List the window, write the difference, sweep what vanished.

    The token is minted before the listing, so that a change in between comes with the next delta.
    """
    report = Report(kind="snapshot")
    rules = sides.rules
    token = work.sync_token
    if fresh_token or token is None or work.query_fingerprint != QUERY_FINGERPRINT:
        token = sides.google.mint_sync_token(rules.calendar_id)
        hold()
    items, zone_name = [], work.time_zone
    for page in sides.google.snapshot(rules.calendar_id, sides.window):
        hold()
        report.pages += 1
        items += page.items
        zone_name = page.time_zone or zone_name
        progress("read", len(items))
    report.items = len(items)
    zone = zone_or_utc(zone_name)
    mapped = map_items(items, rules, sides.window, zone)
    # After a change of policy rows that have aged out may have to be masked as well.
    seen = work.rows_seen if work.policy_fingerprint == sides.policy else ""
    held = sides.rows_for(mapped.keys | work.to_mask, seen)
    hold()
    actions = _brake(sides, work, mapped, held, zone, report)
    _carry_out(sides, report, actions, mapped, hold, dry_run, progress)
    newest = max([work.rows_seen or EVER, *(row.modified for row in held)])
    return report, Settled(
        sync_token=token,
        query_fingerprint=QUERY_FINGERPRINT,
        policy_fingerprint=sides.policy,
        time_zone=zone_name,
        window_start=sides.window.start,
        window_end=sides.window.end,
        snapshot=True,
        rows_seen=rows_seen(sides, report, newest) or newest,
    )


def _brake(
    sides: Sides,
    work: Work,
    mapped: Mapped,
    held: Sequence[Row],
    zone: ZoneInfo,
    report: Report,
) -> list[Action]:
    """The plan; where the sweep is held back, everything else goes on without it. A consent lifts
    the brake up to the number of rows that an admin was shown."""
    told = mapped.told(sides.rules)
    situation = Situation(
        place=sides.place(zone),
        trust=Trust(api_user=sides.api_user, seen=work.rows_seen),
        veil=Veil(keys=work.to_mask, private_rows=sides.rules.hides_private_rows),
    )
    try:
        _check_clock(sides, work)
        return plan_snapshot(told, held, situation)
    except SweepHeld as brake:
        actions = plan_snapshot(told, held, situation, force=True)
        others = [a for a in actions if not (isinstance(a, Cancel) and a.reason == "vanished")]
        sweep = len(actions) - len(others)
        if work.sweep_allowed is not None and sweep <= work.sweep_allowed:
            return actions
        report.sweep_held = sweep
        report.vanished_held = f"{brake.message}; {sweep} rows would be cancelled"
        log.warning("sweep held: %s", report.vanished_held, extra={"calendar": work.calendar_id})
        return others


def _check_clock(sides: Sides, work: Work) -> None:
    """A clock set back would make the window end before what is mirrored, and sweep that away."""
    if work.window_end is None or work.policy_fingerprint != sides.policy:
        return
    behind = work.window_end - sides.window.end
    if behind > CLOCK_TOLERANCE:
        raise SweepHeld(
            f"this machine's clock is {behind} behind that of the last full sync",
            cause="sweep_held",
            side="watcher",
            next_step="correct the clock, then `watcher resync EMAIL`",
        )


def _delta(
    sides: Sides,
    work: Work,
    hold: Callable[[], None],
    dry_run: bool,
    progress: Callable[[str, int], None],
) -> tuple[Report, Settled]:
    """Read what changed since the token, expand changed series, write the difference."""
    report = Report(kind="delta")
    rules = sides.rules
    items, next_token, zone_name = [], None, work.time_zone
    for page in sides.google.changes(rules.calendar_id, work.sync_token or ""):
        hold()
        report.pages += 1
        items += page.items
        next_token = page.next_sync_token or next_token
        zone_name = page.time_zone or zone_name
    if next_token is None:
        raise AssertionError("the client lets no delta end without a token")
    report.items = len(items)
    rolled = _newly_reached(sides, work)
    reached = listing(sides.google, rules.calendar_id, rolled, hold) if rolled else []
    if items or reached:
        zone = zone_or_utc(zone_name)
        _apply_delta(sides, report, items, reached, zone, hold, dry_run, progress)
    return report, Settled(
        sync_token=next_token,
        query_fingerprint=QUERY_FINGERPRINT,
        policy_fingerprint=sides.policy,
        time_zone=zone_name,
        window_start=sides.window.start if rolled else None,
        window_end=sides.window.end if rolled else None,
        rows_seen=rows_seen(sides, report, work.rows_seen) if work.rows_seen else None,
    )


def _apply_delta(
    sides: Sides,
    report: Report,
    items: list[dict[str, Any]],
    reached: list[dict[str, Any]],
    zone: ZoneInfo,
    hold: Callable[[], None],
    dry_run: bool,
    progress: Callable[[str, int], None],
) -> None:
    rules = sides.rules
    parsed, refused = parse_items(items, rules, zone)
    events = newest_by_id(parsed)
    roots = [e for e in events if e.recurring_event_id is None]
    masters = {e.id for e in roots if e.is_master and not e.is_cancelled}
    private = {e.id for e in roots if e.visibility in PRIVATE}
    series = sides.mirror.held_by_series(
        data_id(rules.account),
        data_id(rules.calendar_id),
        [data_id(e.id) for e in roots],
    )
    hold()
    google = sides.google
    dead = {e.id for e in roots} - masters
    orphans = dead & {e.recurring_event_id or "" for e in events if not e.is_cancelled}
    expansion = expand(google, rules.calendar_id, masters, orphans, sides.window, hold)
    expansion += reached
    expansion += history(
        google, rules.calendar_id, masters & private, series, sides.place(zone), hold
    )
    report.items += len(expansion)
    expanded, more_refused = parse_items(expansion, rules, zone)
    # What the expansion says of a changed series is newer than the exceptions in the delta.
    expanded_series = masters | orphans
    direct = [
        e for e in events if e.id not in masters and e.recurring_event_id not in expanded_series
    ]
    mapped = map_events([*direct, *newest_by_id(expanded)], rules, sides.window, zone)
    hidden = made_private(events, masters, expanded)
    mapped.outside.extend(map_events(hidden, rules, sides.window, zone).outside)
    mapped.refused.extend([*refused, *more_refused])
    report.changes = tuple(event.updated for event in events if event.updated)
    keys = sync_keys(rules, [*(e.id for e in events), *(e.id for e in expanded)])
    held = sides.mirror.held_by_keys(keys)
    hold()
    changed = ChangedSeries(
        rows=series,
        became=_series_plan(rules, roots, masters),
        private=frozenset(data_id(master) for master in private),
    )
    actions = plan_delta(mapped.told(rules), held, changed, sides.place(zone))
    if any(conceals(action) for action in actions):
        actions += discards(sides.mirror.leftovers(*sides.calendar))
    if rules.hides_private:
        private_ones = [e.id for e in [*events, *expanded] if e.visibility in PRIVATE]
        report.private_ids = [data_id(event_id) for event_id in private_ones]
    report.oldest_change = _oldest_written(rules, actions, events)
    _carry_out(sides, report, actions, mapped, hold, dry_run, progress)


def _series_plan(
    rules: MappingRules, roots: Iterable[GoogleEvent], masters: set[str]
) -> dict[str, str]:
    """Recurring id as ERPNext holds it -> ``expanded``, ``single`` or ``cancelled``."""
    plan = {}
    for event in roots:
        word = "cancelled" if event.is_cancelled else "single"
        plan[data_id(event.id)] = "expanded" if event.id in masters else word
    return plan


def _newly_reached(sides: Sides, work: Work) -> Window | None:
    """What has come within reach of the window's far end since the mirror was last filled."""
    if work.window_end is None or sides.window.end - work.window_end < ROLL_AFTER:
        return None
    return Window(start=work.window_end, end=sides.window.end)


def _oldest_written(
    rules: MappingRules, actions: Iterable[Action], events: Iterable[GoogleEvent]
) -> datetime | None:
    """When Google made the oldest of the changes that are written now. What a delta tells once
    more, since a snapshot has written it already, is no latency."""
    told = {sync_key(rules.account, rules.calendar_id, e.id): e.updated for e in events}
    stamps = [
        action.event.updated if isinstance(action, Create | Update) else told.get(action.key)
        for action in actions
        if not isinstance(action, Keep)
    ]
    return min((stamp for stamp in stamps if stamp is not None), default=None)


def _carry_out(
    sides: Sides,
    report: Report,
    actions: list[Action],
    mapped: Mapped,
    hold: Callable[[], None],
    dry_run: bool,
    progress: Callable[[str, int], None],
) -> None:
    report.planned = actions
    report.refused += mapped.refused
    if dry_run:
        return
    done = 0

    def before_batch() -> None:
        nonlocal done
        hold()
        done += 1
        progress("write", done)

    applied = sides.mirror.apply(actions, before_batch=before_batch, note_erased=sides.note_erased)
    sides.mirror.forget(report.private_ids, before_batch)
    report.applied = applied
    report.refused += [
        Refusal(
            key=r.key,
            event_id=r.event_id,
            message=r.message,
            series=r.series,
            cause=r.cause,
            kind=r.kind,
            alike=r.alike,
            step=r.step,
        )
        for r in applied.refused
    ]
    aside = {refusal.key for refusal in report.refused}
    report.settled_keys = [action.key for action in actions if action.key not in aside]
