"""Put a job into one of RQ's queues, as RQ itself would, in one command.

RQ makes an object of each job, asks Redis for its version, and sends five commands in a
transaction: while calendars are told of a hundred times a second, that took a fifth of the web
process's time. Here RQ makes one job of each kind, and others are written as copies of it.
"""

from __future__ import annotations

import itertools
import json
import zlib
from datetime import UTC, datetime
from typing import Any

import redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import utcformat

from watcher.ledger.rings import LANES, Lane, Reason

TASK = "watcher.jobs.tasks.sync_calendar"
JOB_TIMEOUT_SECONDS = {"live": 600, "backfill": 3600}

_ENQUEUE = """
redis.call('SADD', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[3], unpack(ARGV, 2))
redis.call('RPUSH', KEYS[2], ARGV[1])
"""
"""The job is there before its id is in the queue, and never without it."""


class Enqueuing:
    """Jobs for one Redis. Thread-safe."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._queues = {lane: queue(lane, client) for lane in LANES}
        self._alike = {lane: _alike(each, lane) for lane, each in self._queues.items()}

    def put(self, job_id: str, calendar_id: int, lane: Lane, reason: Reason) -> None:
        """Behind all others of its lane. Raises ``redis.RedisError`` where Redis takes none."""
        lanes = self._queues[lane]
        fields = self._alike[lane] | _own(calendar_id, reason)
        keys = (lanes.redis_queues_keys, lanes.key, Job.key_for(job_id))
        given = itertools.chain([job_id], *fields.items())
        self._client.eval(_ENQUEUE, len(keys), *keys, *given)


def queue(lane: Lane, client: redis.Redis) -> Queue:
    return Queue(lane, connection=client, serializer=JSONSerializer)


def _alike(lanes: Queue, lane: Lane) -> dict[str, Any]:
    """What all jobs of a lane have in common, by RQ's own hand. Nothing is asked of Redis."""
    job = lanes.create_job(
        TASK,
        args=(0, ""),
        timeout=JOB_TIMEOUT_SECONDS[lane],
        result_ttl=0,
        failure_ttl=86_400,
    )
    return dict(job.to_dict())


def _own(calendar_id: int, reason: Reason) -> dict[str, Any]:
    """What one job has of its own."""
    now = utcformat(datetime.now(UTC))
    call = json.dumps([TASK, None, [calendar_id, reason], {}])
    return {
        "created_at": now,
        "enqueued_at": now,
        "data": zlib.compress(call.encode()),
        "description": f"{TASK}({calendar_id}, {reason!r})",
    }
