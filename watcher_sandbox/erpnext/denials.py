"""403 ``PermissionError`` in the words of each version of Frappe."""

from __future__ import annotations

from watcher_sandbox.erpnext.catalogue import NEW
from watcher_sandbox.erpnext.errors import FrappeError, refusal, shown, thrown

_BY_CONTROLLER = "Not allowed via controller permission check"


def _denied(*lines: str, error_message: str = "", early: bool = False) -> FrappeError:
    message = shown("<br>".join(lines))
    return FrappeError(
        403, "PermissionError", messages=[message], error_message=error_message, early=early
    )


def _roleless(user: str, doctype: str) -> str:
    return (
        f"User <strong>{user}</strong> does not have doctype access via role permission for "
        f"document <strong>{doctype}</strong>"
    )


def _no_access(user: str, doctype: str = "", name: str | None = None) -> str:
    text = f"User <strong>{user}</strong> does not have access to this document"
    return f"{text}: {doctype} - {name}" if doctype else text


def _insufficient(doctype: str, permission: str) -> str:
    return f"Insufficient Permission for {doctype} (<strong>{permission}</strong>)"


def no_role(frappe: int, user: str, doctype: str, permission: str) -> FrappeError:
    """The user's roles do not allow it, whatever the document."""
    if frappe == NEW or permission == "read":
        return _denied(
            _roleless(user, doctype), error_message=f"No permission for {doctype}", early=True
        )
    return _denied(
        _roleless(user, doctype),
        _no_access(user),
        error_message=_insufficient(doctype, permission),
    )


def no_list(frappe: int, user: str, doctype: str) -> FrappeError:
    """The user may see no list of this."""
    if frappe == NEW:
        text = f"Insufficient Permission for <strong>{doctype}</strong>"
        return refusal(text, "PermissionError", status=403)
    return no_role(frappe, user, doctype, "read")


def only_other(
    frappe: int, user: str, doctype: str, name: str | None, permission: str
) -> FrappeError:
    """The user's roles allow something with this document type, only not this."""
    if frappe == NEW:
        return no_role(frappe, user, doctype, permission)
    return _denied(
        _no_access(user, doctype, name), error_message=_insufficient(doctype, permission)
    )


def not_theirs(frappe: int, user: str, doctype: str, name: str, permission: str) -> FrappeError:
    """A Private Event of somebody else, for System Managers too."""
    if frappe == NEW:
        text = (
            f"You need the '{permission}' permission on <strong>{doctype}</strong> {name} to "
            "perform this action."
        )
        return _denied("", error_message=text)
    return _denied(
        _BY_CONTROLLER,
        _no_access(user, doctype, name),
        error_message="" if permission == "read" else _insufficient(doctype, permission),
    )


def linked(user: str, name: str, options: str, named: str, label: str) -> FrappeError:
    """A User Permission of the user names another document than a Link of this Event."""
    return _denied(
        "You are not allowed to access this DocType record because it is linked to "
        f"{options} '{named}' in field {label}",
        _no_access(user, "Event", name),
    )


def no_delete(
    frappe: int, user: str, doctype: str, name: str, *, knows: bool = True, theirs: bool = True
) -> FrappeError:
    """The user's roles do not allow it to delete any, or (``knows`` False) allow nothing with this
    document type at all; or (``theirs`` False) not this one."""
    if frappe == NEW:
        if theirs:
            return no_role(frappe, user, doctype, "delete")
        return not_theirs(frappe, user, doctype, name, "delete")
    text = f"User not allowed to delete {doctype}: {name}"
    line = _no_access(user, doctype, name)
    if not knows:
        line = f"{_roleless(user, doctype)}<br>{_no_access(user)}"
    if not theirs:
        line = f"{_BY_CONTROLLER}<br>{line}"
    return FrappeError(403, "PermissionError", text, messages=[shown(line), thrown(text)])


def no_field(doctype: str, name: str) -> FrappeError:
    """How 16 refuses an unknown field in ``order_by``, and later versions in every place: as if the
    field existed and this user had no permission for it."""
    text = f"You do not have permission to access field: <strong>{doctype}.{name}</strong>"
    return refusal(text, "PermissionError", title="Permission Error", status=403)
