"""A Watcher that runs between the two stand-ins, with as many employees as a row wants."""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.pool
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import psutil
import requests
from flask import request
from sqlalchemy import create_engine, func, or_, select, text

from benchmarks.load import Answered, Load, drive
from benchmarks.real import OF_BENCH
from benchmarks.rows import KEY, SECRET, LeftOut, Options
from watcher.accounts.verbs import add_delegated
from watcher.erpnext.fields import check, install
from watcher.ledger.models import Account, Calendar, Channel
from watcher.services import Ledger, Services, build
from watcher.settings import load
from watcher_sandbox.erpnext.app import serve as serve_erpnext
from watcher_sandbox.erpnext.faults import Fault, Faults
from watcher_sandbox.erpnext.site import Site
from watcher_sandbox.google import GoogleState
from watcher_sandbox.google import serve as serve_google

DOMAIN = "scoopjoy.test"
_EVENT_ID = "custom_google_event_id"
INDEXED = ("account", "calendar_id", "recurring_event_id", "event_id")
WATCHER = [sys.executable, "-m", "watcher"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """``employees`` have an account each and ``events`` events; ``known``: they are at Google and
    in ERPNext, and Watcher does not know them yet. ``google`` and ``erpnext`` are seconds by which
    the stand-ins answer later, ERPNext's reads by ``reads``. ``up``: the words after ``watcher
    up``; ``settings``: without the prefix."""

    employees: int = 1
    known: int = 0
    events: int = 40
    google: float = 0.0
    erpnext: float = 0.0
    reads: float = 0.0
    up: Sequence[str] = ()
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Company:
    """Both stand-ins, the ledger, and the processes of ``watcher up``. ``site`` is None where a
    real ERPNext is in its place; ``mark`` is in the address of everybody."""

    mark: str
    google: GoogleState
    site: Site | None
    folder: Path
    environ: dict[str, str]
    services: Services
    port: int
    people: list[str]
    pool: multiprocessing.pool.Pool
    events: dict[str, list[str]]
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # --- processes ------------------------------------------------------------------------

    @contextmanager
    def up(self, words: Sequence[str] = ()) -> Iterator[subprocess.Popen[bytes]]:
        """``watcher up``, until the block ends; ready when the block begins."""
        command = [*WATCHER, "up", "--port", str(self.port), *words]
        with (self.folder / "up.log").open("ab") as log:
            process = subprocess.Popen(
                command, env=self.env(), cwd=self.folder, stdout=log, stderr=log
            )
        self.process = process
        try:
            until(lambda: answers(f"{self.url}/readyz"), 60, "the web server does not answer")
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            self.process = None

    def run(self, *words: str) -> tuple[float, float]:
        """``watcher WORDS`` to its end: seconds by the clock, and of CPU."""
        began, before = time.perf_counter(), os.times()
        done = subprocess.run(
            [*WATCHER, *words], env=self.env(), cwd=self.folder, capture_output=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"watcher {words[0]} ended with {done.returncode}: {done.stderr!r}")
        after = os.times()
        used = after.children_user + after.children_system
        return time.perf_counter() - began, used - before.children_user - before.children_system

    def env(self) -> dict[str, str]:
        others = {k: v for k, v in os.environ.items() if not k.startswith("WATCHER_")}
        return {**others, **self.environ}

    def processes(self) -> list[psutil.Process]:
        assert self.process is not None
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def cpu(self) -> float:
        """Seconds of CPU that all processes of Watcher have used."""
        used = [each.cpu_times() for each in self.processes()]
        return sum(t.user + t.system + t.children_user + t.children_system for t in used)

    def memory(self) -> float:
        """MiB of all processes together (PSS: what several share is counted once)."""
        return float(sum(each.memory_full_info().pss for each in self.processes())) / 2**20

    def load(self, *asked: bytes, **options: Any) -> Answered:
        """Requests from a process of its own, so that the stand-ins here do not slow them."""
        return self.pool.apply(drive, (Load(port=self.port, requests=asked, **options),))

    # --- both ends ------------------------------------------------------------------------

    def notification(self, email: str) -> bytes:
        """Google's message for this employee's calendar, as its live channel would send it."""
        [channel] = self.google.live_channels(email)
        return (
            f"POST /webhooks/google HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"X-Goog-Channel-ID: {channel.id}\r\nX-Goog-Channel-Token: {channel.token}\r\n"
            f"X-Goog-Resource-ID: {channel.resource_id}\r\nX-Goog-Resource-State: exists\r\n"
            "X-Goog-Message-Number: 7\r\nContent-Length: 0\r\n\r\n"
        ).encode()

    def edit(self, email: str, event_id: str = "") -> tuple[str, str]:
        """Another title for one of the employee's events; returns its id and that title."""
        chosen = event_id or secrets.choice(self.events[email])
        title = f"Shift {secrets.token_hex(5)}"
        self.google.patch_event(email, chosen, {"summary": title})
        return chosen, title

    def send(self, request: bytes) -> None:
        """One request; raises ``SystemExit`` unless it is answered by 204."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(request)
            answer = connection.recv(4_096)
        if b" 204 " not in answer.partition(b"\r\n")[0]:
            raise SystemExit(f"a notification was answered {answer[:60]!r}")

    def subjects(self, event_ids: Collection[str]) -> dict[str, str]:
        """The titles that ERPNext has of these events, by their ids."""
        if not event_ids:
            return {}
        if self.site is None:
            wanted = [[_EVENT_ID, "in", list(event_ids)]]
            found = self.services.erpnext.rows("Event", wanted, [_EVENT_ID, "subject"])
            return {row[_EVENT_ID]: row["subject"] for row in found}
        query = f'SELECT "subject" FROM "tabEvent" WHERE "{_EVENT_ID}" = ?'
        answers = {each: self.site.db.run(query, [each]) for each in event_ids}
        return {each: str(rows[0][0]) for each, rows in answers.items() if rows}

    def rows(self) -> int:
        """How many Events of these people ERPNext has."""
        if self.site is None:
            asked = {"doctype": "Event", "filters": self._ours()}
            return int(self.services.erpnext.read("frappe.client.get_count", params=asked))
        return int(self.site.db.run('SELECT count(*) FROM "tabEvent"')[0][0])

    def _ours(self) -> list[list[str]]:
        return [["custom_google_account", "like", f"{OF_BENCH}{self.mark}-%"]]

    def hire(self, many: int, events: int) -> list[str]:
        """So many people more at Google and in ERPNext, whom Watcher does not know."""
        each = secrets.token_hex(4)
        return [self.hired(f"hire-{each}-{number}", events) for number in range(many)]

    def hired(self, name: str, events: int) -> str:
        """One of them."""
        email = _person(self.mark, name)
        self.events[email] = join(self.google, self.site, email, events)
        return email

    def listings(self) -> int:
        return self.google.log.counts().get("events.list", 0)

    def calls(self) -> int:
        """Calls of Google's Calendar API so far."""
        counts = self.google.log.counts()
        return sum(n for route, n in counts.items() if route.startswith(("events.", "channels.")))

    def wrong(self, people: Iterable[str] = ()) -> int:
        """How many events of these employees (all of them) are not in ERPNext as at Google."""
        now = datetime.now(UTC)
        fields = ["custom_google_account", _EVENT_ID, "subject"]
        if self.site is None:
            found = self.services.erpnext.rows("Event", self._ours(), fields)
        else:
            found = [e for e in self.site.events() if e.get("custom_google_account")]
        rows = {(e["custom_google_account"], e[_EVENT_ID]): e["subject"] for e in found}
        return sum(
            rows.get((email, item["id"])) != item["summary"]
            for email in people or self.people
            for item in self.google.truth(email, now, now + timedelta(days=29))
        )

    def busy(self, people: Sequence[str] = ()) -> int:
        """How many calendars (of these employees) owe work, or are being worked on."""
        with self.services.db.reading() as session:
            owing = or_(Calendar.dirty_seq > Calendar.synced_seq, Calendar.lease_owner.is_not(None))
            found = select(func.count(Calendar.id)).join(Account)
            found = found.where(Account.is_active, owing)
            return session.scalar(found.where(Account.email.in_(people)) if people else found) or 0

    def watched(self) -> int:
        with self.services.db.reading() as session:
            live = select(func.count(Channel.id)).where(Channel.state == "live")
            return session.scalar(live) or 0

    def rest(self, seconds: float = 120) -> None:
        """Wait until nothing is owed and nobody is at it."""
        until(lambda: not self.busy(), seconds, "the calendars do not come to rest", 0.1)


def until(what: Callable[[], bool], seconds: float, complaint: str, pause: float = 0.02) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            raise SystemExit(complaint)
        time.sleep(pause)


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def database(options: Options) -> Iterator[str]:
    """The ledger's URL: empty for SQLite in the data directory."""
    if not options.ledger:
        yield ""
        return
    with postgres(options) as url:
        yield url


@contextmanager
def postgres(options: Options) -> Iterator[str]:
    """A database of its own on the server. Raises ``LeftOut`` where none is named."""
    if not options.postgres:
        raise LeftOut("no PostgreSQL is named (--postgres URL)")
    name = f"bench_{secrets.token_hex(4)}"
    admin = create_engine(options.postgres, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield admin.url.set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()


@contextmanager
def settled(options: Options, wanted: Wanted) -> Iterator[Company]:
    """Both stand-ins with their people and events, and a ledger that knows nobody yet."""
    google, site = GoogleState(), Site("Asia/Kolkata")
    mark = secrets.token_hex(4)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="watcher-bench-")))
        url = stack.enter_context(database(options))
        google_server, erpnext_server = serve_google(google), serve_erpnext(site)
        stack.callback(google_server.close)
        stack.callback(erpnext_server.close)
        port = free_port()
        key, secret = site.api_key, site.api_secret
        if options.erpnext:
            key, secret = os.environ[KEY], os.environ[SECRET]
        environ = {
            "WATCHER_DATA_DIR": str(folder / "data"),
            "WATCHER_DATABASE_URL": url,
            "WATCHER_SECRET_KEYS": secrets.token_hex(32),
            "WATCHER_GOOGLE_API_URL": google_server.url,
            "WATCHER_GOOGLE_TOKEN_URL": f"{google_server.url}/token",
            "WATCHER_GOOGLE_SERVICE_ACCOUNT_FILE": str(
                google.make_service_account(folder / "key.json")
            ),
            "WATCHER_DELEGATION_ALLOW": f"@{DOMAIN}",
            "WATCHER_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "WATCHER_ERPNEXT_URL": options.erpnext or erpnext_server.url,
            "WATCHER_ERPNEXT_API_KEY": key,
            "WATCHER_ERPNEXT_API_SECRET": secret,
            "WATCHER_LOG_FORMAT": "json",
            **{f"WATCHER_{name}": value for name, value in wanted.settings.items()},
        }
        environ = {name: value for name, value in environ.items() if value}
        (folder / "data").mkdir(mode=0o700)
        services = build(load(environ).settings, ledger=Ledger.MADE)
        stack.callback(services.db.dispose)
        there = _prepared(services, None if options.erpnext else site)
        everybody = wanted.employees + wanted.known
        events = {_person(mark, str(n)): list[str]() for n in range(everybody)}
        for email in events:
            events[email] = join(google, there, email, wanted.events)
        pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(1))
        people = list(events)[: wanted.employees]
        yield Company(mark, google, there, folder, environ, services, port, people, pool, events)


