"""``watcher up`` as a company runs it: embedded Valkey, real processes, killed and restarted."""

from __future__ import annotations

import os
import random
import signal
from datetime import UTC, datetime, timedelta

import psutil
import pytest
import requests

from tests.company import ADMIN, ANN, BOB, CLIENT_SECRET, Company
from tests.waiting import wait_for
from watcher_sandbox.google.errors import GoogleError

pytestmark = pytest.mark.one_shape("postgres")

PEOPLE = (ANN, BOB, ADMIN)


@pytest.fixture
def shop(company: Company) -> Company:
    """Settings for one machine, nothing running yet."""
    del company.environ["WATCHER_REDIS_URL"]
    company.set("sweep_seconds", "1")
    company.rebuild()
    company.setup_erpnext()
    return company


def up(company: Company) -> psutil.Process:
    process = company.start("up", "--port", str(company.port), "--workers", "1")
    wait_for(company.web_is_up, what="the web server")
    return psutil.Process(process.pid)


def connect_all(company: Company) -> None:
    people = company.folder / "people.csv"
    people.write_text("email\n" + "\n".join(PEOPLE) + "\n")
    done = company.watcher("accounts", "import", "--from", str(people))
    assert done.returncode == 0, done.stderr


def equal(company: Company) -> bool:
    keys = [row["custom_google_sync_key"] for row in company.site.events()]
    assert len(keys) == len(set(keys)), "an event twice"
    return all(company.mirrored(email) == company.expected(email) for email in PEOPLE)


def family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def gone(processes: list[psutil.Process]) -> bool:
    return not any(alive(p) for p in processes)


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def no_events() -> dict[str, list[str]]:
    return {email: [] for email in PEOPLE}


def edit(company: Company, rng: random.Random, known: dict[str, list[str]]) -> None:
    """One thing that a person does in Google Calendar."""
    email = rng.choice(PEOPLE)
    mine, what = known[email], rng.random()
    body = company.timed(hours=rng.randrange(-100, 24 * 28), summary=f"Shift {rng.random():.6f}")
    try:
        if what < 0.35 or not mine:
            mine.append(company.google.insert_event(email, body))
        elif what < 0.45:
            rule = rng.choice(["FREQ=DAILY;COUNT=6", "FREQ=WEEKLY"])
            series = body | {"recurrence": [f"RRULE:{rule}"]}
            mine.append(company.google.insert_event(email, series))
        elif what < 0.65:
            company.google.patch_event(email, rng.choice(mine), {"summary": body["summary"]})
        elif what < 0.75:
            change = {"start": body["start"], "end": body["end"]}
            company.google.patch_event(email, rng.choice(mine), change)
        elif what < 0.82:
            company.google.patch_event(
                email, rng.choice(mine), {"visibility": "private", "summary": "CANARY"}
            )
        elif what < 0.92:
            now = datetime.now(UTC)
            window = (now - timedelta(days=6), now + timedelta(days=29))
            found = company.google.instance_ids(email, rng.choice(mine), *window)
            if len(found) > 2:
                company.google.delete_event(email, found[1])
                company.google.patch_event(email, found[2], {"summary": "Swapped"})
                if what > 0.89:
                    company.google.split_series(email, found[-1], changes={"summary": "New"})
        else:
            company.google.delete_event(email, mine.pop(rng.randrange(len(mine))))
    except GoogleError as refused:
        if refused.status not in (400, 404, 410):  # e.g. an event that was deleted before
            raise


@pytest.mark.both_shapes
def test_onboarding_push_and_a_clean_end(shop: Company) -> None:
    process = up(shop)
    connect_all(shop)
    shop.await_health(len(PEOPLE))
    shop.google.insert_event(ANN, shop.timed(summary="Tasting"))
    wait_for(lambda: shop.subjects(ANN) == ["Tasting"], what="the push", seconds=30)
    second = shop.watcher("up", "--port", "1")
    assert second.returncode == 2
    assert "already running" in second.stderr
    assert requests.get(f"{shop.public_url}/readyz", timeout=10).status_code == 200
    everybody = family(process)
    process.terminate()
    assert shop.processes[-1].wait(60) == 0
    wait_for(lambda: gone(everybody), what="the end of all")
    log = (shop.folder / "watcher.log").read_text()
    for line in log.splitlines():
        assert "Traceback" not in line
    for secret in (CLIENT_SECRET, shop.key, shop.site.api_secret, "ya29.", "1//", "PRIVATE KEY"):
        assert secret not in log


def test_killed_with_nine_and_started_again(shop: Company) -> None:
    rng, known = random.Random(9), no_events()
    process = up(shop)
    connect_all(shop)
    for _ in range(30):
        edit(shop, rng, known)
    everybody = family(process)
    os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: gone(everybody), what="no orphans")
    shop.processes.pop().wait()
    for _ in range(10):
        edit(shop, rng, known)
    up(shop)
    wait_for(lambda: equal(shop), what="the mirror", seconds=120)
    # A channel that was just being asked for is asked for again two minutes later.
    shop.await_health(len(PEOPLE), seconds=180)


@pytest.mark.parametrize("seed", [1, 2])
def test_random_histories_end_equal(shop: Company, seed: int) -> None:
    shop.environ["WATCHER_POLL_MINUTES"] = "0.1"
    rng, known = random.Random(seed), no_events()
    google, site = shop.google, shop.site
    up(shop)
    connect_all(shop)
    google.set_push_faults(drop=0.2, duplicate=0.4, delay=0.2, shuffle=0.5)
    for number in range(60):
        edit(shop, rng, known)
        if number == 15:
            google.add_fault(match="/events", status=503, probability=0.3, count=10)
            google.add_fault(match="POST /token", status=502, probability=0.5, count=3)
        if number == 25:
            site.add_fault(match="insert|bulk", status=503, html=True, count=3)
            site.add_fault(match="insert|PUT", drop=True, after_commit=True, count=2)
        if number == 35:
            google.expire_sync_tokens(calendar_id=rng.choice(PEOPLE))
            google.expire_access_tokens()
        if number == 45:
            google.kill_channels(rng.choice(PEOPLE))
    google.set_push_faults()
    google.clear_faults()
    wait_for(lambda: equal(shop), what="the mirror", seconds=120)
    assert "CANARY" not in repr([row for row in site.events() if row["status"] != "Cancelled"])
    # A channel that was refused twice is asked for again up to a minute later.
    shop.await_health(len(PEOPLE))
