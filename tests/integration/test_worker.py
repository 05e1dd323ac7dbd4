"""What a worker takes from its queue, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from signal import SIGTERM

import pytest
from rq import Callback, Queue
from rq.job import JobStatus
from rq.serializers import JSONSerializer
from rq.webhook import Webhook

from tests.company import Company
from tests.waiting import wait_for
from watcher import worker as workers
from watcher.jobs import tasks
from watcher.jobs.enqueuing import TASK
from watcher.ledger import calendars
from watcher.ledger.rings import Lane
from watcher.worker import KnownJob, LaneWorker


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """Nothing here has to do with the kind of database."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


def test_strangers_jobs_are_not_carried_out(company: Company) -> None:
    """Anyone who can write to Redis can leave such jobs: `enqueue_call("os.system", ...)` once
    ran."""
    company.connect()
    made = company.folder / "made-by-a-stranger"
    queue = Queue("live", connection=company.services.doorbell.client, serializer=JSONSerializer)
    number, command = company.calendar().id, f"touch {made}"
    jobs = [
        queue.enqueue_call("os.system", args=(command,)),
        queue.enqueue_call(TASK, args=(number, "because")),
        queue.enqueue_call(TASK, args=(str(number), "push")),
        queue.enqueue_call(TASK, args=(number, "push", 1)),
        queue.enqueue_call(TASK, args=(number,), kwargs={"reason": "push"}),
        queue.enqueue_call("watcher.jobs.tasks.process_services"),
    ]
    company.google.insert_event("ann@scoopjoy.test", company.timed(summary="Ours"))
    with company.services.db.session() as session:
        calendars.note_rung(session, number, company.services.clock())
    assert company.services.doorbell.ring(number, "live", "push")
    company.start("worker", "--queue", "live")
    wait_for(lambda: company.subjects() == ["Ours"], what="our own job")
    assert {job.get_status() for job in jobs} == {JobStatus.FAILED}
    assert not made.exists()


def test_what_a_job_names_besides_its_function_is_left_alone(company: Company) -> None:
    """Callbacks are imported, and webhooks called, also for jobs that were given up."""
    client = company.services.doorbell.client
    queue = Queue("live", connection=client, serializer=JSONSerializer)
    job = queue.enqueue_call(
        TASK,
        args=(1, "push"),
        on_success=Callback("os.system"),
        on_failure=Callback("os.system"),
        on_stopped=Callback("os.system"),
        webhooks=[Webhook("https://example.com", "failed")],
    )
    taken = KnownJob.fetch(job.id, connection=client, serializer=JSONSerializer)
    assert taken.func.__name__ == "sync_calendar"
    assert (taken.success_callback, taken.failure_callback) == (None, None)
    assert taken.stopped_callback is None
    assert taken.webhooks == []


