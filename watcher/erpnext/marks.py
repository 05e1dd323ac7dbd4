"""The rows of a calendar say that it is not kept current, or say so no more: a batch at a time.

A row that is as wanted is not found again, so that a repetition goes on where it stopped, and
nothing is believed of a batch that failed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from watcher.erpnext.client import BATCH, ErpNextClient
from watcher.erpnext.rows import KEY, bulk_doc, marked, of_calendar
from watcher.events.fields import STALE

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """``keys`` of the rows that were written; ``after`` is the name after which the next batch
    begins, and moves only past rows that ERPNext refuses; ``is_last``: none was left."""

    keys: frozenset[str]
    after: str
    is_last: bool


def mark_some(
    client: ErpNextClient, calendar: tuple[str, str], since: str, today: str, after: str
) -> Batch:
    """Mark rows of ``calendar`` (account and calendar id, as rows hold them) that end from
    ``today`` on (naive string of the site), 200 at the most. Cancelled ones are out of use."""
    filters = [[STALE, "is", "not set"], ["status", "!=", "Cancelled"]]
    either = [["ends_on", ">=", today], ["starts_on", ">=", today]]
    return _write_some(client, calendar, (filters, either), after, since)


def unmark_some(client: ErpNextClient, calendar: tuple[str, str], after: str) -> Batch:
    """Take the mark off rows of ``calendar``, wherever they lie, 200 at the most."""
    return _write_some(client, calendar, ([[STALE, "is", "set"]], []), after, "")


def _write_some(
    client: ErpNextClient,
    calendar: tuple[str, str],
    which: tuple[list[list[Any]], list[list[Any]]],
    after: str,
    since: str,
) -> Batch:
    filters, either = which
    later = [["name", ">", after]] if after else []
    rows = client.get_list(
        "Event",
        ["name", KEY],
        [*of_calendar(*calendar), *filters, *later],
        or_filters=either,
        limit_page_length=BATCH,
    )
    if not rows:
        return Batch(keys=frozenset(), after=after, is_last=True)
    names = [str(row["name"]) for row in rows]
    failed = client.bulk_update([bulk_doc(name, marked(since)) for name in names])
    if len(failed) >= len(names):
        log.warning(
            "ERPNext refuses to mark %d rows as not current, or to take that off", len(rows)
        )
        after = names[-1]
    return Batch(keys=frozenset(str(row[KEY]) for row in rows), after=after, is_last=False)
