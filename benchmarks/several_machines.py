"""Several machines with one PostgreSQL and one Redis: what the loss of some of them costs, and how
work grows with the number of workers.

Each machine is a network namespace of this one, with a cable of its own to a switch; PostgreSQL
(through PgBouncer with ``--pgbouncer``), Valkey, nginx and the stand-ins for Google and ERPNext are
on the other side of it. A machine is cut off by taking its cable's link down, which loses packets
without a word, as a broken switch does. Needs root, PostgreSQL's programs and nginx.

*Cut off*: two machines with the web server, four with a worker for pushes, one with a worker for
bulk work, two with cron. While events are edited, one machine of each kind is cut off for a minute
and comes back. Then ERPNext must hold each event once, as it stands in Google.

*Growth*: the same backlog, a change in each of many calendars, is worked off by 1, 2 and 4 workers,
against an ERPNext that does any number of calls at once, and one that does one. Google takes 150 ms
for a call and ERPNext 80.

    sudo .venv/bin/python -m benchmarks.several_machines [--cut SECONDS] [--calendars N] \\
        [--pgbouncer]
"""

from __future__ import annotations

import argparse
import os
import pwd
import random
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import redis
import sqlalchemy

from benchmarks.company import event
from watcher.accounts.verbs import add_delegated
from watcher.erpnext.fields import install
from watcher.ledger import owing
from watcher.ledger.models import Calendar, Run
from watcher.processes import valkey
from watcher.services import Ledger, Services, build
from watcher.settings import load
from watcher_sandbox.erpnext.app import create_app
from watcher_sandbox.erpnext.server import Server as WebServer
from watcher_sandbox.erpnext.site import Site
from watcher_sandbox.google import GoogleState
from watcher_sandbox.google import serve as serve_google

BRIDGE, NET = "watcher0", "10.77.0"
HERE = f"{NET}.1"
PG_PORT, POOL_PORT, REDIS_PORT, FRONT_PORT, WEB_PORT = 5510, 6510, 6511, 8510, 8080
GOOGLE_SECONDS, ERPNEXT_SECONDS = 0.150, 0.080


def run(*words: str, **options: Any) -> None:
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, **options)


@dataclass
class Machine:
    """A network namespace with the parts of Watcher that run in it."""

    name: str
    number: int
    folder: Path
    environ: Mapping[str, str]
    parts: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"{NET}.{self.number}"

    @property
    def cable(self) -> str:
        return f"wm{self.number}"

    def build(self) -> None:
        inner = f"{self.cable}i"
        self.tear_down()
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", self.cable, "type", "veth", "peer", "name", inner)
        run("ip", "link", "set", self.cable, "master", BRIDGE, "up")
        run("ip", "link", "set", inner, "netns", self.name)
        inside = ("ip", "-n", self.name)
        run(*inside, "addr", "add", f"{self.address}/24", "dev", inner)
        run(*inside, "link", "set", inner, "up")
        run(*inside, "link", "set", "lo", "up")

    def start(self, *words: str) -> None:
        data = self.folder / self.name
        data.mkdir(mode=0o700, exist_ok=True)
        environ = {**self.environ, "WATCHER_DATA_DIR": str(data)}
        with (self.folder / f"{self.name}.log").open("ab") as log:
            command = ["ip", "netns", "exec", self.name, sys.executable, "-m", "watcher", *words]
            self.parts.append(
                subprocess.Popen(command, env=environ, stdout=log, stderr=log, cwd=data)
            )

    def cut(self, off: bool) -> None:
        run("ip", "link", "set", self.cable, "down" if off else "up")

    def stop(self) -> None:
        for part in self.parts:
            part.terminate()
        for part in self.parts:
            with suppress(subprocess.TimeoutExpired):
                part.wait(15)
            part.kill()
            part.wait()
        self.parts.clear()

    def tear_down(self) -> None:
        for words in (("netns", "del", self.name), ("link", "del", self.cable)):
            subprocess.run(["ip", *words], stderr=subprocess.DEVNULL, check=False)


