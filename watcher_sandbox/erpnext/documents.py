"""Documents: made, read and changed, as a user."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any

from watcher_sandbox.erpnext import files, hooks, permissions, validation
from watcher_sandbox.erpnext.catalogue import NEW
from watcher_sandbox.erpnext.db import Duplicate, Row
from watcher_sandbox.erpnext.doctypes import STANDARD
from watcher_sandbox.erpnext.errors import FrappeError, missing, refusal
from watcher_sandbox.erpnext.event_type import event_type
from watcher_sandbox.erpnext.site import Site

_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_CONSTANT = {"owner": "Created By", "creation": "Created On"}
_CHILD_DEFAULTS = {"attending": "", "type": "Notification"}


def find(site: Site, doctype: str, name: str) -> Row:
    """Raises 404; for a document type that the site does not have 500."""
    permissions.importable(site, doctype)
    row = site.row(doctype, name)
    if row is None:
        raise missing(doctype, name)
    return row


def get(site: Site, user: str, doctype: str, name: str) -> Row:
    """Raises 404, 403."""
    with site.lock:
        row = find(site, doctype, name)
        permissions.require_row(site, user, doctype, row, "read")
        if doctype == "User" and not site.is_system_manager(user):
            row = {**row, "roles": []}  # of a higher level, and left out without a word
        return event_type(site) if is_event_type(row, doctype) else shown(site, doctype, row)


def is_event_type(row: Row, doctype: str) -> bool:
    """Event is the one document type whose DocType document the stand-in has as a whole."""
    return doctype == "DocType" and bool(row["name"] == "Event")


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


def insert(
    site: Site, user: str, doctype: str, body: Mapping[str, Any], *, trusted: bool = False
) -> Row:
    """Returns the new document as Frappe answers: moments as they were sent, not as stored.
    ``trusted``: a method of Frappe's makes it, whatever the user may."""
    permissions.importable(site, doctype)
    with site.transaction():
        if not trusted:
            permissions.require(site, user, doctype, "create")
        fields = site.fields(doctype)
        row = site.blank(doctype, site.next_name(doctype), user)
        row |= {name: validation.cast(f, body[name]) for name, f in fields.items() if name in body}
        for name, each in fields.items():
            if body.get(name) is None:
                row[name] = each.default
        _before_insert(site, user, doctype, row, body)
        row |= _children(site, doctype, row, body)
        answer = _save(site, user, doctype, None, row)
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
        kept = {each.get("name") for each in row.get(table, [])}
        ends = {"parent": row["name"], "parentfield": table, "parenttype": doctype}
        found[table] = [
            {
                **_own(row, each, kept, number),
                **{name: each.get(name, _CHILD_DEFAULTS.get(name)) for name in names},
                **ends,
                "doctype": child_type,
            }
            for number, each in enumerate(given, 1)
        ]
    return found


def _own(row: Row, given: Mapping[str, Any], kept: set[Any], number: int) -> Row:
    """A child row that names one which is there stays that row; any other is a new one."""
    name = given.get("name")
    common = {key: row[key] for key in STANDARD if key not in ("name", "idx")}
    return {"name": name if name in kept else secrets.token_hex(5), **common, "idx": number}


def _before_insert(site: Site, user: str, doctype: str, row: Row, body: Mapping[str, Any]) -> None:
    if doctype == "Custom Field":
        _name_custom_field(site, row)
    else:
        hooks.before_insert(site, user, doctype, row, body)
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


def update(
    site: Site,
    user: str,
    doctype: str,
    name: str,
    body: Mapping[str, Any],
    *,
    trusted: bool = False,
) -> Row:
    """Changes what ``body`` names. Raises 417 for a stale ``modified`` or a changed owner."""
    with site.transaction():
        before = find(site, doctype, name)
        if "name" in body and site.row(doctype, str(body["name"])) != before:
            raise FrappeError(404, "DoesNotExistError")
        if doctype == "User" and not trusted and not site.is_system_manager(user):
            body = {key: value for key, value in body.items() if key != "roles"}
        fields = site.fields(doctype)
        row = {**dict.fromkeys(fields), **before}
        row |= {k: validation.cast(f, body[k]) for k, f in fields.items() if k in body}
        row |= {k: str(body[k]) for k in _CONSTANT if k in body}
        row |= _children(site, doctype, row, body)
        # Frappe looks at the document as it would become, so both must be allowed.
        for each in () if trusted else (before, row):
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
        return _save(site, user, doctype, before, row)


def _save(site: Site, user: str, doctype: str, before: Row | None, row: Row) -> Row:
    """``before``: the document as it was; None when it is new."""
    fields = site.fields(doctype)
    hooks.before_save(site, doctype, row)
    files.take_out(site, user, doctype, row)
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
    hooks.saved(site, user, doctype, before, kept)
    return shown(site, doctype, row)
