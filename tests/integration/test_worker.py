"""What a worker takes from its queue, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from rq import Callback, Queue
from rq.job import JobStatus
from rq.serializers import JSONSerializer
from rq.webhook import Webhook

from tests.company import Company
from tests.waiting import wait_for
from watcher.jobs.doorbell import TASK
from watcher.ledger import calendars
from watcher.worker import KnownJob


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
