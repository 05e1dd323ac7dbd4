"""One try to work a calendar's debt off: under which lease, for which debt, since when."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime

from watcher.ledger.calendars import Work
from watcher.ledger.leases import CalendarLease


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """``is_watched``: a channel tells of the calendar's changes, or none is to be asked for now.
    ``started`` is by the clock, ``mark`` on the monotonic one."""

    lease: CalendarLease
    work: Work
    is_watched: bool
    started: datetime
    mark: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """So long it has taken so far."""
        return time.monotonic() - self.mark
