"""How fresh ERPNext is while employees change ten things a second, with the distances of a real
Google and a real ERPNext between; and what the first listing of a large company does to it."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Iterator

from sqlalchemy import select

from benchmarks.bursts import Arrivals
from benchmarks.company import WATCHER, Company, Wanted, running, until
from benchmarks.load import share
from benchmarks.rows import LeftOut, Options, Row
from benchmarks.table import Figure, Goal, number
from watcher.ledger.models import Run

CHANGES = 10.0
"""A second."""
GOOGLE, ERPNEXT = 0.15, 0.08
WORKERS = 6
SCALE = "BENCH_BACKFILL"
"""How many events the listings beside it have, where not as usual."""


def freshness(options: Options) -> Iterator[Figure]:
    """Changes at an even pace, first alone, then beside first listings of many events."""
    events = int(os.environ.get(SCALE, options.pick(40_000, 4_000, 400)))
    new = max(1, events // options.pick(1_000, 1_000, 100))
    seconds = options.pick(60, 12)
    wanted = Wanted(
        employees=options.pick(200, 40, 20),
        events=10,
        google=GOOGLE,
        erpnext=ERPNEXT,
        reads=ERPNEXT,
        up=("--workers", str(WORKERS)),
    )
    with running(options, wanted) as company:
        hires = company.hire(new, events // new)
        alone = _changes(company, seconds)
        parts = _parts(company)
        before = company.rows()
        company.folder.joinpath("hires.csv").write_text("email\n" + "\n".join(hires))
        words = ("accounts", "import", "--from", "hires.csv")
        # For each account of the import the stand-in of Google goes through a whole calendar. With
        # many of them it is busy for seconds and answers nobody else; the real one does.
        subprocess.run([*WATCHER, *words], env=company.env(), cwd=company.folder, check=True)
        until(lambda: company.rows() > before, 60, "no listing begins", 0.2)
        beside = _changes(company, seconds)
        listed, lasted = company.rows() - before, bool(company.busy(hires))
    if not alone or not beside:
        raise LeftOut("no change has arrived")
    takes = "the real one" if options.erpnext else "80 ms"
    calls = "" if options.erpnext else "one call of each alone takes 0.23 s; "
    yield Figure(
        what=f"{CHANGES:g} changes a second, Google 150 ms, ERPNext {takes}, {WORKERS} workers for "
        "pushes: Google to ERPNext, p50",
        values=[share(alone, 0.5)],
        unit="s",
        goal=Goal(limit=1, noise=0.2),
        beside=f"{calls}{parts}",
    )
    yield Figure(
        what="the same: p95",
        values=[share(alone, 0.95)],
        unit="s",
        goal=Goal(limit=4, noise=0.2),
        beside=f"the longest {number(alone[-1])} s, {number(len(alone))} changes",
    )
    yield Figure(
        what=f"p95 beside first listings of {number(events)} events, against alone",
        values=[share(beside, 0.95) / share(alone, 0.95)],
        unit="x",
        goal=Goal(limit=2, noise=0.2),
        beside=f"p50 {number(share(beside, 0.5))} s, p95 {number(share(beside, 0.95))} s, "
        f"{number(listed)} rows written meanwhile"
        + ("" if lasted else "; the listings were done before the end"),
    )


def _parts(company: Company) -> str:
    """Where the time went, by the diary of passes."""
    with company.services.db.reading() as session:
        pushed = Run.reason == "push", Run.lag_received.is_not(None)
        runs = session.scalars(select(Run).where(*pushed)).all()
    received = statistics.median(run.lag_received or 0.0 for run in runs)
    passed = statistics.median(run.seconds for run in runs)
    google = statistics.median(run.lag_google or 0.0 for run in runs)
    return (
        f"by the diary {google:.2f} s from Google, {received:.2f} s from the notification on, of "
        f"which the pass {passed:.2f} s"
    )


def _changes(company: Company, seconds: float) -> list[float]:
    """Sorted seconds from Google to ERPNext."""
    arrivals, turn = Arrivals(company), 0
    with arrivals.watched():
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            if turn > passed * CHANGES:
                time.sleep(0.01)
                continue
            arrivals.change(company.people[turn % len(company.people)])
            turn += 1
        until(lambda: not arrivals.made, 90, "changes do not arrive", 0.1)
    return sorted(arrivals.waits)


ROWS = (Row("freshness", "ten changes a second, and a large first listing beside", freshness),)