@contextmanager
def background(command: Sequence[str], **options: Any) -> Iterator[None]:
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


def until(condition: Callable[[], object], what: str, seconds: float = 60) -> float:
    """Seconds until a condition held. Ends the program when it does not in time."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        with suppress(OSError, redis.RedisError, sqlalchemy.exc.SQLAlchemyError):
            if condition():
                return time.monotonic() - began
        time.sleep(0.2)
    raise SystemExit(f"{what}: not within {seconds:g} s")


@contextmanager
def switch() -> Iterator[None]:
    subprocess.run(["ip", "link", "del", BRIDGE], stderr=subprocess.DEVNULL, check=False)
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "addr", "add", f"{HERE}/24", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    try:
        yield
    finally:
        run("ip", "link", "del", BRIDGE)


@contextmanager
def postgres(folder: Path, pooled: bool) -> Iterator[str]:
    """A new cluster; its address, through PgBouncer if ``pooled``."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    home, user = folder / "pg", pwd.getpwnam("postgres")
    home.mkdir()
    os.chown(home, user.pw_uid, user.pw_gid)
    drop = {"user": user.pw_uid, "group": user.pw_gid}
    run(str(binaries / "initdb"), "-D", str(home), "-A", "trust", "-E", "UTF8", cwd=home, **drop)
    with (home / "pg_hba.conf").open("a") as rules:
        rules.write(f"host all all {NET}.0/24 trust\n")
    words = ["-D", str(home), "-h", HERE, "-p", str(PG_PORT), "-k", str(home)]
    more = ["-c", "max_connections=200", "-c", "tcp_keepalives_idle=10"]
    with ExitStack() as stack:
        stack.enter_context(
            background([str(binaries / "postgres"), *words, *more], cwd=home, **drop)
        )
        direct = f"postgresql+psycopg://postgres@{HERE}:{PG_PORT}/postgres"
        engine = sqlalchemy.create_engine(direct)
        until(lambda: sqlalchemy.inspect(engine).get_schema_names(), "PostgreSQL")
        if not pooled:
            yield direct
            return
        file = home / "pgbouncer.ini"
        file.write_text(
            f"[databases]\n* = host={HERE} port={PG_PORT}\n[pgbouncer]\nlisten_addr = {HERE}\n"
            f"listen_port = {POOL_PORT}\nauth_type = trust\nauth_file = {home}/users.txt\n"
            "pool_mode = transaction\ndefault_pool_size = 10\nunix_socket_dir =\n"
        )
        (home / "users.txt").write_text('"postgres" ""\n')
        stack.enter_context(background(["/usr/sbin/pgbouncer", str(file)], cwd=home, **drop))
        yield direct.replace(str(PG_PORT), str(POOL_PORT))


@contextmanager
def queue(folder: Path) -> Iterator[str]:
    place = folder / "valkey"
    place.mkdir()
    words = ["--bind", HERE, "--port", str(REDIS_PORT), "--dir", str(place), "--appendonly", "yes"]
    with background([str(valkey.binary()), *words, "--protected-mode", "no"]):
        url = f"redis://{HERE}:{REDIS_PORT}/0"
        with redis.Redis.from_url(url) as client:
            until(client.ping, "Valkey")
        yield url


@contextmanager
def front(folder: Path, machines: Sequence[Machine]) -> Iterator[None]:
    """nginx before the web servers: one that does not answer is left out for some seconds."""
    servers = "".join(
        f"server {each.address}:{WEB_PORT} max_fails=1 fail_timeout=5s;" for each in machines
    )
    file = folder / "nginx.conf"
    file.write_text(
        f"pid {folder}/nginx.pid; error_log {folder}/nginx.log; daemon off;\n"
        "events { worker_connections 1024; }\n"
        "http { access_log off;"
        f"upstream watcher {{ {servers} }}\n"
        f"server {{ listen 127.0.0.1:{FRONT_PORT}; location / {{ proxy_pass http://watcher;"
        "proxy_connect_timeout 1s; proxy_read_timeout 5s; proxy_send_timeout 5s;"
        "proxy_set_header Host $host; } } }\n"
    )
    with background([shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(file)]):
        yield


