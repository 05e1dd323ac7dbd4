"""What only says what a command is called and takes loads none of the libraries that take seconds.

Times are measured by benchmarks/startup.py; here the modules are counted.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from tests import preloaded
from tests.forked import CONTEXT
from watcher.cli import MODULES, cli, later

HEAVY = {
    "alembic",
    "babel",
    "cryptography",
    "flask",
    "flask_babel",
    "frappeclient",
    "google",
    "googleapiclient",
    "waitress",
    "nh3",
    "prometheus_client",
    "pydantic",
    "redis",
    "requests",
    "rich.segment",
    "rq",
    "sqlalchemy",
    "structlog",
    "watcher_sandbox",
}
ASK = """
import json, sys
from click.testing import CliRunner
from watcher.cli import cli
seen = {}
for line, environ in json.load(sys.stdin):
    done = CliRunner().invoke(cli, line, prog_name="watcher", env=environ)
    said = (done.output, sorted(sys.modules))
    seen[" ".join([*line, *environ.values()])] = said
json.dump(seen, sys.stdout)
"""


def helps(group: click.Group, above: tuple[str, ...] = ()) -> Iterator[list[str]]:
    yield [*above, "--help"]
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from helps(command, (*above, name))
        else:
            yield [*above, name, "--help"]


def tab(words: str) -> dict[str, str]:
    """A shell asks so after ``watcher WORDS``, for the word that is being written."""
    at = str(len(words.split(" ")))
    return {
        "_WATCHER_COMPLETE": "bash_complete",
        "COMP_WORDS": f"watcher {words}",
        "COMP_CWORD": at,
    }


@pytest.fixture(scope="module")
def asked() -> dict[str, Any]:
    """What was printed, and the modules loaded by then, of all that has to be light, one after
    the other in one process."""
    lines: list[tuple[list[str], dict[str, str]]] = [
        ([*line], {}) for line in helps(cli.complete())
    ]
    lines += [(["version"], {}), (["--version"], {}), (["accuonts"], {})]
    lines += [([], tab(words)) for words in ("ac", "accounts ", "accounts add --v")]
    ran = subprocess.run(
        [sys.executable, "-c", ASK],
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent.parent,
        env={**os.environ, "NO_COLOR": "1"},
        check=True,
    )
    assert ran.stderr == ""
    answers: dict[str, Any] = json.loads(ran.stdout)
    return answers


def test_help_version_and_tab_load_no_library_that_takes_long(asked: dict[str, Any]) -> None:
    assert len(asked) > 40
    _, loaded = list(asked.values())[-1]
    assert HEAVY & set(loaded) == set()


def test_tab_offers_commands_and_options(asked: dict[str, Any]) -> None:
    said = {line: output.split() for line, (output, _) in asked.items()}
    assert said["bash_complete watcher ac 1"] == ["plain,accounts"]
    assert "plain,invite" in said["bash_complete watcher accounts  2"]
    assert said["bash_complete watcher accounts add --v 3"] == ["plain,--via"]


def test_a_word_that_is_no_command_names_the_one_that_was_meant(asked: dict[str, Any]) -> None:
    said, _ = asked["accuonts"]
    assert "accounts" in said


def test_up_loads_what_its_parts_need_and_no_more() -> None:
    """In the fork server of tests/forked.py, which has imported every command, as ``up`` does."""
    answer, question = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=preloaded.tell, args=(question,), daemon=True)
    process.start()
    loaded = set(answer.recv())
    process.join()
    assert {"watcher.worker", "watcher.processes.web", "watcher.processes.cron"} <= loaded
    assert not {"alembic", "IPython", "pydantic_settings", "valkey", "watcher_sandbox"} & loaded


def test_every_command_is_where_the_table_says() -> None:
    assert set(cli.complete().commands) == set(MODULES)
    assert {cli.commands[name].name for name in MODULES} == set(MODULES)


def test_what_waits_is_loaded_when_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("first_of_two", "second_of_two"):
        (tmp_path / f"{name}.py").write_text(f"print({name!r})\nword = 'here'\n")
    said: list[str] = []
    monkeypatch.setattr("builtins.print", said.append)
    with later.later():
        import first_of_two  # type: ignore[import-not-found]  # noqa: PLC0415
        import second_of_two  # type: ignore[import-not-found]  # noqa: F401, PLC0415
    assert said == []
    assert first_of_two.word == "here"
    assert said == ["first_of_two"]
    later.load()
    assert said == ["first_of_two", "second_of_two"]
    assert gc.isenabled()
