"""How ``watcher up`` starts its children, and how what they say becomes its log."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.waiting import wait_for
from watcher.processes import children, relay, up
from watcher.settings import Settings

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere children are commands")

TIED = """
import subprocess, sys, time
from watcher.processes.children import tied
print(subprocess.Popen(tied(["/bin/sleep", "60"])).pid, flush=True)
time.sleep(60)
"""
ANSWER_ONE = """
import os, socket
socket.socket(fileno=int(os.environ["WATCHER_LISTEN_FD"])).accept()[0].sendall(b"%d" % os.getpid())
"""
FORKS = """
import json, os, signal, sys, threading, time
from watcher.errors import UserError
from watcher.processes.children import Output, fork

kept = open(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: print("the supervisor's handler"))

def look():
    there = sorted(os.listdir("/proc/self/fd"))
    signals = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    blocked = sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    name = open("/proc/self/comm").read().strip()
    print(json.dumps([there, signals, blocked, name, os.getsid(0) == os.getpid()]), flush=True)
    return 7

def refuse():
    raise UserError("no key", next_step="make one")

def say(name, task):
    output = Output.piped()
    child = fork(name, task, kept.close, output)
    output.close()
    with os.fdopen(output.reader) as said:
        text = said.read()
    while child.poll() is None:
        time.sleep(0.01)
    return [child.poll(), text]

