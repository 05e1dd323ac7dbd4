"""A WSGI application over real HTTP/1.1 with kept connections, in a thread."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from werkzeug.datastructures import Headers
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.test import run_wsgi_app

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

DROP = "watcher.sandbox.drop"
"""Key in the WSGI environ of a function that cuts the connection."""


class _Handler(WSGIRequestHandler):
    """Keeps connections (werkzeug closes each one), says nothing, and can be cut off."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Any

    def setup(self) -> None:
        super().setup()
        self.server.open_connections.add(self.connection)

    def finish(self) -> None:
        self.server.open_connections.discard(self.connection)
        with contextlib.suppress(OSError):  # the peer or close() has closed it already
            super().finish()

    def make_environ(self) -> Any:
        environ = super().make_environ()
        environ[DROP] = self._drop
        return environ

    def _drop(self) -> None:
        _cut(self.connection)

    def run_wsgi(self) -> None:
        """Reads the whole request and writes the whole answer. Werkzeug's own always closes,
        and would swallow the next request of a kept connection as a rest of this one."""
        if self.headers.get("Expect", "").strip().lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        environ = self.make_environ()
        if environ.pop("HTTP_TRANSFER_ENCODING", ""):
            body = environ["wsgi.input"].read()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        parts, status, headers = run_wsgi_app(self.server.app, environ, buffered=True)
        self._write(status, headers, b"".join(parts))

    def _write(self, status: str, headers: Headers, body: bytes) -> None:
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        headers["Content-Length"] = str(len(body))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log(self, type: str, message: str, *args: Any) -> None:
        """Logs nothing; ``Site.requests`` and ``Site.log`` hold the requests."""


class Server:
    """A running server. ``url`` has no slash at its end."""

    def __init__(self, app: WSGIApplication, host: str, port: int) -> None:
        self._server: BaseWSGIServer = make_server(
            host, port, app, threaded=True, request_handler=_Handler
        )
        self._connections: set[socket.socket] = set()
        setattr(self._server, "open_connections", self._connections)  # noqa: B010
        self.port = self._server.server_port
        self.url = f"http://{host}:{self.port}"
        self._run: Callable[[float], None] = self._server.serve_forever
        self._thread = threading.Thread(
            target=self._run, args=(0.02,), name=f"erpnext-{self.port}", daemon=True
        )

    def start(self) -> Server:
        self._thread.start()
        return self

    def wait(self) -> None:
        """Until the server is closed."""
        self._thread.join()

    def close(self) -> None:
        """Refuse new connections and cut the open ones, as when a server dies."""
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._connections):
            _cut(connection)
        self._thread.join(5)


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it was closed already
        connection.shutdown(socket.SHUT_RDWR)
