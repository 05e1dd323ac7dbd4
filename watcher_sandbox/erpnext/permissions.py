"""Who may do what: roles by document type, and the Private Events of others."""

from __future__ import annotations

from watcher_sandbox.erpnext import denials
from watcher_sandbox.erpnext.accounts import GUEST
from watcher_sandbox.erpnext.catalogue import NEW
from watcher_sandbox.erpnext.db import Row
from watcher_sandbox.erpnext.doctypes import ROLES
from watcher_sandbox.erpnext.errors import NoModule, refusal
from watcher_sandbox.erpnext.roles import granted
from watcher_sandbox.erpnext.site import Site

_READ_ONLY = ("write", "create", "delete")


def known(site: Site, doctype: str) -> None:
    """Raises 404 for a document type that the site does not have."""
    if doctype not in ROLES or doctype not in site.types:
        raise refusal(f"DocType {doctype} not found", "DoesNotExistError", status=404)


def known_to(site: Site, user: str, doctype: str) -> None:
    """As ``known``; 16 (seen on 16.0.0-dev) tells others than System Managers nothing of a document
    type that is not there: 403, as if DocType itself were not for them."""
    if site.frappe == NEW and doctype not in site.types and not site.is_system_manager(user):
        raise denials.no_role(site.frappe, user, "DocType", "read")
    known(site, doctype)


def importable(site: Site, doctype: str) -> None:
    """Raises 500 for the same, where Frappe wants a single document."""
    if doctype not in ROLES or doctype not in site.types:
        raise NoModule(doctype)


def allowed(site: Site, user: str, doctype: str, permission: str) -> bool:
    """Whether the user's roles allow it on some document."""
    if user == GUEST or doctype not in ROLES:
        return False
    if permission in granted(site, user, doctype):
        return True
    if doctype == "Employee" and site.is_hr(user):
        return True
    if site.frappe == NEW and doctype == "Event" and not site.is_desk_user(user):
        return permission in ("read", "share")  # the role All
    return permission in ROLES[doctype][site.is_system_manager(user)]


def require(site: Site, user: str, doctype: str, permission: str, name: str | None = None) -> None:
    """Raises 403 when the user's roles do not allow it on any document."""
    known(site, doctype)
    if allowed(site, user, doctype, permission):
        return
    if allowed(site, user, doctype, "read"):  # the type is allowed, and this action is not
        raise denials.only_other(site.frappe, user, doctype, name, permission)
    raise denials.no_role(site.frappe, user, doctype, permission)


def require_list(site: Site, user: str, doctype: str) -> None:
    known_to(site, user, doctype)
    if not allowed(site, user, doctype, "read"):
        raise denials.no_list(site.frappe, user, doctype)


def visible(site: Site, user: str, doctype: str, row: Row, permission: str = "read") -> bool:
    """Whether the user may do it without a share. System Managers may no more than others, and see
    no Employees but their own: these are for HR."""
    if doctype == "Event":
        return _event(site, user, row, permission)
    if doctype == "ToDo":
        return _todo(site, user, row, permission)
    if doctype == "Employee":
        wide = site.is_hr(user) or "read" in granted(site, user, doctype)
        return wide or row["user_id"] == user
    return True


def _event(site: Site, user: str, row: Row, permission: str) -> bool:
    """On 16 a participant may read, when the row with their name says their address."""
    if linked_elsewhere(site, user, row):
        return False
    if row["event_type"] == "Public" or row["owner"] == user:
        return True
    if site.frappe != NEW or permission in _READ_ONLY:
        return False
    return any(each.get("email") == user for each in row.get("event_participants", []))


def linked_elsewhere(site: Site, user: str, row: Row) -> tuple[str, str, str] | None:
    """The Link of an Event that one of the user's User Permissions forbids: its document type, what
    it names, and its label."""
    for field, allowed_one in narrowing(site, user):
        named = row.get(field["fieldname"])
        if named and named != allowed_one:
            return str(field["options"]), str(named), str(field["label"])
    return None


def narrowing(site: Site, user: str) -> list[tuple[Row, str]]:
    """Links of Event that the user's User Permissions go by, and what they may name."""
    mine = site.user_permissions.get(user, {})
    links = site.find("Custom Field", dt="Event", fieldtype="Link") if mine else []
    return [
        (field, mine[field["options"]])
        for field in links
        if field["options"] in mine and not field["ignore_user_permissions"]
    ]


def _todo(site: Site, user: str, row: Row, permission: str) -> bool:
    """System Managers may do everything, except to delete what is not about themselves; who has a
    role of the site's own may do what that role says."""
    if site.is_system_manager(user) and permission != "delete":
        return True
    if permission in granted(site, user, "ToDo"):
        return True
    return user in (row["allocated_to"], row["assigned_by"])


def require_row(site: Site, user: str, doctype: str, row: Row, permission: str) -> None:
    """Raises 403 when the user may not do this with this document. Each User is shared with that
    user, to read and to write."""
    if doctype == "User" and row["name"] == user and permission in ("read", "write"):
        return
    require(site, user, doctype, permission, row["name"])
    if not may(site, user, doctype, row, permission):
        if doctype == "Event" and (link := linked_elsewhere(site, user, row)):
            raise denials.linked(user, row["name"], *link)
        raise denials.not_theirs(site.frappe, user, doctype, row["name"], permission)


def may(site: Site, user: str, doctype: str, row: Row, permission: str = "read") -> bool:
    """What the roles allow provided: whether this document is theirs, or shared with them."""
    return visible(site, user, doctype, row, permission) or shared(
        site, user, doctype, row["name"], permission
    )


def require_delete(site: Site, user: str, doctype: str, row: Row) -> None:
    known(site, doctype)
    if not allowed(site, user, doctype, "delete"):
        knows = allowed(site, user, doctype, "read")
        raise denials.no_delete(site.frappe, user, doctype, row["name"], knows=knows)
    if not may(site, user, doctype, row, "delete"):
        raise denials.no_delete(site.frappe, user, doctype, row["name"], theirs=False)


def shared(site: Site, user: str, doctype: str, name: str, permission: str = "read") -> bool:
    """Whether a DocShare allows the user this with this one document."""
    if permission not in ("read", "write", "share"):
        return False
    where = f'share_doctype = ? AND share_name = ? AND (user = ? OR everyone) AND "{permission}"'
    return site.db.count("DocShare", where, (doctype, name, user)) > 0
