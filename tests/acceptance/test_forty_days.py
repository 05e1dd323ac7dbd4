"""Forty days in a minute: the clock of everything in this process is moved on, four hours at a
time, while people edit and things go wrong. No push ever arrives (nobody listens), so that it is
the nets that are tried: poll, reconcile, renewal, refresh, reconnecting.

No calendar may be stale for longer than promised, and at the end nothing is missing or doubled.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from tests.company import ADMIN, ANN, BOB, Company
from tests.postbox import Postbox
from watcher.accounts.tokens import refresh_one
from watcher.jobs import timetable
from watcher.ledger import channels, keys, overview
from watcher.ledger.models import Calendar, Channel
from watcher.processes.cron import run_one
from watcher.sync.work import work_off

START = datetime(
    2026, 10, 15, 6, tzinfo=UTC
)  # both clock changes of autumn come in the first weeks
STEP = timedelta(minutes=240)
POLL_MINUTES = 480.0
PROMISE = timedelta(minutes=POLL_MINUTES * 1.1) + 2 * STEP
"""A poll interval with its spread; and a step until it is noticed, on both sides."""
PEOPLE = (ANN, BOB)


class Life:
    """The company, its clock, and since when each mirror is not equal."""

    def __init__(self, company: Company, clock: time_machine.Traveller) -> None:
        self.company, self.clock = company, clock
        self.rng = random.Random(40)
        self.stale: dict[str, datetime] = {}
        self.longest = timedelta(0)
        self.excused: set[str] = set()
        self.events: dict[str, list[str]] = {email: [] for email in PEOPLE}
        self.ran: dict[str, datetime] = {}

    def now(self) -> datetime:
        return datetime.now(UTC)

    def pass_days(self, days: float, *, working: bool = True, editing: bool = True) -> None:
        for _ in range(round(timedelta(days=days) / STEP)):
            self.clock.shift(STEP)
            if editing and self.rng.random() < 0.9:
                self.edit(self.rng.choice(PEOPLE))
            if working:
                self.tick()
                self.look()

    def tick(self) -> None:
        """What cron does, and the workers it rings. Each channel has just said a word, which told
        of nothing, since one that is silent would be replaced."""
        services = self.company.services
        with services.db.session() as session:
            session.query(Channel).update({"last_message_at": self.now()})
        for row in timetable.timetable(services).values():
            for work in row:
                last = self.ran.get(work.name)
                if last is None or self.now() - last >= timedelta(seconds=work.seconds):
                    run_one(services, work)
                    self.ran[work.name] = self.now()
        for lane in services.doorbell.waiting().values():
            for job in lane:
                work_off(services, int(job.split("-")[1]), "cron")
        services.doorbell.client.flushall()

    def look(self) -> None:
        for email in PEOPLE:
            if email in self.excused or self.company.expected(email) == self.company.mirrored(
                email
            ):
                self.stale.pop(email, None)
                continue
            since = self.stale.setdefault(email, self.now())
            self.longest = max(self.longest, self.now() - since)
            assert self.now() - since <= PROMISE, f"{email} at {self.now()}"

    def edit(self, email: str) -> None:
        google, known = self.company.google, self.events[email]
        what = self.rng.choice(["insert", "insert", "series", "move", "delete", "rename"])
        if what in ("insert", "series") or not known:
            rule: dict[str, Any] = (
                {"recurrence": ["RRULE:FREQ=WEEKLY;COUNT=6"]} if what == "series" else {}
            )
            hours = self.rng.uniform(-48, 24 * 28)
            known.append(google.insert_event(email, self.company.timed(hours, **rule)))
            return
        event = self.rng.choice(known)
        if what == "delete":
            google.delete_event(email, event)
            known.remove(event)
        elif what == "rename":
            google.patch_event(email, event, {"summary": f"Shift {self.rng.random():.5f}"})
        else:
            body = self.company.timed(self.rng.uniform(2, 24 * 20))
            google.patch_event(email, event, {"start": body["start"], "end": body["end"]})

    def problems(self) -> list[dict[str, Any]]:
        services = self.company.services
        with services.db.session() as session:
            lanes = services.doorbell.lengths()
            return list(
                overview.status(services.db, session, services.clock(), lanes).as_json()["problems"]
            )


@pytest.fixture
def postbox(company: Company) -> Iterator[Postbox]:
    box = Postbox()
    company.set("notify_webhook_url", box.webhook_url)
    yield box
    box.close()


@pytest.fixture
def life(company: Company, postbox: Postbox) -> Iterator[Life]:
    company.set("poll_minutes", str(POLL_MINUTES))
    company.set("unwatched_poll_minutes", str(POLL_MINUTES))
    with time_machine.travel(START, tick=True) as clock:
        company.setup_erpnext()
        company.add(BOB)
        company.consented(ANN)
        made = Life(company, clock)
        made.tick()
        yield made


def todos_of(company: Company, email: str) -> list[str]:
    return [t["status"] for t in company.site.rows("ToDo") if t["allocated_to"] == email]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_forty_days(life: Life, postbox: Postbox) -> None:
    company, google = life.company, life.company.google
    life.pass_days(6)

    # Ann's grant is taken back; she comes back a day and a half later.
    google.revoke_user(ANN)
    refresh_one(company.services, company.account(ANN).id)
    life.excused.add(ANN)
    life.pass_days(1.5)
    assert company.account(ANN).state == "needs_reconnect"
    assert todos_of(company, ANN) == [], "to leave may have been her wish"
    assert todos_of(company, BOB) == ["Open"], "he was told once that he is mirrored"
    assert any("needs reconnect" in post for post in postbox.posts)
    company.consented(ANN)
    life.tick()
    life.excused.clear()
    life.pass_days(2.5)

    # Google is away for a while, then ERPNext; what was due meanwhile comes afterwards.
    outages = ((google, {"status": 503}), (company.site, {"status": 503, "html": True}))
    for side, kind in outages:
        side.add_fault(match=".*", count=100_000, **kind)
        life.excused |= set(PEOPLE)
        life.pass_days(1 / 8)  # each call that fails takes real seconds
        side.clear_faults()
        life.pass_days(1 / 8)
        life.excused.clear()
        life.pass_days(3)

    # All sync tokens are void; Google forgets every channel without a word; keys are rotated.
    google.expire_sync_tokens()
    life.pass_days(2)
    google.kill_channels()
    life.pass_days(2)
    company.set("secret_keys", f"another-key-of-forty-days-0123456789,{company.key}")
    company.rebuild()
    assert keys.rotate(company.services.db, company.services.keyring) > 0
    company.set("secret_keys", "another-key-of-forty-days-0123456789")
    company.rebuild()
    life.pass_days(3)

    # The machine is off for nine days: every channel and every access token has run out.
    life.pass_days(9, working=False)
    life.tick()
    life.excused |= set(PEOPLE)
    life.pass_days(3 / 16)
    life.excused.clear()
    life.pass_days(8)
    assert life.now() - START > timedelta(days=40)
    life.pass_days(PROMISE / timedelta(days=1), editing=False)

    for email in PEOPLE:
        assert company.expected(email) == company.mirrored(email)
    rows = company.site.events()
    synced = [row["custom_google_sync_key"] for row in rows]
    assert len(synced) == len(set(synced)) > 200
    assert life.problems() == []
    with company.services.db.session() as session:
        for calendar in session.query(Calendar):
            live = channels.live(session, calendar.id, company.services.clock())
            assert live is not None
        opened = session.query(Channel).count()
    assert len(google.live_channels()) == len(PEOPLE), "each has one, and no stray one is left"
    assert opened < 60, "a channel lives for days"
    assert life.longest <= PROMISE
    assert ADMIN not in company.google.users or company.rows(ADMIN) == []
    assert postbox.posts[-1].startswith("*Watcher: mended")
