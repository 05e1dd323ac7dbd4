"""Rows that somebody else writes: noticed by ERPNext's own stamp of each row, and put right by a
full listing."""

from __future__ import annotations

from watcher.erpnext.site import ADMINISTRATOR
from watcher.events.model import Keep, Row
from watcher.ledger.calendars import Work
from watcher.sync.sides import Report, Sides

EVER = "1000-01-01 00:00:00"
"""Before any row that ERPNext holds."""


def was_touched(sides: Sides, work: Work) -> bool:
    """Whether a poll finds rows that somebody else has written since Watcher last did: a person in
    the Desk, or another script under the same key. A full listing puts them right."""
    if work.reason != "poll" or not work.rows_seen:
        return False
    touched = sides.mirror.touched_since(*sides.calendar, work.rows_seen)
    return bool(_by_others(sides, touched, work.rows_seen))


def _is_closed_by_erpnext(row: Row) -> bool:
    """ERPNext's daily job closes what is past; nothing else is changed by it."""
    return row.status == "Closed" and row.modified_by == ADMINISTRATOR


def _by_others(sides: Sides, rows: list[Row], since: str) -> list[Row]:
    """Those that somebody edited. ERPNext's closing leaves no Version; an edit of a closed row by
    Administrator does."""
    closed = [row.name for row in rows if _is_closed_by_erpnext(row)]
    if closed and sides.mirror.edited_since(closed, since):
        return rows
    return [row for row in rows if not _is_closed_by_erpnext(row)]


def rows_seen(sides: Sides, report: Report, before: str) -> str | None:
    """ERPNext's newest stamp of the calendar's rows, after the pass has written; None when it has
    written nothing. Stays at ``before`` when somebody else wrote meanwhile."""
    if report.applied is None or not report.applied.wrote:
        return None
    written = {action.key for action in report.planned if not isinstance(action, Keep)}
    touched = sides.mirror.touched_since(*sides.calendar, before or EVER)
    others = _by_others(sides, [r for r in touched if r.key not in written], before or EVER)
    report.touched = bool(others)
    return before if others else max([before, *(row.modified for row in touched)])
