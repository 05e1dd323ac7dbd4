"""Child processes of ``watcher up``: forked from it, or started as a command of their own.

What Watcher itself runs (web, cron, workers) is forked from the supervisor, which has imported it
all by then: a child is there in milliseconds, and the processes share the memory of what was
imported. That is safe as long as the supervisor has one thread and no connection: a lock that
another thread holds at the fork would never be released in the child, and two processes would
speak on one connection. Valkey is a command, and so is every child on macOS, some of whose
libraries must not be used after a fork.

Children die with the supervisor, also when it is killed with -9 (PR_SET_PDEATHSIG on Linux;
elsewhere they watch their parent).
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from watcher.errors import ExitCode, WatcherError
from watcher.jobs.pulse import CHILD
from watcher.processes.sockets import HANDED

log = logging.getLogger(__name__)

PARENT = "WATCHER_PARENT_PID"
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_ENDS = (signal.SIGTERM, signal.SIGINT)

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


class Forked:
    """A forked child, with what is used here of ``subprocess.Popen``."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit code, once it has ended: minus the number of the signal that has killed it."""
        if self._code is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                # Whoever started us ignores SIGCHLD, and so does this process: the kernel keeps no
                # code of a child that has ended.
                self._code = ExitCode.ERROR
            else:
                self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


@dataclass(frozen=True, slots=True)
class Output:
    """Where a child writes stdout and stderr: a pipe, or where this process does."""

    reader: int | None = None
    writer: int | None = None

    @classmethod
    def piped(cls) -> Output:
        return cls(*os.pipe())

    def close(self) -> None:
        """Close the child's end, which is open in the child."""
        if self.writer is not None:
            os.close(self.writer)


def run(
    command: Sequence[str],
    output: Output,
    name: str = "",
    listener: socket.socket | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command, which is to call itself ``name`` and is handed ``listener``. No code of ours
    runs between fork and exec (``preexec_fn``)."""
    passed = [] if listener is None else [listener.fileno()]
    handed = {HANDED: str(passed[0])} if passed else {}
    return subprocess.Popen(
        tied(command),
        env={**os.environ, PARENT: str(os.getpid()), CHILD: name, **handed},
        start_new_session=True,
        pass_fds=passed,
        stdout=output.writer,
        stderr=output.writer,
    )


def fork(name: str, task: Callable[[], int], leave: Callable[[], None], output: Output) -> Forked:
    """Run ``task`` in a copy of this process, whose exit code is what it returns. ``leave`` closes
    in the copy what only this process needs.

    Raises ``RuntimeError`` where this process has more than one thread.
    """
    if threading.active_count() != 1:
        raise RuntimeError("a process with threads cannot be forked safely")
    gc.collect()
    gc.freeze()  # else the first collection in a child would write to all of the shared memory
    parent = os.getpid()
    # A signal between the fork and its own handlers would run the supervisor's in the child.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    pid = -1
    try:
        pid = os.fork()
    finally:
        if pid:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
    if pid:
        return Forked(pid)
    code: int = ExitCode.ERROR
    try:
        _settle(name, parent, output)
        leave()
        code = _carried_out(name, task)
    except BaseException:
        log.exception("%s could not begin", name)
    finally:
        # What is above on the stack is the supervisor's: nothing of it may run here.
        logging.shutdown()
        os._exit(code)


def _settle(name: str, parent: int, output: Output) -> None:
    die_with_parent()
    if os.getppid() != parent:
        os._exit(ExitCode.ERROR)
    os.setsid()
    os.environ[CHILD] = name
    if sys.platform == "linux":
        # What `top` and `ps -o comm` show; the kernel has 15 bytes for it.
        ctypes.CDLL(None).prctl(_PR_SET_NAME, f"watcher:{name}".encode()[:15])
    if output.reader is not None and output.writer is not None:
        os.dup2(output.writer, 1)
        os.dup2(output.writer, 2)
        os.close(output.writer)
        os.close(output.reader)
    for number in _ENDS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)


def _carried_out(name: str, task: Callable[[], int]) -> int:
    try:
        return task()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else ExitCode.OK
    except WatcherError as error:
        log.error("%s: %s%s", name, error.message, f"; {error.next_step}" * bool(error.next_step))
        return error.exit_code
    except Exception:
        log.exception("%s ended unexpectedly", name)
        return ExitCode.ERROR
