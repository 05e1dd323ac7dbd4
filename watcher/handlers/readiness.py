"""Whether a notification could be recorded now, looked at every few seconds at most.

Anybody may ask, as often as he likes: a question must cost neither a write to the disk nor a
transaction of its own, or strangers could queue up at the ledger before Google's notifications.
"""

from __future__ import annotations

from dataclasses import dataclass

import redis

from watcher.errors import Transient
from watcher.handlers.last_look import LastLook
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


class Readiness(LastLook[Ready]):
    """Whether ledger and queue take what they are given."""

    def __init__(self, services: Services) -> None:
        self._services = services
        super().__init__(
            lambda: Ready(self._ledger_word(), self._queue_word()), lambda _: KEPT_SECONDS
        )

    def _ledger_word(self) -> str:
        try:
            self._services.db.probe()
        except Transient as error:
            return error.message
        return OK

    def _queue_word(self) -> str:
        try:
            refusal = self._services.doorbell.tried()
        except redis.RedisError:
            return "unavailable"
        return f"takes no job: {refusal}" if refusal else OK
