"""What a pass would do with one event: the code of the pass itself decides, on this event alone.
Pure."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from watcher.events.compare import detail, is_to_reopen
from watcher.events.fields import STATUS
from watcher.events.mapping import sync_key
from watcher.events.model import ErpEvent, GoogleEvent, Row
from watcher.explain.gathered import Decided
from watcher.languages.sentence import joined
from watcher.ledger.aside import SetAside
from watcher.sync.decide import Rows, decide, map_reading
from watcher.sync.passes import Basis
from watcher.sync.reading import Reading


def decide_on(
    basis: Basis, zone: ZoneInfo, events: Sequence[GoogleEvent], rows: Sequence[Row] | None
) -> Decided:
    """What a full listing that shows these events alone would do with their rows. ``rows`` is None
    where it is not known what ERPNext holds: then only what becomes of the events is told. ``zone``
    is the calendar's."""
    reading = _listing(events, zone)
    mapped = map_reading(basis, reading)
    found = Decided(
        mapped=next(iter([*mapped.live, *mapped.outside]), None),
        outside=bool(mapped.outside) and not mapped.live,
        unmappable=_first(mapped.refused),
    )
    if rows is None:
        return found
    actions = decide(basis, reading, Rows(held=list(rows))).actions
    return Decided(
        mapped=found.mapped,
        outside=found.outside,
        unmappable=found.unmappable,
        actions=tuple(actions),
        differs=_difference(basis, zone, found, rows),
    )


def keys_of(basis: Basis, events: Sequence[GoogleEvent]) -> list[str]:
    rules = basis.rules
    return [sync_key(rules.account, rules.calendar_id, event.id) for event in events]


def _listing(events: Sequence[GoogleEvent], zone: ZoneInfo) -> Reading:
    return Reading(
        kind="snapshot",
        token="",
        zone_name=zone.key,
        pages=1,
        items=len(events),
        told=[],
        listed=list(events),
        unreadable=[],
        filled=None,
    )


def _first(refused: Sequence[SetAside]) -> str:
    return refused[0].message if refused else ""


def _difference(basis: Basis, zone: ZoneInfo, found: Decided, rows: Sequence[Row]) -> str:
    event = found.mapped
    row = next((row for row in rows if event is not None and row.key == event.key), None)
    if not isinstance(event, ErpEvent) or row is None:
        return ""
    reopen = is_to_reopen(event, row, basis.place(zone))
    return joined(", ", detail(event, row), STATUS if reopen else "")
