"""What costs too much to be looked at for each request: one thread looks, the others answer with
the last look."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class LastLook(Generic[T]):
    """The last look of this process. Thread-safe. ``keeps`` says for how many seconds an answer
    serves, by how many it took."""

    def __init__(self, look: Callable[[], T], keeps: Callable[[float], float]) -> None:
        self._look, self._keeps = look, keeps
        self._lock = threading.Lock()
        self._last: T | None = None
        self._until = 0.0

    def now(self) -> T:
        """While another thread looks, the last answer serves: threads that wait would keep others
        from being answered. Raises what the look raises."""
        last = self._last
        if not self._lock.acquire(blocking=last is None):
            assert last is not None
            return last
        try:
            last = self._last
            if last is None or time.monotonic() >= self._until:
                began = time.monotonic()
                self._last = last = self._look()
                ended = time.monotonic()
                self._until = ended + self._keeps(ended - began)
            return last
        finally:
            self._lock.release()

    def forget(self) -> None:
        """The next one looks anew."""
        self._until = 0.0
