"""Rows that somebody else writes: noticed by ERPNext's own stamp of each row, and put right by a
full listing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from watcher.erpnext.events import EventMirror
from watcher.erpnext.site import ADMINISTRATOR
from watcher.events.model import Action, Row, Update
from watcher.ledger.debts import Work

FEW = 3
FOREIGN = 500
"""So many rows that were written before these passes may come with those that they have written."""
EVER = "1000-01-01 00:00:00"
"""Before any row that ERPNext holds."""


def was_touched(mirror: EventMirror, work: Work, calendar: tuple[str, str]) -> bool:
    """Whether a poll finds rows of ``calendar`` (account and calendar id, as rows hold them) that
    somebody else has written since Watcher last did: a person in the Desk, or another script under
    the same key. A full listing puts them right."""
    if work.reason != "poll" or not work.rows_seen:
        return False
    touched = mirror.touched_since(*calendar, work.rows_seen)
    return bool(_by_others(mirror, touched, work.rows_seen))


def rewritten(work: Work, rows: Iterable[Row], actions: Iterable[Action]) -> int:
    """How many rows another Watcher has written by other settings since this one last did: a person
    in the Desk and most scripts leave the hash of the content as it is. A few may be late writes
    of Watcher's own."""
    wanted = {a.name: a.event.content_hash for a in actions if isinstance(a, Update)}
    found = [
        row
        for row in rows
        if work.rows_seen < row.modified
        and row.content_hash not in ("", wanted.get(row.name, row.content_hash))
    ]
    return len(found) if len(found) >= FEW else 0


@dataclass(frozen=True, slots=True)
class Written:
    """What a pass has written in a calendar (account and calendar id, as rows hold them), by keys,
    and ERPNext's newest stamp of its rows ``before``."""

    calendar: tuple[str, str]
    keys: Collection[str]
    before: str


Seen = tuple[str, bool]


def look_back(mirror: EventMirror, written: Written) -> Seen:
    """After a pass has written rows: ERPNext's newest stamp of the calendar's rows, and whether
    somebody else wrote meanwhile; if so, the stamp stays as it was before."""
    touched = mirror.touched_since(*written.calendar, written.before or EVER)
    return _seen(mirror, written, touched)


def look_back_at(mirror: EventMirror, passes: Sequence[Written]) -> list[Seen]:
    """As ``look_back`` for several calendars, by one call: it asks for what was written since the
    oldest of their stamps. Calendars whose stamps are older than all that one answer holds, where
    there is more, are asked for one by one."""
    if len(passes) < 2:
        return [look_back(mirror, each) for each in passes]
    most = sum(len(each.keys) for each in passes) + FOREIGN
    oldest = min(each.before for each in passes)
    touched = mirror.touched_lately([each.calendar for each in passes], oldest, most)
    whole_since = touched[-1].modified if len(touched) == most else oldest
    return [
        look_back(mirror, each)
        if each.before < whole_since
        else _seen(
            mirror,
            each,
            [r for r in touched if r.owner_ids == each.calendar and r.modified > each.before],
        )
        for each in passes
    ]


def _seen(mirror: EventMirror, written: Written, touched: list[Row]) -> Seen:
    strange = [row for row in touched if row.key not in written.keys]
    if _by_others(mirror, strange, written.before or EVER):
        return written.before, True
    return max([written.before, *(row.modified for row in touched)]), False


def _by_others(mirror: EventMirror, rows: list[Row], since: str) -> list[Row]:
    """Those that somebody edited. ERPNext's closing leaves no Version; an edit of a closed row by
    Administrator does."""
    closed = [row.name for row in rows if _is_closed_by_erpnext(row)]
    if closed and mirror.edited_since(closed, since):
        return rows
    return [row for row in rows if not _is_closed_by_erpnext(row)]


def _is_closed_by_erpnext(row: Row) -> bool:
    """ERPNext's daily job closes what is past; nothing else is changed by it."""
    return row.status == "Closed" and row.modified_by == ADMINISTRATOR
