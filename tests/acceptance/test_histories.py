"""Random histories: people edit, Google and ERPNext fail, messages are lost, doubled and shuffled,
everything is killed once. At the end ERPNext holds what Google holds, once, and nothing private."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable

import psutil
import pytest

from tests.company import ANN, Company
from tests.histories import CANARY, History, difference
from tests.waiting import wait_for

DORA, EVA = "dora@scoopjoy.test", "eva@scoopjoy.test"
ZONES = {ANN: "Asia/Kolkata", DORA: "America/New_York", EVA: "Pacific/Chatham"}
PEOPLE = tuple(ZONES)
EDITS = 60


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
    google, site, history = shop.google, shop.site, History(shop, seed, ZONES)
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
