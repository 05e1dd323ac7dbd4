"""Composition root: ``build(settings)`` makes everything a process needs, once, after any fork.

The two outside systems are made when first needed and then kept, so that a worker's connections
stay warm between jobs. Nothing here is shared between processes.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from watcher.erpnext import connected_app
from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.events import EventMirror
from watcher.erpnext.site import EMPLOYEE_FIELD, Site, employee_of, read_site
from watcher.erpnext.versions import warnings
from watcher.errors import UserError, WatcherError, contained
from watcher.google.client import CalendarClient
from watcher.google.credentials import AccessTokens
from watcher.google.delegation import DelegationAllow, ServiceAccount, load_service_account
from watcher.google.endpoints import GoogleEndpoints
from watcher.google.fetching import TokenSource
from watcher.google.grants import Grant
from watcher.jobs.doorbell import Doorbell
from watcher.ledger import budget, calendars, keys, overview
from watcher.ledger import erpnext as known_site
from watcher.ledger.accounts import LedgerTokens
from watcher.ledger.budget import Purpose
from watcher.ledger.db import Database
from watcher.ledger.rings import Lane, Reason
from watcher.ledger.secrets import Keyring
from watcher.settings import Settings, load, require

Clock = Callable[[], datetime]

SITE_FACTS_SECONDS = 600.0
DESK_APP_SECONDS = 60.0
"""A Connected App that was made anew has another name; the old one keeps no tokens."""


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Kept:
    """What one process has made or asked for already; guarded by ``lock``."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    tokens: AccessTokens | None = None
    erpnext: ErpNextClient | None = None
    site: tuple[float, Site] | None = None
    desk_app: tuple[float, str] | None = None
    employees: dict[str, tuple[float, str | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Services:
    """What the rooms are handed. ``clock`` gives aware UTC datetimes; ``owner`` names this
    process in leases (host, pid and a nonce, so that a reused pid is another owner)."""

    settings: Settings
    db: Database
    keyring: Keyring
    doorbell: Doorbell
    clock: Clock = utc_now
    owner: str = field(
        default_factory=lambda: f"{socket.gethostname()[:40]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    )
    _kept: Kept = field(default_factory=Kept, init=False, repr=False, compare=False)

    def ring(self, calendar_id: int, lane: Lane, reason: Reason) -> bool:
        """Wake a worker for a calendar, and note it in the ledger: the note comes first, so that
        a job that starts at once finds it and clears it. False when Redis did not take it: then
        the note is taken back, and the sweep rings again."""
        with self.db.session() as session:
            calendars.note_rung(session, calendar_id, self.clock())
        if self.doorbell.ring(calendar_id, lane, reason):
            return True
        with self.db.session() as session:
            calendars.not_rung(session, calendar_id)
        return False

    def ring_all(self, calendar_ids: Iterable[int], lane: Lane, reason: Reason) -> int:
        """Ring for each; returns how many rings were made. Raises ``LedgerAway``."""
        return sum(
            contained(partial(self.ring, calendar_id, lane, reason), lambda _: False)
            for calendar_id in calendar_ids
        )

    # --- Google -----------------------------------------------------------------------------

    @property
    def tokens(self) -> AccessTokens:
        """Access tokens of all accounts. Raises ``UserError`` for a key file that is of no use."""
        with self._kept.lock:
            if self._kept.tokens is None:
                settings = self.settings
                source = TokenSource(
                    endpoints=endpoints(settings),
                    service_account=service_account(settings),
                    allow=DelegationAllow.parse(settings.delegation_allow),
                    desk_tokens=self.desk_token if settings.erpnext_url else None,
                )
                store = LedgerTokens(self.db, self.keyring)
                self._kept.tokens = AccessTokens(store, source, clock=lambda: self.clock())
            return self._kept.tokens

    def google(self, account_id: int, email: str, purpose: Purpose) -> CalendarClient:
        """Calls on behalf of one account, counted against the project's budget."""
        return CalendarClient(
            self.settings.google_api_url,
            self.tokens.for_account(account_id),
            quota_user=email,
            on_call=lambda _kind: budget.spend(self.db, account_id, purpose, self.clock()),
        )

    # --- ERPNext ----------------------------------------------------------------------------

    @property
    def erpnext(self) -> ErpNextClient:
        """Raises ``UserError`` naming every ERPNext setting that is missing."""
        with self._kept.lock:
            if self._kept.erpnext is None:
                self._kept.erpnext = erpnext_client(self.settings)
            return self._kept.erpnext

    def mirror(self) -> EventMirror:
        """The mirrored rows, as this site keeps them."""
        return EventMirror(
            self.erpnext,
            delete_cancelled=self.settings.cancelled_events == "delete",
            site_fields=self.site().fields,
        )

    def site(self) -> Site:
        """What the site says of itself, read again every ten minutes."""
        with self._kept.lock:
            kept = self._kept.site
            if kept is None or time.monotonic() - kept[0] > SITE_FACTS_SECONDS:
                kept = self._kept.site = (time.monotonic(), self._read_site())
            return kept[1]

    def _read_site(self) -> Site:
        site = read_site(self.erpnext, self.settings.erpnext_time_zone)
        with self.db.session() as session:
            known_site.remember_site(session, site.versions, warnings(site.frappe), self.clock())
        return site

    def employee(self, user: str | None) -> str | None:
        """The Employee of an ERPNext user, where the site's Event has a field for it; asked for
        again every ten minutes."""
        if user is None or EMPLOYEE_FIELD not in self.site().fields:
            return None
        with self._kept.lock:
            asked, found = self._kept.employees.get(user, (0.0, None))
            if not asked or time.monotonic() - asked > SITE_FACTS_SECONDS:
                found = employee_of(self.erpnext, user)
                self._kept.employees[user] = (time.monotonic(), found)
            return found

    # --- Frappe's Connected App -------------------------------------------------------------

    def desk_app(self) -> str:
        """The name of the Connected App of our Google client in ERPNext. Raises ``WatcherError``
        that says how to make it."""
        with self._kept.lock:
            kept = self._kept.desk_app
            if kept is None or time.monotonic() - kept[0] > DESK_APP_SECONDS:
                self._kept.desk_app = None
                name = connected_app.require_app(self.erpnext, self.settings.google_client_id)
                kept = self._kept.desk_app = (time.monotonic(), name)
                link = connected_app.desk_link(self.settings.erpnext_url, name)
                with self.db.session() as session:
                    overview.remember_desk(session, link, self.clock())
            return kept[1]

    def desk_token(self, grant: Grant) -> str:
        """The refresh token that Frappe keeps for an employee. Raises ``AccountDead``."""
        user = grant.erpnext_user or grant.email
        return connected_app.refresh_token(self.erpnext, self.desk_app(), user)


def build(
    settings: Settings,
    *,
    clock: Clock = utc_now,
    migrate: bool = True,
    check_keys: bool = True,
    make: bool = False,
) -> Services:
    """Open the ledger (migrating it, and with ``make`` making it), the key ring and the queue.

    Raises ``WatcherError`` when there is no ledger, ``UserError`` for a key that is missing or
    does not fit the ledger, and for a malformed URL. Nothing connects to Redis here: a doorbell
    that is down must not stop a process that can do without it.
    """
    given = settings.secret_keys.get_secret_value().split(",")
    keyring = Keyring(given, again=lambda: _keys_now(given))
    db = Database(settings.ledger_url)
    if migrate:
        try:
            db.migrate(make=make)
            if check_keys:
                keys.require_known(db, keyring)
        except WatcherError:
            db.dispose()
            raise
    return Services(settings, db, keyring, Doorbell(settings.queue_url), clock)


def _keys_now(given: Sequence[str]) -> Sequence[str]:
    """The keys as they are set at this moment; a new one may have been put in front."""
    try:
        now = load().settings.secret_keys.get_secret_value()
    except UserError:
        return given
    return now.split(",") if now else given


def endpoints(settings: Settings) -> GoogleEndpoints:
    return GoogleEndpoints(
        api_url=settings.google_api_url,
        auth_url=settings.google_auth_url,
        token_url=settings.google_token_url,
        revoke_url=settings.google_revoke_url,
        certs_url=settings.google_certs_url,
        client_id=settings.google_client_id,
        client_secret=settings.google_client_secret.get_secret_value(),
    )


def service_account(settings: Settings) -> ServiceAccount | None:
    """The delegation key, checked; None when none is set. Raises ``UserError``."""
    path = settings.google_service_account_file
    return load_service_account(path) if path else None


def check_delegation(settings: Settings) -> ServiceAccount | None:
    """What a start owes the admin: a key file or an allow-list that cannot work is named now and
    not at the first sync. Raises ``UserError``."""
    DelegationAllow.parse(settings.delegation_allow)
    return service_account(settings)


def erpnext_client(settings: Settings) -> ErpNextClient:
    """Raises ``UserError`` naming every ERPNext setting that is missing."""
    wanted = ("erpnext_url", "erpnext_api_key", "erpnext_api_secret")
    require(settings, *wanted, why="writing to ERPNext")
    secret = settings.erpnext_api_secret.get_secret_value()
    return ErpNextClient(settings.erpnext_url, settings.erpnext_api_key, secret)