found = [say("backfill-12", look), say("web", refuse), say("web", lambda: 1 // 0)]
sleeper = fork("cron", lambda: time.sleep(60), kept.close, Output())
sleeper.send_signal(signal.SIGTERM)
while sleeper.poll() is None:
    time.sleep(0.01)
found.append(sleeper.poll())
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
found.append(say("web", lambda: 0)[0])
threading.Thread(target=time.sleep, args=(0.5,), daemon=True).start()
try:
    fork("web", look, kept.close, Output())
except RuntimeError as error:
    found.append(str(error))
json.dump(found, sys.stdout)
"""


@on_linux
@pytest.mark.system
def test_a_forked_child_is_a_process_of_its_own(tmp_path: Path) -> None:
    kept = tmp_path / "lock"
    kept.touch()
    ran = subprocess.run(
        [sys.executable, "-c", FORKS, str(kept)], capture_output=True, text=True, check=True
    )
    looked, refused, broken, stopped, unknown, threads = json.loads(ran.stdout)
    code, text = looked
    there, default, blocked, name, leads = json.loads(text)
    assert code == 7
    assert len(there) == 4, "stdin, stdout, stderr, and the listing itself"
    assert (default, blocked, name, leads) == (True, [], "watcher:backfil", True)
    assert (refused[0], "no key; make one" in refused[1]) == (2, True)
    assert (broken[0], "ZeroDivisionError" in broken[1]) == (1, True)
    assert stopped == -signal.SIGTERM
    assert unknown == 1, "the kernel keeps no code where SIGCHLD is ignored"
    assert "threads" in threads


@on_linux
def test_a_part_that_cannot_be_started_at_a_moment_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refusals = [OSError(errno.EAGAIN, "Resource temporarily unavailable")]

    def fork(*_: object) -> children.Forked:
        if refusals:
            raise refusals.pop()
        return children.Forked(os.getpid())

    monkeypatch.setattr(children, "fork", fork)
    with (tmp_path / "lock").open("w") as lock, socket.socket() as listener, pipe() as wake:
        monkeypatch.setattr(up, "stop_pipe", lambda: wake)
        child, held = up.Child("web", [], lambda: 0), up.Held(lock, listener)
        supervisor = up.Supervisor(Settings(log_format="json"), [child], held)
        supervisor._start(child)
        assert child.process is None
        assert "web could not be started" in caplog.text
        child.retry_at = 0.0
        supervisor._revive()
        assert child.process is not None
        supervisor._relay.close()


@pytest.mark.system
def test_who_connects_while_the_web_process_is_started_again_waits() -> None:
    command, answers = [sys.executable, "-I", "-S", "-c", ANSWER_ONE], set()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for _ in range(2):
            with socket.create_connection(listener.getsockname()[:2], timeout=20) as early:
                assert children.run(command, children.Output(), "web", listener).wait(20) == 0
                answers.add(early.recv(20))
        assert not listener.get_inheritable()
    assert len(answers) == 2


@pytest.mark.system
def test_no_python_of_ours_runs_between_fork_and_exec(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    class Popen(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], **options: Any) -> None:
            seen.update(options)
            super().__init__(command, **options)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    assert children.run(["/bin/true"], children.Output()).wait(20) == 0
    assert seen.get("preexec_fn") is None


@on_linux
@pytest.mark.system
def test_a_child_dies_with_its_parent_also_when_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", TIED], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        wait_for(lambda: child.name() == "sleep", what="the command")
        parent.kill()
        parent.wait()
    wait_for(lambda: not child.is_running() or child.status() == "zombie", what="its end")


# --- what they say ------------------------------------------------------------------------


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            try:
                os.close(end)
            except OSError:
                continue  # the relay has closed it


def test_what_children_say_becomes_lines_of_json(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    passing = relay.Relay()
    with pipe() as (log, stderr), pipe() as (reader, writer):
        monkeypatch.setattr(relay, "_STDERR", stderr)
        passing.add(reader, "web")
        os.write(writer, b'{"event": "one"}\n{"event"')
        passing.turn(1)
        assert os.read(log, 100) == b'{"event": "one"}\n'
        os.write(writer, b': "two"}\n# a warning\n\n{"event": "last, without an end"}')
        os.close(writer)
        passing.turn(1)
        passing.turn(1)
        assert os.read(log, 100) == b'{"event": "two"}\n{"event": "last, without an end"}\n'
        assert [record.getMessage() for record in caplog.records] == ["web: # a warning"]
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(reader)


def test_what_children_say_has_its_priority_in_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """They write into pipes, of which the journal knows nothing."""
    with (
        pipe() as (log, stderr),
        pipe() as (reader, writer),
        open(stderr, "w", closefd=False) as err,
    ):
        there = os.fstat(stderr)
        monkeypatch.setenv("JOURNAL_STREAM", f"{there.st_dev}:{there.st_ino}")
        monkeypatch.setattr("sys.stderr", err)
        monkeypatch.setattr(relay, "_STDERR", stderr)
        passing = relay.Relay()
        passing.add(reader, "worker")
        for level in ("info", "warning", "error"):
            said = {"event": 'it says "level": "critical"', "level": level}
            os.write(writer, f"{json.dumps(said)}\n".encode())
        os.write(writer, b'{"event": "of a library"}\n')
        passing.turn(1)
        lines = os.read(log, 1_000).decode().splitlines()
    assert [line[:4] for line in lines] == ["<6>{", "<4>{", "<3>{", "<6>{"]


def test_a_log_that_nobody_reads_keeps_the_supervisor_from_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passing = relay.Relay()
    lines = [b"{%099d\n" % number for number in range(1_000)]  # more than a pipe holds
    with pipe() as (log, stderr), pipe() as (reader, writer), pipe() as (wake, told):
        monkeypatch.setattr(relay, "_STDERR", stderr)
        passing.add(reader, "web")
        for line in lines:
            os.write(writer, line)
            passing.turn(0, wake)
        os.write(told, b".")
        passing.turn(60, wake)  # ends at once
        read = b""
        while len(read) < len(b"".join(lines)):
            read += os.read(log, 65_536)
            passing.turn(0, wake)
        assert read == b"".join(lines)


def test_a_log_whose_reader_is_gone_stops_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    passing = relay.Relay()
    with pipe() as (log, stderr), pipe() as (reader, writer):
        monkeypatch.setattr(relay, "_STDERR", stderr)
        os.close(log)
        passing.add(reader, "web")
        for _ in range(100):
            os.write(writer, b"{" + b"x" * 4_000 + b"\n")
            passing.turn(0)


def test_a_long_life_ends_a_row_of_failures() -> None:
    child = up.Child("web", [])
    for number in range(10):
        child.started = 1_000.0 * number + 1
        child.failed(child.started + 0.1)
    assert child.retry_at - child.started > 7, "the pauses grow"
    child.started = 20_000.0
    child.failed(23_600.0)
    assert child.retry_at - 23_600.0 <= 0.2, "after an hour it is started again at once"
    assert child.failures == 1
