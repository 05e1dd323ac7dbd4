"""ERPNext: what the API user may do, one by one, and what it may beyond need."""

from __future__ import annotations

from functools import partial

from watcher.doctor import say
from watcher.doctor.case import Case
from watcher.erpnext.errors import RowGone
from watcher.errors import ErpForbidden

NEEDED = (
    ("Event", ("read", "write", "create", "delete", "share")),
    ("ToDo", ("create", "write")),
    ("User", ("read",)),
    ("Deleted Document", ("delete",)),
)
"""What Watcher does in ERPNext, by document type. Deleted Documents: what has become private is
taken out of ERPNext's own history."""
_ENOUGH = frozenset({"System Manager", "Desk User", "All", "Guest", "HR User"})
"""Roles that Watcher has a use for."""


def may(doctype: str, permission: str, case: Case) -> say.Finding:
    """One permission of the API user."""
    client = case.erpnext()
    try:
        allowed = client.may(permission, doctype)
    except RowGone:
        return say.skip(f"the site has no {doctype}")
    if allowed:
        return say.ok(f"the API user may {permission} {doctype}")
    return say.denied(
        f"the API user may not {permission} {doctype}",
        f"in ERPNext's Role Permissions Manager give a role of {client.whoami()} {permission} on "
        f"{doctype}",
    )


def rights(case: Case) -> say.Finding:
    """Roles of the API user beyond what Watcher has a use for."""
    client = case.erpnext()
    name = client.whoami()
    try:
        found = client.get_doc("User", name).get("roles") or []
    except ErpForbidden:
        return say.skip("the API user may not see its own roles")
    roles = {str(row.get("role")) for row in found if isinstance(row, dict)}
    more = sorted(roles - _ENOUGH)
    if more:
        return say.warn(
            f"{name} has more roles than Watcher needs: {say.listed(more)}",
            f"take them off in ERPNext: {case.settings.erpnext_url}/app/user/{name}",
        )
    if "System Manager" in roles:
        return say.ok("no roles beyond System Manager, which taking private events away needs")
    return say.ok("no roles beyond need")


PERMISSIONS = {
    f"erpnext.may.{permission}.{doctype.lower().replace(' ', '_')}": partial(
        may, doctype, permission
    )
    for doctype, permissions in NEEDED
    for permission in permissions
}
"""A check for each permission, by its name."""
