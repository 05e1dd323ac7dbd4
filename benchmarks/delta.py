"""One change in a calendar with many events, beside one with few: what a push brings. And the same
change found by a full listing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from benchmarks.company import Company, Wanted, event, settled
from benchmarks.rows import Options, Row
from benchmarks.table import Figure, Goal, between, number
from benchmarks.writing import calendar_of
from watcher.accounts.verbs import add_delegated
from watcher.ledger import owing
from watcher.sync.work import work_off

FEW = 30


def delta(options: Options) -> Iterator[Figure]:
    """By turns: an edit in the calendar of few events, and one in each of the others."""
    sizes = [options.pick(1_500, 1_500, 300)] + ([] if options.quick else [50_000])
    with settled(options, Wanted(employees=1, events=FEW)) as company:
        people = {FEW: company.people[0]}
        for size in sizes:
            people[size] = _fill(company, size)
        numbers = {}
        for size, email in people.items():
            add_delegated(company.services, email)
            numbers[size] = calendar_of(company.services, email)
            assert work_off(company.services, numbers[size], "bench") == "done"
        taken: dict[int, list[float]] = {size: [] for size in people}
        listing = []
        for turn in range(options.rounds(15, 7) + 1):
            for size, email in people.items():
                seconds = _edit(company, email, numbers[size])
                if turn:  # the first one warms up
                    taken[size].append(seconds * 1000)
            listing.append(_edit(company, people[sizes[0]], numbers[sizes[0]], whole=True) * 1000)
    for size in sizes:
        pairs = zip(taken[size], taken[FEW], strict=True)
        yield Figure(
            what=f"a pass over 1 change in {number(size)} events, against 1 in {FEW}",
            values=[many / few for many, few in pairs],
            unit="x",
            goal=Goal(limit=1.2, noise=0.1),
            beside=f"{FEW}: {between(taken[FEW], 'ms')}, {number(size)}: "
            f"{between(taken[size], 'ms')}"
            + (f"; by a full listing {between(listing, 'ms')}" if size == sizes[0] else ""),
        )


def _fill(company: Company, size: int) -> str:
    """Somebody with many events: of many thousand most lie before the window, as in a calendar that
    is old."""
    inside = min(size, 1_500)
    email = company.hired(f"many{size}", inside)
    begins = datetime.now(UTC).replace(microsecond=0) - timedelta(days=30)
    for n in range(size - inside):
        old = event(f"Past {n}", begins - timedelta(minutes=30 * n))
        company.google.insert_event(email, old)
    return email


def _edit(company: Company, email: str, calendar: int, *, whole: bool = False) -> float:
    company.edit(email)
    if whole:
        with company.services.db.session() as session:
            owing.owe_listings(session, [calendar], "bench", company.services.clock())
    began = time.perf_counter()
    assert work_off(company.services, calendar, "push") == "done"
    return time.perf_counter() - began


ROWS = (Row("delta", "one change among many events against one among few", delta),)
