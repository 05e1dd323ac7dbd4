"""What ERPNext holds against what Google holds, without changing anything."""

from __future__ import annotations

from dataclasses import replace

from watcher.events.compare import Difference, difference
from watcher.events.model import ErpEvent
from watcher.events.window import REACH
from watcher.sync.decide import map_reading
from watcher.sync.passes import Pass
from watcher.sync.reading import list_window
from watcher.sync.story import rows_of_listing


def compare(p: Pass) -> tuple[Difference, int]:
    """What ERPNext holds against what Google holds in the window, now; writes nothing. The mirror
    is not late for what lies beyond the end to which it has been filled.

    Returns the difference and how many of Google's events are mirrored.
    """
    window = p.basis.window
    end = min(window.end - REACH, p.basis.work.window_end or window.end)
    p = replace(p, basis=replace(p.basis, window=replace(window, end=end)))
    reading = list_window(p)
    mapped = map_reading(p.basis, reading)
    rows = rows_of_listing(p, mapped.keys, p.basis.work.rows_seen)
    found = difference(mapped.told(p.basis.rules), rows, p.basis.place(reading.zone))
    return found, sum(isinstance(event, ErpEvent) for event in mapped.live)
