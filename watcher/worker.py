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
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import redis
from rq import Queue, SimpleWorker
from rq.exceptions import DeserializationError
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException

from watcher.jobs import connect, pulse, tasks
from watcher.jobs.enqueuing import JOB_TIMEOUT_SECONDS, TASK
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

TOGETHER: Mapping[str, int] = {"live": 20, "backfill": 1}
"""So many jobs a worker takes at once, to work them off together: those that a worker had taken
when it was killed wait for the sweep."""

_NEXT = """
local jobs, most, life = ARGV[1], tonumber(ARGV[2]), ARGV[3]
for n = 4, #ARGV do redis.call('DEL', jobs .. ARGV[n]) end
local taken = {}
if most > 0 then most = math.min(most, math.ceil(redis.call('LLEN', KEYS[1]) / 2)) end
while #taken < 2 * most do
  local job = redis.call('LPOP', KEYS[1])
  if not job then break end
  local data = redis.call('HGET', jobs .. job, 'data')
  if data then
    redis.call('EXPIRE', jobs .. job, life)
    taken[#taken + 1], taken[#taken + 2] = job, data
  end
end
return taken
"""
"""In one step: what is left of the last jobs is deleted, and the next ones are taken; no more than
half of those that wait, which the other workers of the lane have time for."""


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
    """RQ's worker, which also works off what waits behind the job that it was handed, in its order:
    in the lane for pushes several at once, where many wait."""

    served = 0

    def perform_job(self, job: Job, queue: Queue, execution: Execution) -> bool:
        went_well = super().perform_job(job, queue, execution)
        self.served += 1
        ends, done = time.monotonic() + TURN_SECONDS, list[str]()
        while following := self._next(queue, done, goes_on=time.monotonic() < ends):
            done = self._carried_out(following, queue)
            self.served += len(following)
        return went_well

    def _next(self, queue: Queue, done: Sequence[str], *, goes_on: bool) -> list[Job]:
        """The jobs that wait next; none where none waits, or where they are left to RQ. ``done``
        are the ids of those before, which are over."""
        if self.served >= MAX_JOBS:
            self._stop_requested = True
        most = TOGETHER[queue.name] if goes_on and not self._stop_requested else 0
        jobs = self.job_class.redis_job_namespace_prefix
        found = self.connection.eval(
            _NEXT, 1, queue.key, jobs, min(most, MAX_JOBS - self.served), FORGOTTEN_SECONDS, *done
        )
        return [self._job(*each, queue) for each in zip(found[::2], found[1::2], strict=True)]

    def _job(self, job_id: bytes, data: bytes, queue: Queue) -> Job:
        job = self.job_class(job_id.decode(), self.connection, self.serializer)
        job.restore({b"data": data, b"origin": queue.name.encode()})
        return job

    def _carried_out(self, jobs: Sequence[Job], queue: Queue) -> list[str]:
        """Returns the ids of jobs of which nothing is to be kept."""
        known = [job for job in jobs if _is_ours(job)]
        for job in jobs:
            if job not in known:
                self._leave_to_rq(job, queue)
        if not known:
            return []
        ids = [str(job.id) for job in known]
        try:
            seconds = JOB_TIMEOUT_SECONDS[queue.name]
            with self.death_penalty_class(seconds, JobTimeoutException, job_id=ids[0]):
                if len(known) == 1:
                    known[0].perform()
                else:
                    tasks.sync_calendars({job.args[0]: job.args[1] for job in known})
        except Exception:
            log.exception("a job ended unexpectedly: the sweep brings its calendar back")
        return ids

    def _leave_to_rq(self, job: Job, queue: Queue) -> None:
        """It notes what is wrong with a job."""
        job.refresh()  # type: ignore[no-untyped-call]
        super().perform_job(job, queue, self.prepare_execution(job))


def _is_ours(job: Job) -> bool:
    try:
        _ = job.func
    except (UnknownJob, DeserializationError, TypeError, ValueError):
        return False
    return True


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
