"""Google is read for several calendars side by side, by threads of the worker."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass
from functools import cache

from watcher.services import Services
from watcher.sync.attempt import Attempt, about
from watcher.sync.held import Wanted
from watcher.sync.outcome import Made
from watcher.sync.passes import PATIENCE, Pass, keep_lease, make_pass
from watcher.sync.reading import read_changes
from watcher.sync.story import Heard, Outcome

READERS = 5
"""So many calendars are read at the same time."""
PROMPT_SECONDS = 2.0
"""Whose answer takes longer is not waited for by the others."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A pass for which Google has been read. ``wanted`` is None where one call to ERPNext does not
    bring all rows."""

    attempt: Attempt
    p: Pass
    heard: Heard
    wanted: Wanted | None

    @property
    def calendar_id(self) -> int:
        return self.attempt.lease.calendar_id

    def made(self, outcome: Outcome) -> Made:
        return Made(attempt=self.attempt, p=self.p, outcome=outcome)


Reading = Future[Begun | None]
"""None: no changes are to be read, but a full listing."""


def read_side_by_side(services: Services, attempts: Mapping[int, Attempt]) -> dict[int, Reading]:
    """What Google has told, by calendar: those first of which it has promptly."""
    readings = {
        number: _readers().submit(copy_context().run, _read, services, attempt)
        for number, attempt in attempts.items()
    }
    wait(readings.values(), PROMPT_SECONDS)
    return dict(sorted(readings.items(), key=lambda each: not each[1].done()))


@cache
def _readers() -> ThreadPoolExecutor:
    """Of this process, made after any fork. They keep their connections to Google."""
    return ThreadPoolExecutor(READERS, "google")


def _read(services: Services, attempt: Attempt) -> Begun | None:
    with about(attempt):
        hold = keep_lease(services, attempt.mark, attempt.lease)
        p = make_pass(services, attempt.work, hold, PATIENCE["live"], attempt.paid)
        if p.kind == "snapshot":
            return None
        heard = Heard(reading=read_changes(p), at=time.monotonic())
        return Begun(attempt, p, heard, Wanted.of(p.basis, heard.reading))
