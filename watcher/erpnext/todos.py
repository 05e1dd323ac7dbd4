"""ToDos in ERPNext, by which an employee is told. No mail goes out for one made over REST."""

from __future__ import annotations

from dataclasses import dataclass

from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.errors import RowGone

DOCTYPE = "ToDo"


@dataclass(frozen=True, kw_only=True, slots=True)
class ToDo:
    """``marker`` is a piece of ``text`` by which a ToDo is found that was made although the answer
    to its making was lost."""

    user: str
    text: str
    marker: str
    priority: str = "High"


def put(client: ErpNextClient, todo: ToDo, name: str | None = None) -> str:
    """Make the ToDo, or write the one of that ``name`` anew and open it again; returns its name."""
    known = name or _find(client, todo)
    fields = {"description": todo.text, "status": "Open", "priority": todo.priority}
    if known is not None:
        try:
            client.update({"doctype": DOCTYPE, "name": known, **fields})
            return known
        except RowGone:
            pass  # a person has deleted it: made again below
    made = client.insert({"doctype": DOCTYPE, "allocated_to": todo.user, **fields})
    return str(made["name"])


def _find(client: ErpNextClient, todo: ToDo) -> str | None:
    filters = [["allocated_to", "=", todo.user], ["description", "like", f"%{todo.marker}%"]]
    found = client.get_list(DOCTYPE, ["name"], filters, limit_page_length=1)
    return str(found[0]["name"]) if found else None


def close(client: ErpNextClient, name: str) -> None:
    """Close the ToDo; one that is gone is closed."""
    try:
        client.update({"doctype": DOCTYPE, "name": name, "status": "Closed"})
    except RowGone:
        return
