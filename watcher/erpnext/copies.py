"""What a row is made of when it is made anew, and what a Version shows of it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from watcher.events.fields import TEXTS
from watcher.events.model import Masks

Doc = dict[str, Any]

_OWN_OF_FRAPPE = frozenset(
    {
        "name",
        "owner",
        "creation",
        "modified",
        "modified_by",
        "docstatus",
        "idx",
        "doctype",
        "parent",
        "parentfield",
        "parenttype",
        "amended_from",
    }
)
_OF_FRAPPES_SYNC = frozenset(
    {
        "sync_with_google_calendar",
        "google_calendar",
        "google_calendar_id",
        "google_calendar_event_id",
        "pulled_from_google_calendar",
        "add_video_conferencing",
    }
)
"""Of Frappe's own integration: a copy with them would be sent to Google as a second event."""


def is_readable_version(data: object, masks: Masks) -> bool:
    """Whether a Version shows a title or a text that is no mask. One that cannot be read is taken
    for readable."""
    try:
        changed = json.loads(str(data or "{}")).get("changed") or []
        values = [v for field, *both in changed if field in TEXTS for v in both]
    except (ValueError, TypeError, AttributeError):
        return True
    return any(value and value not in masks for value in values)


def copy_of(doc: Mapping[str, Any]) -> Doc:
    """A document as it is inserted anew: with its own fields and tables, without what Frappe gives
    (names, owner, dates) and what belongs to Frappe's own Google Calendar integration."""
    kept = {
        name: [_child(row) for row in value] if isinstance(value, list) else value
        for name, value in doc.items()
        if name not in _OWN_OF_FRAPPE | _OF_FRAPPES_SYNC and not name.startswith("_")
    }
    return {"doctype": "Event", "send_reminder": 0, **kept}


def _child(row: Mapping[str, Any]) -> Doc:
    kept = {k: v for k, v in row.items() if k not in _OWN_OF_FRAPPE and not k.startswith("_")}
    return {**kept, "doctype": row["doctype"]} if "doctype" in row else kept
