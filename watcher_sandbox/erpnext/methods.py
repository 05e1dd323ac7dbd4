"""The whitelisted methods under ``/api/method/``."""

from __future__ import annotations

import json
from typing import Any

from watcher_sandbox.erpnext import (
    deletion,
    desk,
    documents,
    methods_desk,
    permissions,
    queries,
    roles,
    signatures,
)
from watcher_sandbox.erpnext.call import Call, Method
from watcher_sandbox.erpnext.catalogue import ERPNEXT_VERSIONS, NEW, OLD
from watcher_sandbox.erpnext.db import Row
from watcher_sandbox.erpnext.doctypes import STANDARD
from watcher_sandbox.erpnext.errors import FrappeError, database, missing, refusal, thrown
from watcher_sandbox.erpnext.site import GUEST, Site

INSERT_LIMIT = 200
_ABOUT_FRAPPE = "Full stack web framework with Python, Javascript, MariaDB, Redis, Node"


def list_rows(call: Call, doctype: str) -> list[Row]:
    """get_list's parameters, for the method and for GET /api/resource/Doctype alike."""
    page = call.params.get("limit_page_length", call.params.get("limit"))
    return queries.rows(
        call.site,
        call.user,
        doctype,
        fields=call.value("fields"),
        filters=call.value("filters"),
        or_filters=call.value("or_filters"),
        order_by=call.params.get("order_by"),
        start=int(call.params.get("limit_start") or 0),
        page=None if page in (None, "") else int(page),
    )


def _get_list(call: Call) -> list[Row]:
    return list_rows(call, call.text("doctype"))


def _get_count(call: Call) -> int:
    return queries.count(call.site, call.user, call.text("doctype"), call.value("filters"))


def _get(call: Call) -> Row:
    """By name, or the first that ``filters`` find."""
    doctype, name = call.text("doctype"), call.params.get("name")
    if not name:
        filters = call.value("filters")
        if filters is None:  # taken for the only document of its type
            raise missing(doctype, doctype if call.site.frappe == OLD else "None")
        found = queries.rows(call.site, call.user, doctype, filters=filters, page=1)
        if not found:
            raise missing(doctype, "")
        name = found[0]["name"]
    return documents.get(call.site, call.user, doctype, str(name))


def _get_value(call: Call) -> Any:
    """{field: value} of the first row that is found, {} for none."""
    filters = call.value("filters")
    if isinstance(filters, str):
        filters = {"name": filters}
    fields = call.value("fieldname") or "name"
    found = queries.rows(
        call.site, call.user, call.text("doctype"), fields=fields, filters=filters, page=1
    )
    return found[0] if found else {}


def _get_single_value(call: Call) -> Any:
    doctype = call.text("doctype")
    if not permissions.allowed(call.site, call.user, doctype, "read"):
        text = f"No permission for {doctype}"
        raise refusal(text, "PermissionError", status=403)
    return {"time_zone": call.site.zone}.get(call.text("field"))


def _get_password(call: Call) -> str:
    """Decrypted. A row without a stored password: 401, which looks like a bad key and is not."""
    if not call.site.is_system_manager(call.user):
        raise FrappeError(403, "PermissionError")
    doctype, name, fieldname = (call.text(each) for each in ("doctype", "name", "fieldname"))
    value = documents.find(call.site, doctype, name).get(fieldname)
    if not value:
        text = f"Password not found for {doctype} {name} {fieldname}"
        raise refusal(text, "AuthenticationError", status=401)
    return str(value)


def _get_versions(call: Call) -> dict[str, Row]:
    """By app; ERPNext's number is of the same series as Frappe's."""
    site = call.site
    branch = "version-15" if site.frappe == OLD else ""
    own = {"branch": branch, "version": site.version}
    answer = {"frappe": {"title": "Frappe Framework", "description": _ABOUT_FRAPPE, **own}}
    if site.erpnext:
        own = {"branch": branch, "version": ERPNEXT_VERSIONS[site.frappe]}
        answer["erpnext"] = {"title": "ERPNext", "description": "ERP made simple", **own}
    return answer


def _run_doc_method(call: Call) -> None:
    """Methods of documents: a Connected App, the only one that is asked for, has none that REST may
    call."""
    module = call.text("dt").lower().replace(" ", "_")
    path = f"frappe.integrations.doctype.{module}.{module}.{call.text('method')}"
    raise _not_whitelisted(call.site, path)


def _get_events(call: Call) -> list[Row]:
    """``user`` is not checked: anybody may ask for the events that another user sees. That is how
    Frappe itself behaves."""
    start, end = call.text("start"), call.text("end")
    whose = str(call.params.get("user") or call.user)
    return desk.calendar_view(call.site, whose, start, end, call.value("filters"))


def _delete_items(call: Call) -> None:
    items = call.value("items")
    if not isinstance(items, list):
        raise FrappeError(500, "TypeError", "the JSON object must be str", module="")
    desk.delete_items(call.site, call.user, call.text("doctype"), items)


def _has_permission(call: Call) -> dict[str, bool]:
    site, user, doctype = call.site, call.user, call.text("doctype")
    permission = str(call.params.get("perm_type") or "read").lower()
    if "docname" not in call.params:
        raise call.lacks("docname")
    permissions.known_to(site, user, doctype)
    if not call.params.get("docname"):
        return {"has_permission": permissions.allowed(site, user, doctype, permission)}
    row = documents.find(site, doctype, call.text("docname"))
    try:
        permissions.require_row(site, user, doctype, row, permission)
    except FrappeError:
        return {"has_permission": False}
    return {"has_permission": True}


