"""Settings of a site that an admin should know of before events are mirrored into it."""

from __future__ import annotations

from typing import Any

from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.errors import RowGone, mandatory_step
from watcher.errors import ErpForbidden
from watcher.languages.sentence import sentence

_OURS = ("custom_google_", "custom_synced_from")


def peculiarities(client: ErpNextClient) -> list[str]:
    """Sentences, each with what to do; what the API user may not see is left out."""
    return [*_frappes_own_sync(client), *_mandatory_fields(client)]


def _frappes_own_sync(client: ErpNextClient) -> list[str]:
    users = pulled_for(client)
    if not users:
        return []
    return [
        sentence(
            "Frappe's own Google Calendar integration pulls events as well, so that they are there "
            "twice: switch off 'Pull from Google Calendar' in the Google Calendar of %(users)s",
            users=", ".join(users),
        )
    ]


def pulled_for(client: ErpNextClient) -> list[str] | None:
    """Users of whose events Frappe's own Google Calendar integration makes rows of its own; None
    where the API user may not see those of others."""
    if not client.is_system_manager():
        return None  # Frappe would show the API user's own alone, without saying so
    filters: list[list[object]] = [["enable", "=", 1], ["pull_from_google_calendar", "=", 1]]
    try:
        rows = client.rows("Google Calendar", filters, ["user"])
    except RowGone:
        return []
    except ErpForbidden:
        return None
    return sorted({str(row.get("user") or row["name"]) for row in rows})


def _mandatory_fields(client: ErpNextClient) -> list[str]:
    names = mandatory_fields(client)
    if not names:
        return []
    which = tuple(names)
    return [
        sentence(
            "ERPNext will refuse every event for want of %(fields)s: %(step)s",
            fields=", ".join(names),
            step=mandatory_step(which),
        )
    ]


def mandatory_fields(client: ErpNextClient) -> list[str]:
    """Fields of Event that the site itself has made mandatory, and that nobody fills in: neither
    Watcher nor, with a default, Frappe."""
    fields = client.event_fields()
    names = {name for name, row in fields.items() if row.get("reqd") and not _frappe_fills(row)}
    return sorted(n for n in names - _FILLED if not n.startswith(_OURS))


_FILLED = frozenset({"subject", "starts_on", "event_type", "all_day", "event_category", "status"})
"""Of Event's own fields: what Watcher writes into each event, and what Frappe fills in."""


def _frappe_fills(row: dict[str, Any]) -> bool:
    """Whether a new document has something in this field that no one named: the default, the first
    choice of a Select unless it is empty, 0 in a Check, the time of day."""
    kind, options = row["fieldtype"], str(row.get("options") or "")
    first_choice = kind == "Select" and options.partition("\n")[0]
    return bool(row.get("default") or first_choice) or kind in ("Check", "Time")
