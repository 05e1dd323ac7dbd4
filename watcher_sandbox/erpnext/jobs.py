"""What a real site does beside requests: the scheduler's daily job, and the workers' jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher_sandbox.erpnext.accounts import ADMINISTRATOR
from watcher_sandbox.erpnext.catalogue import NEW
from watcher_sandbox.erpnext.db import Row

if TYPE_CHECKING:
    from watcher_sandbox.erpnext.site import Site


def write_search(site: Site) -> None:
    """The scheduler's quarter of an hour: what was queued for the global search goes into its
    table, the last of each Event; also of one that was deleted meanwhile, which stays there."""
    latest = {name: (title, text) for name, title, text in site.search_queue}
    site.search_queue.clear()
    for name, (title, text) in latest.items():
        site.make("__global_search", name, doctype="Event", title=title, content=text)


def write_errors(site: Site) -> None:
    """Errors that were answered 500 and more stand in the Error Log a quarter of an hour later,
    for a month, with all that the request had brought: titles and texts too."""
    while site.error_queue:
        user, title, text = site.error_queue.popleft()
        site.make("Error Log", owner=user, method=title[:140], error=text)


def close_past_events(site: Site) -> list[str]:
    """Open Events that ended before today become Closed: those only that Administrator's list
    shows, so Private ones of others stay Open for ever. ``modified`` moves, and no Version is
    written. Returns their names."""
    closed = []
    with site.transaction():
        today = site.now()[:10]
        for row in site.events():
            if row["status"] == "Open" and _is_over(row, today) and _listed(site, row):
                change = {"modified": site.now(), "modified_by": ADMINISTRATOR}
                site.put("Event", row | {"status": "Closed"} | change)
                closed.append(row["name"])
    return closed


def _is_over(row: Row, today: str) -> bool:
    last = [row[name] for name in ("ends_on", "repeat_till") if row[name]]
    return any(moment[:10] < today for moment in last)


def _listed(site: Site, row: Row) -> bool:
    """Whether the Event is in Administrator's own list; on 16 that list also has those in which
    Administrator takes part."""
    if row["event_type"] == "Public" or row["owner"] == ADMINISTRATOR:
        return True
    people = row["event_participants"] if site.frappe == NEW else []
    return any(each.get("email") == ADMINISTRATOR for each in people)
