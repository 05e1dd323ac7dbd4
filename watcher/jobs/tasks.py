"""What RQ calls by name. Arguments are ids and plain words; what is owed is read in the ledger.

One process keeps its services, and with them its connections, warm between jobs.
"""

from __future__ import annotations

import functools
import logging

from rq import get_current_job

from watcher.errors import Transient
from watcher.ledger.rings import Lane
from watcher.services import Services, build
from watcher.settings import load
from watcher.sync.attempt import End
from watcher.sync.work import work_off

log = logging.getLogger(__name__)


@functools.lru_cache(maxsize=1)
def process_services() -> Services:
    """This process's own; made at the first job, after any fork."""
    return build(load().settings)


def sync_calendar(calendar_id: int, reason: str) -> str:
    """Bring one calendar up to date; the function that RQ's jobs name. Returns one word, see
    ``End``."""
    job = get_current_job()
    lane: Lane = "live" if job is not None and job.origin == "live" else "backfill"
    try:
        return work_off(process_services(), calendar_id, reason, lane)
    except Transient as error:
        # The ledger is away, so that nothing could be noted. The sweep brings the calendar back.
        log.warning("calendar %s not synced: %s", calendar_id, error.message)
        return End.FAILED
