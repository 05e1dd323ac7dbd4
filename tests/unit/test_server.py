"""The HTTP server: nobody who is slow, or sends what is no request, keeps others waiting."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.waiting import wait_for
from watcher.processes import server

HANGS = "/oauth/google/callback"
NOTIFICATION = b"POST /webhooks/google HTTP/1.1\r\nHost: x\r\n"
Address = tuple[str, int]


class App:
    """Answers 204; at ``HANGS`` only when it is let go. ``seen`` are the paths it was asked for."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.seen: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        self.seen.append(environ["PATH_INFO"])
        if environ["PATH_INFO"] == HANGS:
            self.let_go.wait(30)
        start_response("204 No Content", [])
        return []


@pytest.fixture
def app() -> Iterator[App]:
    made = App()
    yield made
    made.let_go.set()


@pytest.fixture(autouse=True)
def lively(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(server, "REST_SECONDS", 0.02)


@pytest.fixture
def address(app: App) -> Iterator[Address]:
    """Of a server on ``app``."""
    with running(app, socket.create_server(("127.0.0.1", 0))) as (found, _):
        yield found
        app.let_go.set()


@contextlib.contextmanager
def running(app: App, listener: socket.socket) -> Iterator[tuple[Address, Callable[[], None]]]:
    """A server's address, and what has it stop; at the end it has stopped."""
    found, stopping, made = (
        listener.getsockname()[:2],
        threading.Event(),
        server.make(app, listener),
    )
    thread = threading.Thread(target=server.run, args=(made, stopping))
    thread.start()

    try:
        yield found, stopping.set
    finally:
        stopping.set()
        thread.join(20)
        assert not thread.is_alive()


@contextlib.contextmanager
def sending(address: Address, *parts: bytes) -> Iterator[list[socket.socket]]:
    """Connections that have each sent one of these and keep silent."""
    with contextlib.ExitStack() as stack:
        made = []
        for part in parts:
            one = stack.enter_context(socket.create_connection(address, timeout=20))
            one.sendall(part)
            made.append(one)
        yield made


def ask(address: Address, path: str = "/webhooks/google") -> int:
    connection = http.client.HTTPConnection(*address, timeout=20)
    with contextlib.closing(connection):
        connection.request("POST", path)
        return connection.getresponse().status


def status(connection: socket.socket) -> int:
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = connection.recv(4096)
        assert data, f"closed without an answer: {answer!r}"
        answer += data
    return int(answer[9:12])


def is_closed(connection: socket.socket) -> bool:
    """By the server, whatever is left of its answer; ``TimeoutError`` while it is not."""
    while connection.recv(4096):
        continue
    return True


@pytest.mark.parametrize("many", [8, 20])
def test_slow_connections_do_not_keep_notifications_waiting(address: Address, many: int) -> None:
    """More of each than there are threads."""
    slow = [
        b"",
        b"POST /webhooks/goo",
        NOTIFICATION + b"X-Goog-Channel-ID: a\r\n",
        b"POST /sign-out HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"POST /sign-out HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab",
    ]
    with sending(address, *slow * many):
        assert ask(address) == 204


def test_what_waits_for_another_system_leaves_notifications_their_threads(
    address: Address, app: App
) -> None:
    hanging = b"GET " + HANGS.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    with sending(address, *[hanging] * 20):
        wait_for(lambda: app.seen.count(HANGS) == server.OTHER_THREADS, what="threads that hang")
        assert [ask(address, path) for path in sorted(server.PROMPT)] == [204, 204, 204]
        app.let_go.set()


def test_a_request_that_does_not_come_to_its_end_is_ended(
    address: Address, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "REQUEST_SECONDS", 0.0)
    header, body = b"GET / HTTP/1.1\r\nX", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n"
    with sending(address, header, body) as slow:
        assert [status(each) for each in slow] == [408, 408]
        assert all(is_closed(each) for each in slow)
    assert app.seen == []


@pytest.mark.parametrize(
    "rest", [b"Transfer-Encoding: chunked\r\n\r\n", b"Content-Length: 9\r\n\r\nab"]
)
def test_a_notification_does_not_wait_for_its_body(
    address: Address, app: App, monkeypatch: pytest.MonkeyPatch, rest: bytes
) -> None:
    monkeypatch.setattr(server, "BODY_SECONDS", 0.0)
    with sending(address, NOTIFICATION + rest) as (one,):
        assert status(one) == 204
        one.sendall(b"more that nobody reads")
        assert is_closed(one)
    assert app.seen == ["/webhooks/google"]


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"POST /webhooks/google HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST /webhooks/google HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /webhooks/google HTTP/1.1\r\nbad header\r\n\r\n",
        b"POST /webhooks/google HTTP/1.1\r\nA: b\nC: d\r\n\r\n",
        NOTIFICATION + b"Transfer-Encoding: chunked\r\n\r\nno number\r\nabc\r\n",
    ],
)
def test_what_is_no_request_is_400(address: Address, app: App, sent: bytes) -> None:
    with sending(address, sent) as (one,):
        assert status(one) == 400
    assert app.seen == []


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        (b"X-A: " + b"a" * 40_000 + b"\r\n\r\n", 431),
        (b"Content-Length: 70000\r\n\r\n" + b"a" * 70_000, 413),
    ],
)
def test_what_is_too_large_is_told_also_to_who_is_still_sending(
    address: Address, rest: bytes, expected: int
) -> None:
    with sending(address, NOTIFICATION + rest) as (one,):
        assert status(one) == expected


