"""From what Google told and what ERPNext holds to a plan: pure, so that a dry run stops here.

The brake is in here too: a listing that would cancel most of a calendar is not believed, and the
rest of it goes on without the cancellations until a person has confirmed them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from watcher.errors import SweepHeld
from watcher.events.mapping import PRIVATE, data_id, sync_key
from watcher.events.model import Action, Cancel, Create, Keep, Row, Update
from watcher.events.plan import (
    ChangedSeries,
    Situation,
    Trust,
    Veil,
    conceals,
    discards,
    plan_delta,
    plan_snapshot,
)
from watcher.ledger.aside import SetAside
from watcher.sync.intake import Intake, made_private, map_events
from watcher.sync.passes import Basis
from watcher.sync.reading import Reading

CLOCK_TOLERANCE = timedelta(hours=1)
"""Clocks of several machines differ a little; a shorter window is another policy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """What ERPNext holds of a reading: the rows of its keys (of a snapshot, all that are not mere
    history), and ``of_series`` those of the series that a delta told of."""

    held: list[Row] = field(default_factory=list)
    of_series: list[Row] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class Brake:
    """Why the cancellations of a listing are held back, and how many they are."""

    message: str
    rows: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is to be done. ``refused`` are events that could not be read or expressed. ``private``
    are ids of events and series of which ERPNext may keep what was deleted while it was readable.
    ``oldest_change`` is when Google made the oldest of the changes that are written now."""

    actions: list[Action] = field(default_factory=list)
    refused: list[SetAside] = field(default_factory=list)
    brake: Brake | None = None
    private: list[str] = field(default_factory=list)
    oldest_change: datetime | None = None

    @property
    def conceals(self) -> bool:
        """Whether it is about rows whose past may show what is private."""
        return any(conceals(action) for action in self.actions)

    @property
    def written(self) -> set[str]:
        """Keys of the rows that are not left as they are."""
        return {action.key for action in self.actions if not isinstance(action, Keep)}

    def finishing(self, leftovers: Iterable[Row]) -> Plan:
        """As it is, and with what is left of rows that were being made anew when a process was
        killed."""
        return replace(self, actions=[*self.actions, *discards(leftovers)])


def decide(basis: Basis, reading: Reading, rows: Rows) -> Plan:
    """Every event ends in exactly one action, or among the refused."""
    mapped = map_reading(basis, reading)
    if reading.kind == "delta":
        return _decide_delta(basis, reading, mapped, rows)
    return _decide_snapshot(basis, reading, mapped, rows.held)


def map_reading(basis: Basis, reading: Reading) -> Intake:
    """What Google told in ERPNext's form, split by what is to be done with it."""
    rules, window, zone = basis.rules, basis.window, reading.zone
    # What the expansion says of a changed series is newer than the exceptions in the delta.
    expanded = reading.masters | reading.orphaned
    direct = [
        event
        for event in reading.told
        if event.id not in reading.masters and event.recurring_event_id not in expanded
    ]
    mapped = map_events([*direct, *reading.listed], rules, window, zone)
    hidden = made_private(reading.told, reading.masters, reading.listed)
    mapped.outside.extend(map_events(hidden, rules, window, zone).outside)
    mapped.refused.extend(reading.unreadable)
    return mapped


def _decide_delta(basis: Basis, reading: Reading, mapped: Intake, rows: Rows) -> Plan:
    rules = basis.rules
    changed = ChangedSeries(
        rows=rows.of_series,
        became=_what_became_of_series(reading),
        private=frozenset(data_id(root) for root in reading.private_roots),
    )
    held = {row.key: row for row in rows.held}
    actions = plan_delta(mapped.told(rules), held, changed, basis.place(reading.zone))
    seen = [*reading.told, *reading.listed]
    private = [data_id(e.id) for e in seen if e.visibility in PRIVATE]
    return Plan(
        actions=actions,
        refused=mapped.refused,
        private=private if rules.hides_private else [],
        oldest_change=_oldest_written(basis, reading, actions),
    )


def _what_became_of_series(reading: Reading) -> dict[str, str]:
    """Recurring id as ERPNext holds it -> ``expanded``, ``single`` or ``cancelled``."""
    became = {}
    for event in reading.roots:
        word = "cancelled" if event.is_cancelled else "single"
        became[data_id(event.id)] = "expanded" if event.id in reading.masters else word
    return became


def _oldest_written(basis: Basis, reading: Reading, actions: Iterable[Action]) -> datetime | None:
    """What a delta tells once more, since a snapshot has written it already, is no latency."""
    rules = basis.rules
    told = {sync_key(rules.account, rules.calendar_id, e.id): e.updated for e in reading.told}
    stamps = [
        action.event.updated if isinstance(action, Create | Update) else told.get(action.key)
        for action in actions
        if not isinstance(action, Keep)
    ]
    return min((stamp for stamp in stamps if stamp is not None), default=None)


def _decide_snapshot(basis: Basis, reading: Reading, mapped: Intake, held: list[Row]) -> Plan:
    """Where the brake holds, everything else goes on. A consent lifts it up to the number of rows
    that an admin was shown."""
    work = basis.work

    told = mapped.told(basis.rules)
    situation = Situation(
        place=basis.place(reading.zone),
        trust=Trust(api_user=basis.api_user, seen=work.rows_seen),
        veil=Veil(keys=work.to_mask, private_rows=basis.rules.hides_private_rows),
    )
    try:
        _check_clock(basis)
        return Plan(actions=plan_snapshot(told, held, situation), refused=mapped.refused)
    except SweepHeld as brake:
        actions = plan_snapshot(told, held, situation, force=True)
        others = [a for a in actions if not (isinstance(a, Cancel) and a.reason == "vanished")]
        sweep = len(actions) - len(others)
        if work.sweep_allowed is not None and sweep <= work.sweep_allowed:
            return Plan(actions=actions, refused=mapped.refused)
        message = f"{brake.message}; {sweep} rows would be cancelled"
        return Plan(
            actions=others, refused=mapped.refused, brake=Brake(message=message, rows=sweep)
        )


def _check_clock(basis: Basis) -> None:
    """A clock set back would make the window end before what is mirrored, and sweep that away."""
    work = basis.work
    if work.window_end is None or work.policy_fingerprint != basis.policy:
        return
    behind = work.window_end - basis.window.end
    if behind > CLOCK_TOLERANCE:
        raise SweepHeld(
            f"this machine's clock is {behind} behind that of the last full sync",
            cause="sweep_held",
            side="watcher",
            next_step="correct the clock, then `watcher resync EMAIL`",
        )
