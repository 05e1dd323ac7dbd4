"""Access tokens: refreshed ahead of time, once per account however many workers want one.

The store is passed in (``TokenStore``), so that this room does not know the ledger. Refreshing is
guarded by a claim in the store, which lapses by itself when its owner dies.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from watcher import errors
from watcher.google.errors import SIDE
from watcher.google.fetching import TokenSource
from watcher.google.grants import Grant
from watcher.google.refresh import Fresh

MIN_LIFE: Final = 300.0
"""Refresh when fewer seconds than this are left (the buffer of five minutes)."""
CLAIM_SECONDS: Final = 60.0
"""Longer than a refresh can take: three tries of google-auth with a time-out of 10 s."""
WAIT_SECONDS: Final = 15.0
POLL_SECONDS: Final = 0.1
FRESH_LIFE: Final = 30.0
"""A token that another process has fetched just now is used with so many seconds left: how long a
token lives is Google's to say, and fetching another one would not give a longer life."""


class TokenStore(Protocol):
    """Kept by the ledger. All calls commit before they return and are safe between processes."""

    def grant(self, account_id: int) -> Grant:
        """The account's grant as it is now; raises ``NotFound``."""

    def access_token(self, account_id: int) -> str | None:
        """The account's access token as it is kept now: what ``grant`` tells of it, at less cost,
        since it is asked before each call. None when there is none, or no such account."""

    def keep(self, account_id: int, used: Grant, fresh: Fresh) -> bool:
        """Keep what was fetched by the grant ``used``, and Google's new refresh token where it gave
        one. False, and nothing is kept, when the account was disconnected or has another grant by
        now."""

    def claim_refresh(self, account_id: int, seconds: float) -> bool:
        """Claim the right to refresh; False while another claim is younger than its seconds."""

    def release_refresh(self, account_id: int) -> None:
        """Give the claim back."""

    def bury(self, account_id: int, tried: Grant, cause: str, now: datetime) -> bool:
        """Note that the account's grant is dead; False when it is another one by now."""

    def note_dead(self, email: str, refresh_token: str) -> None:
        """Remember (a digest of) a refresh token that is of no use for this address."""