class Slow:
    """An ERPNext whose calls take their time, ``most`` of them at once (0: any number)."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self._app = app
        self.seconds, self.most = 0.0, 0
        self._free = threading.Semaphore(0)

    def limit(self, seconds: float, most: int) -> None:
        self.seconds, self.most, self._free = seconds, most, threading.Semaphore(most)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        with self._free if self.most else nullcontext():
            time.sleep(self.seconds)
            return self._app(environ, start_response)


@dataclass
class Group:
    """A group of companies: the two outside systems, Watcher's ledger, and machines to be made."""

    google: GoogleState
    site: Site
    slow: Slow
    services: Services
    folder: Path
    environ: Mapping[str, str]
    people: Sequence[str]
    known: dict[str, list[str]] = field(default_factory=dict)

    def machine(self, name: str, number: int) -> Machine:
        made = Machine(f"watcher-{name}", number, self.folder, self.environ)
        made.build()
        return made

    def edit(self, rng: random.Random, number: int) -> None:
        who = rng.choice(self.people)
        mine = self.known.setdefault(who, [])
        roll = rng.random()
        begins = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=rng.uniform(1, 600))
        body = event(f"Shift {number}", begins)
        if roll < 0.5 or not mine:
            mine.append(self.google.insert_event(who, body))
        elif roll < 0.85:
            self.google.patch_event(who, rng.choice(mine), body)
        else:
            self.google.delete_event(who, mine.pop(rng.randrange(len(mine))))

    def owing(self) -> int:
        with self.services.db.reading() as session:
            late = Calendar.dirty_seq > Calendar.synced_seq
            statement = sqlalchemy.select(sqlalchemy.func.count()).where(late)
            return session.scalar(statement) or 0

    def wrong(self) -> tuple[int, int, int]:
        """Events that ERPNext lacks or shows otherwise, rows too many, and keys that are there
        twice: compared here, without Watcher's code."""
        wanted = {}
        for who in self.people:
            for event_id in self.known.get(who, ()):
                now = self.google.get_event(who, event_id)
                wanted[who, event_id] = now["summary"]
        keys: list[str] = []
        found = {}
        for row in self.site.rows("Event"):
            keys.append(row["custom_google_sync_key"])
            if row["status"] != "Cancelled":
                name = (row["custom_google_calendar_id"], row["custom_google_event_id"])
                found[name] = row["subject"]
        lacking = sum(found.get(name) != title for name, title in wanted.items())
        return lacking, len(found.keys() - wanted.keys()), len(keys) - len(set(keys))


@contextmanager
def group(people: int, *, pooled: bool) -> Iterator[Group]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="watcher-several-")))
        folder.chmod(0o755)
        stack.enter_context(switch())
        database = stack.enter_context(postgres(folder, pooled))
        redis_url = stack.enter_context(queue(folder))
        google, site = GoogleState(), Site("Asia/Kolkata")
        slow = Slow(create_app(site))
        google_server = serve_google(google, HERE)
        erpnext_server = WebServer(slow, HERE, 0).start()
        site.url = erpnext_server.url
        stack.callback(erpnext_server.close)
        stack.callback(google_server.close)
        environ = {
            "PATH": os.environ["PATH"],
            "WATCHER_DATABASE_URL": database,
            "WATCHER_REDIS_URL": redis_url,
            "WATCHER_DATA_DIR": str(folder),
            "WATCHER_SECRET_KEYS": secrets.token_hex(32),
            "WATCHER_GOOGLE_API_URL": google_server.url,
            "WATCHER_GOOGLE_TOKEN_URL": f"{google_server.url}/token",
            "WATCHER_GOOGLE_SERVICE_ACCOUNT_FILE": str(
                google.make_service_account(folder / "key.json")
            ),
            "WATCHER_DELEGATION_ALLOW": "@scoopjoy.test",
            "WATCHER_PUBLIC_URL": f"http://127.0.0.1:{FRONT_PORT}",
            "WATCHER_ERPNEXT_URL": erpnext_server.url,
            "WATCHER_ERPNEXT_API_KEY": site.api_key,
            "WATCHER_ERPNEXT_API_SECRET": site.api_secret,
            "WATCHER_LOG_FORMAT": "json",
            "WATCHER_RENEW_PER_MINUTE": "10000",
        }
        settings = load({k: v for k, v in environ.items() if k != "PATH"}).settings
        services = build(settings, ledger=Ledger.MADE)
        stack.callback(services.db.dispose)
        install(services.erpnext)
        names = [f"person{number}@scoopjoy.test" for number in range(people)]
        for email in names:
            google.add_user(email)
            site.add_user(email)
            add_delegated(services, email)
        yield Group(google, site, slow, services, folder, environ, names)


