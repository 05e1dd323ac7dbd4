"""Frappe's REST addresses: which method or document a request is for, and its answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask import Request, Response

from watcher_sandbox.erpnext import deletion, documents, methods, roles
from watcher_sandbox.erpnext.call import Call, without_nulls
from watcher_sandbox.erpnext.catalogue import NEW
from watcher_sandbox.erpnext.errors import FrappeError, refusal, server_messages

METHOD = "/api/method"
RESOURCE = "/api/resource/"
_SAVING = frozenset(
    f"frappe.client.{each}" for each in ("bulk_update", "insert", "insert_many", "set_value")
)
_CACHED = frozenset({"frappe.desk.doctype.event.event.get_events"})
"""What browsers may show for five minutes as it was, on 16."""


def parameters(request: Request) -> dict[str, Any]:
    """Query, form and JSON body together. Raises nothing for a body that is not JSON."""
    body = request.get_json(force=True, silent=True) if request.get_data() else None
    given = {**request.args.to_dict(), **request.form.to_dict()}
    return {**given, **body} if isinstance(body, dict) else given


def command(request: Request) -> str:
    """The method that a request calls, by its address or by ``cmd``; empty for a document."""
    if request.path.startswith(METHOD) and (name := request.path[len(METHOD) :].strip("/")):
        return name
    if request.path.startswith(RESOURCE):
        return ""
    return str(parameters(request).get("cmd", ""))


def saves(request: Request) -> bool:
    """Whether this request makes or changes a document."""
    if name := command(request):
        return name in _SAVING
    return request.method in ("POST", "PUT") and request.path.startswith(RESOURCE)


def dispatch(request: Request, call: Call) -> Response:
    """Raises FrappeError."""
    name = command(request)
    if name:
        return _method(call, name)
    if request.path.startswith(RESOURCE):
        doctype, _, document = request.path.removeprefix(RESOURCE).partition("/")
        return _document(call, doctype, document) if document else _collection(call, doctype)
    raise FrappeError(404, "DoesNotExistError")


def answer(body: Mapping[str, Any] | list[Any], status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")


def _method(call: Call, name: str) -> Response:
    message = methods.run(name, call)
    body: dict[str, Any] = {} if message is None else {"message": message}
    if name == roles.FORM:
        body = {"docs": message, "user_settings": "{}"}
    if call.messages:
        body["_server_messages"] = server_messages(call.messages, call.site.frappe)
    deleted = name == "frappe.client.delete" and call.verb == "DELETE"
    found = answer(body, 202 if deleted else 200)
    if call.site.frappe == NEW and call.verb == "GET" and name in _CACHED:
        found.headers["Cache-Control"] = "private,max-age=300,stale-while-revalidate=3600"
    return found


def _collection(call: Call, doctype: str) -> Response:
    if call.verb == "GET":
        return answer({"data": methods.list_rows(call, doctype)})
    if call.verb == "POST":
        return _shown(documents.insert(call.site, call.user, doctype, _body(call)))
    raise FrappeError(404, "DoesNotExistError")


def _document(call: Call, doctype: str, name: str) -> Response:
    site, user = call.site, call.user
    if call.verb == "GET":
        return _shown(documents.get(site, user, doctype, name))
    if call.verb == "PUT":
        return _shown(documents.update(site, user, doctype, name, _body(call)))
    if call.verb == "DELETE":
        deletion.delete(site, user, doctype, name)
        return answer({"data": "ok"}, 202)
    raise refusal("Not permitted", "PermissionError", status=403)


def _shown(row: Mapping[str, Any]) -> Response:
    return answer({"data": without_nulls(dict(row))})


def _body(call: Call) -> Mapping[str, Any]:
    """A document: the JSON body, or a form whose ``data`` is JSON, as FrappeClient sends it."""
    data = call.value("data")
    return data if isinstance(data, dict) else call.params
