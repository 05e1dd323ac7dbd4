"""One edit of a shared meeting rings every calendar that holds it: thousands of notifications for
hundreds of calendars within seconds, while other employees change things of their own."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.pool import AsyncResult

from sqlalchemy import select

from benchmarks.company import Company, Wanted, running, until
from benchmarks.load import Answered, Load, drive, share
from benchmarks.rows import Options, Row
from benchmarks.table import Figure, Goal, number
from watcher.handlers.pace import CROWD_SECONDS
from watcher.ledger.models import Account, Calendar, Run

SECONDS = 10.0
OTHERS = 60
EACH = 50
"""Notifications for each calendar."""


@dataclass(slots=True)
class Arrivals:
    """When changes were made at Google, and when ERPNext had each of them (monotonic seconds)."""

    company: Company
    made: dict[tuple[str, str], float] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def change(self, email: str) -> bool:
        """False when all events of this employee are still on their way: none was changed."""
        under_way = {event_id for event_id, _ in self.made}
        for event_id in self.company.events[email]:
            if event_id not in under_way:
                self.made[self.company.edit(email, event_id)] = time.monotonic()
                return True
        return False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """For the time of the block ERPNext's rows are looked into, again and again."""
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.stop.set()
            thread.join()

    def _watch(self) -> None:
        while not self.stop.wait(0.02):
            self.look()

    def look(self) -> None:
        under_way = list(self.made.items())
        titles = self.company.subjects({changed for (changed, _), _ in under_way})
        for (changed, title), since in under_way:
            if titles.get(changed) == title:
                self.waits.append(time.monotonic() - since)
                del self.made[changed, title]


def burst(options: Options) -> Iterator[Figure]:
    """Every calendar's meeting is edited, and each is told of fifty times, in any order."""
    many = options.pick(400, 80)
    told = many * EACH
    seconds = SECONDS * told / 20_000
    wanted = Wanted(employees=many + OTHERS, events=5, erpnext=0.02)
    with running(options, wanted) as company:
        shared = company.people[:many]
        company.google.set_push_faults(drop=1.0)  # of these the notifications here tell
        for email in shared:
            company.edit(email)
        asked = tuple(company.notification(email) for email in _any_order(shared))
        # Whoever was told of within so many seconds counts as told of again: Google's first
        # messages on the channels that were just opened are no edits of others.
        time.sleep(CROWD_SECONDS)
        arrivals = Arrivals(company)
        load = Load(
            port=company.port, requests=asked, seconds=120.0, most=told, pace=told / seconds
        )
        began = time.monotonic()
        syncs = _passes(company)
        ended = company.pool.apply_async(drive, (load,))
        with arrivals.watched():
            answered = _meanwhile(company, arrivals, shared, ended)
            drained = time.monotonic() - began - answered.seconds
            until(lambda: not arrivals.made, 60, "changes of others do not arrive", 0.1)
        wrong = company.wrong()
        passes = _passes(company)
    made = sum(passes.get(e, 0) - syncs.get(e, 0) for e in shared)
    yield from _figures(many, answered, drained, made, sorted(arrivals.waits), wrong)


def _any_order(people: list[str]) -> list[str]:
    return secrets.SystemRandom().sample(people, len(people))


def _meanwhile(
    company: Company, arrivals: Arrivals, shared: list[str], ended: AsyncResult[Answered]
) -> Answered:
    """One change a quarter of a second of somebody else's, until the burst is worked off."""
    others, turn = company.people[len(shared) :], 0
    deadline = time.monotonic() + 180
    while not ended.ready() or company.busy(shared):
        time.sleep(0.25)
        email = others[turn % len(others)]
        turn += 1
        if arrivals.change(email):
            company.send(company.notification(email))
        if time.monotonic() > deadline:
            raise SystemExit("the burst is not worked off")
    return ended.get()


def _passes(company: Company) -> Mapping[str, int]:
    """Passes by employee so far."""
    found: dict[str, int] = {}
    with company.services.db.reading() as session:
        of_whom = select(Account.email).select_from(Run)
        of_whom = of_whom.join(Calendar, Run.calendar_id == Calendar.id)
        for (email,) in session.execute(of_whom.join(Account, Calendar.account_id == Account.id)):
            found[email] = found.get(email, 0) + 1
    return found


def _figures(
    many: int, answered: Answered, drained: float, made: int, waits: list[float], wrong: int
) -> Iterator[Figure]:
    told = len(answered.waits)
    bad = told - answered.statuses.get(204, 0)
    yield Figure(
        what=f"{number(told)} notifications over {many} calendars in {answered.seconds:.0f} s: not "
        "answered by 204",
        values=[bad],
        goal=Goal(limit=0),
        beside=f"99 of 100 acknowledged within {number(answered.wait(0.99))} ms",
    )
    yield Figure(what="passes over these calendars", values=[made], goal=Goal(limit=2 * many))
    yield Figure(
        what="all of it is in ERPNext after the last of them within (20 ms a write)",
        values=[drained],
        unit="s",
        goal=Goal(limit=60, noise=0.2),
    )
    yield Figure(
        what="changes of other employees meanwhile, Google to ERPNext: p95",
        values=[share(waits, 0.95)],
        unit="s",
        goal=Goal(limit=4, noise=0.2),
        beside=f"p50 {number(share(waits, 0.5))} s, the longest {number(waits[-1])} s, "
        f"{len(waits)} changes",
    )
    yield Figure(what="events that are wrong at the end", values=[wrong], goal=Goal(limit=0))


PACE = "its aims are for an ERPNext that takes 20 ms for a write"
ROWS = (Row("burst", "20,000 notifications over 400 calendars", burst, PACE),)