def _prepared(services: Services, site: Site | None) -> Site | None:
    """Watcher's fields are there. A real site may have them already, and a key that may make
    none."""
    if site is None:
        if check(services.erpnext).missing:
            install(services.erpnext)
        return None
    install(services.erpnext)
    for name in INDEXED:  # as a real site has them
        site.db.run(f'CREATE INDEX "bench {name}" ON "tabEvent" ("custom_google_{name}")')
    return site


@contextmanager
def running(options: Options, wanted: Wanted = Wanted()) -> Iterator[Company]:
    """``watcher up`` with all employees connected and mirrored, their channels open, at rest; from
    then on the stand-ins answer later."""
    cap = {"RENEW_PER_MINUTE": "100000"} if wanted.employees > 50 else {}
    made = Wanted(
        **{name: getattr(wanted, name) for name in Wanted.__slots__ if name != "settings"},
        settings={**cap, **wanted.settings},
    )
    with settled(options, made) as company, company.up(wanted.up):
        for email in company.people:
            add_delegated(company.services, email)
        minutes = 2 + wanted.employees * wanted.events / 3_000
        until(lambda: company.watched() >= wanted.employees, minutes * 60, "not all are watched", 1)
        company.rest(minutes * 60)
        slow(company, wanted)
        yield company


