"""What RQ calls by name. Arguments are ids and plain words; what is owed is read in the ledger.

One process keeps its services, and with them its connections, warm between jobs.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from rq import get_current_job

from watcher.errors import Transient
from watcher.ledger.rings import Lane
from watcher.services import Services, build
from watcher.settings import Settings, load
from watcher.sync.attempt import End
from watcher.sync.together import work_off_together
from watcher.sync.work import work_off
from watcher.telemetry.spells import Spell

log = logging.getLogger(__name__)


_own: list[Services] = []
_spell = Spell()


def process_services(settings: Settings | None = None) -> Services:
    """This process's own; made when they are first asked for, after any fork, by these settings,
    else by those that are set now."""
    if not _own:
        _own.append(build(settings or load().settings))
    return _own[0]


def sync_calendar(calendar_id: int, reason: str) -> str:
    """Bring one calendar up to date; the function that RQ's jobs name. Returns one word, see
    ``End``."""
    job = get_current_job()
    lane: Lane = "live" if job is not None and job.origin == "live" else "backfill"
    try:
        end = work_off(process_services(), calendar_id, reason, lane)
    except Transient as error:
        # The ledger is away, so that nothing could be noted. The sweep brings the calendar back.
        log.log(_spell.failed(), "calendar %s not synced: %s", calendar_id, error.message)
        return End.FAILED
    _spell.over(log, "calendars are synced")
    return end


def sync_calendars(jobs: Mapping[int, str]) -> None:
    """As ``sync_calendar`` for several calendars (the reasons by their numbers), whose jobs waited
    one behind the other in the lane for pushes."""
    try:
        work_off_together(process_services(), jobs)
    except Transient as error:
        log.log(_spell.failed(), "some calendars were not synced: %s", error.message)
    else:
        _spell.over(log, "calendars are synced")
