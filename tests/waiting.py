"""Wait for a condition, up to a deadline. No test sleeps for a fixed time instead."""

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
        # A costly condition is asked less often, since it takes time from the processes that it
        # waits for.
        time.sleep(max(0.02, time.monotonic() - asked))
    raise AssertionError(f"{what}: not within {seconds:g} s")
