"""Calendars that are told of without end: they are synced at a bounded pace, not back to back.

The first notification wakes a worker at once. When many more have come by the time that he begins
to read, the next pass waits until they cease for a moment, or for some seconds at the most; so a
flood costs a few listings, and the last change waits for less than a second.

One edit of a shared meeting has every calendar told of again and again that holds it: hundreds at
once. Each of them is read at once, and then again when it is told of no more: in between nothing
new is likely, and all of them wait for each other. Whose change was told of once meanwhile does not
wait behind all of these: the job moves to the front, until the last of them is worked off.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from watcher.errors import Transient, contained
from watcher.ledger import calendars
from watcher.services import Services

log = logging.getLogger(__name__)

MANY = 10
MANY_A_SECOND = 15.0
QUIET_SECONDS = 0.5
TICK_SECONDS = 0.1
FORGOTTEN_SECONDS = 60.0
REMEMBERED = 1_000

CROWD = 20
"""So many calendars that were rung within ``CROWD_SECONDS``, and are told of again and again, are a
crowd: whoever is told of once overtakes them."""
CROWD_SECONDS = 5.0
RUSH_SECONDS = 1.0
"""So many that were rung within a second may be one."""
CROWD_REMEMBERED = 60.0
"""So long its jobs may wait, after the last notification, and others overtake them."""
RINGS_AT_ONCE = 20
"""Of those that wait for a ring no more in one tick: those who overtake wait for the next tick."""
ALONE_AFTER = 0.7
"""Seconds after which a calendar that was told of once counts as such: those of a crowd have been
told of again by then."""

Monotonic = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Rest:
    """Seconds without a notification after which a calendar is rung, and so many at the most."""

    quiet: float
    longest: float


FLOOD, UNSURE, CROWDED = Rest(QUIET_SECONDS, 6.0), Rest(1.0, 20.0), Rest(3.0, 20.0)
"""``LONGEST_PACE`` is the longest."""


@dataclass(slots=True)
class _Told:
    """``count`` notifications have come since ``since`` that nothing was written for; ``waits``:
    the calendar's debt was written at ``since``, and a ring of ours is due. ``job`` was rung for it
    then, and has not overtaken others; ``again``: it had been told of shortly before. ``written``
    is when a debt was written last."""

    since: float
    last: float
    count: int = 0
    waits: bool = False
    job: str = ""
    again: bool = False
    written: float = float("-inf")
    rest: Rest = FLOOD
    turn: threading.Lock = field(default_factory=threading.Lock)


class Pace:
    """What this process knows of how often its calendars are told of. Thread-safe. The debt and the
    end of the pause are in the ledger: when this process is killed, the sweep rings."""

    def __init__(self, services: Services, monotonic: Monotonic = time.monotonic) -> None:
        self._services = services
        self._now = monotonic
        self._lock = threading.Lock()
        self._told: dict[int, _Told] = {}
        self._remembered = REMEMBERED
        self._rings: deque[float] = deque(maxlen=CROWD)
        self._crowded_at = self._rushed_at = -CROWD_SECONDS
        self._thread: threading.Thread | None = None

    def coalesced(self, calendar_id: int) -> int:
        """A notification that a waiting job will serve; returns which one it is since the last for
        which something was written."""
        told = self._of(calendar_id)
        told.count += 1
        told.last = self._now()
        return told.count

    def turn(self, calendar_id: int) -> threading.Lock:
        """To be held by who writes for this calendar: of many that come at once one need write."""
        return self._of(calendar_id).turn

    def now(self) -> float:
        """On the clock of ``was_written``."""
        return self._now()

    def was_written(self, calendar_id: int, since: float) -> bool:
        """Whether a debt of this calendar was written since a moment that ``now`` gave."""
        return self._of(calendar_id).written >= since

    def until(self, calendar_id: int) -> datetime | None:
        """The moment until which no pass is to begin for a change that is told of now; None when
        the calendar is not told of again and again."""
        told, now = self._of(calendar_id), self._now()
        rate, pause = told.count / max(now - told.since, 0.001), now - told.last
        if told.count >= MANY and rate >= MANY_A_SECOND and pause <= FLOOD.quiet:
            told.rest = FLOOD
        elif self._is_of_crowd(told, now) and pause <= CROWDED.quiet:
            told.rest = CROWDED
        elif self._may_be_of_crowd(told, now):
            told.rest = UNSURE
        else:
            return None
        return self._services.clock() + timedelta(seconds=told.rest.longest)

    def _is_of_crowd(self, told: _Told, now: float) -> bool:
        """Not by its second notification: Google may send two for one change."""
        return (told.again or told.count > 1) and now - self._crowded_at < CROWD_SECONDS

    def _may_be_of_crowd(self, told: _Told, now: float) -> bool:
        """The second notification of a calendar, while many are told of. If it comes with no others
        it tells, as good as always, once more of the change that is being read already."""
        since, crowded = min(told.written, told.last), max(self._crowded_at, self._rushed_at)
        return now - since < CROWD_SECONDS and now - crowded < CROWD_SECONDS

    def recorded(self, calendar_id: int, *, paced: bool) -> None:
        """The debt is written. ``paced``: with a pause, after which it is rung from here."""
        told, now = self._of(calendar_id), self._now()
        told.again = bool(told.count or told.job) and now - told.last < CROWD_SECONDS
        told.since = told.last = told.written = now
        told.count, told.waits, told.job = 0, paced, ""
        if paced:
            self._begin()

    def rung(self, calendar_id: int, job_id: str) -> None:
        """A worker was woken for what was recorded last."""
        self._of(calendar_id).job = job_id
        now = self._now()
        self._rings.append(now)
        if len(self._rings) == CROWD and now - self._rings[0] < CROWD_SECONDS:
            self._begin()
            if now - self._rings[0] < RUSH_SECONDS:
                self._rushed_at = now

    def opened(self, calendar_id: int) -> None:
        """What was noted last was Google's first message on a new channel, which tells of no
        change: the change that comes next is the first one."""
        told = self._of(calendar_id)
        if told.count <= 1 and not told.waits:
            told.count, told.again = 0, False
            told.last = self._now() - CROWD_SECONDS

    def ring_due(self) -> None:
        """Ring for calendars that are no longer told of, or have waited for long enough."""
        now = self._now()
        with self._lock:
            waiting = [(number, told) for number, told in self._told.items() if told.waits]
        for _, told in waiting:
            if told.rest is UNSURE and told.count:
                told.rest = CROWDED
        due = [
            (number, told)
            for number, told in waiting
            if now - told.since >= told.rest.longest - QUIET_SECONDS
            or now - told.last >= told.rest.quiet
        ]
        due.sort(key=lambda each: each[1].since)
        for number, told in due[:RINGS_AT_ONCE]:
            told.waits = not contained(partial(self._ring, number), lambda _: False)

    def let_pass(self) -> int:
        """Jobs of calendars that were told of once overtake those of a crowd; returns how many."""
        now = self._now()
        with self._lock:
            known = list(self._told.values())
        again = [now - told.last for told in known if told.again or told.count]
        if sum(pause < CROWD_SECONDS for pause in again) >= CROWD:
            self._crowded_at = now
        crowd = sum(pause < CROWD_REMEMBERED for pause in again)
        alone = [
            told
            for told in known
            if told.job and not told.again and not told.count and now - told.since >= ALONE_AFTER
        ]
        if crowd < CROWD:
            return 0
        # Each time all of them, the one that waits longest first: whoever turns out to be of the
        # crowd after all falls behind again.
        alone.sort(key=lambda told: told.since)
        jobs = [told.job for told in alone]
        waiting = self._services.doorbell.move_to_front("live", jobs, most=crowd)
        for told, job in zip(alone, jobs, strict=True):
            if job not in waiting and told.job == job:
                told.job = ""
        return len(waiting) if len(waiting) <= crowd else 0

    def _ring(self, calendar_id: int) -> bool:
        """False when it is to be tried again."""
        services = self._services
        try:
            with services.db.session() as session:
                calendars.end_pace(session, calendar_id)
            if not services.doorbell.ring(calendar_id, "live", "push"):
                with services.db.session() as session:
                    calendars.not_rung(session, calendar_id)
        except Transient as error:
            log.warning("a worker is woken later for one calendar: %s", error.message)
            return False
        return True

    def _of(self, calendar_id: int) -> _Told:
        with self._lock:
            told = self._told.get(calendar_id)
            if told is None:
                now = self._now()
                if len(self._told) >= self._remembered:
                    self._forget(now)
                told = self._told[calendar_id] = _Told(now, now)
            return told

    def _forget(self, now: float) -> None:
        self._told = {
            number: told
            for number, told in self._told.items()
            if told.waits or now - told.last < FORGOTTEN_SECONDS
        }
        # Of very many at once none can be forgotten: do not look through all at each new one.
        self._remembered = max(REMEMBERED, 2 * len(self._told))

    def _begin(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        """Lives as long as a calendar waits, or a crowd may be there."""
        while True:
            time.sleep(TICK_SECONDS)
            self.ring_due()
            self.let_pass()
            with self._lock:
                crowded = self._rings and self._now() - self._rings[-1] < CROWD_SECONDS
                if not crowded and not any(told.waits for told in self._told.values()):
                    self._thread = None
                    return
