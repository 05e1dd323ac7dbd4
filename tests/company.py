"""A small company for tests: sandbox Google, sandbox ERPNext, and a Watcher between them.

``company.sync(...)`` works in this process what a worker would; ``company.watcher(...)`` and
``company.start(...)`` run the real program with the same settings.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import secrets
import socket
import subprocess
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import requests
from sqlalchemy import Row, update
from sqlalchemy.orm import Session

from tests.forked import Forked, forked
from tests.waiting import wait_for
from watcher.accounts.verbs import Added, add_delegated
from watcher.erpnext import role
from watcher.erpnext.fields import check, install, tell_nobody
from watcher.google.endpoints import OAUTH_SCOPES
from watcher.google.refresh import Fresh
from watcher.ledger import accounts, calendars, opening, owing
from watcher.ledger.accounts import Consented
from watcher.ledger.models import Account, Calendar, Channel
from watcher.ledger.states import AccountState
from watcher.services import Ledger, Services, build
from watcher.settings import Settings, load
from watcher.sync.work import work_off
from watcher_sandbox.erpnext.site import Site
from watcher_sandbox.google import GoogleState

DOMAIN = "scoopjoy.test"
ANN, BOB, ADMIN = f"ann@{DOMAIN}", f"bob@{DOMAIN}", f"admin@{DOMAIN}"
CLIENT_ID, CLIENT_SECRET = "tests.apps.googleusercontent.com", "client-secret-of-the-tests"
SERVICE_ACCOUNT = "watcher@sandbox-project.iam.gserviceaccount.com"
SITE_ZONE = ZoneInfo("Asia/Kolkata")
_custom_fields: dict[tuple[int, bool, bool], list[dict[str, Any]]] = {}


# Below the ports that the kernel gives to outgoing connections and to servers without a wish, and
# above those that Chromium refuses. Each test process has a share of its own.
PORTS, SHARES = range(12_000, 32_000), 20
_share = int(os.environ.get("PYTEST_XDIST_WORKER", "gw19").removeprefix("gw")) % SHARES
_length = len(PORTS) // SHARES
_first = random.randrange(_length)
_candidates = (PORTS[_share * _length + (_first + n) % _length] for n in itertools.count())


def free_port() -> int:
    """A port that nobody has and that no other test is given: it can be bound seconds later."""
    for port in itertools.islice(_candidates, _length):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError(f"no free port in {PORTS}")


class Company:
    """Everything a test needs of both sides; the settings are real environment variables."""

    def __init__(
        self,
        *,
        google: GoogleState,
        site: Site,
        folder: Path,
        google_url: str,
        erpnext_url: str,
        queue_url: str,
        database_url: str,
    ) -> None:
        self.google, self.site, self.folder = google, site, folder
        self.reached = True
        confirm = partial(self._confirm, opening.confirm)
        self._confirmed = mock.patch.object(opening, "confirm", confirm)
        self._confirmed.start()
        self.port = free_port()
        self.public_url = f"http://127.0.0.1:{self.port}"
        self.key = secrets.token_urlsafe(32)
        self.processes: list[Forked] = []
        for email in (ANN, BOB, ADMIN):
            google.add_user(email, time_zone="Asia/Kolkata")
            site.add_user(email)
        key_file = google.make_service_account(folder / "service-account.json")
        google.delegated_to = [f"@{DOMAIN}"]
        google.add_client(CLIENT_ID, CLIENT_SECRET, [f"{self.public_url}/oauth/google/callback"])
        self.environ = {
            "WATCHER_DATA_DIR": str(folder / "data"),
            "WATCHER_DATABASE_URL": database_url,
            "WATCHER_REDIS_URL": queue_url,
            "WATCHER_SECRET_KEYS": self.key,
            "WATCHER_PUBLIC_URL": self.public_url,
            "WATCHER_ADMIN_EMAILS": ADMIN,
            "WATCHER_GOOGLE_CLIENT_ID": CLIENT_ID,
            "WATCHER_GOOGLE_CLIENT_SECRET": CLIENT_SECRET,
            "WATCHER_GOOGLE_SERVICE_ACCOUNT_FILE": str(key_file),
            "WATCHER_DELEGATION_ALLOW": f"@{DOMAIN}",
            "WATCHER_GOOGLE_API_URL": google_url,
            "WATCHER_GOOGLE_AUTH_URL": f"{google_url}/o/oauth2/v2/auth",
            "WATCHER_GOOGLE_TOKEN_URL": f"{google_url}/token",
            "WATCHER_GOOGLE_REVOKE_URL": f"{google_url}/revoke",
            "WATCHER_GOOGLE_CERTS_URL": f"{google_url}/oauth2/v1/certs",
            "WATCHER_ERPNEXT_URL": erpnext_url,
            "WATCHER_ERPNEXT_API_KEY": site.api_key,
            "WATCHER_ERPNEXT_API_SECRET": site.api_secret,
            "WATCHER_LOG_FORMAT": "json",
        }

    # --- in this process ------------------------------------------------------------------

    def set(self, name: str, value: str) -> None:
        """Change a setting, before anything was built."""
        self.environ[f"WATCHER_{name.upper()}"] = value

    @property
    def settings(self) -> Settings:
        return load(self.environ, self.folder).settings

    @cached_property
    def services(self) -> Services:
        return build(self.settings, ledger=Ledger.MADE)

    def rebuild(self) -> None:
        """As after a restart with other settings."""
        if "services" in self.__dict__:
            self.__dict__.pop("services").db.dispose()

    def _confirm(
        self,
        confirm: Callable[..., list[str]],
        session: Session,
        found: Row[Any],
        granted: opening.Granted,
        now: datetime,
    ) -> list[str]:
        """In this process no web server takes Google's ``sync``, so that it counts as heard when a
        channel is opened here, unless a test sets ``reached`` to False."""
        retired = confirm(session, found, granted, now)
        if self.reached:
            mine = Channel.id == found.channel_id
            session.execute(update(Channel).where(mine).values(heard_at=now))
        return retired

    def later(self, **span: float) -> None:
        """Move both clocks: Google's and the bridge's."""
        real, step = self.services.clock, timedelta(**span)
        object.__setattr__(self.services, "clock", lambda: real() + step)
        self.google.clock.advance(step.total_seconds())

    def jump(self, **span: float) -> None:
        """Only the bridge's clock is wrong, by so much; without ``span`` it is right again."""
        step = timedelta(**span)
        object.__setattr__(self.services, "clock", lambda: datetime.now(UTC) + step)

    def setup_erpnext(self) -> None:
        """The custom fields, as ``watcher erpnext setup`` makes them: over HTTP once in each test
        process for each kind of site; the next ones are given the same rows. Over HTTP always on a
        real site (``tests.desk_site``)."""
        if not isinstance(self.site, Site):
            client = self.services.erpnext  # of an API user that may be no System Manager
            act = install if client.is_system_manager() else check
            assert act(client).complete
            return
        kind = (self.site.frappe, self.site.erpnext, self.site.rich_events)
        if kind not in _custom_fields or self.site.rows("Custom Field"):
            assert install(self.services.erpnext).complete
            _custom_fields[kind] = self.site.rows("Custom Field")
            return
        with self.site.transaction():
            for row in _custom_fields[kind]:
                self.site.put("Custom Field", row)

    def give_role(self) -> None:
        """The API user is no System Manager from now on: it has the role Watcher alone."""
        client = self.services.erpnext
        role.give(client, client.whoami(), tell_nobody)
        assert not client.is_system_manager()

    def add(self, email: str = ANN) -> Added:
        """Register a mailbox by delegation."""
        return add_delegated(self.services, email)

    def consented(self, email: str) -> None:
        """The employee has consented; what the callback does, without a browser."""
        token = self.google.oauth.mint_refresh(CLIENT_ID, email, OAUTH_SCOPES)
        with self.services.db.session() as session:
            account = accounts.find(session, email) or accounts.add(
                session,
                email=email,
                source="oauth",
                state=AccountState.INVITED,
                now=self.services.clock(),
                erpnext_user=email,
            )
            now = self.services.clock()
            fresh = Fresh(
                access_token=self.google.mint_access_token(email),
                expires_at=now + timedelta(hours=1),
                refresh_token=token,
                scopes=frozenset(OAUTH_SCOPES),
            )
            consented = Consented(at=now, sub=self.google.users[email].sub, fresh=fresh)
            accounts.activate_oauth(session, self.services.keyring, account.id, consented)

    def account(self, email: str = ANN) -> Account:
        """The ledger's row of an account."""
        with self.services.db.session() as session:
            return accounts.get(session, email)

    def sync(self, email: str = ANN, *, snapshot: bool = False, force: bool = False) -> str:
        """What a worker does for the account's first calendar when it is rung; after a failure as
        if the pause were over."""
        with self.services.db.session() as session:
            calendar = calendars.of_account(session, accounts.get(session, email).id)[0]
            if snapshot or force:
                now = self.services.clock()
                owing.owe_now(session, [calendar.id], "asked", now)
            if force:
                owing.allow_sweeps(session, [calendar.id], now)
            calendar.retry_at = None
            number = calendar.id
        return work_off(self.services, number, "test")

    def calendar(self, email: str = ANN) -> Calendar:
        """The ledger's row of the account's first calendar."""
        with self.services.db.session() as session:
            return calendars.of_account(session, accounts.get(session, email).id)[0]

    def connect(self, email: str = ANN) -> None:
        """Fields, account and first sync."""
        self.setup_erpnext()
        self.add(email)
        assert self.sync(email) == "done"

    def connect_at_rest(self) -> None:
        """As ``connect``, with the queue empty: the ring of the connecting is long served."""
        self.connect()
        self.services.doorbell.client.flushall()

    # --- Google and ERPNext ---------------------------------------------------------------

    def timed(self, hours: float = 24, length: float = 1, **extra: Any) -> dict[str, Any]:
        """A body: ``hours`` from now, ``length`` hours long."""
        begins = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=hours)
        ends = begins + timedelta(hours=length)
        return {
            "summary": "Shift",
            "start": {"dateTime": begins.isoformat(), "timeZone": "Asia/Kolkata"},
            "end": {"dateTime": ends.isoformat(), "timeZone": "Asia/Kolkata"},
            **extra,
        }

    def rows(self, email: str = ANN, *, live: bool = True) -> list[dict[str, Any]]:
        """ERPNext's Events of an account, by start; ``live``: those not cancelled."""
        found = [e for e in self.site.events() if e.get("custom_google_account") == email]
        wanted = [e for e in found if not live or e["status"] != "Cancelled"]
        return sorted(wanted, key=lambda e: (e["starts_on"], e["subject"]))

    def subjects(self, email: str = ANN) -> list[str]:
        return [row["subject"] for row in self.rows(email)]

    def expected(self, email: str = ANN) -> dict[str, tuple[str, str, str | None]]:
        """Event id -> (subject, starts_on, ends_on) as ERPNext must hold it, by the facts alone:
        none of the bridge's own code decides here."""
        found = self.google.truth(email, *_window())
        return dict(filter(None, (_as_row(item) for item in found)))

    def mirrored(self, email: str = ANN) -> dict[str, tuple[str, str, str | None]]:
        """What ERPNext holds in the window, in the form of ``expected``. It may hold what has
        left at the past edge, and the next hour at the far one."""
        first, last = (_on_site(edge.isoformat()) for edge in _window())
        return {
            row["custom_google_event_id"]: (row["subject"], row["starts_on"], row["ends_on"])
            for row in self.rows(email)
            if row["starts_on"] < last and _end_of(row) > first
        }

    # --- as a program ---------------------------------------------------------------------

    @property
    def process_environ(self) -> dict[str, str]:
        return {k: v for k, v in os.environ.items() if not k.startswith("WATCHER_")} | self.environ

    def watcher(self, *words: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return forked(words, self.process_environ, self.folder, timeout)

    def status(self) -> dict[str, Any]:
        """``watcher status --json``, whose exit code says the same."""
        return _status_of(self.watcher("status", "--json"))

    def await_health(self, people: int, *, what: str = "health", seconds: float = 120) -> None:
        """Nothing amiss, and everybody active, watched and up to date."""
        seen: dict[str, Any] = {}

        def healthy() -> bool:
            done = self.watcher("status", "--json")
            if done.returncode == 6:  # the ledger did not answer in time
                seen["refused"] = done.stderr
                return False
            seen.update(_status_of(done))
            return bool(
                seen["healthy"]
                and seen["accounts"]["active"] == people
                and seen["channels"]["live"] == people
                and seen["calendars"]["up_to_date"] == people
            )

        try:
            wait_for(healthy, what=what, seconds=seconds)
        except AssertionError as late:
            listed = self.watcher("calendars", "list", "--json").stdout
            log = (self.folder / "watcher.log").read_text().splitlines()
            raise AssertionError("\n".join([f"{late}: {seen}", listed, *log[-40:]])) from None

    def start(self, *words: str, log: str = "watcher.log") -> Forked:
        """Start a long-running command; its messages go to ``folder/log``."""
        out = self.folder / log
        process = Forked(words, self.process_environ, self.folder, out, out)
        self.processes.append(process)
        return process

    def web_is_up(self) -> bool:
        try:
            return requests.get(f"{self.public_url}/healthz", timeout=2).ok
        except requests.RequestException:
            return False

    def close(self) -> None:
        """What was started is killed: children go with their parent. Clean ends have own tests."""
        self._confirmed.stop()
        for process in self.processes:
            process.kill()
            process.wait()
        if "services" in self.__dict__:
            self.services.doorbell.client.close()
            self.services.db.dispose()


def _status_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode in (0, 7), done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["healthy"] == (done.returncode == 0)
    return document


def _as_row(item: dict[str, Any]) -> tuple[str, tuple[str, str, str | None]] | None:
    mine = [a for a in item.get("attendees", []) if a.get("self")]
    if mine and mine[0].get("responseStatus") == "declined":
        return None
    if item.get("eventType") in ("workingLocation", "birthday"):
        return None
    private = item.get("visibility") in ("private", "confidential")
    mask = "Private" if item.get("transparency") == "transparent" else "Busy"
    subject = mask if private else item.get("summary") or "(No title)"
    start, end = item["start"], item["end"]
    if "date" in start:
        last = date.fromisoformat(end["date"]) - timedelta(days=1)
        # Frappe's calendar draws a single day right when it ends as the Desk itself ends it.
        clock = "23:59:59" if str(last) == start["date"] else "00:00:00"
        return item["id"], (subject, f"{start['date']} 00:00:00", f"{last} {clock}")
    begins, ends = (datetime.fromisoformat(each["dateTime"]) for each in (start, end))
    # Frappe stores an end that equals the start as nothing, and draws what has none until midnight.
    ends = max(ends, begins + timedelta(minutes=1))
    return item["id"], (subject, _on_site(begins.isoformat()), _on_site(ends.isoformat()))


def _window() -> tuple[datetime, datetime]:
    """The default window, less a minute, so that nothing crosses its edges while we look."""
    now, minute = datetime.now(UTC), timedelta(minutes=1)
    return now - timedelta(days=7) + minute, now + timedelta(days=30) - minute


def _end_of(row: dict[str, Any]) -> str:
    last = str(row["ends_on"] or row["starts_on"])
    return f"{last[:10]} 24" if row["all_day"] else last


def _on_site(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(SITE_ZONE):%Y-%m-%d %H:%M:%S}"
