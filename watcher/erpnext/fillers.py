"""Values for fields that a site has made mandatory: without one in each of them ERPNext refuses to
save a row that has to be masked before it is deleted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.errors import RowGone
from watcher.errors import ErpForbidden

_BY_TYPE: dict[str, object] = {
    "Int": 1,
    "Float": 1,
    "Currency": 1,
    "Percent": 1,
    "Check": 1,
    "Rating": 1,
    "Date": "2000-01-01",
    "Datetime": "2000-01-01 00:00:00",
    "Time": "00:00:00",
}
_TEXT = "-"


def fillers(client: ErpNextClient, fields: Iterable[str]) -> dict[str, object]:
    """A value by field name. A field that the site does not know gets a text."""
    known = client.event_fields()
    return {name: _filler(client, known[name]) if name in known else _TEXT for name in fields}


def _filler(client: ErpNextClient, row: dict[str, Any]) -> object:
    kind, options = str(row["fieldtype"]), str(row.get("options") or "")
    if kind == "Select":
        return next((line for line in options.splitlines() if line), _TEXT)
    if kind == "Link":
        return _any_name(client, options) or _TEXT
    return _BY_TYPE.get(kind, _TEXT)


def _any_name(client: ErpNextClient, doctype: str) -> str:
    try:
        rows = client.get_list(doctype, ["name"], limit_page_length=1)
    except (RowGone, ErpForbidden):
        return ""
    return str(rows[0]["name"]) if rows else ""
