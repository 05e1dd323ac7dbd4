"""Whether a notification could be recorded now, looked at every few seconds at most.

Anybody may ask, as often as he likes: a question must cost neither a write to the disk nor a
transaction of its own, or strangers could queue up at the ledger before Google's notifications.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import redis

from watcher.errors import Transient
from watcher.services import Services

KEPT_SECONDS = 3.0
OK = "ok"


@dataclass(frozen=True, slots=True)
class Ready:
    """``ledger`` and ``queue`` are "ok" or say what is wrong."""

    ledger: str
    queue: str

    @property
    def refusal(self) -> str:
        """Why the ledger takes no write; empty when it does."""
        return "" if self.ledger == OK else self.ledger


class Readiness:
    """The last look, for all threads. While one of them looks, the others answer with it."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._looking = threading.Lock()
        self._last: Ready | None = None
        self._looked = 0.0

    def now(self) -> Ready:
        if not self._looking.acquire(blocking=self._last is None):
            last = self._last
            if last is not None:
                return last
            self._looking.acquire()
        try:
            if self._last is None or time.monotonic() - self._looked > KEPT_SECONDS:
                self._last = Ready(self._ledger_word(), self._queue_word())
                self._looked = time.monotonic()
            return self._last
        finally:
            self._looking.release()

    def _ledger_word(self) -> str:
        try:
            self._services.db.probe()
        except Transient as error:
            return error.message
        return OK

    def _queue_word(self) -> str:
        try:
            self._services.doorbell.client.ping()
        except redis.RedisError:
            return "unavailable"
        return OK
