"""What one process has counted and not yet written into the ledger: it goes there with the next
transaction that is made anyway, of a pass or of the process's own tick."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CALLS, HEARD = "calls/", "heard/"
AT_GOOGLE, AT_ERPNEXT = f"{CALLS}google/", f"{CALLS}erpnext/"
"""Names: calls by their result, as ``calls/google/2xx``; genuine notifications by what became of
them, as ``heard/recorded``."""

Answered = Callable[[int | None], None]
"""Told of the HTTP status of each answer; None when there was none."""


def nobody(_status: int | None) -> None:
    """Where nobody counts."""


def result_of(status: int | None) -> str:
    """``2xx``, ``4xx`` ..., ``429`` by itself, since it says to ask less, and ``error``."""
    if status is None:
        return "error"
    return "429" if status == 429 else f"{status // 100}xx"


class Counts:
    """Counters by name. Thread-safe. A process that is killed loses a few seconds of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, name: str, by: int = 1) -> None:
        with self._lock:
            self._counts[name] += by

    def answers_of(self, prefix: str) -> Answered:
        """Counts answers by their result, under names that begin so."""
        return lambda status: self.add(f"{prefix}{result_of(status)}")

    @contextmanager
    def taken(self) -> Iterator[Counter[str]]:
        """All that has come together, to be written by a transaction within; kept for the next one
        when that fails."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        try:
            yield counts
        except BaseException:
            with self._lock:
                self._counts.update(counts)
            raise
