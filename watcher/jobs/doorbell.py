"""The doorbell: wakes a worker for a calendar. What is owed is in the ledger, not here.

A ring that fails loses nothing; the sweep rings again. Time-outs are short and a small breaker
keeps a Redis that is down from slowing the notification path (a default client blocks for
seconds before it raises).
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Sequence

import redis
from redis.backoff import ConstantBackoff, NoBackoff
from redis.retry import Retry
from rq import Queue

from watcher.jobs import connect, enqueuing
from watcher.ledger.rings import LANES, Lane, Reason

BREAKER_SECONDS = 5.0
WORKER_PATIENCE_SECONDS = 60


_TO_FRONT = """
local waiting = {}
for n = 2, #ARGV do
  if redis.call('LPOS', KEYS[1], ARGV[n]) then waiting[#waiting + 1] = ARGV[n] end
end
if #waiting <= tonumber(ARGV[1]) then
  for _, job in ipairs(waiting) do
    redis.call('LREM', KEYS[1], 1, job)
    redis.call('LPUSH', KEYS[1], job)
  end
end
return waiting
"""
"""In one step: a job that a worker takes meanwhile is not put back."""


class Doorbell:
    """RQ's queues behind a breaker. Job ids are ``calendar-<id>-<random>``: were one used
    again while a job of that id is being worked off, RQ would delete the new one with the old."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._open_until = 0.0
        self._lock = threading.Lock()
        self._client: redis.Redis | None = None
        self._enqueuing: enqueuing.Enqueuing | None = None

    def __repr__(self) -> str:
        return "Doorbell()"  # the URL may hold a password

    @property
    def client(self) -> redis.Redis:
        """A client for short commands: one retry, no backoff, half a second of patience."""
        with self._lock:
            if self._client is None:
                self._client = connect.client(
                    self._url,
                    socket_timeout=0.5,
                    socket_connect_timeout=0.5,
                    retry=Retry(NoBackoff(), 1),
                )
            return self._client

    def worker_client(self) -> redis.Redis:
        """A client for a worker, which blocks on its queue (so no short read time-out).

        A queue that goes away is waited for, whatever the worker is just doing with it: RQ itself
        does so only while it waits for a job, and ends the process elsewhere.
        """
        patience = Retry(
            ConstantBackoff(0.25), WORKER_PATIENCE_SECONDS * 4, (redis.ConnectionError,)
        )
        return connect.client(self._url, socket_connect_timeout=2, retry=patience)

    def queue(self, lane: Lane) -> Queue:
        return enqueuing.queue(lane, self.client)

    def ring(self, calendar_id: int, lane: Lane, reason: Reason) -> str:
        """Wake a worker for a calendar; returns the job's id, empty when Redis did not take it. One
        round trip."""
        if time.monotonic() < self._open_until:
            return ""
        job_id = f"calendar-{calendar_id}-{secrets.token_hex(6)}"
        try:
            self._into_queue().put(job_id, calendar_id, lane, reason)
        except redis.RedisError:
            self._open_until = time.monotonic() + BREAKER_SECONDS
            return ""
        return job_id

    def _into_queue(self) -> enqueuing.Enqueuing:
        client = self.client
        with self._lock:
            if self._enqueuing is None:
                self._enqueuing = enqueuing.Enqueuing(client)
            return self._enqueuing

    def move_to_front(self, lane: Lane, job_ids: Sequence[str], most: int) -> set[str]:
        """Of these jobs those that still wait, which are returned, are the next ones, in this
        order; unless they are more than ``most``. Nothing is moved while Redis does not answer."""
        if not job_ids or time.monotonic() < self._open_until:
            return set()
        key = self.queue(lane).key
        try:
            waiting = self.client.eval(_TO_FRONT, 1, key, str(most), *reversed(job_ids))
        except redis.RedisError:
            self._open_until = time.monotonic() + BREAKER_SECONDS
            return set()
        return {job.decode() for job in waiting}

    def lengths(self) -> dict[str, int] | None:
        """Jobs waiting in each lane; None when the queue does not answer."""
        try:
            return {lane: len(jobs) for lane, jobs in self.waiting().items()}
        except redis.RedisError:
            return None

    def refusal(self) -> str:
        """Why Redis takes no job, though it answers; empty when it would, or does not answer."""
        try:
            return self.tried()
        except redis.RedisError:
            return ""

    def tried(self) -> str:
        """As ``refusal``. Raises ``redis.RedisError`` when Redis does not answer."""
        return connect.refusal(self.client)

    def waiting(self) -> dict[Lane, list[str]]:
        """Job ids waiting in each lane. Raises ``redis.RedisError`` when Redis is away."""
        return {lane: list(self.queue(lane).get_job_ids()) for lane in LANES}
