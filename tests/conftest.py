"""Fixtures shared by all tests: a scrubbed environment, ledgers, a queue, both sandbox servers.

Real parts only: SQLite and PostgreSQL, a Valkey process, HTTP servers on their own ports.
"""

from __future__ import annotations

import gc
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import redis
import structlog

from tests.company import Company
from tests.forked import start_tied
from tests.ledgers import POSTGRES, Postgres, put_migrated
from tests.postbox import Postbox
from tests.waiting import wait_for
from watcher.ledger.db import Database
from watcher.processes import valkey
from watcher_sandbox.erpnext.app import serve as serve_erpnext
from watcher_sandbox.erpnext.site import Site
from watcher_sandbox.google import Server, keys
from watcher_sandbox.google import serve as serve_google

hypothesis.settings.register_profile("calm", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("calm")
keys.BITS = 1024  # a strong key takes a twentieth of a second to read, several times in each test
IN_MEMORY = Path("/dev/shm")
if os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free > 1 << 30:
    # Nothing here has to survive a power cut, and waiting for the disk was an eighth of a run.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))
REQUIRE_ALL = os.environ.get("WATCHER_REQUIRE_ALL", "")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are processors, since each test process waits at times."""
    return min((os.cpu_count() or 1) + 2, 8)


def is_other_shape(item: pytest.Item) -> bool:
    """Whether one shape is enough for this test (``one_shape``) and this is the other one. There
    are two: Frappe 15 with the ledger in SQLite, and Frappe 16 with ERPNext and the ledger in
    PostgreSQL."""
    wanted = item.get_closest_marker("one_shape")
    if wanted is None or item.get_closest_marker("both_shapes") is not None:
        return False
    if any("database_url" in str(mark.args[0]) for mark in item.iter_markers("parametrize")):
        return False  # the test says itself on which it runs
    call = getattr(item, "callspec", None)
    found = call.params.get("database_url") if call else None
    return found is not None and found != wanted.args[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests for several test processes: first what takes long, with the tests that start
    a whole Watcher spread evenly among the others; the quick ones last."""
    items[:] = [item for item in items if not is_other_shape(item)]
    whole, parts, quick = [], [], []
    for item in items:
        folders = item.path.parts
        if "acceptance" in folders and not item.get_closest_marker("browser"):
            whole.append(item)
        elif "acceptance" in folders or "integration" in folders:
            parts.append(item)
        else:
            quick.append(item)
    every = 1 + len(parts) // (len(whole) or 1)
    for number, item in enumerate(whole):
        parts.insert(number * every, item)
    items[:] = parts + quick


def pytest_collection_finish() -> None:
    """What is imported by now lives as long as the run, so the garbage collector need not look
    through it again and again: that was a fifth of some tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away every setting of Watcher, and every proxy, that the person who runs the tests has
    set."""
    for name in list(os.environ):
        if name.startswith("WATCHER_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """A command that runs in the test process sets up its own log, and hides warnings from it:
    tests after it would look for messages that are not kept. A request that it has answered would
    have its id in the calls that they make."""
    structlog.contextvars.clear_contextvars()
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)
    for handler in root.handlers[:]:
        if isinstance(handler.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(handler)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """With WATCHER_REQUIRE_ALL a test that cannot run here is a failure, not a skip."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped: {report.longrepr}"


@pytest.fixture(scope="session")
def migrated_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this test process keeps its migrated ledger."""
    return tmp_path_factory.mktemp("migrated")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    if not POSTGRES:
        pytest.skip("WATCHER_TEST_POSTGRES_URL names no PostgreSQL server")
    server = Postgres()
    yield server
    server.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A place for a ledger on each of the two databases: no file yet, or a database that is
    migrated already."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    yield server.ledger()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A place with nothing in it, on each of the two databases."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    with server.database("template1") as url:
        yield url


@pytest.fixture
def db(database_url: str, migrated_folder: Path) -> Iterator[Database]:
    """A migrated ledger."""
    put_migrated(database_url, migrated_folder)
    ledger = Database(database_url)
    yield ledger
    ledger.dispose()


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[str]:
    """A Valkey process of this session, as a redis URL."""
    with tempfile.TemporaryDirectory(prefix="watcher-valkey-") as folder:
        socket = Path(folder) / "valkey.sock"
        server = start_tied(
            [
                str(valkey.binary()),
                "--port",
                "0",
                "--unixsocket",
                str(socket),
                "--dir",
                folder,
                "--save",
                "",
                "--appendonly",
                "no",
            ],
            stdout=subprocess.DEVNULL,
        )
        url = f"unix://{socket}"

        def answers() -> bool:
            with redis.Redis.from_url(url) as client:
                try:
                    return bool(client.ping())
                except redis.RedisError:
                    return False

        wait_for(answers, what="Valkey")
        yield url
        server.terminate()
        server.wait(10)


@pytest.fixture
def queue_url(valkey_server: str) -> str:
    """The session's Valkey, emptied."""
    with redis.Redis.from_url(valkey_server) as client:
        client.flushall()
    return valkey_server


@pytest.fixture(scope="session")
def google_server() -> Iterator[Server]:
    """The sandbox Google of this session; ``company`` has it forget everything."""
    with serve_google() as server:
        yield server


@pytest.fixture
def company(
    tmp_path: Path,
    queue_url: str,
    database_url: str,
    migrated_folder: Path,
    google_server: Server,
) -> Iterator[Company]:
    """Both outside systems and the settings of a Watcher between them, on both databases: one of
    them with a Frappe 15, the other with a Frappe 16 that has ERPNext."""
    is_new = not database_url.startswith("sqlite")
    site = Site("Asia/Kolkata", frappe=16 if is_new else 15, erpnext=is_new)
    google_server.state.reset()
    erpnext_server = serve_erpnext(site)
    put_migrated(database_url, migrated_folder)
    made = Company(
        google=google_server.state,
        site=site,
        folder=tmp_path,
        google_url=google_server.url,
        erpnext_url=erpnext_server.url,
        queue_url=queue_url,
        database_url=database_url,
    )
    yield made
    made.close()
    erpnext_server.close()
    site.close()


@pytest.fixture
def postbox(company: Company) -> Iterator[Postbox]:
    """Takes the mails of the company."""
    box = Postbox()
    company.set("smtp_url", box.smtp_url)
    yield box
    box.close()
