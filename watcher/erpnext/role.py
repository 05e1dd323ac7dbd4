"""The role Watcher in ERPNext: what the API user may do, and nothing beyond.

``give`` makes it and gives it to the API user in place of whatever roles that had; ``take_back``
undoes it. Both take a System Manager's key, once. What a role may do stands in Custom DocPerm: with
the first row for a document type Frappe copies the standard ones there, so that nobody else's
rights change, and from then on that type no longer follows what an upgrade of Frappe changes in its
standard rights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.errors import RowGone
from watcher.erpnext.fields import Tell, tell_nobody
from watcher.errors import ErpForbidden, ErpRefused

ROLE = "Watcher"
MANAGER = "System Manager"
READS_MAIL = "Super Email User"
"""Frappe shows mails (Communications of the medium Email) to System Managers and to who has a role
of this name, whatever else they may read. A site has no such role until somebody makes it."""
SEES_MAIL = frozenset({MANAGER, READS_MAIL, "Administrator"})

GRANTS: dict[str, tuple[str, ...]] = {
    "Event": ("read", "write", "create", "delete", "share"),
    "ToDo": ("read", "write", "create", "delete"),
    "User": ("read",),
    "Employee": ("read",),
    # What has become private is taken out of what Frappe keeps beside the row. An Event with mails
    # can be deleted only by who may delete these as well.
    "Communication": ("read", "delete"),
    "DocShare": ("read", "delete"),
    "Version": ("read",),
    "Comment": ("read",),
    "Deleted Document": ("read", "delete"),
    "Error Log": ("read", "delete"),
    "Webhook Request Log": ("read", "delete"),
}
"""What the role may do, by document type."""

FLAGS = (
    *("select", "read", "write", "create", "delete"),
    *("report", "export", "import", "share", "print", "email"),
)
"""What a Custom DocPerm can allow of a document type without drafts."""
_BY_FRAPPE = frozenset({"All", "Guest", "Desk User"})
"""Roles that nobody gives: Frappe does."""
_MANAGER = "frappe.core.page.permission_manager.permission_manager"


@dataclass(kw_only=True, slots=True)
class RoleReport:
    """``changed`` are sentences on what was changed (or would be), ``left`` on what could not be;
    ``before`` are the roles that the API user had, ``taken`` those of them that it has no more."""

    user: str
    before: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Step:
    does: str
    call: Callable[[], object]


def would_take(admin: ErpNextClient, user: str) -> list[str]:
    """Roles that ``give`` takes off the user, beside Frappe's own."""
    return sorted(admin.roles(user) - _BY_FRAPPE - {ROLE, READS_MAIL})


def give(admin: ErpNextClient, user: str, tell: Tell, *, dry_run: bool = False) -> RoleReport:
    """Make the role and give it to ``user`` in place of the roles that it has; safe to repeat. The
    user's own roles come last, since ``admin`` may be the user itself, who may do nothing of this
    afterwards. ``tell`` is given each thing that was done. Raises ``ErpForbidden``."""
    before = sorted(admin.roles(user) - _BY_FRAPPE)
    report = RoleReport(user=user, before=before, taken=would_take(admin, user))
    _carry_out([*_roles(admin), *_rights(admin)], report, tell, dry_run=dry_run)
    wanted = {ROLE, READS_MAIL}
    if set(before) != wanted:
        step = _Step(f"{user} has the role {ROLE} and no other", _having(admin, user, wanted))
        _carry_out([step], report, tell, dry_run=dry_run)
    return report


def take_back(admin: ErpNextClient, user: str, tell: Tell, *, dry_run: bool = False) -> RoleReport:
    """Undo ``give``: ``user`` is System Manager, as Watcher needs without the role, and the rights
    of each document type are the standard ones where nothing else was changed in them."""
    before = admin.roles(user) - _BY_FRAPPE
    steps = []
    if MANAGER not in before or ROLE in before:
        wanted = before - {ROLE, READS_MAIL} | {MANAGER}
        steps.append(_Step(f"{user} has the role {MANAGER}", _having(admin, user, wanted)))
    report = RoleReport(user=user, before=sorted(before))
    return _undone(admin, report, steps, None if dry_run else tell)


def remove(admin: ErpNextClient, user: str, *, dry_run: bool = False) -> RoleReport:
    """As ``take_back``, for an installation that ends: ``user`` gets no role instead."""
    before = admin.roles(user) - _BY_FRAPPE
    steps = []
    if before & {ROLE, READS_MAIL}:
        without = _having(admin, user, before - {ROLE, READS_MAIL})
        steps.append(_Step(f"{user} has the role {ROLE} no more", without))
    report = RoleReport(user=user, before=sorted(before))
    return _undone(admin, report, steps, None if dry_run else tell_nobody)


def _undone(
    admin: ErpNextClient, report: RoleReport, steps: list[_Step], tell: Tell | None
) -> RoleReport:
    """The given steps, then the role's rights and the role itself. Without ``tell`` nothing is
    done."""
    dry_run, tell = tell is None, tell or tell_nobody
    for row in _rows_of_role(admin):
        does = f"{ROLE} has no right on {row['parent']} any more"
        steps.append(_Step(does, _without(admin, str(row["parent"]))))
    _carry_out(steps, report, tell, dry_run=dry_run)
    for role in (ROLE, READS_MAIL):
        _drop(admin, role, report, tell, dry_run=dry_run)
    return report


