"""Many requests at once over kept connections, and how long each answer took."""

from __future__ import annotations

import selectors
import socket
import time
from dataclasses import dataclass

CONNECTIONS = 50
CUT_OFF, REFUSED = -1, -2
"""Counted among the statuses: connections that were closed without an answer, or never made."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """``requests`` are sent in turn, over and over, by ``connections`` connections, for ``seconds``
    or until ``most`` are answered; ``pace`` is how many a second at the most (0: as fast as it
    goes)."""

    port: int
    requests: tuple[bytes, ...]
    seconds: float
    connections: int = CONNECTIONS
    most: int = 0
    pace: float = 0.0


@dataclass(frozen=True, slots=True)
class Answered:
    """What a load came to; ``waits`` in milliseconds, sorted."""

    seconds: float
    waits: list[float]
    statuses: dict[int, int]

    @property
    def rate(self) -> float:
        return len(self.waits) / self.seconds

    def wait(self, part: float) -> float:
        return share(self.waits, part)


def share(values: list[float], part: float) -> float:
    """The value of sorted ``values`` below which this part of them lies."""
    return values[min(len(values) - 1, int(len(values) * part))]


class _Client:
    """One connection; opened again where the server has closed it."""

    def __init__(self, port: int) -> None:
        self.address = ("127.0.0.1", port)
        self.socket: socket.socket | None = None
        self.sent, self.got = 0.0, b""

    def send(self, request: bytes, watcher: selectors.BaseSelector) -> None:
        if self.socket is None:
            self.socket = socket.create_connection(self.address, timeout=30)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            watcher.register(self.socket, selectors.EVENT_READ, self)
        self.sent, self.got = time.perf_counter(), b""
        self.socket.sendall(request)

    def read(self, watcher: selectors.BaseSelector) -> int:
        """The status of the answer; 0 when it is not whole yet."""
        assert self.socket is not None
        try:
            data = self.socket.recv(65_536)
        except OSError:
            data = b""
        self.got += data
        head, ended, body = self.got.partition(b"\r\n\r\n")
        closes = b"connection: close" in head.lower()
        whole = bool(ended) and len(body) >= _length(head)
        if not data or (whole and closes):
            watcher.unregister(self.socket)
            self.socket.close()
            self.socket = None
            return int(head[9:12]) if whole else CUT_OFF
        return int(head[9:12]) if whole else 0


def _length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.split(b"\r\n", 1)[0]) if found else 0


class _Driver:
    """One load under way."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._watcher = selectors.DefaultSelector()
        self._clients = [_Client(load.port) for _ in range(load.connections)]
        self._resting = list(self._clients)
        self._sent = 0
        self.waits: list[float] = []
        self.statuses: dict[int, int] = {}

    def run(self) -> Answered:
        began = time.perf_counter()
        while True:
            passed = time.perf_counter() - began
            over = passed >= self._load.seconds or self._is_all_sent
            if not over:
                self._send(passed)
            if over and len(self._resting) == len(self._clients):
                break
            self._take()
        seconds = time.perf_counter() - began
        for client in self._clients:
            if client.socket is not None:
                client.socket.close()
        return Answered(seconds, sorted(self.waits), self.statuses)

    @property
    def _is_all_sent(self) -> bool:
        return bool(self._load.most) and self._sent >= self._load.most

    def _send(self, passed: float) -> None:
        pace, requests = self._load.pace, self._load.requests
        allowed = int(passed * pace) + 1 if pace else self._sent + len(self._resting)
        while self._resting and self._sent < allowed and not self._is_all_sent:
            request = requests[self._sent % len(requests)]
            self._sent += 1
            try:
                self._resting[-1].send(request, self._watcher)
                self._resting.pop()
            except OSError:
                self._count(REFUSED, 0.0)

    def _take(self) -> None:
        for key, _ in self._watcher.select(0.001 if self._load.pace else 1.0):
            client: _Client = key.data
            status = client.read(self._watcher)
            if status:
                self._count(status, (time.perf_counter() - client.sent) * 1000)
                self._resting.append(client)

    def _count(self, status: int, wait: float) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.waits.append(wait)


def drive(load: Load) -> Answered:
    """Put a server under load and measure its answers."""
    return _Driver(load).run()
