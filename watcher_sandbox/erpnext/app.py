"""The stand-in's HTTP: Frappe's addresses, behind what stands before Frappe on a real site.

GET POST        /api/method/<method>, and ``cmd=<method>`` to / and /api/method/
GET POST        /api/resource/<Doctype>
GET PUT DELETE  /api/resource/<Doctype>/<name>
GET             /app/event, /desk/event      a page for people; 16 sends from /app to /desk
                /_sandbox/...                switches, see ``control``
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from flask import Flask, Response, request

from watcher_sandbox.erpnext import control, resources, signin, views
from watcher_sandbox.erpnext.call import Call
from watcher_sandbox.erpnext.catalogue import OLD
from watcher_sandbox.erpnext.errors import FrappeError, gunicorn_page, page, shown
from watcher_sandbox.erpnext.faults import Fault
from watcher_sandbox.erpnext.server import DROP, Server
from watcher_sandbox.erpnext.site import GUEST, Site

MAX_REQUEST_LINE = 4094
MAX_BODY = 25 * 1024 * 1024
MAX_SAFE_BODY = 17_000_000
_USER = "watcher.sandbox.user"
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
_TITLES = {404: "Not Found", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}


def create_app(site: Site) -> Flask:
    """The site as a WSGI application."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_FORM_MEMORY_SIZE"] = MAX_BODY
    app.register_blueprint(control.create(site))
    app.register_blueprint(views.create(site))

    @app.route("/", methods=["GET", "POST"])
    @app.route("/api/<path:rest>", methods=["GET", "POST", "PUT", "DELETE"])
    def frappe(rest: str = "") -> Response:
        return _answer(site)

    return app


def serve(site: Site, host: str = "127.0.0.1", port: int = 0) -> Server:
    """Serves in a thread of its own until ``close()``; port 0 is any free one."""
    server = Server(create_app(site), host, port).start()
    site.url = server.url
    return server


def run(
    port: int,
    host: str = "127.0.0.1",
    path: str | Path = ":memory:",
    *,
    frappe: int = OLD,
    erpnext: bool = False,
) -> None:
    """Serves until the process ends; one line of JSON says where and with what key. ``path``: a
    file from which the site's rows and keys are taken up again."""
    site = Site(path=path, frappe=frappe, erpnext=erpnext)
    server = serve(site, host, port)
    where = {"url": server.url, "api_key": site.api_key, "api_secret": site.api_secret}
    sys.stdout.write(json.dumps(where) + "\n")
    sys.stdout.flush()
    try:
        server.wait()
    except KeyboardInterrupt:
        return  # Ctrl-C is how it is meant to end: no traceback
    finally:
        server.close()


def _answer(site: Site) -> Response:
    """One request, counted and logged."""
    began = time.perf_counter()
    body = request.get_data()  # in any case, since the connection is kept
    response, met = _met(site, len(body))
    with site.lock:
        site.requests[_counted()] += 1
        site.log.append(
            {
                "at": site.clock(),
                "method": request.method,
                "path": request.path,
                "cmd": resources.command(request),
                "status": response.status_code,
                "bytes": len(body),
                "ms": round((time.perf_counter() - began) * 1000, 1),
                "user": request.environ.get(_USER, ""),
                "fault": met,
            }
        )
    return response


def _counted() -> str:
    """The request's name in ``Site.requests``: the document's own name is left out."""
    if name := resources.command(request):
        return f"{request.method} {resources.METHOD}/{name}"
    path = request.path
    if path.startswith(resources.RESOURCE):
        path = resources.RESOURCE + path.removeprefix(resources.RESOURCE).partition("/")[0]
    return f"{request.method} {path}"


def _met(site: Site, size: int) -> tuple[Response, bool]:
    """The answer, and whether a fault made it."""
    refused = _too_large(size)
    if refused is not None:
        return refused, False
    what = f"{request.method} {request.path} {resources.command(request)}"
    fault = site.faults.take(what)
    if fault is None:
        return _frappe(site), False
    if fault.delay:
        time.sleep(fault.delay)
    if fault.status == 0 and not fault.drop:
        return _frappe(site), True
    if fault.after_commit:
        _frappe(site)
    return _faulty(site, fault), True


