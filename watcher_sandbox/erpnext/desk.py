"""Methods of Frappe's desk: the calendar view, and deleting many."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from typing import Any

from watcher_sandbox.erpnext import deletion, permissions
from watcher_sandbox.erpnext.db import Row
from watcher_sandbox.erpnext.errors import FrappeError
from watcher_sandbox.erpnext.queries import Query, triples
from watcher_sandbox.erpnext.site import Site

AT_ONCE = 10
"""delete_items leaves more than so many to a background worker."""
_CALENDAR = re.findall(
    r"\w+",
    "name subject description color starts_on ends_on owner all_day event_type "
    "repeat_this_event repeat_on repeat_till",
)


def calendar_view(site: Site, user: str, start: str, end: str, filters: Any) -> list[Row]:
    """Open Events of these days that the user sees without being a participant: Public and own
    ones and those with a DocShare. Frappe's own repetition is not expanded."""
    with site.lock:
        where, values = Query(site, "Event").where(list(triples(filters)), [])
        days = (
            "status = 'Open' AND substr(starts_on, 1, 10) <= ? "
            "AND substr(IFNULL(ends_on, starts_on), 1, 10) >= ?"
        )
        found = site.db.select(
            "Event",
            _CALENDAR,
            f"{days}{' AND ' + where if where else ''}",
            [end[:10], start[:10], *values],
            "starts_on, name",
        )
        return [row for row in found if _drawn_for(site, user, row)]


def _drawn_for(site: Site, user: str, row: Row) -> bool:
    if row["event_type"] == "Public" or row["owner"] == user:
        return True
    return permissions.shared(site, user, "Event", row["name"])


def delete_items(site: Site, user: str, doctype: str, names: list[str]) -> None:
    """Documents that cannot be deleted are skipped, and the answer does not name them."""
    ordered = sorted(map(str, names), reverse=True)
    if len(ordered) > AT_ONCE:
        site.background.append(partial(_delete_each, site, user, doctype, ordered))
    else:
        _delete_each(site, user, doctype, ordered)


def _delete_each(site: Site, user: str, doctype: str, names: Iterable[str]) -> None:
    skipped = 0
    for name in names:
        try:
            deletion.delete(site, user, doctype, name)
        except FrappeError:
            skipped += 1
    site.requests["delete_items skipped"] += skipped
