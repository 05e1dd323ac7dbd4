"""Commands as processes of their own, forked from one that has imported the program already: a
tenth of a second instead of a whole one. That this is the same thing is tested here, too."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.company import Company

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["watcher.cli", "tests.integration.test_cli_runner"])

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what has nothing to do with the kind of database."""


@dataclass(frozen=True)
class Done:
    """How a command ended; ``says`` is all it printed, with single spaces."""

    code: int
    out: str
    err: str

    @property
    def says(self) -> str:
        return " ".join((self.out + " " + self.err).split())

    @property
    def data(self) -> Any:
        return json.loads(self.out)


def run(
    company: Company, *words: str, code: int = 0, says: Sequence[str] = (), columns: int = 80
) -> Done:
    """Run ``watcher WORDS`` with the company's settings, and expect this exit code and these
    pieces of text. Whatever the command is: no traceback, no colour in a pipe, and with
    ``--json`` one document on stdout if it ended with anything to show."""
    environ = company.process_environ | {"COLUMNS": str(columns)}
    done = _forked(words, environ, company.folder)
    assert done.code == code, done
    assert "Traceback" not in done.says
    assert "\x1b" not in done.out + done.err
    for text in says:
        assert text in done.says
    if "--json" in words and done.out:
        json.loads(done.out)
    return done


def _forked(words: Sequence[str], environ: dict[str, str], folder: Path) -> Done:
    out, err = folder / "stdout.txt", folder / "stderr.txt"
    process = CONTEXT.Process(target=_child, args=(words, environ, folder, out, err))
    process.start()
    process.join(60)
    assert process.exitcode is not None, f"{words} did not end: {err.read_text()}"
    code = process.exitcode
    process.close()
    return Done(code, out.read_text(), err.read_text())


def _child(
    words: Sequence[str], environ: dict[str, str], folder: Path, out: Path, err: Path
) -> None:
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    for number, path in ((1, out), (2, err)):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, number)
        os.close(handle)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    sys.argv = ["watcher", *words]
    # The command line is imported here so that the forking process alone pays for it.
    from watcher.cli import main  # noqa: PLC0415

    main()


@sqlite_only
@pytest.mark.parametrize(
    "words", [("config", "show"), ("accounts", "show", "nobody@scoopjoy.test"), ("nothing",)]
)
def test_a_forked_command_is_a_started_one(company: Company, words: tuple[str, ...]) -> None:
    company.environ["COLUMNS"] = "80"
    forked = _forked(words, company.process_environ, company.folder)
    started: subprocess.CompletedProcess[str] = company.watcher(*words)
    usage = "python -m watcher"  # the one difference: the name it was called by
    assert (forked.code, forked.out) == (
        started.returncode,
        started.stdout.replace(usage, "watcher"),
    )
    assert forked.err == started.stderr.replace(usage, "watcher")
