"""Composition root: ``build(settings)`` makes everything a process needs, once, after any fork.

The two outside systems are made when first needed and then kept, so that a worker's connections
stay warm between jobs. Nothing here is shared between processes.
"""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from functools import partial

from watcher import errors
from watcher.erpnext import site as theirs
from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.events import EventMirror
from watcher.erpnext.known import KnownSite
from watcher.google import client as calendar_api
from watcher.google.credentials import AccessTokens
from watcher.google.delegation import Delegation
from watcher.google.endpoints import GoogleEndpoints
from watcher.google.fetching import TokenSource
from watcher.jobs.doorbell import Doorbell
from watcher.ledger import budget, calendars, keys, rings
from watcher.ledger import erpnext as known_site
from watcher.ledger.accounts import LedgerTokens
from watcher.ledger.db import Database
from watcher.ledger.secrets import Keyring
from watcher.settings import Settings, require
from watcher.telemetry import counts as counting

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Kept:
    """What one process has made or asked for already; guarded by ``lock``. ``seconds`` is how long
    an answer of ERPNext is waited for."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    seconds: float = 60.0
    tokens: AccessTokens | None = None
    erpnext: ErpNextClient | None = None
    site: KnownSite | None = None
    titles: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Services:
    """What the rooms are handed. ``clock`` gives aware UTC datetimes; ``owner`` names this
    process in leases (host, pid and a nonce, so that a reused pid is another owner). ``counts``
    is what this process has still to write into the ledger's counters."""

    settings: Settings
    db: Database
    keyring: Keyring
    doorbell: Doorbell
    clock: Clock = utc_now
    owner: str = field(
        default_factory=lambda: f"{socket.gethostname()[:40]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    )
    counts: counting.Counts = field(default_factory=counting.Counts, repr=False, compare=False)
    _kept: Kept = field(default_factory=Kept, init=False, repr=False, compare=False)

    def ring(self, calendar_id: int, lane: rings.Lane, reason: rings.Reason) -> bool:
        """Wake a worker for a calendar, and note it in the ledger: the note comes first, so that
        a job that starts at once finds it and clears it. False when Redis did not take it: then
        the note is taken back, and the sweep rings again."""
        with self.db.session() as session:
            calendars.note_rung(session, calendar_id, self.clock())
        return self._wake(calendar_id, lane, reason)

    def ring_noted(
        self, calendar_ids: Iterable[int], lane: rings.Lane, reason: rings.Reason
    ) -> None:
        """Ring for each of these, of which ``calendars.note_rung`` has noted so already."""
        for calendar_id in calendar_ids:
            self._wake(calendar_id, lane, reason)

    def _wake(self, calendar_id: int, lane: rings.Lane, reason: rings.Reason) -> bool:
        if self.doorbell.ring(calendar_id, lane, reason):
            return True
        with self.db.session() as session:
            calendars.not_rung(session, calendar_id)
        return False

    def ring_all(self, calendar_ids: Iterable[int], lane: rings.Lane, reason: rings.Reason) -> int:
        """Ring for each; returns how many rings were made. Raises ``LedgerAway``."""
        return sum(
            errors.contained(partial(self.ring, calendar_id, lane, reason), lambda _: False)
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
                    delegation=delegation(settings),
                    desk_tokens=self.desk_token if settings.erpnext_url else None,
                    answered=self.counts.answers_of(counting.AT_GOOGLE),
                )
                store = LedgerTokens(self.db, self.keyring)
                self._kept.tokens = AccessTokens(store, source, clock=lambda: self.clock())
            return self._kept.tokens

    def google(
        self,
        account_id: int,
        email: str,
        share: budget.Purpose | budget.Share,
        patience: calendar_api.Patience = calendar_api.PATIENT,
    ) -> calendar_api.CalendarClient:
        """Calls on behalf of one account, counted against the project's budget."""
        if not isinstance(share, budget.Share):
            share = budget.Share(share)
        purse = budget.Purse(self.db, account_id, share, lambda: self.clock())
        return calendar_api.CalendarClient(
            self.settings.google_api_url,
            self.tokens.for_account(account_id),
            quota_user=email,
            on_call=lambda _kind: purse.pay(),
            on_answer=self.counts.answers_of(counting.AT_GOOGLE),
            patience=patience,
        )

    # --- ERPNext ----------------------------------------------------------------------------

    @property
    def erpnext(self) -> ErpNextClient:
        """Raises ``UserError`` naming every ERPNext setting that is missing."""
        with self._kept.lock:
            if self._kept.erpnext is None:
                self._kept.erpnext = erpnext_client(self.settings, self._kept.seconds)
                self._kept.erpnext.on_answer = self.counts.answers_of(counting.AT_ERPNEXT)
            return self._kept.erpnext

    def mirror(self) -> EventMirror:
        """The mirrored rows, as this site keeps them."""
        return EventMirror(
            self.erpnext,
            delete_cancelled=self.settings.cancelled_events == "delete",
            site_fields=self.site().fields,
        ).titled_private(self.settings.busy_title, self.settings.free_title, self._titles())

    def _titles(self) -> frozenset[str]:
        """The titles that private events have, or had before the settings named others."""
        with self._kept.lock:
            if self._kept.titles is None:
                self._kept.titles = known_site.private_titles(self.db, self.settings, self.clock())
            return self._kept.titles

    @property
    def _site(self) -> KnownSite:
        with self._kept.lock:
            if self._kept.site is None:
                self._kept.site = KnownSite(
                    self.erpnext,
                    zone_name=self.settings.erpnext_time_zone,
                    client_id=self.settings.google_client_id,
                    note_site=self._note_site,
                    note_desk_link=self._note_desk_link,
                )
            return self._kept.site

    def _note_site(self, site: theirs.Site) -> None:
        facts = known_site.SiteFacts(
            versions=site.versions, warnings=site.warnings, key_is_unique=site.key_is_unique
        )
        with self.db.session() as session:
            known_site.remember_site(session, facts, self.clock())

    def _note_desk_link(self, link: str) -> None:
        with self.db.session() as session:
            known_site.remember_desk(session, link, self.clock())

    def site(self) -> theirs.Site:
        """What the site says of itself, read again every ten minutes."""
        return self._site.site()

    def employee(self, user: str | None) -> theirs.Employee | None:
        """The Employee of an ERPNext user, where the site's Event has a field for it."""
        return self._site.employee(user)

    def desk_app(self) -> str:
        """The name of the Connected App of our Google client in ERPNext. Raises ``WatcherError``
        that says how to make it."""
        return self._site.desk_app()

    def desk_token(self, user: str) -> str:
        """The refresh token that Frappe keeps for an ERPNext user. Raises ``AccountDead``."""
        return self._site.desk_token(user)


class Ledger(Enum):
    """How a process opens the ledger."""

    AS_IT_IS = "neither migrated nor checked"
    WITHOUT_KEYS = "migrated, although a key of its secrets may be missing"
    CHECKED = "migrated, and every key of its secrets is there"
    MADE = "made where there is none, otherwise as CHECKED"


def build(
    settings: Settings, *, clock: Clock = utc_now, ledger: Ledger = Ledger.CHECKED
) -> Services:
    """Open the ledger, the key ring and the queue.

    Raises ``WatcherError`` when there is no ledger, ``UserError`` for a key that is missing or
    does not fit the ledger, and for a malformed URL. Nothing connects to Redis here: a doorbell
    that is down must not stop a process that can do without it.
    """
    keyring = Keyring.of(settings)
    db = Database(settings.ledger_url)
    try:
        if ledger is not Ledger.AS_IT_IS:
            db.migrate(make=ledger is Ledger.MADE)
        if ledger in (Ledger.CHECKED, Ledger.MADE):
            keys.require_known(db, keyring)
    except Exception:
        db.dispose()
        raise
    return Services(settings, db, keyring, Doorbell(settings.queue_url), clock)


def endpoints(settings: Settings) -> GoogleEndpoints:
    return GoogleEndpoints(
        api_url=settings.google_api_url,
        auth_url=settings.google_auth_url,
        token_url=settings.google_token_url,
        revoke_url=settings.google_revoke_url,
        certs_url=settings.google_certs_url,
        client_id=settings.google_client_id,
        client_secret=settings.google_client_secret.get_secret_value(),
        finds_calendars=settings.find_calendars != "no",
    )


def delegation(settings: Settings) -> Delegation:
    """Raises ``UserError`` for a key file or an allow-list that cannot work."""
    return Delegation.read(settings.google_service_account_file, settings.delegation_allow)


def impatient(services: Services, seconds: float = 8.0) -> Services:
    """The same, for somebody who waits for what is asked of ERPNext: an answer that takes longer
    than ``seconds`` is not waited for."""
    other = replace(services)
    other._kept.seconds = seconds
    return other


def erpnext_client(settings: Settings, seconds: float = 60.0) -> ErpNextClient:
    """Raises ``UserError`` naming every ERPNext setting that is missing."""
    wanted = ("erpnext_url", "erpnext_api_key", "erpnext_api_secret")
    require(settings, *wanted, why=errors.sentence("writing to ERPNext"))
    secret = settings.erpnext_api_secret.get_secret_value()
    timeout = (5.0, seconds)
    return ErpNextClient(settings.erpnext_url, settings.erpnext_api_key, secret, timeout=timeout)
