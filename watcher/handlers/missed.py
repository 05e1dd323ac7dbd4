"""What is owed for notifications that the ledger could not record.

Google repeats what was answered 503, but not for long, and of a refused notification nobody knows
which calendar it told of. So every calendar is looked at once when the ledger takes writes again.
"""

from __future__ import annotations

import logging
import threading
from functools import partial

from watcher.errors import Transient, contained
from watcher.ledger import owing
from watcher.services import Services

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0


def look_at_all(services: Services, reason: str) -> bool:
    """Have every calendar owe a look at Google; False when the ledger does not take it."""
    try:
        owed = owing.owe_all(services.db, reason, services.clock())
    except Transient as error:
        log.debug("calendars not looked at yet: %s", error.message)
        return False
    log.info("%s calendars are looked at (%s)", owed, reason)
    return True


class Missed:
    """Counts refused notifications in this process. From the first one on a thread tries the
    ledger every ``RETRY_SECONDS`` until it takes the debt. Thread-safe; a process that is killed
    meanwhile looks at every calendar when it starts again."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._refused = 0
        self._thread: threading.Thread | None = None
        self._writes = threading.Event()

    def begin(self) -> None:
        """Nobody says whether Google repeats what met a closed port while this process was down:
        look at every calendar once. To be called when the port is open, so that nothing falls
        between."""
        if not look_at_all(self._services, "restart"):
            with self._lock:
                self._try()

    def note(self) -> bool:
        """A notification was refused because the ledger did not record it; returns whether it is
        the first one of several."""
        with self._lock:
            self._refused += 1
            return self._try()

    def _try(self) -> bool:
        """Have the thread try; false where it does so already."""
        if self._thread is not None:
            return False
        self._writes.clear()
        self._thread = threading.Thread(target=self._make_up, daemon=True)
        self._thread.start()
        return True

    def ledger_writes(self) -> None:
        """The ledger has just taken a write, so that the thread need not wait any longer."""
        self._writes.set()

    def _make_up(self) -> None:
        done = False
        while not done:
            self._writes.wait(RETRY_SECONDS)
            self._writes.clear()
            refused = self._refused
            looked = self._looked()
            with self._lock:
                done = looked and self._refused == refused
                if done:
                    self._thread, self._refused = None, 0
        log.warning("the ledger takes notes again: %s notifications were refused", refused)

    def _looked(self) -> bool:
        return contained(partial(look_at_all, self._services, "unrecorded"), lambda _error: False)
