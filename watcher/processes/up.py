"""``watcher up``: the embedded Valkey, web, workers and cron under one supervisor.

It imports what its children need, and forks them (see ``children``); a child that dies is started
again with a growing pause. It has one thread and no connection while it does so.
"""

from __future__ import annotations

import fcntl
import logging
import math
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from subprocess import Popen
from typing import IO

import redis

from watcher import worker
from watcher.errors import UserError, WatcherError
from watcher.ledger.ledger_file import private_folder
from watcher.processes import children, cron, first_look, valkey, web
from watcher.processes.relay import Relay
from watcher.processes.signals import stop_pipe
from watcher.processes.sockets import address, listening
from watcher.services import Ledger, build
from watcher.settings import Settings
from watcher.telemetry import log as logs
from watcher.waiting import Backoff

log = logging.getLogger(__name__)

STOP_SECONDS = 20.0
AGAIN = Backoff(first=0.2, longest=10.0)
STEP_SECONDS = 0.2
LIVED_SECONDS = 30.0


@dataclass(slots=True)
class Child:
    """One supervised process: a ``command``, or, where that is safe, a ``task`` in a fork. One that
    is to run ``once`` is not started again when it has ended. ``listens``: it takes connections
    from the socket that the supervisor holds."""

    name: str
    command: Sequence[str]
    task: Callable[[], int] | None = None
    process: Popen[bytes] | children.Forked | None = None
    started: float = 0.0
    failures: int = 0
    retry_at: float = 0.0
    once: bool = False
    listens: bool = False

    def failed(self, now: float) -> None:
        """It has ended, or could not be started: when it is tried again. A life of more than half
        a minute ends a row of failures."""
        if self.started and now - self.started > LIVED_SECONDS:
            self.failures = 0
        self.retry_at = now + AGAIN.seconds(self.failures)
        self.failures += 1


def parts(settings: Settings, listener: socket.socket, workers: int) -> list[Child]:
    """What ``watcher up`` consists of."""
    host, port = address(listener)
    own = [sys.executable, "-m", "watcher"]
    found = [
        Child("web", [*own, "web"], partial(web.serve, settings, listener), listens=True),
        Child("cron", [*own, "cron"], partial(cron.serve, settings)),
        *(
            Child(
                f"live-{n + 1}",
                [*own, "worker", "--queue", "live"],
                partial(worker.serve, settings, "live"),
            )
            for n in range(workers)
        ),
        Child(
            "backfill-1",
            [*own, "worker", "--queue", "backfill"],
            partial(worker.serve, settings, "backfill"),
        ),
        Child(
            "look",
            [*own, "doctor"],
            partial(first_look.serve, settings, host, port),
            once=True,
        ),
    ]
    if settings.redis_url:
        return found
    config = valkey.write_config(settings)
    return [Child("valkey", [str(valkey.binary()), str(config)]), *found]


@dataclass(frozen=True, slots=True)
class Held:
    """What the supervisor keeps open as long as it lives. The lock is held as long as any process
    has it open."""

    lock: IO[str]
    listener: socket.socket


class Supervisor:
    """Starts the children, restarts what dies, stops all in reverse. ``held`` is closed in the
    children, except for the socket in the one that listens. It stays open here while that one is
    started again: whoever connects meanwhile waits, and is not refused."""

    def __init__(self, settings: Settings, parts: Sequence[Child], held: Held) -> None:
        self._settings = settings
        self._children = parts
        self._held = held
        self._wake = stop_pipe()
        self._relay = Relay()
        self._as_json = settings.log_format == "json" or (
            not settings.log_format and not sys.stderr.isatty()
        )

    def run(self) -> int:
        try:
            for child in self._children:
                self._start(child)
                if child.name == "valkey":
                    self._await_valkey()
            while not self._told_to_stop():
                self._relay.turn(STEP_SECONDS, self._wake[0])
                self._revive()
        finally:
            self._stop_all()
        return 0

    def _told_to_stop(self) -> bool:
        return bool(select.select([self._wake[0]], [], [], 0)[0])

    def _start(self, child: Child) -> None:
        output = children.Output.piped() if self._as_json else children.Output()
        try:
            if child.task is not None and sys.platform == "linux":
                leave = partial(self._leave, child)
                child.process = children.fork(child.name, child.task, leave, output)
            else:
                listener = self._held.listener if child.listens else None
                child.process = children.run(child.command, output, child.name, listener)
        except OSError as error:
            # Such as no memory at this moment: the others go on.
            if output.reader is not None:
                os.close(output.reader)
            child.failed(time.monotonic())
            log.error("%s could not be started, tried again: %s", child.name, error.strerror)
            return
        finally:
            output.close()
        child.started = time.monotonic()
        if output.reader is not None:
            self._relay.add(output.reader, child.name)

    def _leave(self, child: Child) -> None:
        """In a forked child: close what is the supervisor's alone."""
        self._relay.close()
        self._held.lock.close()
        if not child.listens:
            self._held.listener.close()
        for end in self._wake:
            os.close(end)

    def _await_valkey(self) -> None:
        deadline = time.monotonic() + 20
        with redis.Redis.from_url(self._settings.queue_url, socket_timeout=1) as client:
            while time.monotonic() < deadline and not self._told_to_stop():
                with suppress(redis.RedisError):
                    client.ping()
                    return
                self._relay.turn(0.02, self._wake[0])
        if not self._told_to_stop():
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
            child.failed(now)
            child.process, child.started = None, 0.0
            if child.once:
                child.retry_at = math.inf
                continue
            log.warning("%s ended with code %s, started again", child.name, code)

    def _stop_all(self) -> None:
        """Workers finish their batch, Valkey goes last so that they can say goodbye."""
        self._stop([c for c in self._children if c.name != "valkey"])
        self._stop([c for c in self._children if c.name == "valkey"])

    def _stop(self, group: Sequence[Child]) -> None:
        running = [child.process for child in group if child.process is not None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while any(process.poll() is None for process in running):
            if time.monotonic() > deadline:
                for process in running:
                    process.send_signal(signal.SIGKILL)
            self._relay.turn(0.02)
        self._relay.turn(0)


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


def serve(settings: Settings, host: str, port: int, workers: int) -> int:
    """Run everything until SIGTERM or Ctrl-C. Raises ``WatcherError`` for what keeps it from
    starting at all (settings, keys, ledger, a second ``up``, a port that is taken)."""
    logs.configure(settings.log_format, logs.LEVELS[settings.log_level])
    os.umask(0o077)  # for the children too: Valkey's own files
    with _lock(settings) as lock:
        listener = listening(host, port)
        db = build(settings, ledger=Ledger.MADE).db  # migrates, and refuses early with a clear text
        db.examine()
        db.dispose()
        found = parts(settings, listener, workers)
        return Supervisor(settings, found, Held(lock, listener)).run()