def cut_off(args: argparse.Namespace) -> bool:
    """Returns whether nothing was lost or doubled."""
    with ExitStack() as stack:
        here = stack.enter_context(group(40, pooled=args.pgbouncer))
        kinds = {
            "web": [here.machine(f"web{n}", 10 + n) for n in range(2)],
            "live": [here.machine(f"live{n}", 20 + n) for n in range(4)],
            "backfill": [here.machine("bulk", 30)],
            "cron": [here.machine(f"cron{n}", 40 + n) for n in range(2)],
        }
        machines = [each for found in kinds.values() for each in found]
        for each in machines:
            stack.callback(each.tear_down)
            stack.callback(each.stop)
        stack.enter_context(front(here.folder, kinds["web"]))
        for each in kinds["web"]:
            each.start("web", "--host", "0.0.0.0", "--port", str(WEB_PORT))
        for lane in ("live", "backfill"):
            for each in kinds[lane]:
                each.start("worker", "--queue", lane)
        for each in kinds["cron"]:
            each.start("cron")
        took = until(lambda: not here.owing(), "the first listings", 180)
        print(f"9 machines, {len(here.people)} calendars: listed after {took:.0f} s")
        lost = [kinds[kind][0] for kind in ("web", "live", "cron")] + [kinds["live"][1]]
        _edit_through_a_cut(here, lost, args.cut)
        drained = until(lambda: not here.owing(), "the rest of the changes", 300)
        lacking, too_many, doubled = here.wrong()
        counts = here.google.pusher.counts
        refused = {name: n for name, n in counts.items() if name not in ("sent", "delivered_204")}
        print(f"all done {drained:.1f} s after the last edit; pushes besides 204: {refused}")
        print(f"wrong: {lacking} lacking or other, {too_many} too many, {doubled} doubled")
        return not (lacking or too_many or doubled)


def _edit_through_a_cut(here: Group, lost: Sequence[Machine], seconds: float) -> None:
    rng, began, number, state = random.Random(7), time.monotonic(), 0, 0
    marks = [time.time()]
    while (now := time.monotonic() - began) < seconds * 2:
        if state == 0 and now > seconds / 3:
            state = 1
        elif state == 2 and now > seconds * 4 / 3:
            state = 3
        if state in (1, 3):
            for each in lost:
                each.cut(off=state == 1)
            words = "cut off" if state == 1 else "back again"
            print(f"{now:5.0f} s: {', '.join(each.name[8:] for each in lost)} {words}")
            marks.append(time.time())
            state += 1
        here.edit(rng, number)
        number += 1
        time.sleep(0.2)
    marks.append(time.time())
    print(f"{number} edits")
    with here.services.db.reading() as session:
        for words, first, last in zip(
            ("before", "while cut off", "after"), marks[:-1], marks[1:], strict=True
        ):
            begun, ended = (datetime.fromtimestamp(moment, UTC) for moment in (first, last))
            statement = sqlalchemy.select(Run).where(
                Run.started_at.between(begun, ended), Run.lag_google.is_not(None)
            )
            runs = sorted(session.scalars(statement), key=lambda run: run.lag_google or 0.0)
            lags = [run.lag_google or 0.0 for run in runs]
            if lags:
                print(
                    f"  {words}: {len(lags)} passes, change to ERPNext p50"
                    f" {statistics.median(lags):.2f} s, p95 {lags[int(len(lags) * 0.95)]:.2f} s,"
                    f" longest {lags[-1]:.1f} s (its pass {runs[-1].seconds:.1f} s)"
                )
        failed = sqlalchemy.select(Run).where(Run.kind == "failed")
        for run in session.scalars(failed):
            print(f"  failed after {run.seconds:.0f} s: {run.error}")


