"""Random histories of six calendars, whose passes are made together and alone in turns, while
Google and ERPNext fail, people go on editing and workers are killed. At the end ERPNext holds what
Google holds, nothing private, and nothing is owed."""

from __future__ import annotations

import logging
import random
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import pytest
from rq.job import Job
from rq.serializers import JSONSerializer
from sqlalchemy import text

from tests.company import DOMAIN, Company
from tests.histories import CANARY, REOPENED, History, difference
from tests.integration.test_jobs_leases import at_once
from tests.integration.test_lock_order import another_process
from watcher.errors import WatcherError
from watcher.google import client as google_client
from watcher.google.client import Patience
from watcher.jobs import erasures, timetable
from watcher.ledger import inbox, rings
from watcher.ledger.models import Calendar, Quarantined
from watcher.services import Services
from watcher.sync import passes, side_by_side
from watcher.sync.together import work_off_together
from watcher.sync.work import work_off
from watcher.waiting import Backoff

ZONES = {
    f"person{n}@{DOMAIN}": zone
    for n, zone in enumerate(
        [
            "Asia/Kolkata",
            "America/New_York",
            "Pacific/Chatham",
            "Europe/Berlin",
            "UTC",
            "Asia/Tokyo",
        ]
    )
}
ROUNDS = 10
AT_REST_AFTER = 40
"""So many times the clock is moved on at the most."""


class Killed(BaseException):
    """A worker ends in the midst of its work: it can store nothing any more."""


