"""One switch for each point in which Google's behaviour is not documented, or was observed in
several ways. Watcher has to work with every value of every switch.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(slots=True)
class Behaviour:
    """All times in seconds."""

    token_keeps_bounds: bool = False
    """Does a sync token keep timeMin/timeMax of its first request? If so, what left the
    window comes as a bare cancelled id."""
    full_tombstones: bool = False
    """Cancelled events with all their fields, instead of the guaranteed ones alone."""
    reset_exceptions_reported: bool = True
    """Whether exceptions that a change of their series removes are told as cancelled in the
    delta."""
    bad_token_status: int = 400
    """400 or 410 for a malformed or mismatched sync token."""
    sync_token_ttl: float | None = None
    """Sync tokens older than this answer 410."""
    page_limit: int | None = None
    """Give fewer items than asked for."""
    empty_first_page: bool = False
    """Begin paged answers with an empty page."""
    horizon_days: int = 14 * 365
    """How far ahead unlimited series are expanded."""
    updated_min_days: float = 28.0
    """Older updatedMin answers 410 updatedMinTooLongAgo."""
    quota_per_user_minute: int | None = None
    """Requests a minute and user before 403 userRateLimitExceeded; Google's is 600."""

    default_channel_ttl: float = 604_800.0
    max_channel_ttl: float = 604_800.0
    """What a channel lives when nothing is asked, and at most."""
    sync_before_answer: bool = True
    """Deliver the `sync` notice before events.watch answers; if not, soon after it."""
    uri_repeats_primary: bool = False
    """Asked to watch `primary`, say `primary` in resourceUri instead of the calendar's id."""
    late_notices: int = 0
    """How many notices a stopped channel still sends."""
    stops_before_404: int = 1
    """How many stops of one channel succeed before 404."""

    access_token_ttl: int = 3599
    refresh_token_ttl: float | None = None
    """Life of refresh tokens; 604800 imitates an app in "Testing"."""
    invalid_grant_description: str = "Token has been expired or revoked."
    """The text that Google sends with it differs from case to case."""
    consent_error: str | None = None
    """admin_policy_enforced, org_internal, disallowed_useragent, ...: the consent page refuses."""

    def update(self, changes: dict[str, Any]) -> None:
        """Set several switches; ValueError names the unknown ones."""
        known = {field.name for field in fields(self)}
        unknown = sorted(set(changes) - known)
        if unknown:
            raise ValueError(f"unknown switches: {', '.join(unknown)}")
        for name, value in changes.items():
            setattr(self, name, value)
