"""The two outside systems as one process sees them: made when first needed, then kept.

A worker keeps its connections warm between jobs; nothing here is shared between processes.
"""

from __future__ import annotations

import threading
import time

from watcher.erpnext import connected_app
from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.events import EventMirror
from watcher.erpnext.site import EMPLOYEE_FIELD, Site, employee_of, read_site
from watcher.erpnext.versions import warnings
from watcher.google.client import CalendarClient
from watcher.google.credentials import AccessTokens, Grant
from watcher.google.delegation import (
    DelegationAllow,
    ServiceAccount,
    load_service_account,
)
from watcher.google.endpoints import GoogleEndpoints
from watcher.services import Services
from watcher.settings import Settings, require
from watcher.state import budget, overview
from watcher.state import erpnext as known_site
from watcher.state.accounts import LedgerTokens
from watcher.state.budget import Purpose

SITE_FACTS_SECONDS = 600.0
DESK_APP_SECONDS = 60.0
"""A Connected App that was made anew has another name; the old one keeps no tokens."""


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
    require(
        settings,
        "erpnext_url",
        "erpnext_api_key",
        "erpnext_api_secret",
        why="writing to ERPNext",
    )
    return ErpNextClient(
        settings.erpnext_url,
        settings.erpnext_api_key,
        settings.erpnext_api_secret.get_secret_value(),
    )


class Connections:
    """Lazily made clients of one process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.RLock()
        self._tokens: AccessTokens | None = None
        self._erpnext: ErpNextClient | None = None
        self._site: tuple[float, Site] | None = None
        self._desk_app: tuple[float, str] | None = None
        self._employees: dict[str, tuple[float, str | None]] = {}

    @property
    def tokens(self) -> AccessTokens:
        with self._lock:
            if self._tokens is None:
                services, settings = self._services, self._services.settings
                self._tokens = AccessTokens(
                    LedgerTokens(services.db, services.keyring),
                    endpoints(settings),
                    service_account(settings),
                    DelegationAllow.parse(settings.delegation_allow),
                    desk_tokens=self.desk_token if settings.erpnext_url else None,
                    clock=services.clock,
                )
            return self._tokens

    def google(self, account_id: int, email: str, purpose: Purpose) -> CalendarClient:
        """Calls on behalf of one account, counted against the project's budget."""
        services = self._services
        return CalendarClient(
            services.settings.google_api_url,
            self.tokens.for_account(account_id),
            quota_user=email,
            on_call=lambda _kind: budget.spend(services.db, account_id, purpose, services.clock()),
        )

    @property
    def erpnext(self) -> ErpNextClient:
        with self._lock:
            if self._erpnext is None:
                self._erpnext = erpnext_client(self._services.settings)
            return self._erpnext

    def desk_app(self) -> str:
        """The name of the Connected App of our Google client in ERPNext. Raises ``WatcherError``
        that says how to make it."""
        with self._lock:
            if self._desk_app is None or time.monotonic() - self._desk_app[0] > DESK_APP_SECONDS:
                client_id = self._services.settings.google_client_id
                self._desk_app = None
                name = connected_app.require_app(self.erpnext, client_id)
                self._desk_app = (time.monotonic(), name)
                link = connected_app.desk_link(self._services.settings.erpnext_url, name)
                with self._services.db.session() as session:
                    overview.remember_desk(session, link, self._services.clock())
            return self._desk_app[1]

    def desk_token(self, grant: Grant) -> str:
        """The refresh token that Frappe keeps for an employee. Raises ``AccountDead``."""
        user = grant.erpnext_user or grant.email
        return connected_app.refresh_token(self.erpnext, self.desk_app(), user)

    def mirror(self) -> EventMirror:
        return EventMirror(
            self.erpnext,
            delete_cancelled=self._services.settings.cancelled_events == "delete",
            site_fields=self.site().fields,
        )

    def employee(self, user: str | None) -> str | None:
        """The Employee of an ERPNext user, where the site's Event has a field for it; asked for
        again every ten minutes."""
        if user is None or EMPLOYEE_FIELD not in self.site().fields:
            return None
        with self._lock:
            asked, found = self._employees.get(user, (0.0, None))
            if not asked or time.monotonic() - asked > SITE_FACTS_SECONDS:
                found = employee_of(self.erpnext, user)
                self._employees[user] = (time.monotonic(), found)
            return found

    def site(self) -> Site:
        """What the site says of itself, read again every ten minutes."""
        with self._lock:
            if self._site is None or time.monotonic() - self._site[0] > SITE_FACTS_SECONDS:
                self._site = (time.monotonic(), self._read_site())
            return self._site[1]

    def _read_site(self) -> Site:
        services = self._services
        site = read_site(self.erpnext, services.settings.erpnext_time_zone)
        with services.db.session() as session:
            known_site.remember_site(
                session, site.versions, warnings(site.frappe), services.clock()
            )
        return site
