"""The ticker: periodic work under a lease in the ledger, so that two tickers do no harm.

``rq cron`` pickles its jobs and takes no lock; this is all that is needed instead. Ringing,
calling Google and telling people have a thread each, so that a slow Google or mail server never
delays a sweep.
"""

from __future__ import annotations

import logging
import math
import threading
import time

from watcher.errors import WatcherError
from watcher.jobs import pulse
from watcher.jobs.timetable import Periodic, timetable
from watcher.ledger import away, leases, presence, runs
from watcher.processes.signals import stop_event
from watcher.services import Services, build
from watcher.settings import Settings
from watcher.telemetry import log as logs
from watcher.telemetry.spells import Spell

log = logging.getLogger(__name__)

LEASE_SECONDS = 30.0
STEP_SECONDS = 0.5
PROLONG_SECONDS = 5.0
"""How old a lease may be before it is prolonged: to do so at every step would write six times a
second while there is nothing to do."""


def run_one(services: Services, work: Periodic) -> None:
    """Run one piece of periodic work and note in the ledger how it went."""
    error, failed = "", None
    try:
        work.run(services)
    except WatcherError as failure:
        error, failed = failure.message, failure
    except Exception as failure:
        error = type(failure).__name__
        log.exception("%s failed unexpectedly", work.name)
    now = services.clock()
    with services.db.session() as session:
        runs.tick(session, work.name, now, error)
        level = away.level_of(session, failed, now) if failed else logging.NOTSET
    if failed is not None:
        log.log(level, "%s failed: %s", work.name, failed.message)


def _tick(
    services: Services,
    lease: str,
    rows: tuple[Periodic, ...],
    stop: threading.Event,
) -> None:
    due, spell = {work.name: 0.0 for work in rows}, Spell()
    taken = -math.inf
    while not stop.wait(STEP_SECONDS):
        try:
            if time.monotonic() - taken >= PROLONG_SECONDS:
                with services.db.session() as session:
                    ours = leases.take(services.db, session, lease, services.owner, LEASE_SECONDS)
                spell.over(log, f"the work of {lease} goes on")
                if not ours:
                    stop.wait(5.0)
                    continue
                taken = time.monotonic()
            for work in rows:
                if time.monotonic() >= due[work.name] and not stop.is_set():
                    run_one(services, work)
                    due[work.name] = time.monotonic() + work.seconds
        except WatcherError as error:
            log.log(spell.failed(), "the work of %s waits: %s", lease, error.message)
            stop.wait(5.0)
    try:
        with services.db.session() as session:
            leases.drop(session, lease, services.owner)
    except WatcherError as error:
        log.info("lease left to lapse: %s", error.message)


def serve(settings: Settings) -> int:
    """Tick until SIGTERM or SIGINT. Returns the exit code."""
    logs.configure(settings.log_format, logs.LEVELS[settings.log_level])
    services = build(settings)
    stop = stop_event()
    beats = pulse.Pulse(services, pulse.myself(presence.CRON))
    beats.begin()
    threads = [
        threading.Thread(target=_tick, args=(services, lease, row, stop))
        for lease, row in timetable(services).items()
    ]
    for thread in threads:
        thread.start()
    while not stop.wait(1.0):
        if not all(thread.is_alive() for thread in threads):
            # A defect has ended one of them: whoever supervises us starts all anew.
            log.error("a row of the timetable has ended, cron ends with it")
            stop.set()
            return 1
    for thread in threads:
        thread.join(timeout=20)
    beats.end()
    return 0
