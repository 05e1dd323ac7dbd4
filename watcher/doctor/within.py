"""The checks, run by the web process for one of its pages."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from watcher.doctor import bundle
from watcher.doctor.case import opened
from watcher.doctor.examine import Report, examine
from watcher.doctor.table import CHECKS
from watcher.errors import Elsewhere, UserError, sentence
from watcher.services import Clock
from watcher.settings import Loaded, Settings, load


@dataclass(frozen=True, kw_only=True, slots=True)
class Examined:
    """What was found ``at`` that time. ``contents`` is the file for a bug report."""

    at: datetime
    report: Report
    contents: dict[str, Any]


@dataclass(slots=True)
class Examination:
    """The last result of this process, and the way to a new one: one at a time, five seconds at
    the most. Thread-safe."""

    settings: Settings
    clock: Clock
    last: Examined | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, read: Callable[[], Loaded] = load) -> Examined:
        """Raises ``Elsewhere`` while another one is under way."""
        if not self._lock.acquire(blocking=False):
            raise Elsewhere(sentence("the checks are running already"))
        try:
            with opened(_of(self.settings, read), self.clock) as case:
                report = examine(case, CHECKS)
                contents = bundle.contents(case, report)
            self.last = Examined(at=self.clock(), report=report, contents=contents)
            return self.last
        finally:
            self._lock.release()


def _of(settings: Settings, read: Callable[[], Loaded]) -> Loaded:
    """The settings that this process runs with, and where they came from as long as it is found
    there."""
    try:
        now = read()
    except UserError:
        return Loaded(settings, {}, {})
    return now if now.settings == settings else Loaded(settings, {}, {})
