"""Frappe's Event rows and ours, both ways; batches. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from watcher.erpnext.client import BATCH
from watcher.events.fields import ALWAYS, OPTIONAL, STALE, document, is_same, masked_texts
from watcher.events.model import USUAL, Cancel, ErpEvent, Masks, Rewrite, Row, Update

T = TypeVar("T")
Doc = dict[str, object]

HASH = "custom_google_hash"
KEY = "custom_google_sync_key"
MAX_BATCH_BYTES = 4_000_000
"""Frappe answers 500 with a page from about 17 MB on, and 413 from 25 MB."""

FIELDS = (
    "name",
    KEY,
    "custom_google_event_id",
    "custom_google_recurring_event_id",
    "custom_google_account",
    "custom_google_calendar_id",
    HASH,
    "status",
    "modified_by",
    "modified",
    "repeat_this_event",
    *ALWAYS,
)
"""What is read of each row on every site."""
TOUCHED = (
    "name",
    KEY,
    "custom_google_account",
    "custom_google_calendar_id",
    "status",
    "modified_by",
    "modified",
)
"""What tells who wrote a row, and when. A thousand of these cost Frappe less than a second call."""


def chunks(items: Sequence[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def batches(
    items: Iterable[T], to_doc: Callable[[T], Doc], limit: int = BATCH
) -> Iterator[list[T]]:
    """At most ``limit`` items and about 4 MB of documents each, in order; never an empty one."""
    batch: list[T] = []
    size = 0
    for item in items:
        weight = len(json.dumps(to_doc(item)))
        if batch and (len(batch) >= limit or size + weight > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += weight
    if batch:
        yield batch


def of_calendar(account: str, calendar_id: str) -> list[list[Any]]:
    return [
        ["custom_google_account", "=", account],
        ["custom_google_calendar_id", "=", calendar_id],
    ]


def new_doc(event: ErpEvent) -> Doc:
    return {"doctype": "Event", "status": "Open", **_fields(event)}


def changes(update: Update) -> Doc:
    """All mirrored fields; ``status`` only when a cancelled or a closed row comes back."""
    status = {"status": "Open"} if update.revive or update.reopen else {}
    stamp = {"modified": update.stamp} if update.stamp else {}
    return {**_fields(update.event), **status, **stamp}


def conclusion(
    action: Cancel | Rewrite, site_fields: Collection[str] = (), masks: Masks = USUAL
) -> Doc:
    """What a cancellation, or a row that is only to be masked or made safe, writes.
    ``site_fields`` are the optional fields that the site has, ``masks`` the subjects of what nobody
    may read."""
    fields: Doc = {"status": "Cancelled"}
    if isinstance(action, Rewrite):
        fields = {"subject": action.subject, "description": action.description}
    if action.stamp:
        fields["modified"] = action.stamp
    if action.mask:
        fields |= {**masked_texts(site_fields, masks), HASH: ""}
    return fields


def marked(since: str) -> Doc:
    """What says of a row that its calendar is not kept current since then; empty for no more."""
    return {STALE: since}


def bulk_doc(name: str, fields: Mapping[str, object]) -> Doc:
    """A document as bulk_update takes it."""
    return {"doctype": "Event", "docname": name, **fields}


def _fields(event: ErpEvent) -> Doc:
    fields = document(event)
    if event.event_type == "Private":
        fields[HASH] = ""  # complete only once its readers are seen to: writing.Writer._share
    return fields


def is_complete(row: Row, event: ErpEvent) -> bool:
    """A row found after a failed insert was written by us as wanted: the hash tells."""
    return row.content_hash == event.content_hash and not row.is_cancelled


def is_as_wanted(row: Row, event: ErpEvent) -> bool:
    """Provably what an update wanted. The hash alone does not prove it, since a row that a
    person meddled with has the right hash before it is put right."""
    return is_complete(row, event) and is_same(event, row)


def row_of(row: Mapping[str, Any], masks: Masks) -> Row:
    """One row of get_list. ``ends_on`` is NULL where it equals ``starts_on``; datetimes carry
    microseconds now and then. Of the optional fields it has those that were asked for."""
    return Row(
        name=str(row["name"]),
        key=_text(row, KEY),
        event_id=_text(row, "custom_google_event_id"),
        recurring_event_id=_text(row, "custom_google_recurring_event_id") or None,
        content_hash=_text(row, HASH),
        status=_text(row, "status"),
        subject=_text(row, "subject"),
        starts_on=_text(row, "starts_on")[:19],
        ends_on=_text(row, "ends_on")[:19] or None,
        all_day=bool(row.get("all_day")),
        event_type=_text(row, "event_type"),
        description=_text(row, "description"),
        modified_by=_text(row, "modified_by"),
        modified=_text(row, "modified"),
        repeats=bool(row.get("repeat_this_event")),
        owner_ids=(_text(row, "custom_google_account"), _text(row, "custom_google_calendar_id")),
        extras={name: _text(row, name) for name in OPTIONAL if name in row},
        masks=masks,
    )


def _text(row: Mapping[str, Any], name: str) -> str:
    return str(row.get(name) or "")
