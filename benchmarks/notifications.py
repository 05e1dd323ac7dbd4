"""How fast notifications are acknowledged, and how many listings a burst of them costs.

One run starts ``watcher up`` on a ledger of its own, between the sandbox servers, with one calendar
whose channel it knows. Then by turns, with 50 connections that each send one request after the
other: ``GET /healthz``, and notifications for that calendar while its events are edited, so that
syncs write. The medians of the rounds and their ratio are printed. At last 10,000 notifications
come within ten seconds while events are edited, and Google's sandbox counts the listings.
After that 50 notifications
a second come while the web process is killed, and then stopped, and started again each time: none
may be refused. And single new events are timed from Google to ERPNext, by turns with one bare
``events.list`` and one bare insert. Machines are noisy: compare figures of the same run only.

    .venv/bin/python benchmarks/notifications.py [--postgres URL] [--rounds N] [--seconds S]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import secrets
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import requests
from sqlalchemy import create_engine, text

from watcher.accounts.verbs import add_delegated
from watcher.erpnext.fields import install
from watcher.ledger import channels
from watcher.ledger.models import Calendar, Run
from watcher.ledger.secrets import digest
from watcher.services import Ledger, Services, build
from watcher.settings import load
from watcher_sandbox.erpnext.app import serve as serve_erpnext
from watcher_sandbox.erpnext.site import Site
from watcher_sandbox.google import GoogleState
from watcher_sandbox.google import serve as serve_google

ANN, TOKEN = "ann@scoopjoy.test", "token-of-the-benchmark"
CONNECTIONS = 50
BURST, BURST_SECONDS = 10_000, 10.0
CUT_OFF, REFUSED = -1, -2
"""Counted among the statuses: connections that were closed without an answer, or never made."""


@dataclass(frozen=True, slots=True)
class Load:
    """``requests`` are sent over and over by ``connections`` connections, for ``seconds`` or until
    ``most`` are answered; ``pace`` is how many a second at the most (0: as fast as it goes)."""

    port: int
    request: bytes
    seconds: float
    connections: int = CONNECTIONS
    most: int = 0
    pace: float = 0.0


@dataclass(frozen=True, slots=True)
class Answered:
    """What a load came to; ``waits`` in milliseconds, sorted."""

    seconds: float
    waits: list[float]
    statuses: dict[int, int]
    reconnected: int

    @property
    def rate(self) -> float:
        return len(self.waits) / self.seconds

    def wait(self, part: float) -> float:
        return self.waits[min(len(self.waits) - 1, int(len(self.waits) * part))]


class _Client:
    """One connection; opened again where the server has closed it."""

    def __init__(self, port: int) -> None:
        self.address = ("127.0.0.1", port)
        self.opened = 0
        self.socket: socket.socket | None = None
        self.sent, self.got = 0.0, b""

    def send(self, request: bytes, watcher: selectors.BaseSelector) -> None:
        if self.socket is None:
            self.socket = socket.create_connection(self.address, timeout=30)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            watcher.register(self.socket, selectors.EVENT_READ, self)
            self.opened += 1
        self.sent, self.got = time.perf_counter(), b""
        self.socket.sendall(request)

    def read(self, watcher: selectors.BaseSelector) -> int:
        """The status of the answer; 0 when it is not whole yet."""
        assert self.socket is not None
        try:
            data = self.socket.recv(65_536)
        except OSError:
            data = b""
        self.got += data
        head, ended, body = self.got.partition(b"\r\n\r\n")
        closes = b"connection: close" in head.lower()
        whole = bool(ended) and len(body) >= _length(head)
        if not data or (whole and closes):
            watcher.unregister(self.socket)
            self.socket.close()
            self.socket = None
            return int(head[9:12]) if whole else CUT_OFF
        return int(head[9:12]) if whole else 0


def _length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.split(b"\r\n", 1)[0]) if found else 0


def drive(load: Load) -> Answered:
    """Put a server under load and measure its answers."""
    watcher = selectors.DefaultSelector()
    clients = [_Client(load.port) for _ in range(load.connections)]
    waits: list[float] = []
    statuses: dict[int, int] = {}
    began, sent = time.perf_counter(), 0
    resting = list(clients)
    while True:
        now = time.perf_counter()
        over = now - began >= load.seconds or (load.most and sent >= load.most)
        allowed = int((now - began) * load.pace) + 1 if load.pace else sent + len(resting)
        while resting and not over and sent < allowed and not (load.most and sent >= load.most):
            sent += 1
            try:
                resting[-1].send(load.request, watcher)
                resting.pop()
            except OSError:
                statuses[REFUSED] = statuses.get(REFUSED, 0) + 1
                waits.append(0.0)
        if over and len(resting) == len(clients):
            break
        for key, _ in watcher.select(0.001 if load.pace else 1.0):
            client: _Client = key.data
            status = client.read(watcher)
            if status:
                statuses[status] = statuses.get(status, 0) + 1
                waits.append((time.perf_counter() - client.sent) * 1000)
                resting.append(client)
    seconds = time.perf_counter() - began
    for client in clients:
        if client.socket is not None:
            client.socket.close()
    opened = sum(client.opened for client in clients)
    return Answered(seconds, sorted(waits), statuses, opened - load.connections)


@dataclass(slots=True)
class Bench:
    """The running system, and how to ask for its calendar."""

    google: GoogleState
    site: Site
    services: Services
    port: int
    calendar_id: int
    notification: bytes
    pool: multiprocessing.pool.Pool
    supervisor: int = 0

    def load(self, request: bytes, **options: float) -> Answered:
        """In a process of its own, so that the sandbox here does not slow it."""
        return self.pool.apply(drive, (Load(self.port, request, **options),))  # type: ignore[arg-type]

    def is_right(self) -> bool:
        now = datetime.now(UTC)
        truth = self.google.truth(ANN, now, now + timedelta(days=29))
        rows = {e["custom_google_event_id"]: e["subject"] for e in self.site.events()}
        return all(rows.get(item["id"]) == item["summary"] for item in truth)

    def rest(self) -> None:
        """Wait until nothing is owed and nobody is at it."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with self.services.db.reading() as session:
                calendar = session.get_one(Calendar, self.calendar_id)
                clean = calendar.dirty_seq <= calendar.synced_seq
                free = calendar.lease_owner is None and calendar.rung_at is None
            if clean and free:
                return
            time.sleep(0.1)
        raise SystemExit("the calendar does not come to rest")


