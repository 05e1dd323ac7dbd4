"""The listening socket: bound by us, or handed over by `watcher up` or systemd."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from watcher.errors import UserError
from watcher.processes import sockets


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def test_a_socket_that_was_handed_over_is_served_whatever_the_port(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(sockets.HANDED, str(os.dup(listener.fileno())))
    with sockets.listening("127.0.0.1", 1) as found:
        assert found.getsockname() == listener.getsockname()
        assert not found.get_inheritable()
    assert sockets.HANDED not in os.environ


def test_systemd_s_socket_is_taken_by_the_process_it_is_meant_for_alone(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number is the first one after the standard streams; here it is another's."""
    monkeypatch.setattr(sockets, "_SYSTEMD_FIRST", os.dup(listener.fileno()))
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", str(os.getppid()))
    assert sockets.handed() is None
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    found = sockets.handed()
    assert found is not None
    with found:
        assert found.getsockname() == listener.getsockname()
    assert sockets.handed() is None  # no child takes it for its own


def test_two_sockets_of_systemd_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "2")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    with pytest.raises(UserError, match="2 sockets"):
        sockets.listening("127.0.0.1", 0)


def test_a_number_that_is_no_socket_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    monkeypatch.setenv(sockets.HANDED, str(reader))
    with pytest.raises(UserError, match="is no socket"):
        sockets.listening("127.0.0.1", 0)
    os.close(reader)
    os.close(writer)


def test_a_port_that_somebody_has_is_told_at_once(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "PATIENCE_SECONDS", 0.0)
    with pytest.raises(UserError, match="cannot listen on 127.0.0.1 port"):
        sockets.listening("127.0.0.1", listener.getsockname()[1])