class Fleet:
    """Six calendars, what happens to them, and what processes of Watcher's would do, one after the
    other in this thread: the web server, workers of both lanes, cron."""

    def __init__(self, company: Company, seed: int) -> None:
        self.company, self.services = company, company.services
        self.rng = random.Random(f"together {seed}")
        self.history = History(company, seed, ZONES)
        company.setup_erpnext()
        for email in ZONES:
            company.google.add_user(email, time_zone=ZONES[email])
            company.site.add_user(email)
            company.add(email)
            assert company.sync(email) == "done"
        self.titles = defaultdict[tuple[str, str], set[str]](set)
        self.edits_to_come = 0

    # --- people -------------------------------------------------------------------------------

    def edit(self) -> None:
        """Somebody does something, of which Google mostly tells."""
        email = self.history.edit()
        for event in self.history.known[email]:
            self.titles[email, event].add(self.company.google.get_event(email, event)["summary"])
        if self.rng.random() < 0.85:
            self.told(email)

    def hidden_titles(self) -> list[str]:
        """That events had which are private now."""
        google = self.company.google
        return [
            title
            for email, events in self.history.known.items()
            for event in events
            if google.get_event(email, event).get("visibility") == "private"
            for title in self.titles[email, event]
            if title != REOPENED
        ]

    def kept_by_erpnext(self) -> str:
        """All but the search index: a row that ERPNext refuses to mask is deleted as it is, and the
        index may learn its title afterwards."""
        lines = self.company.site.dump().splitlines()
        return "\n".join(line for line in lines if "tab__global_search" not in line)

    def told(self, email: str) -> None:
        """What the web server does."""
        for channel in self.company.google.live_channels(email):
            message = inbox.Message(
                channel_id=channel.id,
                token=channel.token or "",
                resource_id=channel.resource_id,
                number=1,
                request=f"request-{self.rng.random():.6f}",
            )
            verdict = inbox.record(self.services.db, message, self.services.clock())
            if verdict.word == "recorded":
                self.services.ring_noted([verdict.calendar_id], "live", "push")

    def trouble(self) -> None:
        google, site, email = self.company.google, self.company.site, self.rng.choice([*ZONES])
        its = f"calendars/{email}/events"
        writes = "insert|bulk|PUT"
        troubles: list[Callable[[], object]] = [
            lambda: google.add_fault(match="GET .*/events", status=503, probability=0.5, count=4),
            lambda: google.add_fault(match=its, status=503, count=3),
            lambda: google.add_fault(match=its, status=404, reason="notFound", count=1),
            lambda: google.add_fault(match=its, delay=0.4, count=2),
            lambda: google.add_fault(
                match="/events", status=403, reason="rateLimitExceeded", count=3
            ),
            lambda: google.add_fault(match="/events", status=200, body='{"items": [', count=2),
            lambda: google.add_fault(match="/events", drop=True, count=2),
            lambda: google.add_fault(match="POST /token", status=502, count=2),
            lambda: site.add_fault(match=writes, status=503, html=True, count=2),
            lambda: site.add_fault(match=writes, drop=True, after_commit=True, count=2),
            lambda: site.add_fault(match=writes, status=500, html=True, after_commit=True, count=2),
            lambda: site.add_fault(match=writes, status=500, html=True, count=3),
            lambda: site.add_fault(match=writes, status=500, exc_type="KeyError", count=3),
            lambda: site.add_fault(
                match=writes, status=500, exc_type="KeyError", probability=0.5, count=9
            ),
            lambda: site.add_fault(
                match=writes, status=417, exc_type="ValidationError", message="no", count=5
            ),
            lambda: site.add_fault(match="get_list", status=429, headers={"Retry-After": "1"}),
            lambda: site.add_fault(match="get_list", status=500, html=True, count=2),
            lambda: site.add_fault(match="get_list", drop=True, count=2),
            lambda: setattr(site, "deadlock_at", self.rng.randrange(1, 4)),
            lambda: google.expire_sync_tokens(calendar_id=email),
            lambda: google.expire_access_tokens(),
            lambda: google.kill_channels(email),
        ]
        self.rng.choice(troubles)()

    # --- Watcher --------------------------------------------------------------------------------

    def work(self, lane: rings.Lane, by: Services | None = None) -> None:
        """The jobs of one lane, of pushes several at once now and then."""
        while jobs := self._taken(lane):
            if len(jobs) > 1:
                work_off_together(by or self.services, jobs)
            else:
                for number, reason in jobs.items():
                    work_off(by or self.services, number, reason, lane)

    def work_at_once(self) -> None:
        """Two workers for pushes and one for bulk work, beside cron and people."""
        processes = [another_process(self.company, number) for number in range(3)]
        lanes: list[rings.Lane] = ["live", "live", "backfill"]
        works = [partial(self.work, *each) for each in zip(lanes, processes, strict=True)]

        def beside() -> None:
            for _ in range(4):
                self.edit()
                self.cron()

        ended = at_once(*works, beside)
        for process in processes:
            process.db.dispose()
        assert ended == [None] * 4, ended

    def _taken(self, lane: rings.Lane) -> dict[int, str]:
        client, queue = self.services.doorbell.client, self.services.doorbell.queue(lane)
        most = self.rng.choice([1, 2, 4, 9]) if lane == "live" else 1
        found = [client.lpop(queue.key) for _ in range(most)]
        ids = [str(job, "utf-8") for job in found if isinstance(job, bytes)]
        jobs = [Job.fetch(job, connection=client, serializer=JSONSerializer) for job in ids]
        return {job.args[0]: job.args[1] for job in jobs}

    def cron(self) -> None:
        for work in (
            *(timetable.poll, timetable.reconcile, timetable.retry_aside),
            *(timetable.look_after_writes, timetable.renew, erasures.look_after_erased),
            timetable.sweep,
        ):
            with suppress(WatcherError):  # the next one comes by
                work(self.services)

    def work_until_killed(self, statements: int) -> None:
        """A worker that is killed when it begins its so many-th transaction."""
        db, left, here = self.services.db, [statements], threading.Lock()
        real = type(db).session

        @contextmanager
        def session(*given: Any) -> Iterator[Any]:
            with here:
                left[0] -= 1
            if left[0] < 0:
                raise Killed
            with real(db, *given) as made:
                yield made

        db.session = session  # type: ignore[method-assign]
        try:
            self.work("live")
            self.work("backfill")
        except Killed:
            with db.engine.begin() as connection:  # its leases lapse
                del db.session
                connection.execute(text("UPDATE calendars SET lease_until = 0"))
                connection.execute(text("UPDATE accounts SET refresh_claimed_until = 0"))
        else:
            del db.session

    def come_to_rest(self) -> None:
        """Nothing goes wrong any more, and time goes by until nothing is owed, and then until cron
        has looked after what ERPNext logs late."""
        self.edits_to_come, site = 0, self.company.site
        self.company.google.clear_faults()
        site.clear_faults()
        site.deadlock_at = None
        for _ in range(AT_REST_AFTER):
            self.work("live")
            self.work("backfill")
            if not self.owed() and not any(difference(self.company, e) for e in ZONES):
                break
            self.company.later(minutes=2)
            self.cron()
            site.run_background_jobs()
        for _ in range(3):
            site.run_background_jobs()
            self.company.later(minutes=20)
            self.cron()
            self.work("live")
            self.work("backfill")

    def owed(self) -> list[str]:
        """What is not yet as it should be in the ledger."""
        with self.services.db.reading() as session:
            rows = session.query(Calendar).all()
            return [
                f"{r.google_id}: {r.synced_seq} of {r.dirty_seq}, {r.state} {r.cause}, "
                f"lease {r.lease_owner}, {r.failures} failures, look at {r.look_at}"
                for r in rows
                if r.dirty_seq != r.synced_seq or r.state != "ok" or r.lease_owner or r.look_at
            ] + [f"aside {q.calendar_id} {q.message}" for q in session.query(Quarantined)]


