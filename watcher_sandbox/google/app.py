"""The server: its routes, errors in Google's words, faults that tests ask for, gzip, the log of
requests."""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
import socket
import sys
import threading
import time
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from watcher_sandbox.google import api, control, oauth_routes
from watcher_sandbox.google.errors import (
    DOMAIN_OF_REASON,
    REASON_OF_STATUS,
    GoogleError,
    OAuthError,
)
from watcher_sandbox.google.faults import Fault, Request
from watcher_sandbox.google.state import GoogleState
from watcher_sandbox.google.times import rfc3339

log = logging.getLogger(__name__)

_SMALLEST_GZIP = 300
_SECRET_QUERY = frozenset({"access_token", "token", "key", "code", "client_secret"})
_CONTROL = "/_sandbox"


def create_app(state: GoogleState) -> Flask:
    """The WSGI app of one sandbox Google."""
    app = Flask("watcher_sandbox.google")
    app.register_blueprint(api.blueprint(state))
    app.register_blueprint(oauth_routes.blueprint(state))
    app.register_blueprint(control.blueprint(state))
    _errors(app)
    _around(app, state)
    return app


def _errors(app: Flask) -> None:
    @app.errorhandler(GoogleError)
    def refused(error: GoogleError) -> Response:
        return _json(error.body(), error.status, error.headers)

    @app.errorhandler(OAuthError)
    def no_token(error: OAuthError) -> Response:
        return _json(error.body(), error.status)

    @app.errorhandler(HTTPException)
    def other(error: HTTPException) -> Response:
        status = error.code or 500
        reason = REASON_OF_STATUS.get(status, "httpError")
        return _json(GoogleError(status, reason, error.name).body(), status)


def _around(app: Flask, state: GoogleState) -> None:
    @app.before_request
    def begin() -> Response | None:
        g.began, g.user, g.fault = time.monotonic(), None, None
        request.get_data(cache=True)  # an unread body would be taken for the next request
        if request.path.startswith(_CONTROL):
            return None
        query = request.query_string.decode("utf-8", "replace")
        g.fault = fault = state.faults.strike(request.method, request.path, query)
        if fault is None:
            return None
        if fault.delay:
            time.sleep(fault.delay)
        return None if fault.after else _fault_answer(fault)

    @app.after_request
    def end(response: Response) -> Response:
        fault: Fault | None = g.get("fault")
        if fault is not None and fault.after:
            response = _fault_answer(fault) or response
        if not request.path.startswith(_CONTROL):
            state.log.add(_entry(state, response))
        return _zipped(response)


def _fault_answer(fault: Fault) -> Response | None:
    """The fault's answer in place of the server's; None when the fault only delays."""
    if fault.drop:
        _hang_up()
        return Response(status=502)
    if not fault.status and fault.body is None:
        return None
    status = fault.status or 200
    if fault.body is not None:
        return Response(fault.body, status, headers=fault.headers, content_type=fault.content_type)
    reason = fault.reason or REASON_OF_STATUS.get(status, "backendError")
    message = fault.message or reason
    if request.path in ("/token", "/revoke"):
        return _json(OAuthError(reason, message, status).body(), status, fault.headers)
    location = {"fullSyncRequired": "syncToken", "updatedMinTooLongAgo": "updatedMin"}.get(reason)
    return _json(
        GoogleError(status, reason, message, location=location).body(), status, fault.headers
    )


def _hang_up() -> None:
    connection = request.environ.get("werkzeug.socket")
    if isinstance(connection, socket.socket):
        connection.shutdown(socket.SHUT_RDWR)


def _entry(state: GoogleState, response: Response) -> Request:
    endpoint = (request.endpoint or ".unknown").partition(".")[2].replace("_", ".")
    query = {k: "..." if k in _SECRET_QUERY else v for k, v in request.args.items()}
    return Request(
        at=rfc3339(state.clock.now()),
        method=request.method,
        path=request.path,
        query=query,
        route=endpoint,
        status=response.status_code,
        user=g.get("user"),
        milliseconds=round((time.monotonic() - g.began) * 1000, 3),
    )