class Crowd:
    """Jobs that wait in the lane for pushes, and a worker of this process, whose passes are noted
    and not made; ``during`` is called in each of them."""

    def __init__(self, company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bell = company.services.doorbell
        self.worker: LaneWorker = workers.made(self.bell.worker_client(), "live", "tests")
        self.done: list[int] = []
        self.at_once: list[list[int]] = []
        self.during: Callable[[int], object] = lambda _number: None
        monkeypatch.setattr(tasks, "sync_calendar", self._note)
        monkeypatch.setattr(tasks, "sync_calendars", self._note_all)
        # They would stay when the test is over.
        monkeypatch.setattr(self.worker, "_install_signal_handlers", lambda: None)

    def _note(self, number: int, _reason: str) -> str:
        self.done.append(number)
        self.during(number)
        return "done"

    def _note_all(self, jobs: dict[int, str]) -> None:
        self.at_once.append(list(jobs))
        for number, reason in jobs.items():
            self._note(number, reason)

    def ring(self, many: int, lane: Lane = "live") -> None:
        for number in range(1, many + 1):
            assert self.bell.ring(number, lane, "push")

    def work(self) -> None:
        self.worker.work(burst=True, logging_level="WARNING")

    @property
    def handed_out(self) -> int:
        """By RQ itself."""
        return int(self.bell.client.hget(self.worker.key, "successful_job_count") or 0)

    @property
    def waiting(self) -> list[int]:
        return [int(job.split("-")[1]) for job in self.bell.waiting()["live"]]

    @property
    def left(self) -> int:
        """How many jobs Redis still knows."""
        return len(self.bell.client.keys("rq:job:*"))


@pytest.fixture
def crowd(company: Company, monkeypatch: pytest.MonkeyPatch) -> Crowd:
    return Crowd(company, monkeypatch)


def test_what_waits_behind_a_job_is_worked_off_in_its_order(crowd: Crowd) -> None:
    crowd.ring(5)
    crowd.work()
    assert crowd.done == [1, 2, 3, 4, 5]
    assert crowd.handed_out == 1, "RQ's own work for a job is done once for all of them"
    assert crowd.left == 0


def test_others_take_theirs_meanwhile(crowd: Crowd) -> None:
    """A worker takes half of what waits, to work it off at once, and leaves half to others."""
    crowd.ring(10)
    waiting = []
    crowd.during = lambda _number: waiting.append(len(crowd.waiting))
    crowd.work()
    assert waiting == [9, 4, 4, 4, 4, 4, 2, 2, 1, 0]
    assert crowd.at_once == [[2, 3, 4, 5, 6], [7, 8]]


def test_a_worker_has_no_more_than_so_many_in_hand(crowd: Crowd) -> None:
    """If it is killed they wait for the sweep."""
    crowd.ring(50)
    crowd.work()
    assert max(map(len, crowd.at_once)) == workers.TOGETHER["live"]
    assert crowd.done == list(range(1, 51))


def test_bulk_work_is_done_one_calendar_after_the_other(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd.worker = workers.made(crowd.bell.worker_client(), "backfill", "tests")
    monkeypatch.setattr(crowd.worker, "_install_signal_handlers", lambda: None)
    crowd.ring(6, "backfill")
    crowd.work()
    assert (crowd.done, crowd.at_once) == ([1, 2, 3, 4, 5, 6], [])


def test_a_strangers_job_among_several_is_not_carried_out(crowd: Crowd) -> None:
    crowd.ring(3)
    crowd.bell.queue("live").enqueue_call("os.getcwd", job_id="strange")
    crowd.bell.ring(5, "live", "push")
    crowd.bell.ring(6, "live", "push")
    crowd.work()
    assert crowd.done == [1, 2, 3, 5, 6]
    assert crowd.left == 1, "RQ has noted what is wrong with it"


def test_a_worker_that_is_asked_to_end_takes_no_more(crowd: Crowd) -> None:
    crowd.ring(4)
    crowd.during = lambda number: number == 2 and crowd.worker.request_stop(SIGTERM, None)  # type: ignore[no-untyped-call]
    crowd.work()
    assert (crowd.done, crowd.waiting) == ([1, 2, 3], [4])
    assert crowd.left == 1


def test_rq_has_its_turn_however_many_wait(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    """It tells Redis that the worker lives, and looks after jobs of those that do not."""
    monkeypatch.setattr(workers, "TURN_SECONDS", 0.0)
    crowd.ring(3)
    crowd.work()
    assert (crowd.done, crowd.handed_out, crowd.left) == ([1, 2, 3], 3, 0)


def test_a_worker_ends_after_so_many_jobs(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "MAX_JOBS", 3)
    crowd.ring(5)
    crowd.work()
    assert (crowd.done, crowd.waiting) == ([1, 2, 3], [4, 5])


def test_a_job_that_ends_unexpectedly_stops_no_other(
    crowd: Crowd, caplog: pytest.LogCaptureFixture
) -> None:
    crowd.ring(3)
    crowd.during = lambda number: 1 / (number - 2)
    crowd.work()
    assert (crowd.done, crowd.left) == ([1, 2, 3], 0)
    assert "ended unexpectedly" in caplog.text


def test_a_job_that_was_taken_by_a_killed_worker_is_forgotten(crowd: Crowd) -> None:
    """What is owed is in the ledger; Redis must not fill with what nobody will ask for."""
    crowd.ring(2)
    lives: list[int] = []
    crowd.during = lambda number: lives.extend(
        crowd.bell.client.ttl(key) for key in crowd.bell.client.keys("rq:job:*") if number == 2
    )
    crowd.work()
    assert [0 < seconds <= workers.FORGOTTEN_SECONDS for seconds in lives] == [True]
