"""Commands and what each must keep to; that a forked one is the same as a started one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.company import Company
from tests.forked import forked

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
    ended = forked(words, environ, company.folder)
    done = Done(ended.returncode, ended.stdout, ended.stderr)
    assert done.code == code, done
    assert "Traceback" not in done.says
    assert "\x1b" not in done.out + done.err
    for text in says:
        assert text in done.says
    if "--json" in words and done.out:
        json.loads(done.out)
    return done


@sqlite_only
@pytest.mark.parametrize(
    "words", [("config", "show"), ("accounts", "show", "nobody@scoopjoy.test"), ("nothing",)]
)
def test_a_forked_command_is_a_started_one(company: Company, words: tuple[str, ...]) -> None:
    company.environ["COLUMNS"] = "80"
    environ = company.process_environ
    ended = forked(words, environ, company.folder)
    started = subprocess.run(
        [sys.executable, "-m", "watcher", *words],
        env=environ,
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
        cwd=company.folder,
        stdin=subprocess.DEVNULL,
    )
    usage = "python -m watcher"  # the one difference: the name it was called by
    assert (ended.returncode, ended.stdout) == (
        started.returncode,
        started.stdout.replace(usage, "watcher"),
    )
    assert ended.stderr == started.stderr.replace(usage, "watcher")
