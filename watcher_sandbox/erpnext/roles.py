"""Roles beside System Manager: what the rows of Custom DocPerm allow, and the permission manager.

As with Frappe, the first rule of a site's own for a document type copies the standard ones beside
it. What the copies say is not looked at here: they are as the standard ones, which ``ROLES`` has.
"""

from __future__ import annotations

from typing import Any

from watcher_sandbox.erpnext.accounts import ADMINISTRATOR
from watcher_sandbox.erpnext.call import Call, Method
from watcher_sandbox.erpnext.catalogue import OLD
from watcher_sandbox.erpnext.db import Row
from watcher_sandbox.erpnext.errors import FrappeError, shown
from watcher_sandbox.erpnext.event_type import event_type
from watcher_sandbox.erpnext.site import Site

MANAGER, SEES_MAIL = "System Manager", "Super Email User"
FLAGS = (
    *("select", "read", "write", "create", "delete", "submit", "cancel", "amend"),
    *("report", "export", "import", "share", "print", "email"),
)
_MOST = "create email print read report share write"
_WHOLE = f"{_MOST} delete export import"
_STANDARD: dict[str, tuple[tuple[str, int, str], ...]] = {
    "ToDo": (("All", 0, f"{_MOST} delete"), (MANAGER, 0, f"{_MOST} export")),
    "User": ((MANAGER, 0, _WHOLE), (MANAGER, 1, "read write"), ("Desk User", 0, "select")),
    "DocShare": ((MANAGER, 0, "create delete export import read report share write"),),
    "Version": ((MANAGER, 0, "export read report"), (ADMINISTRATOR, 0, "delete read")),
    "Deleted Document": ((MANAGER, 0, "delete export read"),),
    "Communication": (
        (MANAGER, 0, "create delete email read report share"),
        (MANAGER, 1, "delete email export print read report share"),
        (MANAGER, 2, "delete email export print read report share write"),
        ("Inbox User", 0, "create delete email export print read"),
        ("All", 0, "if_owner delete email read"),
    ),
    "Comment": (
        (MANAGER, 0, f"{_MOST} delete export"),
        ("Website Manager", 0, f"{_MOST} delete export"),
    ),
    "Error Log": ((MANAGER, 0, f"{_MOST} delete"),),
    "Employee": (
        ("Employee", 0, "read"),
        ("HR User", 0, _WHOLE),
        ("HR Manager", 0, _WHOLE),
    ),
}
"""The standard rules: role, level, and what is allowed."""


def standard(site: Site, doctype: str) -> list[Row]:
    """As Frappe's own file of the document type has them: only what is not 0."""
    if doctype == "Event":
        rules = event_type(site)["permissions"]
        names = (*FLAGS, "role", "permlevel", "if_owner")
        return [{k: rule[k] for k in names if rule.get(k)} for rule in rules]
    found = []
    for role, level, words in _STANDARD.get(doctype, ((MANAGER, 0, _WHOLE),)):
        rule: Row = dict.fromkeys(words.split(), 1) | {"role": role}
        found.append(rule | ({"permlevel": level} if level else {}))
    return found


def granted(site: Site, user: str, doctype: str) -> set[str]:
    """What roles of the site's own allow the user."""
    own = site.own_roles(user) - {MANAGER}
    rules = site.find("Custom DocPerm", parent=doctype, permlevel=0) if own else []
    return {flag for rule in rules if rule["role"] in own for flag in FLAGS if rule.get(flag)}


def sees_mail(site: Site, user: str) -> bool:
    return site.is_system_manager(user) or SEES_MAIL in site.own_roles(user)


# --- methods ------------------------------------------------------------------------------------


def _get_roles(call: Call) -> list[str]:
    """``uid`` is whose; 15 breaks without it."""
    site = call.site
    if site.frappe == OLD and "uid" not in call.params:
        raise FrappeError(500, "KeyError", "'uid'", module="")
    user = str(call.params.get("uid") or call.user)
    automatic = ["All", "Guest", *(["Desk User"] if site.is_desk_user(user) else [])]
    return [*sorted(site.own_roles(user)), *automatic]


def _getdoctype(call: Call) -> list[Row]:
    """The form of a document type: its fields, custom ones among them, as Property Setters have
    changed them. For everybody. The stand-in has Event's."""
    site = call.site
    own = event_type(site)["fields"]
    fields = {row["fieldname"]: {**row, "is_custom_field": None} for row in own}
    for row in site.rows("Custom Field"):
        if row["dt"] == "Event":
            fields[row["fieldname"]] = {**row, "is_custom_field": 1, "doctype": "DocField"}
    for setter in site.rows("Property Setter"):
        if setter["doc_type"] == "Event" and setter["field_name"] in fields:
            value: Any = setter["value"]
            if setter["property_type"] == "Check":
                value = int(value or 0)
            fields[setter["field_name"]] = fields[setter["field_name"]] | {
                setter["property"]: value
            }
    return [{"name": "Event", "doctype": "DocType", "fields": list(fields.values())}]


def _only_managers(call: Call) -> None:
    if not call.site.is_system_manager(call.user):
        raise FrappeError(403, "PermissionError")


def _rules(site: Site, doctype: str) -> list[Row]:
    return site.find("Custom DocPerm", parent=doctype)


def _copy_standard(site: Site, doctype: str) -> None:
    if not _rules(site, doctype):
        for rule in standard(site, doctype):
            site.make("Custom DocPerm", **{"export": 0, **rule}, parent=doctype)


def _add(call: Call) -> None:
    _only_managers(call)
    site, doctype, role = call.site, call.text("parent"), call.text("role")
    level = int(call.params.get("permlevel") or 0)
    with site.transaction():
        _copy_standard(site, doctype)
        if site.find("Custom DocPerm", parent=doctype, role=role, permlevel=level, if_owner=0):
            text = "Rule for this doctype, role, permlevel and if-owner combination already exists."
            call.messages.append({**shown(text), "alert": 1})
            return
        site.make("Custom DocPerm", parent=doctype, role=role, permlevel=level, read=1)


def _remove(call: Call) -> None:
    _only_managers(call)
    site, doctype, role = call.site, call.text("doctype"), call.text("role")
    level = int(call.params.get("permlevel") or 0)
    with site.transaction():
        _copy_standard(site, doctype)
        for rule in site.find("Custom DocPerm", parent=doctype, role=role, permlevel=level):
            site.remove("Custom DocPerm", rule["name"])


def _reset(call: Call) -> None:
    _only_managers(call)
    with call.site.transaction():
        for rule in _rules(call.site, call.text("doctype")):
            call.site.remove("Custom DocPerm", rule["name"])


def _get_standard(call: Call) -> list[Row]:
    _only_managers(call)
    return standard(call.site, call.text("doctype"))


def held_by(site: Site, role: str) -> str:
    """A user who has the role, or nobody."""
    for row in site.rows("User"):
        if any(each["role"] == role for each in row.get("roles", ())):
            return str(row["name"])
    return ""


_MANAGER = "frappe.core.page.permission_manager.permission_manager"
METHODS: dict[str, Method] = {
    "frappe.core.doctype.user.user.get_roles": _get_roles,
    f"{_MANAGER}.add": _add,
    f"{_MANAGER}.remove": _remove,
    f"{_MANAGER}.reset": _reset,
    f"{_MANAGER}.get_standard_permissions": _get_standard,
}
FORM = "frappe.desk.form.load.getdoctype"
"""Answers with ``docs`` instead of a ``message``."""
form = _getdoctype
