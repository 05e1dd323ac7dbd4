"""How ``watcher up`` starts its children."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.waiting import wait_for
from watcher.processes import up
from watcher.settings import Settings

PARENT = """
import subprocess, sys, time
from watcher.processes.up import tied
print(subprocess.Popen(tied(["/bin/sleep", "60"])).pid, flush=True)
time.sleep(60)
"""


@pytest.mark.system
def test_no_python_of_ours_runs_between_fork_and_exec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With threads running, a child could inherit a lock that nobody releases."""
    seen: dict[str, Any] = {}

    class Popen(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], **options: Any) -> None:
            seen.update(options)
            super().__init__(command, **options)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    supervisor = up.Supervisor(
        Settings(data_dir=tmp_path, log_format="console"), "127.0.0.1", 8080, 1
    )
    child = up.Child("true", ["/bin/true"])
    supervisor._start(child)
    assert child.process is not None
    assert child.process.wait(20) == 0
    assert seen.get("preexec_fn") is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere children watch their parent")
@pytest.mark.system
def test_a_child_dies_with_its_parent_also_when_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        wait_for(lambda: child.name() == "sleep", what="the command")
        parent.kill()
        parent.wait()
    wait_for(lambda: not child.is_running() or child.status() == "zombie", what="its end")
