"""What a ring leaves in Redis is what RQ's own ``enqueue_call`` leaves there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from rq.job import Job
from rq.serializers import JSONSerializer

from tests.company import Company
from watcher.jobs.enqueuing import JOB_TIMEOUT_SECONDS, TASK
from watcher.ledger.rings import LANES, Lane

MOMENTS = {b"created_at", b"enqueued_at"}


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """Nothing here has to do with the kind of database."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


def left(client: redis.Redis) -> dict[bytes, Any]:
    """Every key that Redis has, with its content and how long it stays."""
    found: dict[bytes, Any] = {}
    for key in client.scan_iter():
        kind: Any = client.type(key)
        read = {b"hash": client.hgetall, b"set": client.smembers}.get(kind)
        content = client.lrange(key, 0, -1) if read is None else read(key)
        found[key] = (kind, client.ttl(key), content)
    client.flushdb()
    return found


@pytest.mark.parametrize("lane", LANES)
def test_a_ring_leaves_what_rq_leaves(company: Company, lane: Lane) -> None:
    doorbell = company.services.doorbell
    client = doorbell.client
    client.flushdb()
    job_id = doorbell.ring(7, lane, "push")
    job = Job.fetch(job_id, connection=client, serializer=JSONSerializer)
    assert (job.func_name, job.args, job.kwargs) == (TASK, [7, "push"], {})
    assert job.created_at == job.enqueued_at
    assert abs(datetime.now(UTC) - job.created_at) < timedelta(minutes=1)
    ours = left(client)
    doorbell.queue(lane).enqueue_call(
        TASK,
        args=(7, "push"),
        job_id=job_id,
        timeout=JOB_TIMEOUT_SECONDS[lane],
        result_ttl=0,
        failure_ttl=86_400,
    )
    theirs = left(client)
    for found in (ours, theirs):
        _, _, fields = found[Job.key_for(job_id).encode()]
        assert {len(fields.pop(name)) for name in MOMENTS} == {len("2026-12-01T13:21:03.992099Z")}
    assert ours == theirs
