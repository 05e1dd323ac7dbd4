"""Series and stretches of time, as Google itself expands them: no recurrence is computed here.

``hold`` is called after each call to Google; it keeps the calendar's lease.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from watcher.events.compare import Place
from watcher.events.mapping import data_id
from watcher.events.model import Row, Window
from watcher.google.client import CalendarClient
from watcher.google.errors import malformed

EXPAND_ONE_BY_ONE = 8
"""Up to this many changed series are expanded by a call each; more by one listing of the window,
so that a bulk edit of hundreds of series stays within Google's quota."""

Items = list[dict[str, Any]]
Hold = Callable[[], None]


def expand(
    google: CalendarClient,
    calendar_id: str,
    masters: set[str],
    orphans: set[str],
    window: Window,
    hold: Hold,
) -> Items:
    """The instances of ``masters`` in the window, and what is left there of ``orphans``: series
    that Google calls gone while an exception of theirs is said to live.

    Where the two calls contradict each other, the listing of the window decides.
    """
    found: Items = []
    if not orphans and len(masters) <= EXPAND_ONE_BY_ONE:
        for master in sorted(masters):
            instances = google.instances(calendar_id, master, window)
            hold()
            if instances is None:
                break
            found += instances
        else:
            return found
    wanted = masters | orphans
    listed = listing(google, calendar_id, window, hold)
    return [item for item in listed if item.get("recurringEventId") in wanted]


def listing(google: CalendarClient, calendar_id: str, window: Window, hold: Hold) -> Items:
    """Everything in the window, series expanded."""
    found: Items = []
    for page in google.snapshot(calendar_id, window):
        found += page.items
        hold()
    return found


def history(
    google: CalendarClient,
    calendar_id: str,
    private: set[str],
    rows: Iterable[Row],
    place: Place,
    hold: Hold,
) -> Items:
    """What has aged out of the window of series that are private: their rows stay, so they have
    to be written anew without what was readable."""
    found: Items = []
    past = [row for row in rows if not row.is_cancelled and place.is_past(row)]
    for master in sorted(private):
        begins = [place.starts(r) for r in past if r.recurring_event_id == data_id(master)]
        if begins:
            window = Window(start=min(begins), end=place.window.start)
            instances = google.instances(calendar_id, master, window)
            hold()
            if instances is None:
                raise malformed("it does not know a series of which it has just told", "instances")
            found += instances
    return found