def _insert(call: Call) -> Row:
    doc = call.value("doc")
    return documents.insert(call.site, call.user, str(doc["doctype"]), doc)


def _insert_many(call: Call) -> list[str]:
    """All or nothing; the error does not say which document it was."""
    docs = call.value("docs") or []
    if len(docs) > INSERT_LIMIT:
        raise refusal(f"Only {INSERT_LIMIT} inserts allowed in one request")
    with call.site.transaction():
        return [
            str(documents.insert(call.site, call.user, doc["doctype"], doc)["name"]) for doc in docs
        ]


def _bulk_update(call: Call) -> dict[str, list[Row]]:
    """Keeps what is good and lists what is not; after a deadlock earlier ones are lost too."""
    docs = call.params.get("docs")
    if not isinstance(docs, str):
        text = "the JSON object must be str, bytes or bytearray, not list"
        raise FrappeError(500, "TypeError", text, module="")
    failed: list[Row] = []
    deadlock_at, call.site.deadlock_at = call.site.deadlock_at, None
    with call.site.transaction():
        for number, doc in enumerate(json.loads(docs), 1):
            try:
                if number == deadlock_at:
                    call.site.rollback()
                    raise database("QueryDeadlockError", 1213, "Deadlock found when trying to get")
                _update_one(call, doc)
            except FrappeError as error:
                call.messages += error.messages
                failed.append({"doc": doc, "exc": error.traceback(call.site.frappe)})
    return {"failed_docs": failed}


def _update_one(call: Call, doc: Row) -> None:
    documents.update(call.site, call.user, doc["doctype"], doc["docname"], doc)


def _set_value(call: Call) -> Row:
    """One field, or several as a dict (or its JSON). The check for standard fields sees only a
    single name: an owner in a dict is refused later and otherwise."""
    given = call.value("fieldname")
    if isinstance(given, str) and given in STANDARD:
        raise refusal("Cannot edit standard fields")
    values = given if isinstance(given, dict) else {given: call.params.get("value") or ""}
    return documents.update(call.site, call.user, call.text("doctype"), call.text("name"), values)


def _delete(call: Call) -> None:
    deletion.delete(call.site, call.user, call.text("doctype"), call.text("name"))


_METHODS: dict[str, Method] = {
    "ping": lambda call: "pong",
    "frappe.auth.get_logged_user": lambda call: call.user,
    "frappe.client.bulk_update": _bulk_update,
    "frappe.client.delete": _delete,
    "frappe.client.get": _get,
    "frappe.client.get_count": _get_count,
    "frappe.client.get_list": _get_list,
    "frappe.client.get_password": _get_password,
    "frappe.client.get_single_value": _get_single_value,
    "frappe.client.get_value": _get_value,
    "frappe.client.get_time_zone": lambda call: {"time_zone": call.site.zone},
    "frappe.client.has_permission": _has_permission,
    "frappe.client.insert": _insert,
    "frappe.client.insert_many": _insert_many,
    "frappe.client.set_value": _set_value,
    "frappe.desk.doctype.event.event.get_events": _get_events,
    "frappe.desk.reportview.delete_items": _delete_items,
    "frappe.utils.change_log.get_versions": _get_versions,
    "run_doc_method": _run_doc_method,
    roles.FORM: roles.form,
    **methods_desk.METHODS,
    **roles.METHODS,
}
_VERBS = frozenset({"GET", "POST", "PUT", "DELETE"})
"""By which a method may be called at all: not by HEAD."""
_FOR_GUESTS = frozenset({"ping", "frappe.client.get_time_zone"})
_WRITES = frozenset(
    {
        "frappe.desk.form.utils.add_comment",
        *(
            f"frappe.client.{each}"
            for each in ("bulk_update", "delete", "insert", "insert_many", "set_value")
        ),
    }
)


def run(name: str, call: Call) -> Any:
    """The method's answer. Raises 417 for one that there is not, 403 for a guest."""
    if name in methods_desk.PRIVATE:
        raise _not_whitelisted(call.site, name)
    method = _METHODS.get(name)
    if method is None:
        app = name.partition(".")[0]
        why = (
            f"module 'frappe' has no attribute '{name.rpartition('.')[2]}'"
            if app == "frappe"
            else f"App {app} is not installed"
        )
        error = refusal(f"Failed to get method for command {name} with {why}")
        error.messages.insert(0, thrown(why))
        raise error
    if call.user == GUEST and name not in _FOR_GUESTS:
        raise _not_whitelisted(call.site, name)
    if call.verb not in _VERBS or (call.verb == "GET" and name in _WRITES):
        raise refusal("Not permitted", "PermissionError", status=403)
    signatures.check(call.site.frappe, name, call.params)
    call.method = name
    with call.site.lock:
        return method(call)


def _not_whitelisted(site: Site, name: str) -> FrappeError:
    hint = " Login to access" if site.frappe == NEW else ""
    text = (
        f"<details><summary>You are not permitted to access this resource.{hint}</summary>Function "
        f"<strong>{name}</strong> is not whitelisted.</details>"
    )
    return refusal(text, "PermissionError", title="Method Not Allowed", status=403)
