"""Series and stretches of time, as Google itself expands them: no recurrence is computed here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

from watcher.events.mapping import data_id
from watcher.events.model import Row, Window
from watcher.google.errors import malformed
from watcher.sync.passes import Pass

EXPAND_ONE_BY_ONE = 8
"""Up to this many changed series are expanded by a call each; more by one listing of the window,
so that a bulk edit of hundreds of series stays within Google's quota."""

Items = list[dict[str, Any]]


def expand(p: Pass, masters: set[str], orphaned: set[str]) -> Items:
    """The instances of ``masters`` in the window, and what is left there of ``orphaned``: series
    that Google calls gone while an exception of theirs is said to live.

    Where the two calls contradict each other, the listing of the window decides.
    """
    calendar_id, window = p.basis.rules.calendar_id, p.basis.window
    found: Items = []
    if not orphaned and len(masters) <= EXPAND_ONE_BY_ONE:
        for master in sorted(masters):
            instances = p.google.instances(calendar_id, master, window)
            p.hold()
            if instances is None:
                break
            found += instances
        else:
            return found
    found = []
    for page in p.google.snapshot(calendar_id, window):
        found += [i for i in page.items if i.get("recurringEventId") in masters | orphaned]
        p.hold()
    return found


def history(p: Pass, private: set[str], rows: Iterable[Row], zone: ZoneInfo) -> Items:
    """What has aged out of the window of the series ``private``, as far as ERPNext holds
    ``rows`` of it. ``zone`` is the calendar's."""
    place = p.basis.place(zone)
    found: Items = []
    past = [row for row in rows if not row.is_cancelled and place.is_past(row)]
    for master in sorted(private):
        begins = [place.starts(r) for r in past if r.recurring_event_id == data_id(master)]
        if begins:
            window = Window(start=min(begins), end=place.window.start)
            instances = p.google.instances(p.basis.rules.calendar_id, master, window)
            p.hold()
            if instances is None:
                raise malformed("it does not know a series of which it has just told", "instances")
            found += instances
    return found
