"""Disconnections that an admin has asked for on a page. One may take minutes, since a sync that is
under way is waited for and ERPNext's rows are gone through, so that no request does it."""

from __future__ import annotations

import logging
import threading
from collections import deque
from contextvars import Context, copy_context
from functools import partial

from watcher.accounts import disconnect
from watcher.errors import WatcherError, contained
from watcher.services import Services

log = logging.getLogger(__name__)


class Endings:
    """Does one after the other in a thread of its own, which ends when nothing is left. Each is
    begun in the ledger before: what a killed process leaves is finished by cron."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._left: deque[tuple[Context, str, str]] = deque()
        self._thread: threading.Thread | None = None

    def add(self, email: str, events: str) -> None:
        """Begin it in the ledger, and have the rest done. Raises ``UserError``."""
        disconnect.begin(self._services, email, events)
        with self._lock:
            # Who has asked for it is in the context, for the audit trail.
            self._left.append((copy_context(), email, events))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()

    def wait(self) -> None:
        """Until nothing is left to do."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._left:
                    self._thread = None
                    return
                context, email, events = self._left.popleft()
            done = partial(disconnect.disconnect, self._services, email, events=events)
            contained(partial(context.run, done), partial(_not_yet, email))


def _not_yet(email: str, error: WatcherError) -> None:
    log.warning("%s is not disconnected yet, cron tries again: %s", email, error.message)
