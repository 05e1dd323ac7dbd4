"""How everything stands, for the pages: looked at anew for each, unless that takes long.

With a fleet in trouble a look costs seconds, and every open dashboard asks every ten seconds. One
thread looks while the others wait for it, and the answer serves for some times as long as it took.
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
        """Raises ``LedgerAway``; then nothing is kept."""
        with self._lock:
            last = self._last
            if last is not None and time.monotonic() < self._until:
                return last
            began, at = time.monotonic(), self._services.clock()
            status = overview.look(self._services, refusal=self._readiness.now().refusal)
            ended = time.monotonic()
            took = ended - began
            self._last = Looked(status, at)
            self._until = ended + KEPT_TIMES * took if took > SLOW_SECONDS else 0.0
            return self._last

    def forget(self) -> None:
        """Something was changed by a person, who wants to see it."""
        with self._lock:
            self._until = 0.0
