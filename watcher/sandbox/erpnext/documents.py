"""Documents: made, read, changed, deleted, as a user."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from watcher.sandbox.erpnext import permissions, validation
from watcher.sandbox.erpnext.errors import FrappeError, missing, refusal
from watcher.sandbox.erpnext.meta import STANDARD
from watcher.sandbox.erpnext.site import Row, Site

_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_CONSTANT = ("owner", "creation")


def find(site: Site, doctype: str, name: str) -> Row:
    permissions.known(doctype)
    row = site.tables[doctype].get(name)
    if row is None:
        raise missing(doctype, name)
    return row


def get(site: Site, user: str, doctype: str, name: str) -> Row:
    with site.lock:
        row = find(site, doctype, name)
        permissions.require_row(site, user, doctype, row, "read")
        return shown(site, doctype, row)


def shown(site: Site, doctype: str, row: Row) -> Row:
    """A document with all its columns, those that the site got later included."""
    children = {"event_participants": row.get("event_participants", [])}
    return {
        **{name: row.get(name) for name in (*STANDARD, *site.fields(doctype))},
        "doctype": doctype,
        **(children if doctype == "Event" else {}),
    }


def insert(site: Site, user: str, doctype: str, body: Mapping[str, Any]) -> Row:
    """Returns the new document as Frappe answers: moments as they were sent, not as stored."""
    with site.transaction():
        permissions.require(site, user, doctype, "create")
        fields = site.fields(doctype)
        row = site.blank(doctype, site.next_name(doctype), user)
        row |= {name: validation.cast(f, body[name]) for name, f in fields.items() if name in body}
        for name, each in fields.items():
            if body.get(name) is None:
                row[name] = each.default
        if doctype == "Event":
            row["event_participants"] = list(body.get("event_participants") or [])
        _before_insert(site, doctype, row)
        return _save(site, doctype, row)


def _before_insert(site: Site, doctype: str, row: Row) -> None:
    if doctype == "Custom Field":
        _name_custom_field(site, row)
    elif doctype == "User":
        row["name"] = row["email"]
    elif doctype == "ToDo":
        row["date"] = row["date"] or site.now()[:10]
    if doctype != "Event" and row["name"] in site.tables[doctype]:
        raise FrappeError(409, "DuplicateEntryError", f"('{doctype}', '{row['name']}')")


def _name_custom_field(site: Site, row: Row) -> None:
    name = row["fieldname"] or f"custom_{re.sub(r'[^a-z0-9]+', '_', (row['label'] or '').lower())}"
    dt = str(row["dt"] or "")
    row |= {"fieldname": name, "name": f"{dt}-{name}"}
    permissions.known(dt)
    if name in site.fields(dt) or row["name"] in site.tables["Custom Field"]:
        raise refusal(f"A field with the name <strong>{name}</strong> already exists in {dt}")
    if not _FIELD_NAME.fullmatch(name):
        # As on the real site: refused, and yet the site's cached meta is spoilt by it.
        site.poisoned = True
        raise refusal(f"Invalid column name: {name}", "InvalidColumnName")


def update(site: Site, user: str, doctype: str, name: str, body: Mapping[str, Any]) -> Row:
    """Changes what ``body`` names. Raises 417 for a stale ``modified`` or a changed owner."""
    with site.transaction():
        before = find(site, doctype, name)
        fields = site.fields(doctype)
        row = {**dict.fromkeys(fields), **before}
        row |= {k: validation.cast(f, body[k]) for k, f in fields.items() if k in body}
        row |= {k: str(body[k]) for k in _CONSTANT if k in body}
        if doctype == "Event" and "event_participants" in body:
            row["event_participants"] = list(body["event_participants"] or [])
        # Frappe looks at the document as it would become, so both must be allowed.
        for each in (before, row):
            permissions.require_row(site, user, doctype, each, "write")
        now = site.now()
        if str(body.get("modified", before["modified"])) != before["modified"]:
            raise refusal(
                "Error: Document has been modified after you have opened it "
                f"({before['modified']}, {now}). Please refresh to get the latest document.",
                "TimestampMismatchError",
            )
        for constant in _CONSTANT:
            if row[constant] != before[constant]:
                text = f"Value cannot be changed for {constant}"
                raise refusal(text, "CannotChangeConstantError")
        row |= {"modified": now, "modified_by": user}
        return _save(site, doctype, row)


def _save(site: Site, doctype: str, row: Row) -> Row:
    fields = site.fields(doctype)
    validation.check(site, doctype, row, fields)
    if doctype == "Event" and site.poisoned:
        raise FrappeError(500, "AttributeError", "'NoneType' object has no attribute", module="")
    kept = validation.stored(doctype, row, fields)
    validation.unique(site, doctype, kept, fields)
    site.put(doctype, kept)
    if doctype == "Custom Field":
        site.poisoned = False
    return shown(site, doctype, row)


def delete(site: Site, user: str, doctype: str, name: str) -> None:
    with site.transaction():
        permissions.known(doctype)
        row = site.tables[doctype].get(name)
        if row is None:
            raise FrappeError(404, "DoesNotExistError")
        permissions.require_delete(site, user, doctype, row)
        site.remove(doctype, name)
        site.background.append(lambda: _delete_shares(site, doctype, name))


def _delete_shares(site: Site, doctype: str, name: str) -> None:
    """By name alone: a new row that got the name meanwhile loses its shares too."""
    for share in list(site.tables["DocShare"].values()):
        if (share["share_doctype"], share["share_name"]) == (doctype, name):
            site.remove("DocShare", share["name"])