def growth(args: argparse.Namespace) -> None:
    with group(args.calendars, pooled=args.pgbouncer) as here, ExitStack() as stack:
        machines = [here.machine(f"live{n}", 20 + n) for n in range(4)]
        bulk = here.machine("bulk", 30)
        cron = here.machine("cron", 40)
        for each in (*machines, bulk, cron):
            stack.callback(each.tear_down)
            stack.callback(each.stop)
        cron.start("cron")
        bulk.start("worker", "--queue", "backfill")
        until(lambda: not here.owing(), "the first listings", 900)
        bulk.stop()
        here.google.add_fault(match="/calendar/v3/", delay=GOOGLE_SECONDS)
        rng = random.Random(3)
        print(f"{args.calendars} calendars, a change in each:")
        for most in (0, 1):
            here.slow.limit(ERPNEXT_SECONDS, most)
            for workers in (1, 2, 4):
                rate, cpu = _work_off(here, machines[:workers], rng)
                limit = "one call after the other" if most else "any number of calls at once"
                print(
                    f"  ERPNext does {limit}: {workers} workers, {rate:.1f} calendars/s,"
                    f" {cpu * 1000:.0f} ms of a core each"
                )


def _work_off(here: Group, machines: Sequence[Machine], rng: random.Random) -> tuple[float, float]:
    """Calendars a second, and seconds of a processor that the workers take for each."""
    now = datetime.now(UTC).replace(microsecond=0)
    for number, who in enumerate(here.people):
        begins = now + timedelta(hours=rng.uniform(1, 600))
        body = event(f"More {number}", begins)
        here.known.setdefault(who, []).append(here.google.insert_event(who, body))
    with here.services.db.session() as session:
        ids = owing.owe_looks(session, session.scalars(sqlalchemy.select(Calendar.id)), "push", now)
    here.services.ring_all(ids, "live", "push")
    for each in machines:
        each.start("worker", "--queue", "live")
    total = len(here.people)
    until(lambda: here.owing() < total * 0.9, "the workers have begun", 120)
    first, began, busy = here.owing(), time.monotonic(), _cpu(machines)
    until(lambda: here.owing() < total * 0.1, "the backlog is worked off", 900)
    done = first - here.owing()
    rate, cpu = done / (time.monotonic() - began), (_cpu(machines) - busy) / done
    until(lambda: not here.owing(), "the rest", 300)
    for each in machines:
        each.stop()
    return rate, cpu


def _cpu(machines: Sequence[Machine]) -> float:
    times = [psutil.Process(part.pid).cpu_times() for each in machines for part in each.parts]
    return sum(each.user + each.system for each in times)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cut", type=float, default=60.0, help="seconds without some machines")
    parser.add_argument("--calendars", type=int, default=200, help="for the growth")
    parser.add_argument("--pgbouncer", action="store_true", help="in transaction mode")
    parser.add_argument("--only", choices=["cut", "growth"])
    args = parser.parse_args()
    if os.geteuid():
        parser.error("network namespaces are made by root: run it with sudo")
    right = args.only == "growth" or cut_off(args)
    if args.only != "cut":
        growth(args)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
