"""What the classes of single document types do before an insert and after a save."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from watcher_sandbox.erpnext import assignments, timeline, versions
from watcher_sandbox.erpnext.db import Row
from watcher_sandbox.erpnext.errors import refusal
from watcher_sandbox.erpnext.sanitise import without_tags
from watcher_sandbox.erpnext.site import Site

_CALLBACK = "/api/method/frappe.integrations.doctype.connected_app.connected_app.callback/"
_NAMED_BY = {
    "User": "email",
    "Branch": "branch",
    "Department": "department_name",
    "Google Calendar": "calendar_name",
    "Contact": "first_name",
    "Role": "role_name",
}
"""Document types whose name is one of their fields."""
_SEEN = frozenset({"Event", "ToDo", "Communication"})
"""Those that keep who has seen them since the last change."""


def before_insert(site: Site, user: str, doctype: str, row: Row, body: Mapping[str, Any]) -> None:
    """Changes ``row`` in place."""
    if doctype in _NAMED_BY:
        row["name"] = row[_NAMED_BY[doctype]] or ""
    elif doctype == "ToDo":
        row["date"] = row["date"] or site.now()[:10]
        if row["assigned_by"]:
            row["assigned_by_full_name"] = site.full_name(row["assigned_by"])
    elif doctype == "Comment":
        row["comment_email"] = row["comment_email"] or user
    elif doctype == "Connected App":
        row["redirect_uri"] = f"{site.url}{_CALLBACK}{row['name']}"
    elif doctype in ("Tag", "List View Settings", "Client Script"):
        row["name"] = str(body.get("name") or body.get("__newname") or row["name"])
    elif doctype == "Property Setter":
        _name_property_setter(site, row)
    elif doctype == "Company":
        row["name"] = row["company_name"]
    elif doctype == "Employee":
        row["name"] = row["employee"] = f"HR-EMP-{len(site.rows('Employee')) + 1:05d}"


def _name_property_setter(site: Site, row: Row) -> None:
    """A second one for the same property takes the place of the first."""
    what = row["field_name"] or row["row_name"] or "main"
    row["name"] = f"{row['doc_type']}-{what}-{row['property']}"
    site.remove("Property Setter", row["name"])


def before_save(site: Site, doctype: str, row: Row) -> None:
    """Changes ``row`` in place. Raises 417, 409."""
    if doctype == "Event":
        for one in row.get("event_participants", []):
            if not one.get("email") and one.get("reference_doctype") == "Contact":
                contact = site.row("Contact", str(one["reference_docname"])) or {}
                one["email"] = contact.get("email_id")
    elif doctype == "Employee":
        _check_employee(site, row)
    elif doctype == "Translation":
        row["source_text"] = _without_html(row["source_text"])


def _without_html(text: str | None) -> str | None:
    """What the Desk looks up never has a tag, so that the translation of a text with tags is never
    found."""
    return without_tags(text).strip() if text and without_tags(text) != text else text


def _check_employee(site: Site, row: Row) -> None:
    if row["status"] == "Left" and not row["relieving_date"]:
        raise refusal("Please enter relieving date.")
    for other in site.find("Employee", user_id=row["user_id"]) if row["user_id"] else []:
        if other["name"] != row["name"]:
            text = f"User {row['user_id']} is already assigned to Employee {other['name']}"
            raise refusal(text, "DuplicateEntryError", status=409)


def saved(site: Site, user: str, doctype: str, before: Row | None, row: Row) -> None:
    """``before``: the document as it was; None when it is new. ``row``: as it is stored."""
    if doctype == "Event":
        timeline.follow(site, user, row)
        timeline.index(site, row)
    elif doctype == "ToDo":
        assignments.assigned(site, user, before, row)
    elif doctype == "Comment":
        timeline.remember(site, row)
    elif doctype == "User":
        site.follow_roles(row)
    elif doctype == "DocShare" and before is None:
        assignments.shared(site, user, row)
    versions.write(site, user, doctype, before, row)
    if before is not None and doctype in _SEEN:
        site.set_column(doctype, row["name"], "_seen", json.dumps([user]))
