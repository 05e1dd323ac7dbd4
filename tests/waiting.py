"""Waiting for a condition with a deadline: no test sleeps for luck."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(condition: Callable[[], T], *, what: str, seconds: float = 90.0) -> T:
    """The condition's first true value. Raises ``AssertionError`` at the deadline."""
    deadline = time.monotonic() + seconds
    while (asked := time.monotonic()) < deadline:
        found = condition()
        if found:
            return found
        # What is costly is asked less often: it takes the time from those for whom we wait.
        time.sleep(max(0.02, time.monotonic() - asked))
    raise AssertionError(f"{what}: not within {seconds:g} s")
