"""ToDos in ERPNext, by which an employee is told. No mail goes out for one made over REST."""

from __future__ import annotations

from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.errors import RowGone

DOCTYPE = "ToDo"


def put(client: ErpNextClient, user: str, text: str, *, name: str | None, marker: str) -> str:
    """Make the ToDo, or write it anew and open it again; returns its name. ``marker`` is a piece
    of ``text`` by which one is found whose making was answered by nobody."""
    known = name or _find(client, user, marker)
    fields = {"description": text, "status": "Open", "priority": "High"}
    if known is not None:
        try:
            client.update({"doctype": DOCTYPE, "name": known, **fields})
            return known
        except RowGone:
            pass  # a person has deleted it: made again below
    made = client.insert({"doctype": DOCTYPE, "allocated_to": user, **fields})
    return str(made["name"])


def _find(client: ErpNextClient, user: str, marker: str) -> str | None:
    filters = [["allocated_to", "=", user], ["description", "like", f"%{marker}%"]]
    found = client.get_list(DOCTYPE, ["name"], filters, limit_page_length=1)
    return str(found[0]["name"]) if found else None


def close(client: ErpNextClient, name: str) -> None:
    """Close the ToDo; one that is gone is closed."""
    try:
        client.update({"doctype": DOCTYPE, "name": name, "status": "Closed"})
    except RowGone:
        return
