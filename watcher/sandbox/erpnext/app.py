"""The stand-in's HTTP: Frappe's REST addresses, a list to look at, and switches for tests.

GET POST        /api/method/<method>, and ``cmd=<method>`` posted to /
GET POST        /api/resource/<Doctype>
GET PUT DELETE  /api/resource/<Doctype>/<name>
GET             /app/event                   a page for people
GET             /_sandbox/events             all Event rows
POST DELETE     /_sandbox/faults             add one (``Site.add_fault``'s arguments), clear
POST            /_sandbox/maintenance        {"mode": "" | "full" | "read-only"}
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, request

from watcher.sandbox.erpnext import documents, methods, signin, views
from watcher.sandbox.erpnext.errors import FrappeError, page, refusal, server_messages
from watcher.sandbox.erpnext.methods import Call
from watcher.sandbox.erpnext.permissions import known
from watcher.sandbox.erpnext.server import DROP, Server
from watcher.sandbox.erpnext.site import GUEST, Fault, Site

MAX_REQUEST_LINE = 4094
MAX_BODY = 25 * 1024 * 1024
MAX_SAFE_BODY = 17_000_000
_METHOD = "/api/method/"
_RESOURCE = "/api/resource/"
_DEFAULT_EXC = {
    400: "ValidationError",
    401: "AuthenticationError",
    403: "PermissionError",
    404: "DoesNotExistError",
    409: "DuplicateEntryError",
    417: "ValidationError",
    429: "TooManyRequestsError",
    503: "SessionStopped",
}


def create_app(site: Site) -> Flask:
    """The site as a WSGI application."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_FORM_MEMORY_SIZE"] = MAX_BODY
    app.register_blueprint(views.create(site))

    @app.route("/", methods=["GET", "POST"])
    @app.route("/api/<path:rest>", methods=["GET", "POST", "PUT", "DELETE"])
    def frappe(rest: str = "") -> Response:
        return _answer(site)

    return app


def serve(site: Site, host: str = "127.0.0.1", port: int = 0) -> Server:
    """Serves in a thread of its own until ``close()``; port 0 is any free one."""
    return Server(create_app(site), host, port).start()


def run(port: int) -> None:
    """Serves a new site until the process ends; one line of JSON says where and with what key."""
    site = Site()
    server = serve(site, port=port)
    where = {"url": server.url, "api_key": site.api_key, "api_secret": site.api_secret}
    sys.stdout.write(json.dumps(where) + "\n")
    sys.stdout.flush()
    try:
        server.wait()
    finally:
        server.close()


def _answer(site: Site) -> Response:
    refused = _too_large()
    if refused is not None:
        return refused
    what = f"{request.method} {request.path}"
    with site.lock:
        site.requests[_counted()] += 1
    fault = site.take_fault(what)
    if fault is not None and not fault.after_commit:
        return _faulty(site, fault)
    answer = _frappe(site)
    return answer if fault is None else _faulty(site, fault)


def _counted() -> str:
    """The request's name in ``Site.requests``: the document's own name is left out."""
    path = request.path
    if path == "/":
        path = f"{_METHOD}{_params().get('cmd', '')}"
    elif path.startswith(_RESOURCE):
        path = _RESOURCE + path.removeprefix(_RESOURCE).partition("/")[0]
    return f"{request.method} {path}"


def _too_large() -> Response | None:
    """What gunicorn and werkzeug refuse before Frappe sees it. The body is read in any case,
    since the connection is kept."""
    size = len(request.get_data())
    line = len(f"{request.method} {request.environ.get('REQUEST_URI', '')} HTTP/1.1")
    if line > MAX_REQUEST_LINE:
        text = f"Request Line is too large ({line} > {MAX_REQUEST_LINE})"
        return Response(page(400, "Bad Request", text), 400, mimetype="text/html")
    if size > MAX_BODY:
        text = "The data value transmitted exceeds the capacity limit."
        return Response(page(413, "Request Entity Too Large", text), 413, mimetype="text/html")
    if size > MAX_SAFE_BODY:
        text = "Internal Server Error"
        return Response(page(500, text, text), 500, mimetype="text/html")
    return None


def _frappe(site: Site) -> Response:
    try:
        if site.maintenance == "full":
            raise FrappeError(503, "SessionStopped", "Session Stopped")
        user = signin.user_of(
            site, request.headers.get("Authorization", ""), request.cookies.get("sid", "")
        )
        response = _dispatch(Call(site=site, user=user, params=_params()))
        if user == GUEST:
            response.set_cookie("sid", GUEST, httponly=True)
        return response
    except FrappeError as error:
        return _json(error.body(tracebacks=site.tracebacks), error.status)


def _dispatch(call: Call) -> Response:
    path = request.path
    if path == "/" and "cmd" in call.params:
        return _method(call, str(call.params["cmd"]))
    if path.startswith(_METHOD):
        return _method(call, path.removeprefix(_METHOD))
    if path.startswith(_RESOURCE):
        doctype, _, name = path.removeprefix(_RESOURCE).partition("/")
        return _resource(call, doctype, name)
    raise FrappeError(404, "DoesNotExistError")


def _method(call: Call, name: str) -> Response:
    message = methods.run(name, call)
    answer: dict[str, Any] = {} if message is None else {"message": message}
    if call.messages:
        answer["_server_messages"] = server_messages(call.messages)
    return _json(answer)


def _resource(call: Call, doctype: str, name: str) -> Response:
    site, user = call.site, call.user
    known(doctype)
    match request.method, bool(name):
        case "GET", False:
            return _json({"data": methods.list_rows(call, doctype)})
        case "GET", True:
            return _document(documents.get(site, user, doctype, name))
        case "POST", False:
            return _document(documents.insert(site, user, doctype, _body(call)))
        case "PUT", True:
            return _document(documents.update(site, user, doctype, name, _body(call)))
        case "DELETE", True:
            documents.delete(site, user, doctype, name)
            return _json({"data": "ok"}, 202)
    raise refusal("Method not allowed", "PermissionError", status=403)


def _document(row: Mapping[str, Any]) -> Response:
    return _json({"data": methods.without_nulls(dict(row))})


def _body(call: Call) -> Mapping[str, Any]:
    """A document: the JSON body, or a form whose ``data`` is JSON, as FrappeClient sends it."""
    data = call.value("data")
    return data if isinstance(data, dict) else call.params


def _params() -> dict[str, Any]:
    """Query, form and JSON body together. Raises nothing for a body that is not JSON."""
    body = request.get_json(force=True, silent=True) if request.get_data() else None
    given = {**request.args.to_dict(), **request.form.to_dict()}
    return {**given, **body} if isinstance(body, dict) else given


def _json(body: Mapping[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")


def _faulty(site: Site, fault: Fault) -> Response:
    if fault.drop:
        request.environ[DROP]()
    if fault.html:
        title = "Service Unavailable" if fault.status == 503 else "Server Error"
        response = Response(page(fault.status, title, title), fault.status, mimetype="text/html")
    else:
        exc_type = fault.exc_type or _DEFAULT_EXC.get(fault.status, "OperationalError")
        error = FrappeError(fault.status, exc_type)
        response = _json(error.body(tracebacks=site.tracebacks), fault.status)
    if fault.status == 429:
        response.headers["Retry-After"] = response.headers["X-RateLimit-Reset"] = "1"
        response.headers["X-RateLimit-Limit"] = "1000000"
        response.headers["X-RateLimit-Remaining"] = "0"
    for name, value in fault.headers.items():
        response.headers[name] = value
    return response
