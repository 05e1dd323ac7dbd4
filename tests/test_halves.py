"""The rules of ``tests.halves``, tried on small suites of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.waiting import wait_for

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.system  # pytester's runs are processes

ROOT = Path(__file__).parent.parent
PLUGINS = ("no:cacheprovider", "xdist", "pytest_rerunfailures")
"""What a run needs: to load all that is installed takes longer than the run."""
FAILS_ONCE = """
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_it(number):
    seen = Path(f"seen{{number}}")
    if not seen.exists():
        seen.touch()
        raise AssertionError("the first time")
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest('pytest_plugins = ["tests.halves"]')
    for folder in ("unit", "integration"):
        pytester.mkdir(folder)
    return pytester


def put(suite: pytest.Pytester, path: str, text: str) -> None:
    (suite.path / path).write_text(text)


def run(suite: pytest.Pytester, *words: str) -> pytest.RunResult:
    plugins = (word for name in PLUGINS for word in ("-p", name))
    return suite.runpytest_subprocess(*plugins, *words, timeout=120)


@pytest.mark.parametrize("processes", ["0", "2"])
def test_what_fails_once_is_run_again_and_named(suite: pytest.Pytester, processes: str) -> None:
    put(suite, "integration/test_a.py", FAILS_ONCE.format(count=2))
    done = run(suite, "-n", processes)
    assert done.ret == pytest.ExitCode.OK
    done.stdout.fnmatch_lines(["FLAKY integration/test_a.py::test_it?0?: failed, and passed*"])
    assert sum(line.startswith("FLAKY") for line in done.outlines) == 2


def test_more_than_two_fail_the_run(suite: pytest.Pytester) -> None:
    put(suite, "integration/test_a.py", FAILS_ONCE.format(count=3))
    done = run(suite, "-n", "0")
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.stdout.fnmatch_lines(["3 flaky tests: more than 2 fail the run"])


def test_what_fails_twice_has_failed(suite: pytest.Pytester) -> None:
    put(suite, "integration/test_a.py", "def test_it():\n    raise AssertionError('again')\n")
    done = run(suite, "-n", "0")
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    assert not any(line.startswith("FLAKY") for line in done.outlines)


def test_a_test_of_the_fast_half_is_not_run_again(suite: pytest.Pytester) -> None:
    put(suite, "unit/test_a.py", FAILS_ONCE.format(count=1))
    assert run(suite, "-n", "0").ret == pytest.ExitCode.TESTS_FAILED


STARTS = """
import subprocess, sys
import pytest
from tests.forked import Forked

def test_a_command():
    subprocess.run([sys.executable, "-c", ""], check=True)

def test_a_forked_one(tmp_path):
    Forked(["--help"], {}, tmp_path, tmp_path / "out", tmp_path / "err").wait(60)

def test_none():
    pass
"""


def test_the_fast_half_starts_no_process(suite: pytest.Pytester) -> None:
    put(suite, "unit/test_a.py", STARTS)
    done = run(suite, "-n", "0")
    done.assert_outcomes(passed=1, failed=2)
    done.stdout.fnmatch_lines(["*test_a_command starts a process (subprocess.Popen): mark it*"])


def test_whole_systems_start_what_they_need(suite: pytest.Pytester) -> None:
    put(suite, "integration/test_a.py", STARTS)
    put(suite, "unit/test_b.py", STARTS.replace("def test", "@pytest.mark.system\ndef test"))
    put(suite, "unit/test_c.py", "def test_it():\n    pass\n")
    done = run(suite, "-n", "0")
    done.assert_outcomes(passed=7)
    done.stdout.fnmatch_lines(["1 tests without a process of their own, 6 of whole systems"])
    done = run(suite, "-n", "0", "-m", "not system")
    done.assert_outcomes(passed=1, deselected=6)


LEAVES = """
import sys, time
from pathlib import Path
from tests.forked import Forked, start_tied

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    sandbox = Forked(["sandbox", "google"], {}, folder, folder / "out", folder / "err")
    sleeper = start_tied(["/bin/sleep", "120"])
    print(sandbox.pid, sleeper.pid, flush=True)
    time.sleep(120)
"""


def ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_what_was_started_dies_with_a_killed_test_process(tmp_path: Path) -> None:
    script = tmp_path / "leaves.py"
    script.write_text(LEAVES)
    command = [sys.executable, str(script), str(tmp_path)]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ) as parent:
        assert parent.stdout is not None
        started = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        wait_for(lambda: "url" in read(tmp_path / "out"), what="the sandbox")
        parent.kill()
    assert len(started) == 2
    for process in started:
        wait_for(partial(ended, process), what="its end")


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
