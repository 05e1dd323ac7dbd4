"""The HTTP server: waitress, with limits of time for whoever is slow, and threads for notifications
that nothing else can use up.

One thread reads all connections and gives a thread what has come in whole: whoever sends slowly, or
nothing at all, costs a place in the table of connections. Those places are bounded, and when all
are taken the connection that has waited the longest gives way.
"""

from __future__ import annotations

import logging
import resource
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher, WSGITask
from waitress.utilities import Error

from watcher.processes.too_many import TooMany

log = logging.getLogger(__name__)

PROMPT = frozenset({"/webhooks/google", "/healthz", "/readyz"})
"""What is answered without waiting for any other system, by threads of its own."""
TURN_SECONDS = 0.001
PROMPT_THREADS, OTHER_THREADS = 4, 6
"""They take Python's lock in turn, and whoever gives it away to read or write gets it back behind
all others: with eight a hundredth of a burst waited twice as long as with four."""
SWITCH_SECONDS = 0.001
"""So long a thread keeps Python's lock while others want it; Python's own 5 ms are as much as ten
notifications take."""
CONNECTIONS = 512
REQUEST_SECONDS = 10.0
"""From the first byte of a request to its last one."""
BODY_SECONDS = 1.0
"""So long the body of a notification is waited for. Google sends none, and nobody looks at it."""
IDLE_SECONDS = 75.0
"""So long a connection stays open without a request: longer than proxies keep theirs."""
WRITE_SECONDS = 30.0
"""So long a client may take nothing of its answer."""
LINGER_SECONDS = 2.0
"""So long what a refused client still sends is thrown away. To close at once would reset the
connection, and with it the answer."""
LOOK_SECONDS, REST_SECONDS = 0.25, 1.0
"""So often is looked who takes too long, and whether to stop: with connections, and without."""
STOP_SECONDS = 10.0
FAREWELL_SECONDS = 0.5
"""So long a server that stops still takes requests by the connections that it has."""
MAX_HEADERS, MAX_BODY = 32_768, 65_536


class TooSlow(Error):  # type: ignore[misc]
    """The answer to a request that has not come in whole in time."""

    code = 408
    reason = "Request Timeout"


class _Task(WSGITask):  # type: ignore[misc]
    """One request in a thread."""

    def start(self) -> None:
        super().start()
        if self.channel.server.stopping:
            self.request.headers["CONNECTION"] = "close"

    def set_close_on_finish(self) -> None:
        """waitress would close the connection after every answer without a length; an answer that
        has no body needs none."""
        asked = self.request.headers.get("CONNECTION", "").lower() == "close"
        if self.has_body or asked or self.request.version != "1.1" or not self.complete:
            super().set_close_on_finish()


class _Refusal(ErrorTask):  # type: ignore[misc]
    """The answer to what is no request, or too large, or too slow: the rest of it is not read."""

    def execute(self) -> None:
        self.channel.whole = False
        path = getattr(self.request, "path", "")
        if self.request.error.code == TooMany.code and path.startswith("/employees"):
            self.request.error = TooMany(self.request.headers.get("ACCEPT_LANGUAGE", ""))
        super().execute()


class _Connection(HTTPChannel):  # type: ignore[misc]
    """One connection. ``since`` is when what it is waiting for began, on the monotonic clock."""

    task_class = _Task
    error_task_class = _Refusal

    def __init__(self, *given: Any, **named: Any) -> None:
        self.since = time.monotonic()
        self.whole = True
        """Nothing of a request is left unread."""
        self.lingering = False
        self.request: HTTPRequestParser | None = None
        self.requests: list[HTTPRequestParser] = []
        super().__init__(*given, **named)

    def received(self, data: bytes) -> bool:
        if self.lingering:
            return False
        if self.request is None:
            self.since = time.monotonic()
        taken = bool(super().received(data))
        if self.request is None:
            self.since = time.monotonic()
        return taken

    def readable(self) -> bool:
        return self.lingering or bool(super().readable())

    @property
    def waits(self) -> bool:
        """For its client, and not for us."""
        return not self.requests

    def look(self, now: float) -> None:
        """End what has taken too long."""
        waited = now - self.since
        if not self.waits:
            self.since = now
        elif self.lingering:
            if waited > LINGER_SECONDS:
                self.will_close = True
        elif self.total_outbufs_len:
            if waited > WRITE_SECONDS:
                self.give_way()
        elif self.request is None:
            if waited > IDLE_SECONDS:
                self.give_way()
        elif waited > BODY_SECONDS and _is_bare_notification(self.request):
            self._answer_now(self.request)
        elif waited > REQUEST_SECONDS:
            self._answer_now(self.request, TooSlow(f"not complete within {REQUEST_SECONDS:.0f} s"))

    def give_way(self) -> None:
        """Close without an answer."""
        self.whole = True
        self.will_close = True

    def _answer_now(self, request: HTTPRequestParser, error: Error | None = None) -> None:
        """Take the request as it is, although not all of it has come."""
        with self.requests_lock:
            self.request = None
            request.completed, request.error = True, error
            request.headers["CONNECTION"] = "close"
            self.whole = False
            self.requests.append(request)
            self.server.add_task(self)

    def handle_close(self) -> None:
        if self.whole or self.lingering or not self.connected:
            super().handle_close()
            return
        self.lingering, self.will_close, self.since = True, False, time.monotonic()
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:  # the client has gone already
            super().handle_close()

    def handle_read(self) -> None:
        super().handle_read()
        if self.lingering and not self.connected:
            super().handle_close()


