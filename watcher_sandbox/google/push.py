"""Delivery of notifications: background threads, retries, and the failures that a test asks for."""

from __future__ import annotations

import heapq
import itertools
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import requests

log = logging.getLogger(__name__)

RETRIED = frozenset({500, 502, 503, 504})
SUCCESS = frozenset({102, 200, 201, 202, 204})
MOST_WAIT = 10.0
"""Seconds that events.watch waits for the receiver of its `sync` message."""
USER_AGENT = "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)"


@dataclass(slots=True)
class PushFaults:
    """Chances are 0 to 1, times are seconds. ``shuffle`` spreads notices at random over so long,
    which puts them out of order."""

    drop: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0
    shuffle: float = 0.0


@dataclass(order=True, slots=True)
class Notice:
    """One message on its way; ordered by when it is due (monotonic seconds)."""

    due: float
    number: int
    channel: str = field(compare=False)
    address: str = field(compare=False)
    headers: Mapping[str, str] = field(compare=False, repr=False)
    attempt: int = field(default=0, compare=False)


class Pusher:
    """Sends notices from its own threads. ``counts``: sent, delivered, dropped, duplicated,
    retried, failed, unreachable, delivered_<status>."""

    def __init__(self, threads: int = 8) -> None:
        self.faults = PushFaults()
        self.timeout = 10.0
        self.retry_first, self.retry_factor, self.max_attempts = 0.25, 2.0, 6
        self.verify: bool | str = True
        self.counts: Counter[str] = Counter()
        self._threads = threads
        self._heap: list[Notice] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._running: threading.Thread | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._busy = 0
        self._closed = False
        self._local = threading.local()
        self._rng = random.Random()

    def send(self, channel: str, address: str, headers: Mapping[str, str]) -> None:
        """Queue one message, which the faults may drop, double or delay. Never blocks on the
        network."""
        faults = self.faults
        with self._changed:
            if self._closed:
                return
            self.counts["sent"] += 1
            if self._rng.random() < faults.drop:
                self.counts["dropped"] += 1
                return
            copies = 2 if self._rng.random() < faults.duplicate else 1
            self.counts["duplicated"] += copies - 1
            for _ in range(copies):
                pause = faults.delay + self._rng.uniform(0.0, faults.shuffle)
                self._push(
                    Notice(time.monotonic() + pause, next(self._order), channel, address, headers)
                )

    def deliver_now(self, channel: str, address: str, headers: Mapping[str, str]) -> None:
        """Send at once from this thread, without faults; what is retried follows later."""
        self._count("sent")
        notice = Notice(0.0, next(self._order), channel, address, headers)
        self._attempt(notice, min(self.timeout, MOST_WAIT))

    def wait_idle(self, timeout: float = 10.0) -> bool:
        """Wait until nothing is queued or under way; False when that took too long."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._heap and not self._busy, timeout)

    def forget(self) -> None:
        """Throw away what is still queued."""
        with self._changed:
            self._heap.clear()
            self._changed.notify_all()

    def close(self) -> None:
        """End the threads; messages under way are given up."""
        with self._changed:
            self._closed = True
            self._heap.clear()
            self._changed.notify_all()
        if self._running is not None:
            self._running.join(timeout=5)
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    # --- threads --------------------------------------------------------------------------

    def _push(self, notice: Notice) -> None:
        heapq.heappush(self._heap, notice)
        if self._running is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="push")
            self._running = threading.Thread(target=self._run, name="push-clock", daemon=True)
            self._running.start()
        self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed and not (self._heap and self._heap[0].due <= _now()):
                    wait = self._heap[0].due - _now() if self._heap else None
                    self._changed.wait(wait if wait is None else max(0.001, wait))
                if self._closed or self._pool is None:
                    return
                notice = heapq.heappop(self._heap)
                self._busy += 1
            self._pool.submit(self._work, notice)

    def _work(self, notice: Notice) -> None:
        try:
            self._attempt(notice)
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def _attempt(self, notice: Notice, timeout: float | None = None) -> None:
        """Send one POST. It is repeated later after 500, 502, 503 and 504, and after no other
        answer."""
        try:
            answer = self._session().post(
                notice.address,
                headers=dict(notice.headers),
                timeout=timeout or self.timeout,
                allow_redirects=False,
                verify=self.verify,
            )
            status = answer.status_code
        except requests.RequestException as error:
            log.debug("notice for %s: %s", notice.channel, type(error).__name__)
            self._count("unreachable")
            return
        self._count(f"delivered_{status}")
        if status in SUCCESS:
            self._count("delivered")
        elif status in RETRIED and notice.attempt + 1 < self.max_attempts:
            self._again(notice)
        else:
            self._count("failed")

    def _again(self, notice: Notice) -> None:
        pause = self.retry_first * self.retry_factor**notice.attempt
        with self._changed:
            if self._closed:
                return
            self.counts["retried"] += 1
            notice.attempt += 1
            notice.due = _now() + pause * self._rng.uniform(0.8, 1.2)
            self._push(notice)

    def _count(self, what: str) -> None:
        with self._changed:
            self.counts[what] += 1

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.trust_env = False
            session.headers.clear()
            session.headers.update(
                {
                    "User-Agent": USER_AGENT,
                    "Accept": "*/*",
                    "Accept-Encoding": "gzip,deflate,br",
                    "Content-Type": "application/json; utf-8",
                }
            )
        return session


def _now() -> float:
    return time.monotonic()
