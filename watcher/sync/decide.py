"""From what Google told and what ERPNext holds to a plan: pure, so that a dry run stops here.

The brake is part of it: see ``brake``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from watcher.events.mapping import PRIVATE, data_id, sync_key
from watcher.events.model import Action, Create, Keep, Row, Update
from watcher.events.plan import (
    ChangedSeries,
    conceals,
    discards,
    plan_delta,
)
from watcher.ledger.aside import SetAside
from watcher.sync.brake import Brake, plan_braked
from watcher.sync.intake import Intake, made_private, map_events
from watcher.sync.passes import Basis
from watcher.sync.reading import Reading


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """What ERPNext holds of a reading: the rows of its keys (of a snapshot, all that are not mere
    history), and ``of_series`` those of the series that a delta told of."""

    held: list[Row] = field(default_factory=list)
    of_series: list[Row] = field(default_factory=list)


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
    def is_plain(self) -> bool:
        """Whether rows are made or rewritten that everybody may read, and nothing else is done."""
        unusual = self.brake or self.private or self.conceals
        return not unusual and all(map(_is_plain, self.actions))

    @property
    def written(self) -> set[str]:
        """Keys of the rows that are not left as they are."""
        return {action.key for action in self.actions if not isinstance(action, Keep)}

    def finishing(self, leftovers: Iterable[Row]) -> Plan:
        """As it is, and with what is left of rows that were being made anew when a process was
        killed."""
        return replace(self, actions=[*self.actions, *discards(leftovers)])


def _is_plain(action: Action) -> bool:
    if isinstance(action, Create | Update):
        return action.event.event_type != "Private" and not action.event.masked
    return isinstance(action, Keep)


def decide(basis: Basis, reading: Reading, rows: Rows) -> Plan:
    """Every event ends in exactly one action, or among the refused."""
    mapped = map_reading(basis, reading)
    if reading.kind == "delta":
        return _decide_delta(basis, reading, mapped, rows)
    place = basis.place(reading.zone)
    actions, brake = plan_braked(basis, mapped.told(basis.rules), rows.held, place)
    return Plan(actions=actions, refused=mapped.refused, brake=brake)


def map_reading(basis: Basis, reading: Reading) -> Intake:
    """What Google told in ERPNext's form, split by what is to be done with it."""
    rules, window, zone = basis.rules, basis.window, reading.zone
    # What the expansion says of a changed series is newer than the exceptions in the delta.
    masters = reading.masters
    expanded = masters | reading.orphaned
    direct = [
        event
        for event in reading.told
        if event.id not in masters and event.recurring_event_id not in expanded
    ]
    mapped = map_events([*direct, *reading.listed], rules, window, zone)
    hidden = made_private(reading.told, masters, reading.listed)
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
    became, masters = {}, reading.masters
    for event in reading.roots:
        word = "cancelled" if event.is_cancelled else "single"
        became[data_id(event.id)] = "expanded" if event.id in masters else word
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
