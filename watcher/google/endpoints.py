"""Google's addresses, our OAuth client and the scopes: plain values, so that this room needs no
settings."""

from __future__ import annotations

from dataclasses import dataclass, field

CALENDAR_SCOPE = "https://www.googleapis.com/auth/calendar.events.readonly"
"""The least scope that reads and watches events (channels need no scope of their own)."""

CALENDAR_SCOPES = frozenset(
    f"https://www.googleapis.com/auth/calendar{part}"
    for part in (
        "",
        ".readonly",
        ".events",
        ".events.readonly",
        ".events.owned",
        ".events.owned.readonly",
    )
)
"""Any of these reads a person's own events; a Connected App may have been made with another one."""

OAUTH_SCOPES: tuple[str, ...] = ("openid", "email", CALENDAR_SCOPE)
"""What an employee is asked for: who they are, and to read their events."""

LIST_SCOPE = "https://www.googleapis.com/auth/calendar.calendarlist.readonly"
"""The least scope that tells which calendars a person has; ``CALENDAR_SCOPE`` does not."""

LIST_SCOPES = frozenset(
    f"https://www.googleapis.com/auth/calendar{part}"
    for part in ("", ".readonly", ".calendarlist", ".calendarlist.readonly")
)
"""Any of these tells it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GoogleEndpoints:
    """URLs of Google (or of a stand-in), the OAuth client and what it asks for; the secret is not
    in the repr."""

    api_url: str = "https://www.googleapis.com"
    auth_url: str = "https://accounts.google.com/o/oauth2/v2/auth"
    token_url: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
    revoke_url: str = "https://oauth2.googleapis.com/revoke"
    certs_url: str = "https://www.googleapis.com/oauth2/v1/certs"
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    finds_calendars: bool = False
    """Whether lists of people's calendars are asked for."""

    @property
    def consent_scopes(self) -> tuple[str, ...]:
        """What an employee is asked for."""
        return (*OAUTH_SCOPES, LIST_SCOPE) if self.finds_calendars else OAUTH_SCOPES

    @property
    def delegated_scopes(self) -> tuple[str, ...]:
        """What the Workspace admin enters for the service account: who somebody is need not be
        asked there."""
        return tuple(each for each in self.consent_scopes if each not in ("openid", "email"))
