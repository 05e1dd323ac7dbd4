"""Version rows: what a save replaced, in the words of Frappe's timeline.

Each changed save of a document type that tracks changes leaves one; a new document and a save
that changes nothing leave none. They hold the old values until the document is deleted.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from watcher_sandbox.erpnext.db import Row
from watcher_sandbox.erpnext.doctypes import Field
from watcher_sandbox.erpnext.site import Site

TRACKED = frozenset(
    {"Event", "ToDo", "User", "Comment", "Communication", "Employee", "Google Calendar"}
)
_RAW = frozenset({"Text Editor", "HTML Editor", "Long Text"})
_BLOCK = re.compile(r"<(br|div|p)")
_FORMATS = {"dd-mm-yyyy": "%d-%m-%Y", "yyyy-mm-dd": "%Y-%m-%d", "mm-dd-yyyy": "%m-%d-%Y"}

Change = list[Any]


def write(site: Site, user: str, doctype: str, before: Row | None, after: Row) -> None:
    """``before`` None: the document is new."""
    if before is None or doctype not in TRACKED or not site.tracks_changes(doctype):
        return
    found = difference(site, doctype, before, after)
    if any(found.values()):
        data = {**found, "data_import": None, "updater_reference": None}
        site.make(
            "Version",
            owner=user,
            ref_doctype=doctype,
            docname=after["name"],
            data=json.dumps(data, sort_keys=True, separators=(",", ":")),
        )


def difference(site: Site, doctype: str, before: Row, after: Row) -> dict[str, list[Change]]:
    """``changed``: [field, old, new]; ``added`` and ``removed``: [table, row]; ``row_changed``:
    [table, index, row's name, its changes]."""
    fields = site.fields(doctype)
    found: dict[str, list[Change]] = {
        "changed": _changed(site, fields, before, after),
        "added": [],
        "removed": [],
        "row_changed": [],
    }
    for table, (_, names) in site.tables(doctype).items():
        own = {name: Field(name=name) for name in names}
        _rows(site, own, table, before.get(table, []), after.get(table, []), found)
    return found


def _changed(site: Site, fields: dict[str, Field], before: Row, after: Row) -> list[Change]:
    found = []
    for name, field in fields.items():
        old, new = before.get(name), after.get(name)
        if old != new:
            found.append([name, _shown(site, field, old), _shown(site, field, new)])
    return [change for change in found if change[1] != change[2]]


def _rows(
    site: Site,
    fields: dict[str, Field],
    table: str,
    old: list[Row],
    new: list[Row],
    found: dict[str, list[Change]],
) -> None:
    before = {row["name"]: row for row in old}
    for index, row in enumerate(new):
        if row["name"] not in before:
            found["added"].append([table, {**row, "__unsaved": 1}])
        elif changes := _changed(site, fields, before.pop(row["name"]), row):
            found["row_changed"].append([table, index, row["name"], changes])
    found["removed"] += [[table, row] for row in before.values()]


def _shown(site: Site, field: Field, value: Any) -> Any:
    """A value as people of the site read it: dates in the site's format, plain text with <br>."""
    if not value or field.type in _RAW:
        return value
    if field.type in ("Datetime", "Date"):
        moment = datetime.fromisoformat(str(value))
        time = " %H:%M:%S" if field.type == "Datetime" else ""
        return moment.strftime(_FORMATS[site.date_format] + time)
    if field.type in ("Text", "Small Text") and not _BLOCK.search(str(value)):
        return str(value).replace("\n", "<br>")
    return value
