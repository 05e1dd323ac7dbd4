"""Who deleted a row: Frappe keeps a copy of each document that is deleted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.erasure import DELETED
from watcher.errors import ErpForbidden


@dataclass(frozen=True, kw_only=True, slots=True)
class Deletion:
    """Row ``name`` was deleted by ``by`` at ``at`` (naive string of the site). ``event_id`` and
    ``owner_ids`` (account and calendar) are those that the row held; empty for a row that was not
    Watcher's."""

    name: str
    by: str
    at: str
    event_id: str
    owner_ids: tuple[str, str]


def last_deletion(client: ErpNextClient, *, key: str = "", name: str = "") -> Deletion | None:
    """The last deletion of a row with this sync key, or of this name; None without one, and where
    the API user may not look. Frappe gives names of deleted rows to new ones, keys are kept."""
    filters = [["deleted_doctype", "=", "Event"]]
    filters.append(["data", "like", f"%{key}%"] if key else ["deleted_name", "=", name])
    try:
        rows = client.rows(DELETED, filters, ["deleted_name", "owner", "creation", "data"])
    except ErpForbidden:
        return None
    if not rows:
        return None
    last = max(rows, key=lambda row: str(row["creation"]))
    held = _fields(last.get("data"))
    return Deletion(
        name=str(last["deleted_name"]),
        by=str(last["owner"]),
        at=str(last["creation"])[:19],
        event_id=str(held.get("custom_google_event_id") or ""),
        owner_ids=(
            str(held.get("custom_google_account") or ""),
            str(held.get("custom_google_calendar_id") or ""),
        ),
    )


def _fields(data: Any) -> dict[str, Any]:
    try:
        found = json.loads(str(data))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