def _is_bare_notification(request: HTTPRequestParser) -> bool:
    """A notification of which only the body is missing."""
    return bool(request.headers_finished) and request.path == "/webhooks/google"


class _Threads:
    """The threads: what must be answered promptly does not queue behind what may wait."""

    def __init__(self) -> None:
        self.prompt, self.others = ThreadedTaskDispatcher(), ThreadedTaskDispatcher()
        self.prompt.set_thread_count(PROMPT_THREADS)
        self.others.set_thread_count(OTHER_THREADS)

    def add_task(self, connection: _Connection) -> None:
        request = connection.requests[0]
        is_prompt = request.error is not None or request.path in PROMPT
        (self.prompt if is_prompt else self.others).add_task(connection)

    def shutdown(self) -> None:
        for each in (self.prompt, self.others):
            each.shutdown(timeout=0.2)


class Server(TcpWSGIServer):  # type: ignore[misc]
    """waitress on a listening socket, with a look now and then at who takes too long."""

    channel_class = _Connection
    active_channels: dict[int, _Connection]
    accepting: bool
    stopping = False
    _looked = 0.0
    _places = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2

    def readable(self) -> bool:
        """Asked before each wait for events: whether a new connection could be taken."""
        self._look()
        return self.accepting and (not self._is_full() or any(self._waiting()))

    def handle_accept(self) -> None:
        if self._is_full():
            min(self._waiting(), key=lambda each: each.since).give_way()
        super().handle_accept()

    def _is_full(self) -> bool:
        return len(self.active_channels) >= min(CONNECTIONS, self._places)

    def _waiting(self) -> list[_Connection]:
        return [each for each in self.active_channels.values() if each.waits]

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        for each in list(self.active_channels.values()):
            each.look(now)


def make(app: Callable[..., Any], listener: socket.socket) -> Server:
    """A server for ``app`` on a listening socket; it reads from the moment on that it runs."""
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    adjustments = Adjustments(
        sockets=[listener],
        ident=None,
        log_socket_errors=False,
        clear_untrusted_proxy_headers=False,  # nobody reads them
        max_request_header_size=MAX_HEADERS,
        max_request_body_size=MAX_BODY + 1,
    )
    return Server(
        app,
        {},
        True,
        listener,
        dispatcher=_Threads(),
        adj=adjustments,
        sockinfo=(listener.family, listener.type, listener.proto, listener.getsockname()),
        bind_socket=False,
    )


def run(server: Server, stop: threading.Event) -> None:
    """Serve until ``stop`` is set, and answer then what has come in. New connections stay in the
    socket for whoever serves it next."""
    while not stop.is_set():
        _turn(server)
    server.accepting, server.stopping = False, True
    began = time.monotonic()
    while _busy(server, began) and time.monotonic() < began + STOP_SECONDS:
        _turn(server)
    server.task_dispatcher.shutdown()
    wasyncore.close_all(server._map)


def _turn(server: Server) -> None:
    """Wait for events once, for no longer than somebody's time may run out.

    Under load there is always an event. To look for each one alone would take more of Python's
    lock than to answer it, and the threads that answer would get the lock only when it is taken
    from this one by force, after 5 ms each time: so what comes within a millisecond is one turn.
    """
    began = time.monotonic()
    wasyncore.poll2(LOOK_SECONDS if server.active_channels else REST_SECONDS, server._map)
    if time.monotonic() - began < TURN_SECONDS:
        time.sleep(TURN_SECONDS)


def _busy(server: Server, began: float) -> bool:
    """Whether answers are under way, or a request may just be coming in."""
    connections = server.active_channels.values()
    just_now = any(connections) and time.monotonic() < began + FAREWELL_SECONDS
    return just_now or any(each.requests or each.total_outbufs_len for each in connections)
