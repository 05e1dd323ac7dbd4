"""One change at a time while nothing else happens: from Google to ERPNext, beside one bare
``events.list`` and one bare insert; and where the time of such a pass goes."""

from __future__ import annotations

import http.client
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import requests
from sqlalchemy import event as events_of
from sqlalchemy import func, select

from benchmarks.company import Company, Wanted, event, running, settled, until
from benchmarks.load import share
from benchmarks.rows import Options, Row
from benchmarks.table import Figure, Goal, between, number
from benchmarks.writing import calendar_of, timed
from watcher.accounts.verbs import add_delegated
from watcher.ledger import owing
from watcher.ledger.models import Run
from watcher.sync.work import work_off


def idle(options: Options) -> Iterator[Figure]:
    """New events, each when the one before is in ERPNext, by turns with both bare calls."""
    rounds = options.rounds(40, 12)
    with running(options) as company:
        [ann] = company.people
        through, bare = list[float](), list[float]()
        token = company.google.mint_access_token(ann)
        with requests.Session() as google:
            google.headers["Authorization"] = f"Bearer {token}"
            for turn in range(rounds + 2):
                company.rest()
                time.sleep(0.3)
                took = timed(lambda n=turn: _one_change(company, n))  # type: ignore[misc]
                alone = timed(lambda: _bare(company, google))
                if turn > 1:  # the first ones warm up
                    through.append(took * 1000)
                    bare.append(alone * 1000)
        company.rest()
        with company.services.db.reading() as session:
            runs = session.scalars(select(Run).order_by(Run.id.desc()).limit(rounds)).all()
        answered = company.load(company.notification(ann), seconds=60.0, connections=1, most=30)
    base = statistics.median(bare)
    more = sorted(each - base for each in through)
    received = [(run.lag_received or 0.0) * 1000 for run in runs]
    passed = [run.seconds * 1000 for run in runs]
    yield Figure(
        what="change at Google to ERPNext, nothing else to do, beyond one bare list and one bare "
        "insert: p50",
        values=[statistics.median(more)],
        unit="ms",
        goal=Goal(limit=60, noise=0.25),
        beside=f"whole {between(through, 'ms')}, bare {between(bare, 'ms')}; from the notification "
        f"on {between(received, 'ms')}, of which the pass {between(passed, 'ms')}; the "
        f"notification is answered within {number(answered.wait(0.5))} ms",
    )
    yield Figure(
        what="the same: p95",
        values=[share(more, 0.95)],
        unit="ms",
        goal=Goal(limit=250, noise=0.25),
    )


def _one_change(company: Company, turn: int) -> None:
    """A real site is not asked again and again, which would slow down the very write that is waited
    for: the diary has the pass as soon as ERPNext has answered."""
    begins, written = datetime.now(UTC).replace(microsecond=0), _written(company)
    begins += timedelta(days=20, hours=turn)
    made = company.google.insert_event(company.people[0], event(f"New {turn}", begins))
    if company.site is None:
        until(lambda: _written(company) > written, 60, "it does not arrive", 0.002)
        assert company.subjects([made])
    else:
        until(lambda: bool(company.subjects([made])), 60, "it does not arrive", 0.002)


def _written(company: Company) -> int:
    """How many new events passes have written."""
    with company.services.db.reading() as session:
        return session.scalar(select(func.sum(Run.created))) or 0


def _bare(company: Company, google: requests.Session) -> None:
    root = company.services.settings.google_api_url
    url = f"{root}/calendar/v3/calendars/{company.people[0]}/events"
    google.get(url, params={"maxResults": 1}, timeout=10).raise_for_status()
    document = {
        "doctype": "Event",
        "subject": "Bare",
        "starts_on": "2026-01-01 10:00:00",
        "event_type": "Public",
        "custom_google_account": company.people[0],
    }
    company.services.erpnext.insert(document)


@dataclass(slots=True)
class Steps:
    """Seconds that one pass has spent waiting for each side."""

    transactions: int = 0
    ledger: float = 0.0
    calls: dict[str, list[float]] = field(default_factory=dict)


@contextmanager
def traced(company: Company) -> Iterator[Steps]:
    """What runs in the block, in this thread, is taken apart."""
    steps, engine = Steps(), company.services.db.engine
    sent: dict[int, tuple[str, float]] = {}
    google = company.services.settings.google_api_url.rpartition(":")[2]
    put, answer = http.client.HTTPConnection.putrequest, http.client.HTTPConnection.getresponse
    begun: list[float] = []

    def sends(self: http.client.HTTPConnection, *args: Any, **kwargs: Any) -> None:
        side = "Google" if str(self.port) == google else "ERPNext"
        sent[id(self)] = (side, time.perf_counter())
        put(self, *args, **kwargs)

    def gets(self: http.client.HTTPConnection) -> Any:
        found = answer(self)
        side, since = sent.pop(id(self))
        steps.calls.setdefault(side, []).append(time.perf_counter() - since)
        return found

    def begin(_connection: Any) -> None:
        steps.transactions += 1
        begun.append(time.perf_counter())

    def end(_connection: Any) -> None:
        steps.ledger += time.perf_counter() - begun.pop()

    ways = {"begin": begin, "commit": end, "rollback": end}
    for name, way in ways.items():
        events_of.listen(engine, name, way)
    try:
        with (
            mock.patch.object(http.client.HTTPConnection, "putrequest", sends),
            mock.patch.object(http.client.HTTPConnection, "getresponse", gets),
        ):
            yield steps
    finally:
        for name, way in ways.items():
            events_of.remove(engine, name, way)


def steps(options: Options) -> Iterator[Figure]:
    """One edit after the other in this process, taken apart."""
    found, whole = list[Steps](), list[float]()
    with settled(options, Wanted(events=40)) as company:
        [ann] = company.people
        add_delegated(company.services, ann)
        number_of = calendar_of(company.services, ann)
        assert work_off(company.services, number_of, "added", "backfill") == "done"
        for turn in range(options.rounds(30, 10) + 1):
            company.edit(ann)
            with company.services.db.session() as session:
                owing.owe_looks(session, [number_of], "push", company.services.clock())
            with traced(company) as seen:
                began = time.perf_counter()
                assert work_off(company.services, number_of, "push", "live") == "done"
                took = time.perf_counter() - began
            if turn:  # the first one warms up
                found.append(seen)
                whole.append(took * 1000)
    ledger = [each.ledger * 1000 for each in found]
    sides = {
        side: [sum(each.calls.get(side, [])) * 1000 for each in found]
        for side in ("Google", "ERPNext")
    }
    own = [
        all_of - each.ledger * 1000 - 1000 * sum(sum(calls) for calls in each.calls.values())
        for all_of, each in zip(whole, found, strict=True)
    ]
    calls = {side: len(found[-1].calls.get(side, [])) for side in sides}
    yield Figure(
        what="transactions of the ledger for one edit",
        values=[float(statistics.median([each.transactions for each in found]))],
        goal=Goal(limit=5),
        beside=f"{between(ledger, 'ms')} in all",
    )
    yield Figure(
        what="a pass over one edit, in milliseconds of its own code",
        values=own,
        unit="ms",
        beside=f"whole {between(whole, 'ms')}: {calls['Google']} call of Google "
        f"{between(sides['Google'], 'ms')}, {calls['ERPNext']} of ERPNext "
        f"{between(sides['ERPNext'], 'ms')}, ledger {between(ledger, 'ms')}",
    )


ROWS = (
    Row("idle", "one change from Google to ERPNext at rest", idle),
    Row("steps", "where the time of one pass goes", steps),
)
