"""How often this process asks Google for those whom it does not know yet.

A consent that comes back costs calls to Google before anybody can say who gave it. Whoever begins
one himself could have Watcher make as many as he likes, and take all threads while Google is slow.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from watcher.errors import WatcherError


class TooMany(WatcherError):
    """No turn is free at this moment."""


@contextmanager
def alone(lock: threading.Lock, seconds: float = 0.0) -> Iterator[None]:
    """For the time of the block nobody else has the lock. Raises ``TooMany`` where somebody has it
    for longer than ``seconds``."""
    if not lock.acquire(timeout=seconds):
        raise TooMany("another one is under way here")
    try:
        yield
    finally:
        lock.release()


class Turns:
    """At most ``at_once`` at a time, and ``a_minute`` that begin within a minute. Thread-safe."""

    def __init__(
        self, at_once: int, a_minute: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._free = threading.Semaphore(at_once)
        self._lock = threading.Lock()
        self._begun: deque[float] = deque(maxlen=a_minute)
        self._now = monotonic

    @contextmanager
    def take(self) -> Iterator[None]:
        """For the time of the block. Raises ``TooMany``, at once: to wait would take a thread."""
        if not self._free.acquire(blocking=False):
            raise TooMany("too many sign-ins are waiting for Google")
        try:
            with self._lock:
                now, full = self._now(), len(self._begun) == self._begun.maxlen
                if full and now - self._begun[0] < 60.0:
                    raise TooMany("too many sign-ins within a minute")
                self._begun.append(now)
            yield
        finally:
            self._free.release()


def by_purpose() -> dict[str, Turns]:
    """By purpose. Anybody may begin a sign-in; to connect takes an invitation, so that strangers
    cannot use up what employees need. Those who sign in to *My connection* do not use up what
    admins need either, and so it is with those who look for their further calendars."""
    return {
        "connect": Turns(4, 120),
        "sign_in": Turns(2, 20),
        "me": Turns(2, 30),
        "find": Turns(2, 60),
    }