def _too_large(size: int) -> Response | None:
    """What gunicorn and werkzeug refuse before Frappe sees it."""
    line = len(f"{request.method} {request.environ.get('REQUEST_URI', '')} HTTP/1.1")
    if line > MAX_REQUEST_LINE:
        text = gunicorn_page(f"Request Line is too large ({min(line, 8192)} > {MAX_REQUEST_LINE})")
        return Response(text, 400, mimetype="text/html")
    if size > MAX_BODY:
        text = "The data value transmitted exceeds the capacity limit."
        return _page(413, "Request Entity Too Large", text)
    if size > MAX_SAFE_BODY:
        return _page(500, "Internal Server Error")
    return None


def _page(status: int, title: str, text: str = "") -> Response:
    return Response(page(status, title, text or title), status, mimetype="text/html")


def _frappe(site: Site) -> Response:
    """In Frappe's order: the site, its database, maintenance, the rate limit, who it is."""
    if site.host and request.host.rpartition(":")[0] != site.host:
        return _page(404, "Not Found", f"{request.host} does not exist")
    if site.database_down:
        return _page(500, "Internal Server Error")
    if site.html:
        return _page(200, "Login", "Please sign in to continue.")
    try:
        return _signed_in(site)
    except FrappeError as error:
        response = _refused(site, error)
    except UnicodeEncodeError as error:  # half of a surrogate pair cannot be encoded
        response = _refused(site, FrappeError(500, "UnicodeEncodeError", error.reason, module=""))
    return _limited(response, site.retry_after()) if response.status_code == 429 else response


def _refused(site: Site, error: FrappeError) -> Response:
    """On 16 nobody but a System User is shown a traceback."""
    user = request.environ.get(_USER, "")
    tracebacks = site.tracebacks and (site.frappe == OLD or not user or site.is_desk_user(user))
    return resources.answer(error.body(site.frappe, tracebacks=tracebacks), error.status)


def _signed_in(site: Site) -> Response:
    if site.maintenance == "full":
        raise FrappeError(503, "SessionStopped", "Session Stopped", early=True)
    if site.retry_after():
        raise FrappeError(429, "TooManyRequestsError", early=True)
    user = signin.user_of(
        site, request.headers.get("Authorization", ""), request.cookies.get("sid", "")
    )
    request.environ[_USER] = user
    params = resources.parameters(request)
    call = Call(site=site, user=user, params=params, verb=request.method)
    try:
        response = resources.dispatch(request, call)
    except FrappeError as error:
        _note(site, error)
        raise
    if site.overloaded and resources.saves(request):
        time.sleep(site.queue_delay)
        text = gunicorn_page("", "Internal Server Error")
        return Response(text, 500, mimetype="text/html")
    if user == GUEST:
        response.set_cookie("sid", GUEST, httponly=True)
    return response


def _note(site: Site, error: FrappeError) -> None:
    """What Frappe notes of an error, for its Error Log: the traceback with all its variables."""
    if error.status >= 500 and error.exc_type != "InReadOnlyMode":
        brought = json.dumps(resources.parameters(request), ensure_ascii=False)
        text = f"{error.traceback(site.frappe)}      data = {brought}\n"
        site.error_queue.append((request.environ.get(_USER, ""), str(error), text))


def _limited(response: Response, seconds: int) -> Response:
    response.headers["Retry-After"] = response.headers["X-RateLimit-Reset"] = str(seconds)
    response.headers["X-RateLimit-Limit"] = "1000000"
    response.headers["X-RateLimit-Remaining"] = "0"
    return response


def _faulty(site: Site, fault: Fault) -> Response:
    status = fault.status or 503
    if fault.drop:
        request.environ[DROP]()
    if fault.html:
        response = _page(status, _TITLES.get(status, "Server Error"))
    else:
        exc_type = fault.exc_type or _DEFAULT_EXC.get(status, "OperationalError")
        messages = [shown(fault.message)] if fault.message else []
        error = FrappeError(status, exc_type, fault.message, messages=messages)
        _note(site, error)
        response = _refused(site, error)
    if status == 429:
        response = _limited(response, 1)
    for name, value in fault.headers.items():
        response.headers[name] = value
    return response
