"""Run the program in a process of its own that is forked from one which has imported it already:
that takes a tenth of a second instead of one and a half. That it is the same thing is tested in
test_cli_runner.py; the demo of test_demo.py starts ``watcher up`` as a shell does.

What is started here dies with the test process, also when that is killed: a forked process asks
the kernel to be killed with the server that forked it, and that ends when its client is gone."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from watcher.processes.children import die_with_parent, tied

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.preloaded", "tests.forked"])


def forked(
    words: Sequence[str], environ: Mapping[str, str], folder: Path, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run ``watcher WORDS`` in ``folder`` to its end, with nothing to read on its stdin."""
    with tempfile.TemporaryDirectory(prefix="watcher-said-") as said:
        out, err = Path(said) / "stdout", Path(said) / "stderr"
        process = Forked(words, environ, folder, out, err)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        return subprocess.CompletedProcess(list(words), code, out.read_text(), err.read_text())


class Forked:
    """A running ``watcher WORDS``, with what tests use of ``subprocess.Popen``."""

    def __init__(
        self, words: Sequence[str], environ: Mapping[str, str], folder: Path, out: Path, err: Path
    ) -> None:
        sys.audit("tests.forked", words)  # no event of Python's own tells of a fork server
        self.words = list(words)
        given = (self.words, dict(environ), folder, out, err)
        self.process = CONTEXT.Process(target=_child, args=given, daemon=True)
        self.process.start()
        assert self.process.pid is not None
        self.pid = self.process.pid

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self.process.join(timeout)
        code = self.process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(self.words, timeout or 0)
        return code

    def terminate(self) -> None:
        self.process.terminate()

    def kill(self) -> None:
        self.process.kill()


def start_tied(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a command that dies with this process. ``options`` are those of ``Popen``."""
    return subprocess.Popen(tied(command), **options)


def _child(
    words: Sequence[str], environ: dict[str, str], folder: Path, out: Path, err: Path
) -> None:
    # As from a shell, nothing that is open is inherited; above all not the pipe whose end tells the
    # server that nobody needs it any more.
    os.closerange(3, 1024)
    die_with_parent()
    os.setsid()
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in ((1, out), (2, err)):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, number)
        os.close(handle)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    sys.argv = ["watcher", *words]
    # The command line is imported here so that the forking process alone pays for it: see
    # preloaded.py.
    from watcher.cli import main  # noqa: PLC0415

    main()
