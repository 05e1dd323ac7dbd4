"""The end of a long-running command, in processes of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

IN_A_WAIT = """
import os, signal
from watcher.processes.signals import stop_event

stop = stop_event()
with stop._cond:  # as the main thread does at moments within stop.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    assert not stop.is_set()
assert stop.wait(20)
print("ended well")
"""


@pytest.mark.system
def test_a_signal_in_the_middle_of_a_wait_ends_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_A_WAIT], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("ended well\n", "")
