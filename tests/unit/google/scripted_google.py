"""A small HTTP server whose answers each test writes itself; everything goes over real sockets."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Asked:
    """One request as the server saw it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    port: int

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    """What the server says: a JSON value or raw bytes; ``hang`` waits until the test ends;
    ``cut`` closes the connection in the middle of the body; ``keep`` leaves it open."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    cut: bool = False
    zipped: bool = False
    keep: bool = False

    def content(self) -> bytes:
        if self.body is None:
            return b""
        raw = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        return gzip.compress(raw) if self.zipped else raw


def error(status: int, reason: str, message: str = "No.", **headers: str) -> Answer:
    """An error document as the Calendar API writes it."""
    entry = {"domain": "global", "reason": reason, "message": message}
    document = {"error": {"code": status, "message": message, "errors": [entry]}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, document, headers=named)


class Scripted:
    """Answers in the order given; a callable answers every further request."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: list[Answer] = []
        self.otherwise: Callable[[Asked], Answer] = lambda _: Answer(599, b"nothing scripted")
        self.ended = threading.Event()
        self.kept: list[socket.socket] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = False
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def say(self, *answers: Answer) -> None:
        self.answers.extend(answers)

    def close(self) -> None:
        self.ended.set()
        self._server.shutdown()
        self._thread.join()
        for connection in self.kept:  # an idle one must not hold up the end of a test
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()

    def next_answer(self, asked: Asked) -> Answer:
        with self._lock:
            self.asked.append(asked)
            if self.answers:
                return self.answers.pop(0)
        return self.otherwise(asked)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                script.kept.append(self.connection)
                if script.ended.is_set():
                    self.connection.shutdown(socket.SHUT_RDWR)

            def log_message(self, format: str, *args: object) -> None:
                """Logs nothing."""

            def _serve(self) -> None:
                parts = urlsplit(self.path)
                query = {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                self._answer(
                    script.next_answer(
                        Asked(
                            self.command, parts.path, query, headers, body, self.client_address[1]
                        )
                    )
                )

            def _answer(self, answer: Answer) -> None:
                if answer.hang:
                    script.ended.wait(10)
                    self.close_connection = True
                    return
                content = answer.content()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if answer.zipped:
                    self.send_header("content-encoding", "gzip")
                if answer.status != 204:
                    self.send_header("content-length", str(len(content) + 50 * answer.cut))
                if not answer.keep:
                    self.send_header("connection", "close")
                self.end_headers()
                self.wfile.write(content)
                self.close_connection = not answer.keep

            do_GET = do_POST = _serve

        return Handler
