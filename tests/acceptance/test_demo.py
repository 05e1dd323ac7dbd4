"""The demo as a new user runs it, with the sample company and with a calendar export."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SAMPLE = Path(__file__).parent.parent / "data" / "sample.ics"


def demo(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "watcher", "demo", *words], text=True, capture_output=True,
        check=False, timeout=110,
    )  # fmt: skip


def test_the_demo_ends_well_and_shows_latencies() -> None:
    done = demo("--for", "12")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "changes arrived; median" in done.stdout
    assert "Google and ERPNext are equal" in done.stdout


def test_a_persons_own_export() -> None:
    done = demo("--for", "8", "--ics", str(SAMPLE))
    assert done.returncode == 0, done.stdout + done.stderr
    # Left out: one that is cancelled, and an override of no series.
    assert "8 events loaded, 2 left out" in done.stdout.replace("\n", " ")
    assert "6 employees connected" in done.stdout