@contextmanager
def edits(bench: Bench, every: float) -> Iterator[list[str]]:
    """Change events at Google, one every so many seconds, as long as the block lasts."""
    stop, made = threading.Event(), list[str]()
    ids = [item["id"] for item in bench.google.truth(ANN, *_span())]

    def edit() -> None:
        while not stop.wait(every):
            summary = f"Shift {secrets.token_hex(4)}"
            bench.google.patch_event(ANN, secrets.choice(ids), {"summary": summary})
            made.append(summary)

    thread = threading.Thread(target=edit)
    thread.start()
    try:
        yield made
    finally:
        stop.set()
        thread.join()


def _span() -> tuple[datetime, datetime]:
    now = datetime.now(UTC)
    return now, now + timedelta(days=29)


@contextmanager
def running(folder: Path, database: str) -> Iterator[Bench]:
    """``watcher up`` with one calendar of 40 events, at rest."""
    google, site = GoogleState(), Site("Asia/Kolkata")
    google_server, erpnext_server = serve_google(google), serve_erpnext(site)
    google.add_user(ANN)
    site.add_user(ANN)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    key_file = google.make_service_account(folder / "key.json")
    environ = {
        "WATCHER_DATA_DIR": str(folder / "data"),
        "WATCHER_DATABASE_URL": database,
        "WATCHER_SECRET_KEYS": secrets.token_hex(32),
        "WATCHER_GOOGLE_API_URL": google_server.url,
        "WATCHER_GOOGLE_TOKEN_URL": f"{google_server.url}/token",
        "WATCHER_GOOGLE_SERVICE_ACCOUNT_FILE": str(key_file),
        "WATCHER_DELEGATION_ALLOW": ANN,
        "WATCHER_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "WATCHER_ERPNEXT_URL": erpnext_server.url,
        "WATCHER_ERPNEXT_API_KEY": site.api_key,
        "WATCHER_ERPNEXT_API_SECRET": site.api_secret,
        "WATCHER_LOG_FORMAT": "json",
    }
    (folder / "data").mkdir(mode=0o700)
    services = build(load({k: v for k, v in environ.items() if v}).settings, ledger=Ledger.MADE)
    install(services.erpnext)
    begins = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    for number in range(40):
        start = begins + timedelta(hours=12 * number)
        body = {
            "summary": f"Shift {number}",
            "start": {"dateTime": start.isoformat()},
            "end": {"dateTime": (start + timedelta(hours=1)).isoformat()},
        }
        google.insert_event(ANN, body)
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "watcher", "up", "--port", str(port)],
            env={**{k: v for k, v in os.environ.items() if k[:8] != "WATCHER_"}, **environ},
            stdout=log,
            stderr=log,
            cwd=folder,
        )
    try:
        _await_web(port)
        add_delegated(services, ANN)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            bench = Bench(google, site, services, port, 0, b"", pool, process.pid)
            yield _at_rest(bench)
    finally:
        process.terminate()
        process.wait()
        services.db.dispose()
        google_server.close()
        erpnext_server.close()


