"""A company group on one machine: its accounts imported by delegation, and how many changes a
second it keeps up with; what the import, each account and each change cost."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.company import Company, Wanted, settled, until
from benchmarks.rows import Options, Row
from benchmarks.table import Figure, Goal, number

EMPLOYEES, CHANGES_A_DAY = 5_000, 20
FASTER = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """Seconds for each account of one import: of the command by the clock and of CPU, of CPU of all
    processes until everybody was mirrored and watched; and how long that took in all."""

    people: int
    clock: float
    command: float
    cpu: float
    mirrored: float


def group(options: Options) -> Iterator[Figure]:
    """Two imports, the second into a company that is there; then a change for each of many."""
    many = options.pick(2_000, 80, 40)
    first, rest = many // 4, many - many // 4
    # The cap of new channels a minute is Google's sake: here the machine is measured.
    wanted = Wanted(employees=0, known=many, events=10, settings={"RENEW_PER_MINUTE": "100000"})
    with settled(options, wanted) as company, company.up():
        people = list(company.events)
        one = import_all(company, people[:first])
        two = import_all(company, people[first:])
        memory = company.memory()
        company.people[:] = people
        ledger = ledger_size(company)
        replayed = _replay(company, options.pick(1_000, 100))
        wrong = company.wrong(people[: min(many, 100)])
    wanted_rate = EMPLOYEES * CHANGES_A_DAY * FASTER / 86_400
    yield Figure(
        what=f"an import of {number(rest)} accounts into a company of {number(first)}: by the "
        "clock, for each",
        values=[two.clock * 1000],
        unit="ms",
        goal=Goal(limit=20, noise=0.3),
        beside=f"the first {number(first)}: {number(one.clock * 1000)} ms; CPU of the command "
        f"{number(two.command * 1000)} ms",
    )
    yield Figure(
        what="CPU for each account, from the import until it is mirrored (10 events) and watched",
        values=[two.cpu * 1000],
        unit="ms",
        goal=Goal(limit=60, noise=0.2),
        beside=f"all of them after {number(two.mirrored)} s",
    )
    yield Figure(
        what="the same, against the first quarter of them",
        values=[two.cpu / one.cpu],
        unit="x",
        goal=Goal(limit=1.1, noise=0.1),
        beside=f"the first: {number(one.cpu * 1000)} ms",
    )
    yield Figure(
        what=f"memory of all processes with {number(many)} accounts (PSS)",
        values=[memory],
        unit="MiB",
        goal=Goal(limit=1024),
        beside=f"the ledger {number(ledger)} MiB",
    )
    yield Figure(
        what="changes a second without a backlog, each in another calendar, 2 workers for pushes",
        values=[replayed.rate],
        unit="/s",
        # How fast a real site writes is not Watcher's to promise.
        goal=None if options.erpnext else Goal(limit=wanted_rate, at_least=True, noise=0.2),
        beside=f"{number(EMPLOYEES)} employees with {CHANGES_A_DAY} changes a day make "
        f"{number(wanted_rate / FASTER)} /s; {FASTER} times faster {number(wanted_rate)} /s; "
        f"a change costs {number(replayed.calls)} calls of Google's and CPU: Watcher and its queue "
        f"{number(replayed.cpu * 1000)} ms, both stand-ins {number(replayed.stand_ins * 1000)} ms, "
        f"of {number(1000 * (os.cpu_count() or 1) / wanted_rate)} ms that the cores have for each "
        f"at that rate; {wrong} events wrong",
    )


def import_all(company: Company, people: list[str]) -> Imported:
    file = company.folder / "people.csv"
    file.write_text("email\n" + "\n".join(people))
    before, there, began = company.cpu(), company.watched(), time.monotonic()
    clock, command = company.run("accounts", "import", "--from", str(file))
    seconds = 120 + len(people)
    until(lambda: company.watched() >= there + len(people), seconds, "not all are watched", 0.5)
    company.rest(seconds)
    many = len(people)
    return Imported(
        people=many,
        clock=clock / many,
        command=command / many,
        cpu=(company.cpu() - before + command) / many,
        mirrored=time.monotonic() - began,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """Changes a second; for each, calls of Google's, and seconds of CPU of Watcher's processes (the
    embedded queue among them) and of this one, in which the stand-ins are."""

    rate: float
    calls: float
    cpu: float
    stand_ins: float


def _replay(company: Company, many: int) -> Replayed:
    people = company.people[:many]
    calls, before, began = company.calls(), company.cpu(), time.monotonic()
    theirs = time.process_time()
    for email in people:
        company.edit(email)
    company.google.wait_pushes(120)
    company.rest(120 + many)
    taken = time.monotonic() - began
    made = len(people)
    return Replayed(
        rate=made / taken,
        calls=(company.calls() - calls) / made,
        cpu=(company.cpu() - before) / made,
        stand_ins=(time.process_time() - theirs) / made,
    )


def ledger_size(company: Company) -> float:
    """MiB of an SQLite ledger; 0 where it is another one."""
    files = Path(company.environ["WATCHER_DATA_DIR"]).glob("ledger.sqlite3*")
    return sum(file.stat().st_size for file in files) / 2**20


ROWS = (Row("group", "thousands of accounts imported, and their changes", group, minutes=15),)
