"""Access tokens: refreshed ahead of time, once per account however many workers want one.

The store is passed in (``TokenStore``), so that this room does not know the ledger. Refreshing is
guarded by a claim in the store, which lapses by itself when its owner dies.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Literal, Protocol

from watcher.errors import AccessLost, AccountDead, AppDead, Transient
from watcher.google.delegation import (
    DelegationAllow,
    ServiceAccount,
    load_service_account,
)
from watcher.google.endpoints import (
    CALENDAR_SCOPE,
    CALENDAR_SCOPES,
    OAUTH_SCOPES,
    GoogleEndpoints,
)
from watcher.google.errors import SIDE
from watcher.google.refresh import Fresh, refresh_delegated, refresh_user

log = logging.getLogger(__name__)

MIN_LIFE: Final = 300.0
"""Refresh when fewer seconds than this are left (the buffer of five minutes)."""
CLAIM_SECONDS: Final = 60.0
"""Longer than a refresh can take: three tries of google-auth with a time-out of 10 s."""
WAIT_SECONDS: Final = 15.0
POLL_SECONDS: Final = 0.1
FRESH_LIFE: Final = 30.0
"""What somebody else has fetched just now is good with so many seconds left: how long a token lives
is Google's to say."""


Source = Literal["oauth", "service-account", "erpnext"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """What the ledger holds for one account. ``expires_at`` is aware; secrets not in the repr.

    Of source ``erpnext`` the refresh token is kept by Frappe, for ``erpnext_user``. ``dead`` is
    what Google said when it refused the grant for good; empty while it is thought to be good.
    """

    source: Source
    email: str
    erpnext_user: str | None = None
    refresh_token: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    dead: str = ""


class TokenStore(Protocol):
    """Kept by the ledger. All calls commit before they return and are safe between processes."""

    def grant(self, account_id: int) -> Grant:
        """The account's grant as it is now; raises ``NotFound``."""

    def save_access_token(
        self,
        account_id: int,
        *,
        access_token: str,
        expires_at: datetime,
        refresh_token: str | None = None,
    ) -> None:
        """Keep a new access token; ``refresh_token`` None means: keep the old one."""

    def claim_refresh(self, account_id: int, seconds: float) -> bool:
        """Claim the right to refresh; False while another claim is younger than its seconds."""

    def release_refresh(self, account_id: int) -> None:
        """Give the claim back."""

    def bury(self, account_id: int, tried: Grant, cause: str, now: datetime) -> bool:
        """Note that the account's grant is dead; False when it is another one by now."""

    def note_dead(self, email: str, refresh_token: str) -> None:
        """Remember (a digest of) a refresh token that is of no use for this address."""


DeskTokens = Callable[[Grant], str]
"""Reads the refresh token that Frappe keeps. Raises ``AccountDead`` when there is none."""


@dataclass(frozen=True, slots=True)
class _Held:
    token: str = field(repr=False)
    expires_at: datetime
    enough: float = math.inf
    """Half of the life it was given: a short-lived token is not refreshed at every use."""


class AccessTokens:
    """Access tokens of all accounts for one process. Safe between threads and processes.

    ``clock`` returns an aware datetime. Errors: ``AccountDead`` (only the owner or the Workspace
    admin can help), ``AppDead`` (nobody's token can be refreshed), ``AccessLost`` (the mailbox is
    not in the allow-list), ``Transient``.
    """

    def __init__(
        self,
        store: TokenStore,
        endpoints: GoogleEndpoints,
        service_account: ServiceAccount | None = None,
        allow: DelegationAllow | None = None,
        *,
        desk_tokens: DeskTokens | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        timeout: float = 10.0,
        wait_seconds: float = WAIT_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._endpoints = endpoints
        self._service_account = service_account
        self._allow = allow or DelegationAllow()
        self._desk_tokens = desk_tokens
        self._clock = clock
        self._timeout = timeout
        self._wait_seconds = wait_seconds
        self._sleep = sleep
        self._cache: dict[int, _Held] = {}
        # What each thread was last given: that is the token Google refused when it asks again
        # with force, even if another thread has fetched a newer one meanwhile.
        self._given = threading.local()

    def token(self, account_id: int, force: bool = False, min_life: float = MIN_LIFE) -> str:
        """A token with at least ``min_life`` seconds left (refreshed if need be).

        ``force``: Google refused the token this thread got last; refresh unless somebody else
        has done so already.
        """
        if not force:
            cached = self._cache.get(account_id)
            if (
                cached
                and self._life(cached.expires_at) >= min(min_life, cached.enough)
                and self._store.grant(account_id).access_token == cached.token
            ):  # else its owner has consented anew, perhaps as somebody else
                return self._give(account_id, cached)
            return self._give(account_id, self._obtain(account_id, None, min_life))
        refused = self._handed().get(account_id) or self._store.grant(account_id).access_token
        return self._give(account_id, self._obtain(account_id, refused or "", min_life))

    def renew(self, account_id: int, *, even_dead: bool = False) -> datetime:
        """Refresh now, whatever is left; the new expiry. ``even_dead``: ask Google once more about
        a grant that it has refused."""
        current = self._store.grant(account_id).access_token or ""
        return self._obtain(account_id, current, 0.0, even_dead).expires_at

    def prove(self, grant: Grant) -> Fresh:
        """Fetch a token by a grant that is not in the store yet; the store is left as it is."""
        return self._fetch(grant)

    def for_account(self, account_id: int) -> Callable[[bool], str]:
        """The ``tokens`` argument of ``CalendarClient`` for one account."""
        return lambda force: self.token(account_id, force)

    def forget(self, account_id: int) -> None:
        """Drop what this process holds (after a disconnect or a new consent)."""
        self._cache.pop(account_id, None)
        self._handed().pop(account_id, None)

    # --- one refresh for all ---------------------------------------------------------------

    def _obtain(
        self, account_id: int, refused: str | None, min_life: float, even_dead: bool = False
    ) -> _Held:
        deadline = time.monotonic() + self._wait_seconds
        grant = self._store.grant(account_id)
        before = grant.access_token
        while True:
            held = self._usable(grant, refused, self._need(grant, before, min_life))
            if held is None and self._store.claim_refresh(account_id, CLAIM_SECONDS):
                held = self._refresh_claimed(account_id, before, refused, min_life, even_dead)
            if held is not None:
                self._cache[account_id] = held
                return held
            if time.monotonic() >= deadline:
                raise _still_waiting(grant.email)
            self._sleep(POLL_SECONDS)
            grant = self._store.grant(account_id)

    def _refresh_claimed(
        self,
        account_id: int,
        before: str | None,
        refused: str | None,
        min_life: float,
        even_dead: bool,
    ) -> _Held:
        try:
            # Between our look and our claim another process may have finished.
            grant = self._store.grant(account_id)
            held = self._usable(grant, refused, self._need(grant, before, min_life))
            if held is not None:
                return held
            if grant.dead and not even_dead:
                raise _dead(grant)
            try:
                fresh = self._fetch(grant)
            except AccountDead as error:
                # Before the claim is given back, so that nobody asks Google again. A grant that
                # died while its owner connected again says nothing about the new one.
                if not self._store.bury(account_id, grant, error.cause, self._clock()):
                    what = f"{grant.email} was connected again meanwhile"
                    raise Transient(what, side=SIDE) from None
                error.noted = True
                raise
            self._store.save_access_token(
                account_id,
                access_token=fresh.access_token,
                expires_at=fresh.expires_at,
                refresh_token=fresh.refresh_token,
            )
            return _Held(fresh.access_token, fresh.expires_at, self._life(fresh.expires_at) / 2)
        except (AccountDead, AppDead, AccessLost):
            self.forget(account_id)
            raise
        finally:
            self._store.release_refresh(account_id)

    def _fetch(self, grant: Grant) -> Fresh:
        if grant.source == "service-account":
            return self._fetch_delegated(grant.email)
        if grant.source == "erpnext":
            return self._fetch_from_desk(grant)
        if not grant.refresh_token:
            raise AccountDead(
                f"There is no refresh token for {grant.email}",
                cause="no_refresh_token",
                side=SIDE,
                next_step=f"watcher accounts invite {grant.email}",
            )
        return refresh_user(
            grant.email, grant.refresh_token, self._endpoints, timeout=self._timeout
        )

    def _fetch_from_desk(self, grant: Grant) -> Fresh:
        """The refresh token is read anew each time and kept nowhere here; nor is one that Google
        might hand out instead, since nothing can be written back to Frappe."""
        if self._desk_tokens is None:
            raise AppDead(
                "ERPNext is not set, which keeps the refresh tokens",
                cause="no_site",
                side=SIDE,
                next_step="Set WATCHER_ERPNEXT_URL and its API key.",
            )
        token = self._desk_tokens(grant)
        try:
            fresh = refresh_user(grant.email, token, self._endpoints, timeout=self._timeout)
            _check_who_and_what(fresh, grant.email)
        except AccountDead as error:
            self._store.note_dead(grant.email, token)
            who = grant.erpnext_user or grant.email
            error.next_step = f"{who} authorises the Connected App in ERPNext again"
            raise
        return replace(fresh, refresh_token=None)

    def _fetch_delegated(self, email: str) -> Fresh:
        if self._service_account is None:
            raise AppDead(
                "No service account key is set",
                cause="no_service_account",
                side=SIDE,
                next_step="Set WATCHER_GOOGLE_SERVICE_ACCOUNT_FILE.",
            )
        if not self._allow.allows(email):
            raise AccessLost(
                f"The service account may not act for {email}",
                cause="delegation_not_allowed",
                side=SIDE,
                next_step=f"Add {email} or its @domain to WATCHER_DELEGATION_ALLOW.",
            )
        return refresh_delegated(
            email, self._service_account, self._endpoints, timeout=self._timeout
        )

    # --- what is good enough ----------------------------------------------------------------

    @staticmethod
    def _need(grant: Grant, before: str | None, min_life: float) -> float:
        """What somebody else has just fetched is as good as what we would get ourselves."""
        return min_life if grant.access_token == before else min(min_life, FRESH_LIFE)

    def _usable(self, grant: Grant, refused: str | None, min_life: float) -> _Held | None:
        """The stored token, if it is not the refused one and has life enough."""
        if not grant.access_token or grant.expires_at is None or grant.access_token == refused:
            return None
        if self._life(grant.expires_at) < min_life:
            return None
        return _Held(grant.access_token, grant.expires_at)

    def _life(self, expires_at: datetime) -> float:
        return (expires_at - self._clock()).total_seconds()

    def _handed(self) -> dict[int, str]:
        if not hasattr(self._given, "tokens"):
            self._given.tokens = {}
        tokens: dict[int, str] = self._given.tokens
        return tokens

    def _give(self, account_id: int, held: _Held) -> str:
        self._handed()[account_id] = held.token
        return held.token


def _dead(grant: Grant) -> AccountDead:
    error = AccountDead(
        f"Google has refused the grant of {grant.email} ({grant.dead})",
        cause=grant.dead,
        side=SIDE,
        next_step=f"watcher accounts show {grant.email}",
    )
    error.noted = True
    return error


def _check_who_and_what(fresh: Fresh, email: str) -> None:
    """In the Desk nobody has looked which Google account was chosen and what was ticked."""
    if fresh.email is not None and fresh.email != email:
        raise AccountDead(
            f"{fresh.email} was chosen in ERPNext's Desk, not {email}",
            cause="wrong_account",
            side=SIDE,
        )
    if fresh.scopes is not None and not fresh.scopes & CALENDAR_SCOPES:
        raise AccountDead(
            f"{email} did not tick the box for the calendar in ERPNext's Desk",
            cause="missing_scope",
            side=SIDE,
        )


def _still_waiting(email: str) -> Transient:
    return Transient(
        f"Another process is still refreshing the access token of {email}",
        side=SIDE,
        retry_after=15.0,
    )


__all__ = [
    "CALENDAR_SCOPE",
    "OAUTH_SCOPES",
    "AccessTokens",
    "DelegationAllow",
    "Grant",
    "ServiceAccount",
    "TokenStore",
    "load_service_account",
]