@dataclass(frozen=True, slots=True)
class _Token:
    """``enough`` is half of the life that Google gave it, in seconds: a token that lives shortly is
    not refreshed at every use."""

    text: str = field(repr=False)
    expires_at: datetime
    enough: float = math.inf


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A token for an account with ``min_life`` seconds left, which is not ``refused``.
    ``even_dead``: ask Google once more about a grant that it has refused for good."""

    account_id: int
    refused: str | None = None
    min_life: float = 0.0
    even_dead: bool = False


class AccessTokens:
    """Access tokens of all accounts for one process. Safe between threads and processes.

    ``clock`` returns an aware datetime; ``wait_seconds`` is how long to wait for another process
    that is refreshing the same token. Errors: ``AccountDead`` (only the owner or the Workspace
    admin can help), ``AppDead`` (nobody's token can be refreshed), ``AccessLost`` (the mailbox is
    not in the allow-list), ``Transient``.
    """

    def __init__(
        self,
        store: TokenStore,
        source: TokenSource,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._store = store
        self._source = source
        self._clock = clock
        self._wait_seconds = wait_seconds
        self._cache: dict[int, _Token] = {}

    def token(self, account_id: int, refused: str | None = None, min_life: float = MIN_LIFE) -> str:
        """A token with at least ``min_life`` seconds left (refreshed if need be).

        ``refused`` is the token that Google has just refused: it is refreshed unless another
        thread or process has done so already.
        """
        cached = self._cache.get(account_id)
        if (
            refused is None
            and cached
            and self._life(cached.expires_at) >= min(min_life, cached.enough)
            and self._store.access_token(account_id) == cached.text
        ):  # else its owner has consented anew, perhaps as somebody else
            return cached.text
        return self._obtain(_Wanted(account_id, refused, min_life)).text

    def renew(self, account_id: int, *, even_dead: bool = False) -> datetime:
        """Refresh now, whatever is left; the new expiry. ``even_dead``: ask Google once more about
        a grant that it has refused."""
        current = self._store.grant(account_id).access_token
        return self._obtain(_Wanted(account_id, current, even_dead=even_dead)).expires_at

    def prove(self, grant: Grant) -> Fresh:
        """Fetch a token by a grant that is not in the store yet; the store is left as it is."""
        return self._fetch(grant)

    def for_account(self, account_id: int) -> Callable[[str | None], str]:
        """The ``tokens`` argument of ``CalendarClient`` for one account."""
        return lambda refused: self.token(account_id, refused)

    def forget(self, account_id: int) -> None:
        """Drop what this process holds (after a disconnect or a new consent)."""
        self._cache.pop(account_id, None)

    # --- one refresh for all ---------------------------------------------------------------

    def _obtain(self, wanted: _Wanted) -> _Token:
        deadline = time.monotonic() + self._wait_seconds
        grant = self._store.grant(wanted.account_id)
        before = grant.access_token
        while True:
            token = self._usable(grant, wanted, before)
            if token is None and self._store.claim_refresh(wanted.account_id, CLAIM_SECONDS):
                token = self._refresh_claimed(wanted, before)
            if token is not None:
                self._cache[wanted.account_id] = token
                return token
            if time.monotonic() >= deadline:
                raise _still_waiting(grant.email)
            time.sleep(POLL_SECONDS)
            grant = self._store.grant(wanted.account_id)

    def _refresh_claimed(self, wanted: _Wanted, before: str | None) -> _Token:
        account_id = wanted.account_id
        try:
            # Between our look and our claim another process may have finished.
            grant = self._store.grant(account_id)
            token = self._usable(grant, wanted, before)
            if token is not None:
                return token
            if grant.dead and not wanted.even_dead:
                raise _dead(grant)
            fresh = self._fetch_or_bury(account_id, grant)
            if not self._store.keep(account_id, grant, fresh):
                raise _changed(grant.email)
            return _Token(fresh.access_token, fresh.expires_at, self._life(fresh.expires_at) / 2)
        except (errors.AccountDead, errors.AppDead, errors.AccessLost):
            self.forget(account_id)
            raise
        finally:
            self._store.release_refresh(account_id)

    def _fetch_or_bury(self, account_id: int, grant: Grant) -> Fresh:
        """Fetch a token. A grant that Google refuses for good is noted as dead before the claim is
        given back, so that nobody asks Google again. A grant that died while its owner connected
        again says nothing about the new one: that is ``Transient``."""
        try:
            return self._fetch(grant)
        except errors.AccountDead as error:
            if not self._store.bury(account_id, grant, error.cause, self._clock()):
                raise _changed(grant.email) from None
            error.noted = True
            raise

    def _fetch(self, grant: Grant) -> Fresh:
        return self._source.fetch(grant, lambda token: self._store.note_dead(grant.email, token))

    # --- what is good enough ----------------------------------------------------------------

    def _usable(self, grant: Grant, wanted: _Wanted, before: str | None) -> _Token | None:
        """The stored token, if it is not the refused one and has life enough. One that differs from
        ``before`` was fetched by another process just now: it is as good as one of our own."""
        text = grant.access_token
        if not text or grant.expires_at is None or text == wanted.refused:
            return None
        need = wanted.min_life if text == before else min(wanted.min_life, FRESH_LIFE)
        return _Token(text, grant.expires_at) if self._life(grant.expires_at) >= need else None

    def _life(self, expires_at: datetime) -> float:
        return (expires_at - self._clock()).total_seconds()


def _dead(grant: Grant) -> errors.AccountDead:
    error = errors.AccountDead(
        errors.sentence(
            "Google has refused the grant of %(email)s (%(dead)s)",
            email=grant.email,
            dead=grant.dead,
        ),
        cause=grant.dead,
        side=SIDE,
        next_step=f"watcher accounts show {grant.email}",
    )
    error.noted = True
    return error


def _changed(email: str) -> errors.Transient:
    return errors.Transient(
        errors.sentence("%(email)s was disconnected or connected again meanwhile", email=email),
        side=SIDE,
    )


def _still_waiting(email: str) -> errors.Transient:
    return errors.Transient(
        errors.sentence(
            "Another process is still refreshing the access token of %(email)s", email=email
        ),
        side=SIDE,
        retry_after=15.0,
    )
