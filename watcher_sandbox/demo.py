"""``watcher demo``: Google, Watcher and ERPNext on this machine, with edits made while you watch.

Sandbox Google and sandbox ERPNext run in this process, Watcher itself as real processes
(``watcher up``), as it would in production. Each edit is timed from Google to ERPNext.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console

from watcher.processes.signals import stop_event
from watcher_sandbox import ics as export
from watcher_sandbox import stage
from watcher_sandbox.company import ARRIVAL_SECONDS, Company
from watcher_sandbox.erpnext.app import serve as serve_erpnext
from watcher_sandbox.erpnext.site import Site
from watcher_sandbox.google import GoogleState
from watcher_sandbox.google import serve as serve_google
from watcher_sandbox.google.shortcuts import LIST_CALENDARS, READ_EVENTS
from watcher_sandbox.people import DOMAIN, PEOPLE, Person, days, fill, timed

READY_SECONDS = 60.0
PAUSE_SECONDS = 2.0
YOU = f"you@{DOMAIN}"
HEAD_OFFICE = PEOPLE[4]
CLIENT_ID, CLIENT_SECRET = "demo.apps.googleusercontent.com", "demo-client-secret"

console = Console(highlight=False)


def run(*, seconds: float | None, ics: str | None, port: int, frappe: int = 16) -> int:
    """Run the demo with a stand-in for that version of Frappe. Returns 0 when every change arrived,
    else 1."""
    stop = stop_event()
    with tempfile.TemporaryDirectory(prefix="watcher-demo-") as folder:
        company = _stage(Path(folder), port, frappe)
        log = (Path(folder) / "watcher.log").open("w")
        up = subprocess.Popen(
            [sys.executable, "-m", "watcher", "up", "--port", company.environ["DEMO_PORT"]],
            env=company.environ,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            return _play(company, up, seconds, ics, stop)
        finally:
            up.terminate()
            try:
                up.wait(timeout=30)
            except subprocess.TimeoutExpired:
                up.kill()
            company.google.close()
            log.close()


def _stage(folder: Path, port: int, frappe: int) -> Company:
    google, site = GoogleState(), Site("Asia/Kolkata", frappe=frappe, erpnext=True)
    google_url = serve_google(google).url
    erpnext_url = serve_erpnext(site).url
    port = port or _free_port()
    fill(google)
    key_file = google.make_service_account(
        folder / "service-account.json", (READ_EVENTS, LIST_CALENDARS)
    )
    google.delegated_to = [f"@{DOMAIN}"]
    google.add_client(CLIENT_ID, CLIENT_SECRET, [f"http://127.0.0.1:{port}/oauth/google/callback"])
    for person in PEOPLE:
        site.add_user(person.email)
        name, _, branch = person.name.partition(", ")
        site.add_employee(name, person.email, branch=branch or None)
    environ = {k: v for k, v in os.environ.items() if not k.startswith("WATCHER_")} | {
        "WATCHER_DATA_DIR": str(folder / "data"),
        "WATCHER_SECRET_KEYS": secrets.token_urlsafe(32),
        "WATCHER_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "WATCHER_ADMIN_EMAILS": PEOPLE[4].email,
        "WATCHER_GOOGLE_CLIENT_ID": CLIENT_ID,
        "WATCHER_GOOGLE_CLIENT_SECRET": CLIENT_SECRET,
        "WATCHER_GOOGLE_SERVICE_ACCOUNT_FILE": str(key_file),
        "WATCHER_DELEGATION_ALLOW": f"@{DOMAIN}",
        "WATCHER_FIND_CALENDARS": "both",
        "WATCHER_GOOGLE_API_URL": google_url,
        "WATCHER_GOOGLE_AUTH_URL": f"{google_url}/o/oauth2/v2/auth",
        "WATCHER_GOOGLE_TOKEN_URL": f"{google_url}/token",
        "WATCHER_GOOGLE_REVOKE_URL": f"{google_url}/revoke",
        "WATCHER_GOOGLE_CERTS_URL": f"{google_url}/oauth2/v1/certs",
        "WATCHER_ERPNEXT_URL": erpnext_url,
        "WATCHER_ERPNEXT_API_KEY": site.api_key,
        "WATCHER_ERPNEXT_API_SECRET": site.api_secret,
        "DEMO_PORT": str(port),
    }
    return Company(google, site, environ, folder)


def _play(
    company: Company,
    up: subprocess.Popen[bytes],
    seconds: float | None,
    ics: str | None,
    stop: threading.Event,
) -> int:
    began = time.monotonic()
    where = f"sandbox ERPNext (Frappe {company.site.version})"
    console.print(f"[bold]Watcher demo[/bold]: sandbox Google -> Watcher -> {where}")
    if not _connect(company, up, ics, stop):
        return 1
    base = company.environ["WATCHER_PUBLIC_URL"]
    people = (*PEOPLE, Person(YOU, "You", HEAD_OFFICE.zone)) if ics is not None else PEOPLE
    console.print(
        f"\n  both sides {stage.serve(company, people)}  (change Google's day, see ERPNext follow)"
    )
    console.print(f"  dashboard  {base}/  (sign in as {PEOPLE[4].email})")
    desk = "/desk" if company.site.frappe >= 16 else "/app"
    console.print(f"  ERPNext    {company.environ['WATCHER_ERPNEXT_URL']}{desk}/event\n")
    console.print("[bold]edits in Google, and when they are in ERPNext[/bold]")
    rng = random.Random(7)
    scenes = _scenes(company)
    at = 0
    while not stop.is_set() and (
        seconds is None or at == 0 or time.monotonic() - began < seconds - 3
    ):
        _scene(company, *scenes[at % len(scenes)])
        at += 1
        stop.wait(PAUSE_SECONDS * rng.uniform(0.7, 1.3))
        if up.poll() is not None:
            console.print("[red]watcher up ended unexpectedly[/red]")
            return 1
    return _verdict(company)


def _connect(
    company: Company, up: subprocess.Popen[bytes], ics: str | None, stop: threading.Event
) -> bool:
    emails = [person.email for person in PEOPLE]
    if ics is not None:
        company.google.add_user(YOU, "You", export.zone_of(Path(ics), HEAD_OFFICE.zone))
        for line in export.load(company.google, YOU, Path(ics)).lines(ics):
            console.print(f"  {line}", markup=False, soft_wrap=True)
        company.site.add_user(YOU)
        emails.append(YOU)
    setup = company.watcher("erpnext", "setup")
    if setup.returncode:
        console.print(f"[red]erpnext setup failed[/red]\n{setup.stderr}")
        return False
    people = company.data / "people.csv"
    people.write_text("email\n" + "\n".join(emails) + "\n")
    added = company.watcher("accounts", "import", "--from", str(people))
    if added.returncode:
        console.print(f"[red]connecting failed[/red]\n{added.stderr}")
        return False
    began = time.monotonic()

    def healthy() -> bool:
        answer = company.watcher("status", "--json")
        try:
            status = json.loads(answer.stdout)
        except ValueError:
            return False
        ready = status["calendars"]["up_to_date"] == len(emails) == status["channels"]["live"]
        return bool(ready and status["healthy"]) or stop.is_set() or up.poll() is not None

    if not _await(healthy, READY_SECONDS) or up.poll() is not None:
        console.print("[red]Watcher did not become ready[/red]")
        log = (company.data / "watcher.log").read_text().splitlines()
        console.print("\n".join(log[-5:]), markup=False)
        return False
    rows = len(company.site.events())
    console.print(
        f"  {len(emails)} employees connected, {rows} events mirrored in "
        f"{time.monotonic() - began:.1f} s"
    )
    return True


Change = Callable[[], str]
Seen = Callable[[str], bool]


def _scene(company: Company, who: str, what: str, change: Change, seen: Seen) -> None:
    name = who.partition("@")[0]
    edit = company.edit(name, what, change, seen)
    if edit.seconds is not None:
        company.latencies.append(edit.seconds)
        console.print(f"  {datetime.now(UTC):%H:%M:%S}  {name:7} {what:44} {edit.seconds:6.2f} s")
    else:
        company.missed.append(what)
        console.print(f"  [red]{name:7} {what:44} not within {ARRIVAL_SECONDS:.0f} s[/red]")


def _scenes(company: Company) -> list[tuple[str, str, Change, Seen]]:
    """The edits that the demo repeats: who, what is printed, the edit itself, and a function that
    tells whether ERPNext has it."""
    google = company.google
    now = google.clock.now
    asha, bela, carlos, dana, emil = PEOPLE
    last: dict[str, str] = {}

    def subjects(email: str, status: str = "Open") -> set[str]:
        return {r["subject"] for r in company.rows(email) if r["status"] == status}

    def add(person: Any, title: str, **extra: Any) -> Change:
        def change() -> str:
            subject = f"{title} {secrets.token_hex(2)}"
            body = timed(person.zone, 1, 12, 1, now(), summary=subject, **extra)
            last[person.email] = google.insert_event(person.email, body)
            return subject

        return change

    def shift_back() -> str:
        hour = 5 + secrets.randbelow(60 * 12) / 60
        body = timed(asha.zone, 2, hour, 3, now())
        google.patch_event(asha.email, last[asha.email], body)
        when = datetime.fromisoformat(body["start"]["dateTime"])
        return f"{when:%Y-%m-%d %H:%M:%S}"

    def delete() -> str:
        event = google.get_event(asha.email, last[asha.email])
        google.delete_event(asha.email, last[asha.email])
        return str(event["summary"])

    def private() -> str:
        before = sum(r["subject"] == "Busy" for r in company.rows(dana.email))
        body = timed(
            dana.zone,
            1,
            9,
            1,
            now(),
            summary="Job interview",
            visibility="private",
            description="secret",
        )
        google.insert_event(dana.email, body)
        return str(before + 1)

    def leave() -> str:
        subject = f"Leave {secrets.token_hex(2)}"
        google.insert_event(bela.email, days(bela.zone, 6, 3, now(), summary=subject))
        return subject

    def roster() -> str:
        subject = f"Late roster {secrets.token_hex(2)}"
        body = timed(
            carlos.zone, 1, 16, 6, now(), summary=subject, recurrence=["RRULE:FREQ=DAILY;COUNT=5"]
        )
        last[carlos.email] = google.insert_event(carlos.email, body)
        return subject

    def drop_one() -> str:
        roster = last[carlos.email]
        shifts = google.instance_ids(carlos.email, roster, now(), now() + timedelta(days=30))
        google.delete_event(carlos.email, shifts[2])
        return str(google.get_event(carlos.email, roster)["summary"])

    def count(email: str, subject: str) -> int:
        rows = company.rows(email)
        return sum(r["subject"] == subject and r["status"] == "Open" for r in rows)

    return [
        (asha.email, "adds a shift", add(asha, "Extra shift"), lambda s: s in subjects(asha.email)),
        (
            asha.email,
            "moves it to another day",
            shift_back,
            lambda s: any(r["starts_on"] == s for r in company.rows(asha.email)),
        ),
        (
            dana.email,
            "adds a private appointment (shown as Busy)",
            private,
            lambda n: sum(r["subject"] == "Busy" for r in company.rows(dana.email)) == int(n),
        ),
        (bela.email, "takes three days of leave", leave, lambda s: s in subjects(bela.email)),
        (
            carlos.email,
            "gets a roster of five late shifts",
            roster,
            lambda s: count(carlos.email, s) == 5,
        ),
        (carlos.email, "drops one of them", drop_one, lambda s: count(carlos.email, s) == 4),
        (
            emil.email,
            "plans an outlet event",
            add(emil, "Tasting", location="Baner"),
            lambda s: s in subjects(emil.email),
        ),
        (asha.email, "deletes the shift", delete, lambda s: s in subjects(asha.email, "Cancelled")),
    ]


def _verdict(company: Company) -> int:
    done = sorted(company.latencies)
    if done:
        middle, worst = done[len(done) // 2], done[-1]
        word = "change" if len(done) == 1 else "changes"
        console.print(f"\n{len(done)} {word} arrived; median {middle:.2f} s, slowest {worst:.2f} s")
    verify = company.watcher("verify", "--all")
    equal = verify.returncode == 0
    console.print("verify: Google and ERPNext are equal" if equal else verify.stderr, markup=False)
    keys = [r.get("custom_google_sync_key") for r in company.site.events()]
    if len(keys) != len(set(keys)):
        console.print("[red]duplicate rows in ERPNext[/red]")
        return 1
    return 0 if equal and done and not company.missed else 1


def _await(condition: Callable[[], bool], seconds: float, step: float = 0.2) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(step)
    return condition()


def _free_port() -> int:
    """A port that the web server can still bind a moment later: below those that the kernel gives
    to outgoing connections and to servers that name no port
    (/proc/sys/net/ipv4/ip_local_port_range).
    """
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port between 20000 and 32000")
