"""A WSGI application over real HTTP/1.1 with kept connections, in a thread."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

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
        with contextlib.suppress(OSError):  # the peer, or close(), was first
            super().finish()

    def make_environ(self) -> Any:
        environ = super().make_environ()
        environ[DROP] = self._drop
        return environ

    def _drop(self) -> None:
        _cut(self.connection)

    def send_header(self, keyword: str, value: str) -> None:
        if keyword.lower() != "connection":
            super().send_header(keyword, value)

    def log(self, type: str, message: str, *args: Any) -> None:
        """Quiet: whoever wants to know reads ``Site.requests``."""


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
        """Refuses new connections and cuts the kept ones, as a server that dies."""
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._connections):
            _cut(connection)
        self._thread.join(5)


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it was closed already
        connection.shutdown(socket.SHUT_RDWR)
