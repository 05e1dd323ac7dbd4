"""The listening socket: bound here, or handed over by whoever holds it while this process restarts.

systemd (socket activation) and ``watcher up`` keep the socket open, so that connections wait in the
kernel instead of being refused while there is no web process.
"""

from __future__ import annotations

import errno
import os
import socket
import time

from watcher.errors import UserError

HANDED = "WATCHER_LISTEN_FD"
"""Set by ``watcher up`` for its web process: the number of the open socket."""
BACKLOG = 1024
"""So many connections wait in the kernel for a web process, as far as it allows (somaxconn)."""
PATIENCE_SECONDS = 3.0
_SYSTEMD_FIRST = 3


def listening(host: str, port: int) -> socket.socket:
    """The socket that was handed to this process, else a new one on ``host`` and ``port``.

    Raises ``UserError`` when the address cannot be had, or systemd has handed over several sockets.
    """
    return handed() or _bound(host, port)


def handed() -> socket.socket | None:
    """The socket that ``watcher up`` or systemd holds for this process. Children are not to take it
    for theirs, so what told of it is taken out of the environment."""
    number = os.environ.pop(HANDED, None)
    if number is not None:
        return _inherited(int(number))
    activated = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if activated[0] != str(os.getpid()) or not activated[1].isdecimal():
        return None
    if int(activated[1]) != 1:
        raise UserError(
            f"systemd has handed over {activated[1]} sockets where one is served",
            next_step="keep one ListenStream= in watcher.socket",
        )
    return _inherited(_SYSTEMD_FIRST)


def address(listener: socket.socket) -> tuple[str, int]:
    """Host and port of a socket; raises ``UserError`` for one on a path."""
    if listener.family == socket.AF_UNIX:
        raise UserError(
            "systemd has handed over a socket on a path",
            next_step="name an address in watcher.socket, such as ListenStream=127.0.0.1:8080",
        )
    host, port = listener.getsockname()[:2]
    return str(host), int(port)


def _inherited(number: int) -> socket.socket:
    try:
        found = socket.socket(fileno=number)
        found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise UserError(
            f"file descriptor {number} is no socket: {error.strerror}",
            next_step=f"unset {HANDED}, LISTEN_FDS and LISTEN_PID, or hand over a listening socket",
        ) from None
    found.set_inheritable(False)
    return found


def _bound(host: str, port: int) -> socket.socket:
    """A port that somebody else has is told at once. What had just been killed on it may take a
    moment to be free again."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return _bind(host, port)
        except OSError as error:
            if time.monotonic() < deadline and error.errno == errno.EADDRINUSE:
                time.sleep(0.1)
                continue
            raise UserError(
                f"cannot listen on {host} port {port}: {error.strerror or error}",
                next_step="free it, or take another one: --port, --host",
            ) from None


def _bind(host: str, port: int) -> socket.socket:
    family, kind, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    made = socket.socket(family, kind)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    return made
