"""Documents: made, read, changed, deleted, as a user."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any

from watcher.sandbox.erpnext import permissions, validation
from watcher.sandbox.erpnext.catalogue import NEW
from watcher.sandbox.erpnext.db import Duplicate, Row
from watcher.sandbox.erpnext.doctypes import STANDARD
from watcher.sandbox.erpnext.errors import FrappeError, missing, refusal
from watcher.sandbox.erpnext.site import Site

_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_CONSTANT = {"owner": "Created By", "creation": "Created On"}
_CALLBACK = "/api/method/frappe.integrations.doctype.connected_app.connected_app.callback/"


def find(site: Site, doctype: str, name: str) -> Row:
    """Raises 404."""
    permissions.known(site, doctype)
    row = site.row(doctype, name)
    if row is None:
        raise missing(doctype, name)
    return row


def get(site: Site, user: str, doctype: str, name: str) -> Row:
    """Raises 404, 403."""
    with site.lock:
        row = find(site, doctype, name)
        permissions.require_row(site, user, doctype, row, "read")
        return shown(site, doctype, row)


def shown(site: Site, doctype: str, row: Row) -> Row:
    """A document with all its columns (those that the site got later included) and children."""
    fields = site.fields(doctype)
    answer: Row = {name: row.get(name) for name in (*STANDARD, *fields)}
    for name, each in fields.items():
        if each.type == "Password" and answer[name]:
            answer[name] = "*" * len(str(answer[name]))
    children = {table: row.get(table, []) for table in site.tables(doctype)}
    extra = {name: row[name] for name in ("_user_tags", "_liked_by") if row.get(name)}
    return {**answer, "doctype": doctype, **children, **extra}


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
        _before_insert(site, doctype, row)
        row |= _children(site, doctype, row, body)
        answer = _save(site, doctype, row)
        for table in site.tables(doctype):
            answer[table] = [{**child, "__unsaved": 1} for child in answer[table]]
        return answer


def _children(site: Site, doctype: str, row: Row, body: Mapping[str, Any]) -> dict[str, list[Row]]:
    """The rows of the child tables that ``body`` names, each a document of its own."""
    found: dict[str, list[Row]] = {}
    for table, (child_type, names) in site.tables(doctype).items():
        if table not in body:
            continue
        given = body[table] or []
        if not isinstance(given, list) or not all(isinstance(each, Mapping) for each in given):
            text = f"'{type(given).__name__}' object is not iterable"
            raise FrappeError(500, "TypeError", text, module="")
        common = {key: row[key] for key in STANDARD if key not in ("name", "idx")}
        ends = {"parent": row["name"], "parentfield": table, "parenttype": doctype}
        found[table] = [
            {"name": secrets.token_hex(5), **common, "idx": number,
             **{name: each.get(name) for name in names}, **ends, "doctype": child_type}
            for number, each in enumerate(given, 1)
        ]  # fmt: skip
    return found


def _before_insert(site: Site, doctype: str, row: Row) -> None:
    if doctype == "Custom Field":
        _name_custom_field(site, row)
    elif doctype == "User":
        row["name"] = row["email"] or ""
    elif doctype == "ToDo":
        row["date"] = row["date"] or site.now()[:10]
    elif doctype == "Connected App":
        row["redirect_uri"] = f"{site.url}{_CALLBACK}{row['name']}"
    if doctype != "Event" and site.row(doctype, row["name"]) is not None:
        raise FrappeError(409, "DuplicateEntryError", f"('{doctype}', '{row['name']}')")


def _name_custom_field(site: Site, row: Row) -> None:
    name = row["fieldname"] or f"custom_{re.sub(r'[^a-z0-9]+', '_', (row['label'] or '').lower())}"
    dt = str(row["dt"] or "")
    row |= {"fieldname": name, "name": f"{dt}-{name}"}
    if dt not in site.types:
        raise missing("DocType", dt)
    if name in site.columns(dt) or site.row("Custom Field", row["name"]) is not None:
        raise refusal(f"A field with the name <strong>{name}</strong> already exists in {dt}")
    if not _FIELD_NAME.fullmatch(name):
        # As on the real site: refused, and yet the site's cached meta is spoilt by it.
        site.poisoned = True
        raise refusal(f"Invalid column name: {name}", "InvalidColumnName")


def update(site: Site, user: str, doctype: str, name: str, body: Mapping[str, Any]) -> Row:
    """Changes what ``body`` names. Raises 417 for a stale ``modified`` or a changed owner."""
    with site.transaction():
        before = find(site, doctype, name)
        if "name" in body and site.row(doctype, str(body["name"])) != before:
            raise FrappeError(404, "DoesNotExistError")
        fields = site.fields(doctype)
        row = {**dict.fromkeys(fields), **before}
        row |= {k: validation.cast(f, body[k]) for k, f in fields.items() if k in body}
        row |= {k: str(body[k]) for k in _CONSTANT if k in body}
        row |= _children(site, doctype, row, body)
        # Frappe looks at the document as it would become, so both must be allowed.
        for each in (before, row):
            permissions.require_row(site, user, doctype, each, "write")
        now = site.now()
        if str(body.get("modified", before["modified"])) != before["modified"]:
            what = f"{name} ({doctype})" if site.frappe == NEW else "Document"
            raise refusal(
                f"Error: {what} has been modified after you have opened it "
                f"({before['modified']}, {now}). Please refresh to get the latest document.",
                "TimestampMismatchError",
            )
        for constant, label in _CONSTANT.items():
            if row[constant] != before[constant]:
                text = f"Value cannot be changed for <strong>{label}</strong>"
                raise refusal(text, "CannotChangeConstantError")
        row |= {"modified": now, "modified_by": user}
        return _save(site, doctype, row)


def _save(site: Site, doctype: str, row: Row) -> Row:
    fields = site.fields(doctype)
    validation.check(site, doctype, row, fields)
    if doctype == "Event" and site.poisoned:
        raise FrappeError(500, "AttributeError", "'NoneType' object has no attribute", module="")
    kept = validation.stored(doctype, row, fields)
    try:
        site.put(doctype, kept)
    except Duplicate as error:
        raise validation.duplicate(doctype, kept, fields, error.column) from None
    if doctype == "Custom Field":
        site.poisoned = False
    return shown(site, doctype, row)


def delete(site: Site, user: str, doctype: str, name: str) -> None:
    """Raises 404 with nothing but ``exc_type``, 403; with the queue down 500 after the commit."""
    with site.transaction():
        permissions.known(site, doctype)
        row = site.row(doctype, name)
        if row is None:
            raise FrappeError(404, "DoesNotExistError")
        permissions.require_delete(site, user, doctype, row)
        site.remove(doctype, row["name"])
    if site.queue_down:
        raise FrappeError(
            500, "ConnectionError", "Error 111 connecting to 127.0.0.1:11000. Connection refused.",
            module="redis.exceptions.",
        )  # fmt: skip
    site.background.append(lambda: _delete_shares(site, doctype, name))


def _delete_shares(site: Site, doctype: str, name: str) -> None:
    """By name alone: a new row that got the name meanwhile loses its shares too."""
    for share in site.rows("DocShare"):
        if (share["share_doctype"], share["share_name"]) == (doctype, name):
            site.remove("DocShare", share["name"])
