"""An RQ worker for one lane. Each worker has one queue: with two, RQ loses the job when the worker
crashes between taking and starting it.

Anyone who can write to Redis can leave jobs there. So jobs are read as JSON, because unpickling
would run code that a stranger has put there, and as ``KnownJob``, because RQ calls whatever
function a job names.

The worker runs jobs in its own process (no fork per job), so that connections to Google and
ERPNext stay warm; a crash ends the process, the supervisor starts another, and the ledger's lease
and sweep bring the work back.

What RQ notes of a job (registries, states, heartbeats) takes a quarter of the time of a pass over
one change. Watcher needs none of it, so that it is done once for a job and all that wait behind it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import redis
from rq import Queue, SimpleWorker
from rq.exceptions import DeserializationError
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException

from watcher.jobs import connect, pulse, tasks
from watcher.jobs.doorbell import JOB_TIMEOUT_SECONDS, TASK
from watcher.ledger import rings
from watcher.settings import Settings
from watcher.telemetry import log as logs

log = logging.getLogger(__name__)

MAX_JOBS = 2_000
"""After this many jobs the process ends and the supervisor starts another one, so that slow leaks
of memory do no harm."""
FORGOTTEN_SECONDS = 3_600
"""After so long Redis forgets a job that a worker had taken when it was killed."""
TURN_SECONDS = 10.0
"""So long a worker takes jobs from its queue by itself, before RQ hands it the next one."""

_NEXT = """
if ARGV[2] ~= '' then redis.call('DEL', ARGV[1] .. ARGV[2]) end
while ARGV[3] == '1' do
  local job = redis.call('LPOP', KEYS[1])
  if not job then return {} end
  local data = redis.call('HGET', ARGV[1] .. job, 'data')
  if data then
    redis.call('EXPIRE', ARGV[1] .. job, ARGV[4])
    return {job, data}
  end
end
return {}
"""
"""In one step: what is left of the last job is deleted, and the next one taken."""


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


class LaneWorker(SimpleWorker):
    """RQ's worker, which also works off what waits behind the job that it was handed: one job after
    the other in their order, so that the other workers of the lane go on taking theirs."""

    served = 0

    def perform_job(self, job: Job, queue: Queue, execution: Execution) -> bool:
        went_well = super().perform_job(job, queue, execution)
        self.served += 1
        ends, done = time.monotonic() + TURN_SECONDS, ""
        while following := self._next(queue, done, goes_on=time.monotonic() < ends):
            done = self._carried_out(following, queue)
            self.served += 1
        return went_well

    def _next(self, queue: Queue, done: str, *, goes_on: bool) -> Job | None:
        """The job that waits next; None where there is none, or where it is left to RQ. ``done`` is
        the id of the one before, which is over."""
        if self.served >= MAX_JOBS:
            self._stop_requested = True
        jobs, may = self.job_class.redis_job_namespace_prefix, goes_on and not self._stop_requested
        found = self.connection.eval(_NEXT, 1, queue.key, jobs, done, int(may), FORGOTTEN_SECONDS)
        if not found:
            return None
        job = self.job_class(found[0].decode(), self.connection, self.serializer)
        job.restore({b"data": found[1], b"origin": queue.name.encode()})
        return job

    def _carried_out(self, job: Job, queue: Queue) -> str:
        """Returns the job's id when nothing is to be kept of it."""
        try:
            _ = job.func
        except (UnknownJob, DeserializationError, TypeError, ValueError):
            job.refresh()  # type: ignore[no-untyped-call]
            super().perform_job(job, queue, self.prepare_execution(job))  # it notes what is wrong
            return ""
        try:
            seconds = JOB_TIMEOUT_SECONDS[queue.name]
            with self.death_penalty_class(seconds, JobTimeoutException, job_id=job.id):
                job.perform()
        except Exception:
            log.exception("a job ended unexpectedly: the sweep brings its calendar back")
        return str(job.id)


def made(connection: redis.Redis, lane: rings.Lane, owner: str) -> LaneWorker:
    queue = Queue(lane, connection=connection, serializer=JSONSerializer, job_class=KnownJob)
    return LaneWorker(
        [queue],
        connection=connection,
        serializer=JSONSerializer,
        job_class=KnownJob,
        name=f"watcher-{lane}-{owner}".replace(":", "-"),
        worker_ttl=60,
        maintenance_interval=60,
    )


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
    worker = made(connection, lane, services.owner)
    log.info("worker for %s jobs is ready", lane)
    try:
        worker.work(logging_level="WARNING", with_scheduler=False)
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
