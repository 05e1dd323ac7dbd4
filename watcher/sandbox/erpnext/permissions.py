"""Who may do what: roles by document type, and the Private Events of others."""

from __future__ import annotations

from watcher.sandbox.erpnext.db import Row
from watcher.sandbox.erpnext.doctypes import ROLES
from watcher.sandbox.erpnext.errors import (
    FrappeError,
    denied,
    insufficient,
    no_role,
    not_theirs,
    refusal,
    shown,
    thrown,
)
from watcher.sandbox.erpnext.site import GUEST, Site


def known(doctype: str) -> None:
    """Raises 404 for a document type that the site does not have."""
    if doctype not in ROLES:
        raise refusal(f"DocType {doctype} not found", "DoesNotExistError", status=404)


def allowed(site: Site, user: str, doctype: str, permission: str) -> bool:
    """Whether the user's roles allow it on some document."""
    if user == GUEST or doctype not in ROLES:
        return False
    return permission in ROLES[doctype][site.is_system_manager(user)]


def require(site: Site, user: str, doctype: str, permission: str, name: str | None = None) -> None:
    """Raises 403 when the user's roles do not allow it on any document."""
    known(doctype)
    if allowed(site, user, doctype, permission):
        return
    if allowed(site, user, doctype, "read"):  # something, only not this
        text = f"User <strong>{user}</strong> does not have access to this document"
        raise denied(f"{text}: {doctype} - {name}", error_message=insufficient(doctype, permission))
    raise no_role(user, doctype, permission)


def visible(user: str, doctype: str, row: Row) -> bool:
    """Whether the user may see it without a share. System Managers may no more than others."""
    return doctype != "Event" or row["event_type"] == "Public" or row["owner"] == user


def require_row(site: Site, user: str, doctype: str, row: Row, permission: str) -> None:
    """Raises 403 when the user may not do this with this document."""
    require(site, user, doctype, permission, row["name"])
    if visible(user, doctype, row) or shared(site, user, doctype, row["name"], permission):
        return
    raise not_theirs(user, doctype, row["name"], permission)


def require_delete(site: Site, user: str, doctype: str, row: Row) -> None:
    known(doctype)
    name = row["name"]
    if not allowed(site, user, doctype, "delete"):
        text = f"User not allowed to delete {doctype}: {name}"
        whom = f"User <strong>{user}</strong>"
        line = f"{whom} does not have access to this document: {doctype} - {name}"
        raise FrappeError(403, "PermissionError", text, messages=[shown(line), thrown(text)])
    require_row(site, user, doctype, row, "delete")


def shared(site: Site, user: str, doctype: str, name: str, permission: str = "read") -> bool:
    """Whether a DocShare allows the user this with this one document."""
    if permission not in ("read", "write", "share"):
        return False
    where = f'share_doctype = ? AND share_name = ? AND (user = ? OR everyone) AND "{permission}"'
    return site.db.count("DocShare", where, (doctype, name, user)) > 0
