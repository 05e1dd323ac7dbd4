"""How everything stands, for the pages: looked at anew for each, unless that takes long.

With a fleet in trouble a look costs seconds, and every open dashboard asks every ten seconds. One
thread looks, and the answer serves for some times as long as it took.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from watcher.handlers.last_look import LastLook
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


class Looking(LastLook[Looked]):
    """How everything stands. ``now`` raises ``LedgerAway``; after a person has changed something,
    who wants to see it, it is to ``forget``."""

    def __init__(self, services: Services, readiness: Readiness) -> None:
        self._services, self._readiness = services, readiness
        super().__init__(self._everything, _keeps)

    def _everything(self) -> Looked:
        at = self._services.clock()
        return Looked(overview.look(self._services, refusal=self._readiness.now().refusal), at)


def _keeps(took: float) -> float:
    return KEPT_TIMES * took if took > SLOW_SECONDS else 0.0
