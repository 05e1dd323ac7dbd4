"""How everything stands, for the pages: looked at anew for each, unless that takes long.

With a fleet in trouble a look costs seconds, and every open dashboard asks every ten seconds. One
thread looks, and the answer serves for some times as long as it took.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime

from watcher.handlers.readiness import Readiness
from watcher.ledger import overview
from watcher.ledger.document import Status
from watcher.services import Services

SLOW_SECONDS = 0.5
KEPT_TIMES = 3.0
"""A look that took longer than ``SLOW_SECONDS`` is kept for so many times as long."""


@dataclass(frozen=True, slots=True)
class Looked:
    """``at`` is when the look began."""

    status: Status
    at: datetime


class Looking:
    """The last look of this process. Thread-safe."""

    def __init__(self, services: Services, readiness: Readiness) -> None:
        self._services, self._readiness = services, readiness
        self._lock = threading.Lock()
        self._last: Looked | None = None
        self._until = 0.0

    def now(self) -> Looked:
        """While another thread looks, the last answer serves, with its time: threads that wait
        would keep employees' pages from being answered. Raises ``LedgerAway``."""
        last = self._last
        if not self._lock.acquire(blocking=last is None):
            assert last is not None
            return last
        try:
            if self._last is None or time.monotonic() >= self._until:
                self._look()
            assert self._last is not None
            return self._last
        finally:
            self._lock.release()

    def _look(self) -> None:
        began, at = time.monotonic(), self._services.clock()
        status = overview.look(self._services, refusal=self._readiness.now().refusal)
        took = time.monotonic() - began
        self._last = Looked(status, at)
        self._until = began + took + KEPT_TIMES * took if took > SLOW_SECONDS else 0.0

    def forget(self) -> None:
        """Something was changed by a person, who wants to see it."""
        self._until = 0.0
