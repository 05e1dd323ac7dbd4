"""An RQ worker for one lane. One queue a worker: with two, a crash between pop and start loses
the job.

Whoever can write to Redis can leave jobs there. JSON serializer, since pickle would run his code;
and ``KnownJob``, since RQ calls whatever function a job names.

The worker runs jobs in its own process (no fork per job), so that connections to Google and
ERPNext stay warm; a crash ends the process, the supervisor starts another, and the ledger's lease
and sweep bring the work back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import redis
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

from watcher.jobs import tasks
from watcher.jobs.doorbell import REASONS, TASK, Lane
from watcher.settings import Settings
from watcher.telemetry import log as logs

log = logging.getLogger(__name__)

MAX_JOBS = 2_000
"""After so many jobs the process ends and is started afresh, against slow leaks."""


class UnknownJob(Exception):
    """A job that Watcher did not leave in the queue: it is not carried out."""


class KnownJob(Job):
    """A job as a worker takes it: ``sync_calendar`` with a calendar's number and a known word, and
    nothing else. RQ would also import what a job names as a callback, and call its webhooks."""

    @property
    def func(self) -> Callable[..., str]:
        task = (self.func_name, bool(self.instance), dict(self.kwargs or {}))
        if task != (TASK, False, {}) or not _are_known(self.args):
            raise UnknownJob("a job in the queue is none of Watcher's")
        return tasks.sync_calendar

    def restore(self, raw_data: Any) -> Any:
        answer = super().restore(raw_data)
        self._success_callback_name = None
        self._failure_callback_name = None
        self._stopped_callback_name = None
        self.webhooks = []
        return answer


def _are_known(args: Any) -> bool:
    if not isinstance(args, list | tuple) or len(args) != 2:
        return False
    number, reason = args
    return type(number) is int and isinstance(reason, str) and reason in REASONS


def serve(settings: Settings, lane: Lane) -> int:
    """Work until SIGTERM or SIGINT. Returns the exit code; a Redis that is away is waited for.

    Raises ``UserError`` for a key that is missing or does not fit the ledger.
    """
    logs.configure(settings.log_format)
    services = tasks.process_services()
    connection = services.doorbell.worker_client()
    _wait_for(services.doorbell.client)  # which is told at once, and not after its patience
    queue = Queue(lane, connection=connection, serializer=JSONSerializer, job_class=KnownJob)
    worker = SimpleWorker(
        [queue],
        connection=connection,
        serializer=JSONSerializer,
        job_class=KnownJob,
        name=f"watcher-{lane}-{services.owner}".replace(":", "-"),
        worker_ttl=60,
        maintenance_interval=60,
    )
    log.info("worker of lane %s is ready", lane)
    try:
        worker.work(logging_level="WARNING", max_jobs=MAX_JOBS, with_scheduler=False)
    except redis.RedisError as error:
        # RQ's goodbye found nobody. The ledger's lease and sweep bring the work back.
        log.warning("the queue went away (%s): this worker ends", type(error).__name__)
        return 1
    return 0


def _wait_for(connection: redis.Redis) -> None:
    told = False
    while True:
        try:
            connection.ping()
            return
        except redis.RedisError as error:
            if not told:
                log.warning("waiting for the queue (%s)", type(error).__name__)
                told = True
            time.sleep(0.5)
