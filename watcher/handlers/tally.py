"""Counts of what strangers do, kept in this process and put into the ledger now and then.

A forged notification must cost a counter and no more: one write to the disk for each would let
anybody who can send requests queue up at the ledger before Google's own notifications.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter

from watcher.errors import Transient
from watcher.ledger import counters
from watcher.services import Services
from watcher.telemetry.spells import Spell

log = logging.getLogger(__name__)

FLUSH_SECONDS = 10.0
READER_SECONDS = 1.0


class Tally:
    """Counters by name. Thread-safe; a killed process loses ``FLUSH_SECONDS`` of counts at most."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._spell = Spell()
        self._flushed = time.monotonic()
        self._read = -READER_SECONDS

    def add(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1
            due = time.monotonic() - self._flushed >= FLUSH_SECONDS
        if due:
            self.flush()

    def flush_for_reader(self) -> None:
        """Somebody looks at the counts. They are no older than ``READER_SECONDS`` then: who reads
        on and on must not have them written each time."""
        with self._lock:
            now = time.monotonic()
            due = now - self._read >= READER_SECONDS
            if due:
                self._read = now
        if due:
            self.flush()

    def flush(self) -> None:
        """Write what has come together; it is kept for the next time when the ledger is away."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
            self._flushed = time.monotonic()
        if not counts:
            return
        try:
            with self._services.db.session() as session:
                counters.add(session, counts)
        except Transient as error:
            with self._lock:
                self._counts.update(counts)
                level = self._spell.failed()
            log.log(level, "counts not written yet: %s", error.message)
        else:
            with self._lock:
                self._spell.over(log, "counts are written")