def _zipped(response: Response) -> Response:
    """Compress the answer when the caller accepts gzip and, as Google wants it, names it in its
    user agent too."""
    accepted = "gzip" in request.headers.get("Accept-Encoding", "").lower()
    named = "gzip" in request.headers.get("User-Agent", "").lower()
    if not accepted or not named or response.status_code == 304:
        return response
    body = response.get_data()
    if len(body) >= _SMALLEST_GZIP and "Content-Encoding" not in response.headers:
        response.set_data(gzip.compress(body, 1))
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept-Encoding"
    return response


def _json(body: Any, status: int, headers: dict[str, str] | None = None) -> Response:
    text = json.dumps(body, ensure_ascii=False)
    return Response(text, status, headers, content_type=api.JSON_TYPE)


# --- serving ------------------------------------------------------------------------------


class _Quiet(WSGIRequestHandler):
    """Keep-alive, and no line per request."""

    protocol_version = "HTTP/1.1"
    timeout = 120  # an idle connection is closed after so many seconds
    disable_nagle_algorithm = True  # else small answers wait 40 ms for the client's ACK

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)  # type: ignore[attr-defined]

    def finish(self) -> None:
        self.server.connections.discard(self.connection)  # type: ignore[attr-defined]
        super().finish()

    def run_wsgi(self) -> None:
        """Handle one request and keep the connection open, as Google does. werkzeug's own method
        closes each connection."""
        if self.headers.get("Expect", "").strip().lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.environ = self.make_environ()
        head: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> Any:
            head.append((status, headers))
            return parts.append

        parts: list[bytes] = []
        answer: Any = self.server.app(self.environ, start_response)
        with contextlib.closing(answer):  # werkzeug's iterators all have a close()
            parts.extend(answer)
        self._send(*head[-1], b"".join(parts))

    def _send(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        code, _, phrase = status.partition(" ")
        self.send_response(int(code), phrase)
        for name, value in headers:
            if name.lower() != "content-length":
                self.send_header(name, value)
        if int(code) not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def log(self, type: str, message: str, *args: Any) -> None:
        log.debug(message, *args)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        return


class Server:
    """A running sandbox: ``url``, ``state``; a context manager that ends it."""

    def __init__(self, state: GoogleState, host: str = "127.0.0.1", port: int = 0) -> None:
        self.state = state
        self._wsgi: BaseWSGIServer = make_server(
            host, port, create_app(state), threaded=True, request_handler=_Quiet
        )
        self._connections: set[socket.socket] = set()
        self._wsgi.connections = self._connections  # type: ignore[attr-defined]
        self._wsgi.daemon_threads = True  # type: ignore[attr-defined]
        self._wsgi.block_on_close = False  # type: ignore[attr-defined]
        self.url = state.url = f"http://{host}:{self._wsgi.server_port}"
        self._thread = threading.Thread(
            target=self._wsgi.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    def start(self) -> Server:
        self._thread.start()
        return self

    def close(self) -> None:
        """End the server and its open connections, then the delivery threads."""
        self._wsgi.shutdown()
        self._thread.join(timeout=5)
        self._wsgi.server_close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):  # the client has closed it already
                connection.shutdown(socket.SHUT_RDWR)
        self.state.close()

    def join(self) -> None:
        """Block until the server ends."""
        self._thread.join()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve(state: GoogleState | None = None, host: str = "127.0.0.1", port: int = 0) -> Server:
    """Start a server in threads of this process; port 0 takes a free one."""
    return Server(state or GoogleState(), host, port).start()


def run(port: int, host: str = "127.0.0.1", state: GoogleState | None = None) -> None:
    """Serve until interrupted. Prints one line, ``{"url": ...}``, when it is ready."""
    with serve(state, host, port) as server:
        sys.stdout.write(json.dumps({"url": server.url}) + "\n")
        sys.stdout.flush()
        try:
            server.join()
        except KeyboardInterrupt:
            log.debug("interrupted")


__all__ = ["DOMAIN_OF_REASON", "Server", "create_app", "run", "serve"]
