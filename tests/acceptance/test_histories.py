"""Random histories: people edit, Google and ERPNext fail, messages are lost, doubled and shuffled,
everything is killed once. At the end ERPNext holds what Google holds, once, and nothing private."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import pytest

from tests.company import ADMIN, ANN, Company
from tests.waiting import wait_for
from watcher_sandbox.google.errors import GoogleError

DORA, EVA = "dora@scoopjoy.test", "eva@scoopjoy.test"
ZONES = {ANN: "Asia/Kolkata", DORA: "America/New_York", EVA: "Pacific/Chatham"}
PEOPLE = tuple(ZONES)
EDITS = 60
CANARY = "CANARY at the clinic"


@pytest.fixture
def shop(company: Company) -> Company:
    for email in (DORA, EVA):
        company.google.add_user(email, time_zone=ZONES[email])
        company.site.add_user(email)
    company.environ |= {"WATCHER_SWEEP_SECONDS": "0.5", "WATCHER_POLL_MINUTES": "0.05"}
    del company.environ["WATCHER_REDIS_URL"]
    company.rebuild()
    company.setup_erpnext()
    return company


def up(company: Company) -> psutil.Process:
    process = company.start("up", "--port", str(company.port), "--workers", "1")
    wait_for(company.web_is_up, what="the web server")
    return psutil.Process(process.pid)


class History:
    """What people do, drawn from a seed."""

    def __init__(self, company: Company, seed: int) -> None:
        self.google, self.company = company.google, company
        self.rng = random.Random(seed)
        self.known: dict[str, list[str]] = {email: [] for email in PEOPLE}
        self.series: dict[str, list[str]] = {email: [] for email in PEOPLE}
        self.deleted: dict[str, list[str]] = {email: [] for email in PEOPLE}
        self.done: list[str] = []

    def edit(self) -> None:
        verbs: list[tuple[int, Callable[[str], None]]] = [
            (24, self.insert),
            (8, self.insert_series),
            (5, self.insert_all_day),
            (14, self.rename),
            (12, self.move),
            (8, self.delete),
            (5, self.restore),
            (6, self.edit_series),
            (5, self.split),
            (6, self.cancel_instance),
            (6, self.move_instance),
            (6, self.flip_private),
            (5, self.decline),
        ]
        verb = self.rng.choices([v for _, v in verbs], [weight for weight, _ in verbs])[0]
        email = self.rng.choice(PEOPLE)
        self.done.append(f"{verb.__name__} {email}")
        try:
            verb(email)
        except GoogleError as refused:
            # What no longer makes sense, as a split of a series that was deleted.
            if refused.status not in (400, 404, 409, 410):
                raise

    def body(self, email: str, **extra: Any) -> dict[str, Any]:
        """Mostly well inside the window, at times across its edges or outside it."""
        hours = self.rng.choice([self.rng.uniform(-150, 24 * 28), self.rng.uniform(2, 200)])
        if self.rng.random() < 0.1:
            hours = self.rng.choice([-300.0, 24 * 45.0])
        begins = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=hours)
        ends = begins + timedelta(minutes=self.rng.choice([0, 30, 60, 480, 1500]))
        times = {
            name: {"dateTime": moment.isoformat(), "timeZone": ZONES[email]}
            for name, moment in (("start", begins), ("end", ends))
        }
        return {"summary": f"Shift {self.rng.random():.7f}", **times, **extra}

    def some(self, email: str, among: dict[str, list[str]] | None = None) -> str:
        found = (among or self.known)[email]
        if not found:
            self.insert(email)
            found = self.known[email]
        return self.rng.choice(found)

    def insert(self, email: str) -> None:
        extra: dict[str, Any] = {}
        if self.rng.random() < 0.15:
            extra = {"visibility": "private", "summary": CANARY, "description": CANARY}
        self.known[email].append(self.google.insert_event(email, self.body(email, **extra)))

    def insert_series(self, email: str) -> None:
        rule = self.rng.choice(
            [
                "FREQ=DAILY;COUNT=8",
                "FREQ=WEEKLY",
                "FREQ=WEEKLY;BYDAY=MO,TH",
                "FREQ=DAILY;INTERVAL=3",
            ]
        )
        body = self.body(email, recurrence=[f"RRULE:{rule}"])
        self.series[email].append(self.google.insert_event(email, body))

    def insert_all_day(self, email: str) -> None:
        first = datetime.now(UTC).date() + timedelta(days=self.rng.randrange(-4, 25))
        last = first + timedelta(days=self.rng.randrange(1, 4))
        body = {
            "summary": f"Leave {self.rng.random():.5f}",
            "start": {"date": first.isoformat()},
            "end": {"date": last.isoformat()},
        }
        self.known[email].append(self.google.insert_event(email, body))

    def rename(self, email: str) -> None:
        self.google.patch_event(
            email, self.some(email), {"summary": f"Renamed {self.rng.random():.7f}"}
        )

    def move(self, email: str) -> None:
        body = self.body(email)
        change = {"start": body["start"], "end": body["end"]}
        self.google.patch_event(email, self.some(email), change)

    def delete(self, email: str) -> None:
        event = self.some(email)
        self.google.delete_event(email, event)
        self.known[email].remove(event)
        self.deleted[email].append(event)

    def restore(self, email: str) -> None:
        if self.deleted[email]:
            event = self.deleted[email].pop()
            self.google.patch_event(email, event, {"status": "confirmed"})
            self.known[email].append(event)

    def edit_series(self, email: str) -> None:
        series = self.some(email, self.series)
        body = self.body(email)
        change = self.rng.choice(
            [
                {"summary": f"Series {self.rng.random():.6f}"},
                {"start": body["start"], "end": body["end"]},
                {"recurrence": ["RRULE:FREQ=DAILY;COUNT=5"]},
            ]
        )
        self.google.patch_event(email, series, change)

    def instances(self, email: str) -> list[str]:
        now = datetime.now(UTC)
        window = (now - timedelta(days=6), now + timedelta(days=29))
        if not self.series[email]:
            self.insert_series(email)
        return self.google.instance_ids(email, self.rng.choice(self.series[email]), *window)

    def split(self, email: str) -> None:
        found = self.instances(email)
        if len(found) > 2:
            new = {"summary": f"Following {self.rng.random():.6f}"}
            self.google.split_series(email, found[len(found) // 2], changes=new)

    def cancel_instance(self, email: str) -> None:
        for instance in self.instances(email)[:1]:
            self.google.delete_event(email, instance)

    def move_instance(self, email: str) -> None:
        for instance in self.instances(email)[-1:]:
            body = self.body(email, summary="Swapped")
            self.google.patch_event(
                email, instance, {k: body[k] for k in ("summary", "start", "end")}
            )

    def flip_private(self, email: str) -> None:
        event = self.some(email)
        if self.google.get_event(email, event).get("visibility") == "private":
            open_again = {"visibility": "default", "summary": "Open", "description": ""}
            self.google.patch_event(email, event, open_again)
        else:
            secret = {"visibility": "private", "summary": CANARY, "description": CANARY}
            self.google.patch_event(email, event, secret)

    def decline(self, email: str) -> None:
        answer = self.rng.choice(["declined", "accepted"])
        guests = [{"email": email, "self": True, "responseStatus": answer}, {"email": ADMIN}]
        self.google.patch_event(email, self.some(email), {"attendees": guests})


def trouble(company: Company, rng: random.Random) -> None:
    """Let one thing go wrong, of those that do in a year."""
    google, site, email = company.google, company.site, rng.choice(PEOPLE)
    troubles: list[Callable[[], object]] = [
        lambda: google.add_fault(match="GET .*/events", status=503, probability=0.5, count=4),
        lambda: google.add_fault(match="/events", status=403, reason="rateLimitExceeded", count=3),
        lambda: google.add_fault(match="/events", status=200, body='{"items": [', count=2),
        lambda: google.add_fault(match="/events", drop=True, count=2),
        lambda: google.add_fault(match="POST /token", status=502, count=2),
        lambda: site.add_fault(match="insert|bulk", status=503, html=True, count=2),
        lambda: site.add_fault(match="insert|bulk", drop=True, after_commit=True, count=2),
        lambda: site.add_fault(match="get_list", status=429, headers={"Retry-After": "1"}, count=1),
        lambda: google.expire_sync_tokens(calendar_id=email),
        lambda: google.expire_access_tokens(),
        lambda: google.kill_channels(email),
    ]
    rng.choice(troubles)()


@pytest.mark.parametrize(
    ("seed", "database_url"),
    [(11, "sqlite"), pytest.param(12, "postgres", marks=pytest.mark.postgres), (13, "sqlite")],
    indirect=["database_url"],
)
def test_every_history_ends_equal(shop: Company, seed: int) -> None:
    google, site, history = shop.google, shop.site, History(shop, seed)
    google.tokens_keep_bounds = bool(seed % 2)
    process = up(shop)
    people = shop.folder / "people.csv"
    people.write_text("email\n" + "\n".join(PEOPLE) + "\n")
    assert shop.watcher("accounts", "import", "--from", str(people)).returncode == 0
    google.set_push_faults(drop=0.25, duplicate=0.4, delay=0.2, shuffle=0.5)
    killed_at = history.rng.randrange(15, EDITS - 15)
    for number in range(EDITS):
        history.edit()
        if number % 6 == 5:
            trouble(shop, history.rng)
        if number % 10 == 3:
            # Time to work meanwhile; whether it does is up to the troubles.
            google.wait_pushes(0.5)
        if number == killed_at:
            os.kill(process.pid, signal.SIGKILL)
            shop.processes[-1].wait()
    up(shop)
    # The dead worker's leases lapse now and not in a minute, a channel that it was just opening is
    # given up now and not in two, one that was refused is asked for now; in real time: test_up.py.
    with shop.services.db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE calendars SET lease_until = 0")
        connection.exec_driver_sql("UPDATE leases SET until = 0")
        connection.exec_driver_sql("UPDATE calendars SET watch_retry_at = NULL")
        connection.exec_driver_sql("UPDATE accounts SET refresh_claimed_until = 0")
        connection.exec_driver_sql(
            "UPDATE channels SET state = 'failed' WHERE state = 'requesting'"
        )
    google.set_push_faults()
    google.clear_faults()
    site.clear_faults()
    wait_for(
        lambda: all(difference(shop, e) == {} for e in PEOPLE) or None,
        what="equal mirrors",
        seconds=110,
    )
    keys = [row["custom_google_sync_key"] for row in site.events()]
    assert len(keys) == len(set(keys)), "an event twice"
    assert len(keys) > 20, history.done
    assert CANARY not in repr(site.events())
    shop.await_health(len(PEOPLE))
    verify = shop.watcher("verify", "--all")
    assert verify.returncode == 0, verify.stderr
    log = (shop.folder / "watcher.log").read_text()
    assert CANARY not in log
    assert "Traceback" not in log
    lines = [json.loads(line) for line in log.splitlines()]
    # What `watcher up` tries at its start may well fail in the midst of troubles, and is told then.
    others = [line for line in lines if line["logger"] != "watcher.processes.first_look"]
    assert {line["level"] for line in others} <= {"info", "warning"}


def difference(company: Company, email: str) -> dict[str, tuple[object, object]]:
    """Event id -> (in Google, in ERPNext), where they are not the same."""
    google, erpnext = company.expected(email), company.mirrored(email)
    return {
        event: (google.get(event), erpnext.get(event))
        for event in google.keys() | erpnext.keys()
        if google.get(event) != erpnext.get(event)
    }
