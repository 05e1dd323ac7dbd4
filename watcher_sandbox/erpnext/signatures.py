"""The arguments whose types Frappe checks before it calls a method: few on 15, more on 16.

Only these are checked; every other argument of every method may be anything, null too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from watcher_sandbox.erpnext.catalogue import NEW, OLD
from watcher_sandbox.erpnext.errors import FrappeError

_DASHES = re.compile(r"\d{4}-\d\d-\d\d")
Types = dict[str, tuple[str, Callable[[Any], bool]]]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_text_or_null(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_day(value: Any) -> bool:
    """A day written with dashes, or a moment at midnight."""
    if not isinstance(value, str) or not _DASHES.match(value):
        return False
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return False
    return found.time() == found.min.time()


_TEXT = ("str", _is_text)
_DAY = ("datetime.date", _is_day)
_COMMENT: Types = dict.fromkeys(
    ("reference_doctype", "reference_name", "content", "comment_email", "comment_by"), _TEXT
)
_CHECKED: dict[int, dict[str, Types]] = {
    OLD: {"frappe.desk.form.utils.add_comment": _COMMENT},
    NEW: {
        "frappe.desk.form.utils.add_comment": _COMMENT,
        "frappe.client.get_password": dict.fromkeys(("doctype", "name", "fieldname"), _TEXT),
        "frappe.client.has_permission": dict.fromkeys(("doctype", "docname", "perm_type"), _TEXT),
        "frappe.desk.doctype.event.event.get_events": {
            "start": _DAY,
            "end": _DAY,
            "user": ("str | None", _is_text_or_null),
        },
    },
}


def check(frappe: int, method: str, arguments: Mapping[str, Any]) -> None:
    """Raises 417 ``FrappeTypeError`` for the first argument of a wrong type."""
    for name, (kind, is_one) in _CHECKED[frappe].get(method, {}).items():
        if name in arguments and not is_one(arguments[name]):
            where = f" in '{method}'" if frappe == NEW else ""
            got = type(arguments[name]).__name__
            text = f"Argument '{name}'{where} should be of type '{kind}' but got '{got}' instead."
            raise FrappeError(417, "FrappeTypeError", text)
