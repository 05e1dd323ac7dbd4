"""What ERPNext holds against what Google holds, without changing anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from watcher.events.compare import Difference, difference
from watcher.events.mapping import sync_key
from watcher.events.model import ErpEvent, GoogleEvent, MappingRules
from watcher.events.window import REACH
from watcher.sync.decide import map_reading
from watcher.sync.held import rows_of_listing
from watcher.sync.passes import Pass
from watcher.sync.reading import list_window


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What was found. ``mirrored`` is how many of Google's events are mirrored, ``events`` are
    Google's by their sync keys, ``rules`` those by which they were mapped."""

    difference: Difference
    mirrored: int
    events: Mapping[str, GoogleEvent]
    rules: MappingRules


def compare(p: Pass) -> Comparison:
    """What ERPNext holds against what Google holds in the window, now; writes nothing. The mirror
    is not late for what lies beyond the end to which it has been filled."""
    window = p.basis.window
    end = min(window.end - REACH, p.basis.work.window_end or window.end)
    p = replace(p, basis=replace(p.basis, window=replace(window, end=end)))
    reading, rules = list_window(p), p.basis.rules
    mapped = map_reading(p.basis, reading)
    rows = rows_of_listing(p, mapped.keys, p.basis.work.rows_seen)
    keys = [sync_key(rules.account, rules.calendar_id, event.id) for event in reading.listed]
    return Comparison(
        difference=difference(mapped.told(rules), rows, p.basis.place(reading.zone)),
        mirrored=sum(isinstance(event, ErpEvent) for event in mapped.live),
        events=dict(zip(keys, reading.listed, strict=True)),
        rules=rules,
    )
