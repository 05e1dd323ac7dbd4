"""An RQ worker for one lane. Each worker has one queue: with two, RQ loses the job when the worker
crashes between taking and starting it.

Anyone who can write to Redis can leave jobs there. So jobs are read as JSON, because unpickling
would run code that a stranger has put there, and as ``KnownJob``, because RQ calls whatever
function a job names.

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

from watcher.jobs import connect, pulse, tasks
from watcher.jobs.doorbell import TASK
from watcher.ledger import rings
from watcher.settings import Settings
from watcher.telemetry import log as logs

log = logging.getLogger(__name__)

MAX_JOBS = 2_000
"""After this many jobs the process ends and the supervisor starts another one, so that slow leaks
of memory do no harm."""


class UnknownJob(Exception):
    """A job that Watcher did not leave in the queue: it is not carried out."""


class KnownJob(Job):
    """The only job that a worker carries out: ``sync_calendar`` with a calendar's number and a
    known reason. RQ would also import the callbacks that a job names, and call its webhooks: they
    are taken off."""

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
    return type(number) is int and isinstance(reason, str) and reason in rings.REASONS


def serve(settings: Settings, lane: rings.Lane) -> int:
    """Work until SIGTERM or SIGINT; returns the exit code. While Redis is away the worker waits for
    it.

    Raises ``UserError`` for a key that is missing or does not fit the ledger.
    """
    logs.configure(settings.log_format, logs.LEVELS[settings.log_level])
    services = tasks.process_services(settings)
    connection = services.doorbell.worker_client()
    beats = pulse.Pulse(services, pulse.myself(lane))
    beats.begin()  # one that waits for the queue runs, too
    # Not by the worker's client, whose long retries would hide from the log that it waits.
    _wait_for(services.doorbell.client)
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
    log.info("worker for %s jobs is ready", lane)
    try:
        worker.work(logging_level="WARNING", max_jobs=MAX_JOBS, with_scheduler=False)
    except redis.RedisError as error:
        # Redis went away while RQ signed the worker off. The ledger's lease and the sweep bring the
        # work back.
        log.warning("the queue went away (%s): this worker ends", type(error).__name__)
        return 1
    beats.end()
    return 0


def _wait_for(connection: redis.Redis) -> None:
    told = False
    while True:
        try:
            why = connect.refusal(connection)
        except redis.RedisError as error:
            why = type(error).__name__
        if not why:
            return
        if not told:
            log.warning("waiting for the queue: %s", why)
            told = True
        time.sleep(0.5)