@pytest.fixture
def fleet(company: Company, seed: int, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setattr(side_by_side, "PROMPT_SECONDS", 0.2)
    monkeypatch.setattr(google_client, "PAUSE", Backoff(first=0.01, longest=0.02))
    monkeypatch.setitem(passes.PATIENCE, "live", Patience(timeout=1.0, retries=1))
    company.google.tokens_keep_bounds = bool(seed % 2)
    made = Fleet(company, seed)
    _edit_meanwhile(made, monkeypatch)
    return made


def _edit_meanwhile(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """People also edit while passes are under way."""
    client = fleet.services.erpnext
    real = client._send

    def send(*given: Any) -> Any:
        here = threading.current_thread() is threading.main_thread()
        if here and fleet.edits_to_come and fleet.rng.random() < 0.3:
            fleet.edits_to_come -= 1
            fleet.edit()
        return real(*given)

    monkeypatch.setattr(client, "_send", send)


@pytest.mark.parametrize(
    ("seed", "database_url"),
    [
        (21, "sqlite"),
        pytest.param(22, "postgres", marks=pytest.mark.postgres),
        (23, "sqlite"),
        pytest.param(24, "postgres", marks=pytest.mark.postgres),
    ],
    indirect=["database_url"],
)
def test_every_history_ends_equal(
    fleet: Fleet, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "watcher")
    rng = fleet.rng
    for number in range(ROUNDS):
        for _ in range(rng.choice([2, 3, 4, 9])):
            fleet.edit()
        for _ in range(rng.choice([0, 0, 1, 2])):
            fleet.trouble()
        fleet.edits_to_come = rng.choice([0, 0, 1, 3])
        if number == ROUNDS // 2:
            fleet.work_at_once()
        if rng.random() < 0.15:
            fleet.work_until_killed(rng.randrange(1, 40))
        fleet.work("live")
        if rng.random() < 0.5:
            fleet.work("backfill")
        if rng.random() < 0.3:
            fleet.company.later(seconds=rng.choice([1, 5, 70]))
            fleet.cron()
    fleet.come_to_rest()
    assert fleet.owed() == []
    assert {e: found for e in ZONES if (found := difference(fleet.company, e))} == {}, (
        fleet.history.done
    )
    keys = [row["custom_google_sync_key"] for row in fleet.company.site.events()]
    assert len(keys) == len(set(keys)), "an event twice"
    assert CANARY not in fleet.company.site.dump()
    kept = fleet.kept_by_erpnext()
    assert [title for title in fleet.hidden_titles() if title in kept] == []
    assert CANARY not in caplog.text
    assert "Traceback" not in caplog.text
    assert "deadlock detected" not in caplog.text, "PostgreSQL's word for a wrong order of locks"
