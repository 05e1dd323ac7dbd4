"""What a company runs instead of a single PostgreSQL and a single Redis, for real: PgBouncer in
transaction mode, Sentinels, TLS."""

from __future__ import annotations

import gc
import os
import pwd
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis
import sqlalchemy
from redis.exceptions import RedisError
from sqlalchemy import text

from tests.certificates import Authority
from tests.company import free_port
from tests.forked import start_tied
from tests.ledgers import Postgres
from tests.waiting import wait_for
from watcher.errors import LedgerAway
from watcher.given import queue_url
from watcher.jobs import connect
from watcher.jobs.doorbell import Doorbell
from watcher.ledger.db import REVISIONS, Database
from watcher.processes import valkey
from watcher.settings import Settings


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    quiet = subprocess.DEVNULL
    process = start_tied(command, stdout=quiet, stderr=quiet)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False


# --- PgBouncer ---------------------------------------------------------------------------------


@pytest.fixture
def pooled(postgres: Postgres, tmp_path: Path) -> Iterator[str]:
    """An empty database behind a PgBouncer in transaction mode that has two connections to it."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("needs PgBouncer")
    folder = tmp_path / "pgbouncer"
    folder.mkdir()
    with postgres.database("template0") as url:
        real = sqlalchemy.make_url(url)
        port = free_port()
        (folder / "users.txt").write_text(f'"{real.username}" "{real.password or ""}"\n')
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={real.host} port={real.port or 5432}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {folder}/users.txt\nlogfile = {folder}/log\n"
            "pool_mode = transaction\ndefault_pool_size = 2\n"
        )
        command = [program, str(folder / "pgbouncer.ini")]
        if os.geteuid() == 0:  # it refuses to run as root
            nobody = pwd.getpwnam("nobody")
            for path in (folder, *folder.iterdir()):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
            for parent in folder.parents[:4]:
                parent.chmod(parent.stat().st_mode | 0o011)
            command[1:1] = ["-u", "nobody"]
        with running(command):
            through = real.set(host="127.0.0.1", port=port)
            wait_for(lambda: is_open(port), what="PgBouncer")
            yield through.render_as_string(hide_password=False)


@pytest.mark.postgres
def test_a_ledger_behind_a_pooler(pooled: str) -> None:
    databases = [Database(pooled) for _ in range(4)]
    # Four programs start at once on an empty database.
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda database: database.migrate(), databases))
    assert [database.revision() for database in databases] == [REVISIONS[-1]] * 4

    # Each statement is made often enough for the driver to prepare it, on two connections.
    def work(database: Database) -> None:
        statement = sqlalchemy.select(sqlalchemy.literal(1).label("one"))
        for _ in range(30):
            database.probe()
            with database.reading() as session:
                assert session.scalar(text("SELECT count(*) FROM accounts")) == 0
            assert database.glance(statement, {}) == (1,)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, databases * 2))
    for database in databases:
        database.dispose()


@pytest.mark.postgres
def test_no_statement_takes_forever_behind_a_pooler(
    pooled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watcher.ledger.server.STATEMENT_SECONDS", 1)
    databases = [Database(pooled) for _ in range(2)]
    for database in databases:
        with database.session() as session:
            assert session.scalar(text("SHOW jit")) == "off", "to compile takes longer than to do"
        with pytest.raises(LedgerAway, match="took too long"), database.session() as session:
            session.execute(text("SELECT pg_sleep(20)"))
    for database in databases:
        database.dispose()


@pytest.mark.postgres
@pytest.mark.parametrize("is_pooled", [True, False])
def test_who_goes_silent_in_a_transaction_keeps_no_row_from_others(
    postgres: Postgres,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_pooled: bool,
) -> None:
    """As a machine does that is cut off between two statements, while every pass counts in the same
    few rows."""
    monkeypatch.setattr("watcher.ledger.server.SILENT_SECONDS", 0.2)
    url = request.getfixturevalue("pooled") if is_pooled else postgres.ledger()
    silent, other = Database(url), Database(url)
    with other.session() as session:
        session.execute(text("CREATE TABLE IF NOT EXISTS counted AS SELECT 0 AS n"))
    one_more = text("UPDATE counted SET n = n + 1")
    with ExitStack() as gone:
        session = gone.enter_context(silent.session())
        session.execute(one_more)
        with other.session() as waits:
            waits.execute(one_more)
        with pytest.raises(LedgerAway):
            gone.close()
    with silent.session() as session:
        assert session.scalar(text("SELECT n FROM counted")) == 1
        session.execute(text("DROP TABLE counted"))
    silent.dispose()
    other.dispose()


# --- Redis: Sentinels and TLS -------------------------------------------------------------------


@contextmanager
def sentinels(folder: Path) -> Iterator[tuple[str, dict[int, subprocess.Popen[bytes]]]]:
    """A Valkey that leads, one that follows, and three Sentinels, all with passwords: the address
    of the queue, and the two servers by port."""
    server = str(valkey.binary())
    first, second = free_port(), free_port()
    watchers = [free_port() for _ in range(3)]
    with ExitStack() as stack:
        servers = {}
        for port in (first, second):
            place = folder / str(port)
            place.mkdir()
            follow = ["--replicaof", "127.0.0.1", str(first)] if port == second else []
            words = ["--port", str(port), "--dir", str(place), "--requirepass", "queue-secret"]
            words += ["--masterauth", "queue-secret", "--save", "", *follow]
            servers[port] = stack.enter_context(running([server, *words]))
        for port in watchers:
            file = folder / f"sentinel-{port}.conf"
            file.write_text(
                f"port {port}\ndir {folder}\nrequirepass watch-secret\n"
                "sentinel sentinel-pass watch-secret\n"
                f"sentinel monitor lead 127.0.0.1 {first} 2\n"
                "sentinel auth-pass lead queue-secret\n"
                "sentinel down-after-milliseconds lead 500\n"
                "sentinel failover-timeout lead 3000\n"
            )
            stack.enter_context(running([server, str(file), "--sentinel"]))
        hosts = ",".join(f"127.0.0.1:{port}" for port in watchers)
        url = f"redis-sentinel://:queue-secret@{hosts}/0?master=lead&sentinel_password=watch-secret"

        def complete() -> bool:
            with redis.Redis(port=watchers[0], password="watch-secret") as one:
                try:
                    state = one.sentinel_master("lead")
                except RedisError:
                    return False
                return bool(state["num-slaves"] == 1 and state["num-other-sentinels"] == 2)

        wait_for(complete, what="the Sentinels know each other and both servers")
        yield url, servers


# redis-py drops connections to a Sentinel that has just found another master, and leaves it to
# Python to close them.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_queue_goes_over_to_the_redis_that_leads_now(tmp_path: Path) -> None:
    with sentinels(tmp_path) as (url, servers):
        bell = Doorbell(url)
        assert bell.ring(1, "live", "push")
        waits = threading.Event()
        got: list[bytes] = []

        def block() -> None:  # as a worker does that waits for a job
            with bell.worker_client() as client:
                waits.set()
                while not got:
                    found = client.blpop(["another"], timeout=2)
                    if found:
                        got.append(found[1])

        worker = threading.Thread(target=block, daemon=True)
        worker.start()
        waits.wait()
        lead = bell.client.info("replication")
        assert lead["role"] == "master"
        servers[next(iter(servers))].kill()
        wait_for(lambda: answers(bell.client), what="the one that followed leads")
        wait_for(lambda: bell.ring(2, "live", "push"), what="a ring gets through again")
        with connect.client(url, socket_timeout=2) as client:
            client.rpush("another", "for the worker")
        worker.join(60)
        assert got == [b"for the worker"]
        bell.client.close()
    gc.collect()  # here, where the warning is ignored


def test_the_queue_over_tls(tmp_path: Path) -> None:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("needs a redis-server with TLS (Debian's has it)")
    authority = Authority(tmp_path)
    pem, port = authority.issue("localhost"), free_port()
    tls = ["--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no"]
    files = ["--tls-cert-file", pem, "--tls-key-file", pem, "--tls-ca-cert-file", authority.file]
    words = ["--requirepass", "queue-secret", "--save", "", "--dir", str(tmp_path)]
    with running([program, *tls, *files, *words]):
        bell = Doorbell(f"rediss://:queue-secret@localhost:{port}/0?ssl_ca_certs={authority.file}")
        wait_for(lambda: answers(bell.client), what="Redis answers over TLS")
        assert bell.ring(1, "live", "push")
        assert bell.lengths() == {"live": 1, "backfill": 0}
        stranger = Doorbell(f"rediss://:queue-secret@localhost:{port}/0")
        assert not stranger.ring(1, "live", "push"), "a certificate that nobody vouches for"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:6379", "must begin with one of redis://"),
        ("http://localhost:6379", "must begin with one of redis://"),
        ("redis-sentinel://a,b/0", "the master they watch, as in redis-sentinel://"),
        ("redis-sentinel:///0?master=m", "must name the Sentinels"),
        ("redis-sentinel://a,,b/0?master=m", "names no host in one place"),
        ("redis-sentinel://a:one/0?master=m", "Port could not be cast"),
        ("redis-sentinel://a/zero?master=m", "must name the Sentinels"),
    ],
)
def test_an_address_that_no_queue_has(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Settings(redis_url=url)


def test_what_an_address_of_sentinels_says() -> None:
    found = queue_url.sentinels(
        "rediss-sentinel://me:p%40ss@a,b:7000,[::1]:1/3?master=m&sentinel_username=s"
        "&sentinel_password=t&ssl_ca_certs=/ca.pem"
    )
    assert found is not None
    assert list(found.hosts) == [("a", 26379), ("b", 7000), ("::1", 1)]
    assert (found.master, found.database, found.tls) == ("m", 3, True)
    assert found.login == {"username": "me", "password": "p@ss"}
    assert found.own_login == {"username": "s", "password": "t"}
    assert found.options == {"ssl_ca_certs": "/ca.pem"}