def test_a_person_who_names_too_many_at_once_gets_a_page_that_says_how(address: Address) -> None:
    form = b"POST /employees/invite HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n"
    with sending(address, form) as (one,), one.makefile("rb") as answer:
        text = answer.read().decode()
    assert text.startswith("HTTP/1.1 413 ")
    assert "text/html" in text
    assert "watcher accounts invite --from-file" in text
    assert '<html lang="en">' in text


@pytest.mark.parametrize(
    ("accepted", "code", "says"),
    [
        (b"de-AT,en;q=0.5", "de", "Zu viele auf einmal"),
        (b"fr, es;q=0.8", "es", "Demasiados a la vez"),
        (b"fr", "en", "Too many at once"),
    ],
)
def test_that_page_is_in_a_language_that_the_browser_asks_for(
    address: Address, accepted: bytes, code: str, says: str
) -> None:
    form = b"POST /employees/invite HTTP/1.1\r\nHost: x\r\nAccept-Language: "
    with (
        sending(address, form + accepted + b"\r\nContent-Length: 70000\r\n\r\n") as (one,),
        one.makefile("rb") as answer,
    ):
        text = answer.read().decode()
    assert f'<html lang="{code}">' in text
    assert f"<h1>{says}</h1>" in text


def test_a_connection_is_kept_for_the_next_notification(address: Address) -> None:
    with sending(address, NOTIFICATION + b"\r\n") as (one,):
        assert status(one) == 204
        one.sendall(NOTIFICATION + b"Connection: close\r\n\r\n")
        assert status(one) == 204
        assert is_closed(one)


def test_when_all_places_are_taken_who_waits_the_longest_gives_way(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CONNECTIONS", 3)
    with sending(address, *[b"POST /webh"] * 3) as slow:
        assert ask(address) == 204
        assert is_closed(slow[0])
        assert ask(address) == 204


def test_a_server_that_stops_answers_what_it_has_and_leaves_the_socket_open(app: App) -> None:
    hanging = b"GET " + HANGS.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as kept:
        with running(app, kept.dup()) as (address, stop), sending(address, hanging) as (early,):
            wait_for(lambda: app.seen == [HANGS], what="the request")
            stop()
            app.let_go.set()
            assert status(early) == 204
        with sending(address, NOTIFICATION + b"\r\n") as (late,), running(app, kept.dup()):
            assert status(late) == 204