def _await_web(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise SystemExit("the web server does not answer")


def _at_rest(bench: Bench) -> Bench:
    deadline = time.monotonic() + 60
    while not bench.is_right() and time.monotonic() < deadline:
        time.sleep(0.2)
    with bench.services.db.session() as session:
        bench.calendar_id = session.query(Calendar.id).scalar() or 0
        channel = channels.live(session, bench.calendar_id, bench.services.clock())
        assert channel is not None
        channel.token_hash = digest(TOKEN)
        named, resource = channel.id, channel.resource_id
    bench.notification = (
        f"POST /webhooks/google HTTP/1.1\r\nHost: 127.0.0.1:{bench.port}\r\n"
        f"X-Goog-Channel-ID: {named}\r\nX-Goog-Channel-Token: {TOKEN}\r\n"
        f"X-Goog-Resource-ID: {resource}\r\nX-Goog-Resource-State: exists\r\n"
        "X-Goog-Message-Number: 7\r\nContent-Length: 0\r\n\r\n"
    ).encode()
    bench.rest()
    return bench


def measure(bench: Bench, rounds: int, seconds: float) -> None:
    healthz = f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{bench.port}\r\n\r\n".encode()
    seen: list[tuple[Answered, Answered]] = []
    for number in range(rounds + 1):
        health = bench.load(healthz, seconds=seconds)
        with edits(bench, 0.5):
            told = bench.load(bench.notification, seconds=seconds)
        bench.rest()
        if number:  # the first round warms up
            seen.append((health, told))
            print(
                f"  healthz {health.rate:6.0f}/s p99 {health.wait(0.99):6.1f} ms"
                f"   notifications {told.rate:6.0f}/s p50 {told.wait(0.5):6.1f}"
                f" p99 {told.wait(0.99):6.1f} ms   ratio {told.rate / health.rate:5.2f}"
                f"   {told.statuses}"
            )
    ratio = [told.rate / health.rate for health, told in seen]
    p99 = [told.wait(0.99) for _, told in seen]
    print(
        f"notifications / healthz: {statistics.median(ratio):.2f}"
        f" ({min(ratio):.2f} to {max(ratio):.2f}); p99 {statistics.median(p99):.0f} ms"
        f" ({min(p99):.0f} to {max(p99):.0f})"
    )


def _listings(bench: Bench) -> int:
    return bench.google.log.counts().get("events.list", 0)


def burst(bench: Bench) -> None:
    listings = _listings(bench)
    began = time.monotonic()
    with edits(bench, 0.5) as made:
        told = bench.load(bench.notification, seconds=120.0, most=BURST, pace=BURST / BURST_SECONDS)
    while not bench.is_right() and time.monotonic() < began + 120:
        time.sleep(0.05)
    right = time.monotonic() - began - told.seconds
    bench.rest()
    listed = _listings(bench) - listings
    print(
        f"burst: {len(told.waits)} notifications in {told.seconds:.1f} s {told.statuses}, "
        f"p99 {told.wait(0.99):.0f} ms, {len(made)} edits: {listed} listings, mirror right "
        f"{max(0.0, right):.1f} s after the last one"
    )


def restart(bench: Bench) -> None:
    """The web process is killed after 2 seconds and stopped after 6."""
    request = bench.notification.replace(b"Content-Length", b"Connection: close\r\nContent-Length")
    ended = bench.pool.apply_async(
        drive, (Load(bench.port, request, seconds=12.0, connections=500, pace=50.0),)
    )
    for wait, sent in ((2.0, signal.SIGKILL), (4.0, signal.SIGTERM)):
        time.sleep(wait)
        _web_process(bench.supervisor).send_signal(sent)
    told: Answered = ended.get()
    refused, cut_off = told.statuses.get(REFUSED, 0), told.statuses.get(CUT_OFF, 0)
    print(
        f"web process killed and stopped under 50 notifications a second: {len(told.waits)} sent, "
        f"{refused} refused, {cut_off} cut off by the kill, "
        f"the longest waited {told.wait(1.0) / 1000:.1f} s"
    )


def _web_process(supervisor: int) -> psutil.Process:
    for child in psutil.Process(supervisor).children():
        if child.name().startswith("watcher:web") or "web" in child.cmdline():
            return child
    raise SystemExit("there is no web process")


def latency(bench: Bench, rounds: int = 20) -> None:
    """One new event at a time, at rest."""
    with bench.services.db.session() as session:
        channel = channels.live(session, bench.calendar_id, bench.services.clock())
        assert channel is not None
        # From here on Google's own notifications count.
        channel.token_hash = digest(bench.google.channels.all[channel.id].token or "")
    token, through, bare = bench.google.mint_access_token(ANN), list[float](), list[float]()
    with requests.Session() as google:
        google.headers["Authorization"] = f"Bearer {token}"
        for number in range(rounds + 2):
            bench.rest()
            time.sleep(0.3)
            through.append(_timed(lambda n=number: _one_change(bench, n)))  # type: ignore[misc]
            bare.append(_timed(lambda: _bare(bench, google)))
    bench.rest()
    with bench.services.db.reading() as session:
        runs = session.query(Run).order_by(Run.id.desc()).limit(rounds).all()
    through, bare = sorted(through[2:]), sorted(bare[2:])  # the first ones warm up
    more = statistics.median(through) - statistics.median(bare)
    late = through[int(len(through) * 0.95)] - statistics.median(bare)
    print(
        f"change to ERPNext: {statistics.median(through):.0f} ms "
        f"({through[0]:.0f} to {through[-1]:.0f}), bare list and insert "
        f"{statistics.median(bare):.0f} ms ({bare[0]:.0f} to {bare[-1]:.0f}): "
        f"p50 +{more:.0f} ms, p95 +{late:.0f} ms"
    )
    received = statistics.median(run.lag_received or 0.0 for run in runs) * 1000
    passed = statistics.median(run.seconds for run in runs) * 1000
    print(f"  from the notification on {received:.0f} ms, of which the pass is {passed:.0f} ms")


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000


def _one_change(bench: Bench, number: int) -> None:
    begins = datetime.now(UTC).replace(microsecond=0) + timedelta(days=20, hours=number)
    body = {
        "summary": f"New {number}",
        "start": {"dateTime": begins.isoformat()},
        "end": {"dateTime": (begins + timedelta(hours=1)).isoformat()},
    }
    made, deadline = bench.google.insert_event(ANN, body), time.monotonic() + 60
    while time.monotonic() < deadline:
        if any(row.get("custom_google_event_id") == made for row in bench.site.events()):
            return
        time.sleep(0.002)
    raise SystemExit("a change does not arrive")


def _bare(bench: Bench, google: requests.Session) -> None:
    url = f"{bench.services.settings.google_api_url}/calendar/v3/calendars/{ANN}/events"
    google.get(url, params={"maxResults": 1}, timeout=10).raise_for_status()
    document = {
        "doctype": "Event",
        "subject": "Bare",
        "starts_on": "2026-01-01 10:00:00",
        "event_type": "Public",
    }
    bench.services.erpnext.insert(document)


@contextmanager
def postgres(url: str) -> Iterator[str]:
    """A database of its own on that server."""
    name = f"bench_{secrets.token_hex(4)}"
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield admin.url.set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()


@contextmanager
def sqlite() -> Iterator[str]:
    yield ""


if __name__ == "__main__":
    os.environ["NO_PROXY"] = "*"
    options = argparse.ArgumentParser()
    options.add_argument("--postgres", default="", help="admin URL of a PostgreSQL server")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=3.0)
    given = options.parse_args()
    chosen = postgres(given.postgres) if given.postgres else sqlite()
    with (
        chosen as ledger,
        tempfile.TemporaryDirectory() as scratch,
        running(Path(scratch), ledger) as bench,
    ):
        measure(bench, given.rounds, given.seconds)
        burst(bench)
        restart(bench)
        latency(bench)
