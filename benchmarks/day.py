"""A day of a company group, a hundred times faster: 5,000 employees, each with 20 changes, at an
even pace. Whether changes pile up, and what all of it takes of memory and disk."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import select

from benchmarks.company import Company, Wanted, settled
from benchmarks.group import CHANGES_A_DAY, EMPLOYEES, FASTER, import_all, ledger_size
from benchmarks.load import share
from benchmarks.rows import Options, Row
from benchmarks.table import Figure, Goal, number
from watcher.ledger.models import Run

A_SECOND = EMPLOYEES * CHANGES_A_DAY * FASTER / 86_400
LOOK_SECONDS = 1.0


@dataclass(slots=True)
class Day:
    """``owing`` is how many calendars were not up to date, second by second; ``seconds`` how long
    the changes were made, ``after`` how long the last of them took from then on. ``cpu`` is what
    Watcher and its queue took, ``stand_ins`` this process: one that is near ``seconds`` has no more
    to give, since Python carries out one thread of a process at a time."""

    made: int = 0
    seconds: float = 0.0
    after: float = 0.0
    late: float = 0.0
    cpu: float = 0.0
    stand_ins: float = 0.0
    owing: list[int] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)


def day(options: Options) -> Iterator[Figure]:
    """All employees imported; then one change after the other, whoever's turn it is."""
    # Of fewer people each would be told of so often that they count as a crowd.
    many = options.pick(EMPLOYEES, 700, 40)
    changes = options.pick(EMPLOYEES * CHANGES_A_DAY, 2 * many)
    # The cap of new channels a minute is Google's sake: here the machine is measured.
    wanted = Wanted(employees=0, known=many, events=10, settings={"RENEW_PER_MINUTE": "100000"})
    with settled(options, wanted) as company, company.up():
        company.people[:] = list(company.events)
        imported = import_all(company, company.people).mirrored
        before = company.calls()
        lived = _live(company, changes)
        calls = (company.calls() - before) / lived.made
        memory, ledger, wrong = company.memory(), ledger_size(company), company.wrong()
    yield Figure(
        what=f"{number(many)} employees, {number(lived.made)} changes at {number(A_SECOND)} a "
        f"second ({CHANGES_A_DAY} a day for each of {number(EMPLOYEES)}, {FASTER} times faster): "
        "made in a second",
        values=[lived.made / lived.seconds],
        unit="/s",
        goal=Goal(limit=A_SECOND, at_least=True, noise=0.05),
        beside=f"all of them mirrored and watched {number(imported)} s after the import had begun; "
        f"the latest was made {number(lived.late)} s after its turn",
    )
    yield Figure(
        what="all of it is in ERPNext after the last of them within",
        values=[lived.after],
        unit="s",
        goal=Goal(limit=5, noise=0.2),
        beside=f"calendars that were behind, second by second: median "
        f"{number(share(sorted(lived.owing), 0.5))}, at most {number(max(lived.owing))}; "
        f"{number(calls)} calls of Google's a change; CPU of Watcher and its queue "
        f"{number(lived.cpu / lived.seconds)} of {os.cpu_count()} cores, of the process with both "
        f"stand-ins {number(lived.stand_ins / lived.seconds)} of the one that it can use",
    )
    yield Figure(
        what="Google to ERPNext meanwhile, by the diary: p95",
        values=[share(lived.lags, 0.95)],
        unit="s",
        goal=Goal(limit=4, noise=0.2),
        beside=f"p50 {number(share(lived.lags, 0.5))} s, the longest {number(lived.lags[-1])} s",
    )
    yield Figure(
        what="memory of all processes at the end (PSS)",
        values=[memory],
        unit="MiB",
        goal=Goal(limit=1024),
        beside=f"the ledger {number(ledger)} MiB",
    )
    yield Figure(what="events that are wrong at the end", values=[wrong], goal=Goal(limit=0))


def _live(company: Company, changes: int) -> Day:
    lived, turns = Day(made=changes), list(company.people)
    random.shuffle(turns)
    began, looked = time.monotonic(), 0.0
    used, own = company.cpu(), time.process_time()
    with company.services.db.reading() as session:
        first = session.scalar(select(Run.id).order_by(Run.id.desc()).limit(1)) or 0
    for n in range(changes):
        due, now = began + n / A_SECOND, time.monotonic()
        if due > now:
            time.sleep(due - now)
        lived.late = max(lived.late, now - due)
        company.edit(turns[n % len(turns)])
        if time.monotonic() - looked > LOOK_SECONDS:
            lived.owing.append(company.busy())
            looked = time.monotonic()
    lived.seconds = time.monotonic() - began
    lived.cpu, lived.stand_ins = company.cpu() - used, time.process_time() - own
    company.google.wait_pushes(120)
    company.rest(600)
    lived.after = time.monotonic() - began - lived.seconds
    with company.services.db.reading() as session:
        lags = select(Run.lag_google).where(Run.id > first, Run.lag_google.is_not(None))
        lived.lags = sorted(lag for lag in session.scalars(lags) if lag is not None)
    return lived


ROWS = (Row("day", "a day of 5,000 employees, a hundred times faster", day, minutes=50),)
