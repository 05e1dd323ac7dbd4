"""Where access tokens come from: Google's token endpoint, by any of the three kinds of grant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypedDict

from watcher.errors import (
    AccessLost,
    AccountDead,
    AppDead,
    Cause,
)
from watcher.google.delegation import Delegation
from watcher.google.endpoints import CALENDAR_SCOPE, CALENDAR_SCOPES, LIST_SCOPE, GoogleEndpoints
from watcher.google.errors import SIDE
from watcher.google.grants import Grant
from watcher.google.refresh import Fresh, refresh_delegated, refresh_user
from watcher.languages.sentence import sentence
from watcher.telemetry.counts import Answered, nobody

DeskTokens = Callable[[str], str]
"""Reads the refresh token that Frappe keeps for a user. Raises ``AccountDead`` without one."""


class How(TypedDict):
    """How Google's token endpoint is asked."""

    timeout: float
    answered: Answered


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenSource:
    """Fetches access tokens; ``timeout`` is in seconds, ``scope`` what a delegation is used for. A
    part that is not set is an ``AppDead`` when a grant needs it."""

    endpoints: GoogleEndpoints
    delegation: Delegation = field(default_factory=Delegation)
    desk_tokens: DeskTokens | None = None
    timeout: float = 10.0
    answered: Answered = nobody
    scope: str = CALENDAR_SCOPE

    @property
    def _how(self) -> How:
        return {"timeout": self.timeout, "answered": self.answered}

    def fetch(self, grant: Grant, note_useless: Callable[[str], None]) -> Fresh:
        """A new access token by a grant. ``note_useless`` is told of a refresh token of Frappe's
        that is dead, or good for another account or scope.

        Raises ``AccountDead`` (only the owner or the Workspace admin can help), ``AppDead``
        (nobody's token can be fetched), ``AccessLost`` (the mailbox is not in the allow-list),
        ``Transient``.
        """
        if grant.source == "service-account":
            return self._by_delegation(grant)
        if grant.source == "erpnext":
            return self._from_desk(grant, note_useless)
        if not grant.refresh_token:
            raise AccountDead(
                sentence("There is no refresh token for %(email)s", email=grant.email),
                cause=Cause.NO_REFRESH_TOKEN,
                side=SIDE,
                next_step=f"watcher accounts invite {grant.email}",
            )
        return refresh_user(grant, self.endpoints, **self._how)

    def _from_desk(self, grant: Grant, note_useless: Callable[[str], None]) -> Fresh:
        """The refresh token is read anew each time and kept nowhere here; nor is one that Google
        might hand out instead, since nothing can be written back to Frappe."""
        if self.desk_tokens is None:
            raise AppDead(
                sentence("ERPNext, which keeps the refresh tokens, is not set"),
                cause=Cause.NO_SITE,
                side=SIDE,
                next_step=sentence("Set WATCHER_ERPNEXT_URL and its API key."),
            )
        token = self.desk_tokens(grant.desk_user)
        try:
            given = replace(grant, refresh_token=token)
            fresh = refresh_user(given, self.endpoints, **self._how)
            _check_who_and_what(fresh, grant.email)
        except AccountDead as error:
            note_useless(token)
            error.next_step = sentence(
                "%(user)s authorises the Connected App in ERPNext again", user=grant.desk_user or ""
            )
            raise
        return replace(fresh, refresh_token=None)

    def _by_delegation(self, grant: Grant) -> Fresh:
        if self.delegation.key is None:
            raise AppDead(
                sentence("No service account key is set"),
                cause=Cause.NO_SERVICE_ACCOUNT,
                side=SIDE,
                next_step=sentence("Set WATCHER_GOOGLE_SERVICE_ACCOUNT_FILE."),
            )
        if not self.delegation.allow.allows(grant.email):
            raise AccessLost(
                sentence("The service account may not act for %(email)s", email=grant.email),
                cause="delegation_not_allowed",
                side=SIDE,
                next_step=sentence(
                    "add %(email)s or its @domain to WATCHER_DELEGATION_ALLOW", email=grant.email
                ),
            )
        key = self.delegation.key
        return refresh_delegated(grant, key, self.endpoints, scope=self.scope, **self._how)


def list_tokens(
    endpoints: GoogleEndpoints, delegation: Delegation, timeout: float = 10.0
) -> TokenSource:
    """Where access tokens for the lists of people's calendars come from by delegation. They are
    asked for with the list's scope alone: Google refuses a service account every scope at once
    when the Workspace admin has not entered one of them, and what works must go on."""
    return TokenSource(
        endpoints=endpoints, delegation=delegation, timeout=timeout, scope=LIST_SCOPE
    )


def _check_who_and_what(fresh: Fresh, email: str) -> None:
    """In ERPNext's Desk an employee may choose any Google account and untick the calendar, and
    Frappe checks neither. Raises ``AccountDead``."""
    if fresh.email is not None and fresh.email != email:
        raise AccountDead(
            sentence(
                "%(chosen)s was chosen in ERPNext's Desk, not %(email)s",
                chosen=fresh.email,
                email=email,
            ),
            cause="wrong_account",
            side=SIDE,
        )
    if fresh.scopes is not None and not fresh.scopes & CALENDAR_SCOPES:
        raise AccountDead(
            sentence(
                "%(email)s did not tick the box for the calendar in ERPNext's Desk", email=email
            ),
            cause="missing_scope",
            side=SIDE,
        )