def lacking(
    client: ErpNextClient, doctypes: Iterable[str] = tuple(GRANTS)
) -> list[tuple[str, str]]:
    """What the API user whose client this is may not do of all that Watcher does with these
    document types, as document type and permission. One that the site lacks is not missed."""
    found = []
    for doctype in doctypes:
        try:
            found += [(doctype, each) for each in GRANTS[doctype] if not client.may(each, doctype)]
        except (RowGone, ErpForbidden):
            # Frappe 16 refuses to say anything of a document type that it does not have, but to
            # System Managers; of one that is there it says yes or no.
            continue
    return found


def _carry_out(steps: list[_Step], report: RoleReport, tell: Tell, *, dry_run: bool) -> None:
    for step in steps:
        if not dry_run:
            step.call()
        report.changed.append(step.does)
        tell(step.does)


# --- making -------------------------------------------------------------------------------------


def _roles(admin: ErpNextClient) -> Iterator[_Step]:
    wanted = (ROLE, READS_MAIL)
    there = {row["name"] for row in admin.rows("Role", [["name", "in", list(wanted)]], ["name"])}
    for name in wanted:
        if name not in there:
            # Without access to the Desk its user would be one of the website, whose lists of files
            # lack what others have attached.
            document = {"doctype": "Role", "role_name": name, "desk_access": 1}
            yield _Step(f"made the role {name}", _inserted(admin, document))


def _rights(admin: ErpNextClient) -> Iterator[_Step]:
    """One step for each document type that the site has."""
    names = admin.rows("DocType", [["name", "in", sorted(GRANTS)]], ["name"])
    there = {str(row["name"]) for row in names}
    has = {str(row["parent"]): row for row in _rows_of_role(admin)}
    for doctype, permissions in GRANTS.items():
        if doctype not in there:
            continue
        wanted = {flag: int(flag in permissions) for flag in FLAGS}
        found = has.get(doctype, {})
        if any(found.get(flag) != value for flag, value in wanted.items()):
            does = f"{ROLE} may {', '.join(permissions)} {doctype}"
            yield _Step(does, _granted(admin, doctype, wanted))


def _rows_of_role(admin: ErpNextClient, doctype: str = "") -> list[dict[str, Any]]:
    filters: list[list[object]] = [["role", "=", ROLE], ["permlevel", "=", 0]]
    filters += [["parent", "=", doctype]] if doctype else []
    return admin.rows("Custom DocPerm", filters, ["parent", *FLAGS])


def _granted(
    admin: ErpNextClient, doctype: str, wanted: dict[str, int]
) -> Callable[[], dict[str, Any]]:
    def call() -> dict[str, Any]:
        params = {"parent": doctype, "role": ROLE, "permlevel": 0}
        if not _rows_of_role(admin, doctype):
            admin.method(f"{_MANAGER}.add", params=params)
        (row,) = _rows_of_role(admin, doctype)
        return admin.update({"doctype": "Custom DocPerm", "name": row["name"], **wanted})

    return call


def _inserted(admin: ErpNextClient, document: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    return lambda: admin.insert(document)


def _having(admin: ErpNextClient, user: str, roles: set[str]) -> Callable[[], dict[str, Any]]:
    rows = [{"role": role} for role in sorted(roles)]
    return lambda: admin.update({"doctype": "User", "name": user, "roles": rows})


# --- taking back --------------------------------------------------------------------------------


def _without(admin: ErpNextClient, doctype: str) -> Callable[[], None]:
    def call() -> None:
        params = {"doctype": doctype, "role": ROLE, "permlevel": 0}
        admin.method(f"{_MANAGER}.remove", params=params)
        standard = admin.read(f"{_MANAGER}.get_standard_permissions", params={"doctype": doctype})
        filters = [["parent", "=", doctype]]
        kept = admin.rows("Custom DocPerm", filters, ["role", "permlevel", "if_owner", *FLAGS])
        if sorted(map(_right, kept)) == sorted(map(_right, standard or [])):
            admin.method(f"{_MANAGER}.reset", params={"doctype": doctype})

    return call


def _right(row: dict[str, Any]) -> tuple[str, int, int, str]:
    """A row of rights as it is compared: for whom, at which level, and what."""
    flags = " ".join(flag for flag in FLAGS if row.get(flag))
    return str(row["role"]), int(row.get("permlevel") or 0), int(row.get("if_owner") or 0), flags


def _drop(
    admin: ErpNextClient, role: str, report: RoleReport, tell: Tell, *, dry_run: bool
) -> None:
    """Delete a role that nobody has. Frappe refuses it while a user has it."""
    if not admin.rows("Role", [["name", "=", role]], ["name"]):
        return
    try:
        if not dry_run:
            admin.delete("Role", role)
    except ErpRefused as error:
        report.left.append(f"the role {role} stays: {error.message}")
        return
    report.changed.append(f"the role {role} is deleted")
    tell(report.changed[-1])