def slow(company: Company, wanted: Wanted) -> None:
    """From now on the stand-ins answer later; a real site takes the time that it takes."""
    if wanted.google:
        company.google.add_fault(match="/calendar/v3/", delay=wanted.google)
    if company.site is None:
        return
    reads = r"(get_list|get_count|GET /api/resource)"
    if wanted.reads != wanted.erpnext:
        company.site.faults.add(Fault(match=reads, status=0, count=None, delay=wanted.reads))
    if wanted.erpnext:
        company.site.faults.add(Fault(match="", status=0, count=None, delay=wanted.erpnext))


class FrappesTimes(Faults):
    """The stand-in answers no sooner than Frappe 15.43 did on two cores: seconds by request, and by
    document of a batch."""

    one: ClassVar = {"POST /api/resource": 0.016, "PUT ": 0.027, "get_list": 0.013}
    each: ClassVar = {"insert_many": 0.0035, "bulk_update": 0.0088}

    def take(self, what: str) -> Fault | None:
        found = [seconds for words, seconds in self.one.items() if words in what]
        for words, seconds in self.each.items():
            if words in what:
                docs = (request.get_json(silent=True) or {}).get("docs", "[]")
                found.append(seconds * len(json.loads(docs)))
        return Fault(status=0, delay=found[0]) if found else None


def _person(mark: str, name: str) -> str:
    return f"{OF_BENCH}{mark}-{name}@{DOMAIN}"


def join(google: GoogleState, site: Site | None, email: str, events: int) -> list[str]:
    """An employee with so many events in the coming four weeks; returns their ids. On a real site
    nobody is made a user: their rows name the Google account alone."""
    google.add_user(email)
    if site is not None:
        site.add_user(email)
    begins = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    ids = []
    for number in range(events):
        start = begins + timedelta(minutes=number * 40_000 // events)
        ids.append(google.insert_event(email, event(f"Shift {number}", start)))
    return ids


def event(title: str, start: datetime) -> dict[str, Any]:
    """An event of an hour, as Google takes it."""
    return {
        "summary": title,
        "start": {"dateTime": start.isoformat()},
        "end": {"dateTime": (start + timedelta(hours=1)).isoformat()},
    }


@contextmanager
def meanwhile(act: Callable[[], object], every: float) -> Iterator[None]:
    """``act`` is called again and again in a thread, as long as the block lasts."""
    stop = threading.Event()

    def go_on() -> None:
        while not stop.wait(every):
            act()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
