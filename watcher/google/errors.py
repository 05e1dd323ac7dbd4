"""Google's answers as named errors: one pure table, no I/O.

Sources: https://developers.google.com/workspace/calendar/api/guides/errors (statuses and
reasons), .../guides/sync (410) and .../guides/push (channels). Two rules hold the table
together:

- **What is not Google's own error document decides nothing for good.** A proxy's HTML page or a
  JSON value of another shape is ``Transient`` whatever its status (410 on a sync token apart,
  where starting over is harmless).
- **Only the token endpoint can declare an account dead.** A 401 that survives one forced refresh
  is therefore ``Transient``: if the grant is gone, the next refresh says ``invalid_grant``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from watcher.errors import (
    AccessLost,
    AppDead,
    CalendarGone,
    Permanent,
    PushNotSupported,
    SyncTokenExpired,
    Transient,
    WatcherError,
)

CallKind = Literal["prove", "mint", "delta", "snapshot", "instances", "watch", "stop"]
Retry = Literal["never", "refused", "unclear"]

SIDE = "google"
QUOTA_PAUSE = 3600.0
"""Seconds to leave a user alone after ``quotaExceeded``: that limit lasts hours, not seconds."""
UNAUTHORIZED_PAUSE = 60.0
MAX_RETRY_AFTER = 86_400.0


class Unauthorized(Transient):
    """401: the access token was refused; the client forces one refresh and asks again."""

    def __init__(self, message: str = "Google refused the access token") -> None:
        super().__init__(message, side=SIDE, retry_after=UNAUTHORIZED_PAUSE)


class ChannelIdTaken(Permanent):
    """``channelIdNotUnique``: this id was used before; open the channel with a new one."""


class ConsentDenied(Permanent):
    """The employee (``access_denied``) or a policy of the organisation said no."""


class ConsentFailed(Permanent):
    """Consent did not come about; ``cause`` is Google's code or ours (``bad_id_token`` ...)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """What a failed answer says: ``reasons`` in order, Google's ``text``, ``is_google``;
    ``is_limit`` when one is of the domain ``usageLimits``, ``is_daily`` when it is a day's."""

    reasons: tuple[str, ...] = ()
    text: str = ""
    is_google: bool = False
    is_limit: bool = False
    is_daily: bool = False

    @property
    def cause(self) -> str:
        return snake(self.reasons[0]) if self.reasons else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The error to raise, and whether the same call may be made again within the process.

    ``refused``: nothing was done at Google, so any call may be repeated. ``unclear``: it may have
    been done, so only calls that are safe twice may be repeated. ``never``: do not repeat.
    """

    error: WatcherError
    retry: Retry = "never"


def snake(reason: str) -> str:
    """``push.webhookUrlNotHttps`` -> ``webhook_url_not_https``."""
    last = reason.rsplit(".", 1)[-1]
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", last).lower()[:64]


_PER_DAY = re.compile(r"per[ _]?day|daily", re.IGNORECASE)
_PROJECT = re.compile(
    r"\b(?:consumer|project)\b.*\b(?:suspended|deleted|invalid)|\bbilling\b.*\b(?:disabled|enable)",
    re.IGNORECASE,
)
"""In the text of a 403: the Cloud project is at fault, whatever the reason is called."""
_SECRETS = re.compile(r"(Bearer\s+\S+|ya29\.\S+|1//\S+|eyJ[\w-]+\.[\w.-]+)")


def clean(text: object, limit: int = 200) -> str:
    """Text of another party on one line, short, with anything that looks like a token cut."""
    if not isinstance(text, str):
        return ""
    line = _SECRETS.sub("[redacted]", " ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 3] + "..."


def read_refusal(content: bytes | str) -> Refusal:
    """Reasons and text of an error body of any shape; never raises."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return Refusal()
    error = document.get("error") if isinstance(document, dict) else None
    if isinstance(error, str):
        description = document.get("error_description")
        return Refusal(reasons=(error,), text=clean(description), is_google=True)
    if not isinstance(error, dict):
        return Refusal()
    reasons = [*_reasons(error.get("errors")), *_reasons(error.get("details"))]
    text = clean(error.get("message"))
    return Refusal(
        reasons=tuple(reasons),
        text=text,
        is_google=True,
        is_limit="usageLimits" in _strings(error.get("errors"), "domain"),
        is_daily=bool(_PER_DAY.search(f"{text} {_limit_names(error.get('details'))}")),
    )


def _reasons(entries: object) -> list[str]:
    return _strings(entries, "reason")


def _strings(entries: object, name: str) -> list[str]:
    if not isinstance(entries, list):
        return []
    found = [entry.get(name) for entry in entries if isinstance(entry, dict)]
    return [value for value in found if isinstance(value, str) and value]


def _limit_names(details: object) -> str:
    """Which limits were met, by the metadata of google.rpc.ErrorInfo."""
    if not isinstance(details, list):
        return ""
    metadata = [entry.get("metadata") for entry in details if isinstance(entry, dict)]
    return " ".join(_strings(metadata, "quota_limit"))


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a ``Retry-After`` header asks for (number or HTTP date); None if unreadable."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = _seconds_until(value, now)
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def _seconds_until(http_date: str, now: datetime) -> float:
    try:
        moment = parsedate_to_datetime(http_date)
    except ValueError:
        return math.nan
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - now).total_seconds()


# --- the table ----------------------------------------------------------------------------

Maker = Callable[[str, Refusal], WatcherError]


def _permanent(kind: type[Permanent], next_step: str) -> Maker:
    def make(message: str, refusal: Refusal) -> WatcherError:
        return kind(message, cause=refusal.cause, side=SIDE, next_step=next_step)

    return make


def _no_calendar_user(message: str, _: Refusal) -> WatcherError:
    return AccessLost(message, cause="not_a_calendar_user", side=SIDE, next_step=_SERVICE_OFF)


_DOMAIN = (
    "Check WATCHER_PUBLIC_URL: Google must reach it over https with a valid certificate. If it "
    "is right, verify the host in Google Search Console for the Cloud project and try again."
)
_HTTPS = "Set WATCHER_PUBLIC_URL to an https address with a host name that Google can reach."
_SCOPE = "Connect the account again and grant access to Calendar: watcher accounts invite EMAIL"
_RIGHT = "Check that the account may still read this calendar in Google Calendar."
_API_OFF = "Enable the Google Calendar API in the Cloud project of the OAuth client."
_PROJECT_OFF = "Check the Cloud project of the OAuth client: it is suspended, deleted or not paid."
_SERVICE_OFF = (
    "The mailbox is suspended or has no Google Calendar: check it in the Admin console, and that "
    "Calendar is on for this person (Apps > Google Workspace > Calendar)."
)

# Reasons by their last part: the push back end spells them with and without "push.".
BY_REASON: dict[str, Maker] = {
    "fullsyncrequired": _permanent(SyncTokenExpired, ""),
    "updatedmintoolongago": _permanent(SyncTokenExpired, ""),
    "pushnotsupportedforrequestedresource": _permanent(
        PushNotSupported, "Nothing to do: this calendar is polled instead."
    ),
    "channelidnotunique": _permanent(ChannelIdTaken, "Open the channel again with a new id."),
    "channelidinvalid": _permanent(Permanent, "Open the channel again with a new id."),
    "channeltypenotsupported": _permanent(Permanent, "Update Watcher."),
    "webhookurlunauthorized": _permanent(Permanent, _DOMAIN),
    "webhookurlnothttps": _permanent(Permanent, _HTTPS),
    "webhookurlnohostoraddress": _permanent(Permanent, _HTTPS),
    "accessnotconfigured": _permanent(AppDead, _API_OFF),
    "service_disabled": _permanent(AppDead, _API_OFF),
    "billing_disabled": _permanent(AppDead, _PROJECT_OFF),
    "consumer_suspended": _permanent(AppDead, _PROJECT_OFF),
    "consumer_invalid": _permanent(AppDead, _PROJECT_OFF),
    "insufficientpermissions": _permanent(AccessLost, _SCOPE),
    "access_token_scope_insufficient": _permanent(AccessLost, _SCOPE),
    "forbidden": _permanent(AccessLost, _RIGHT),
    "notacalendaruser": _no_calendar_user,
}

_QUOTA = frozenset({"quotaexceeded", "dailylimitexceeded", "dailylimitexceededunreg"})
_OF_PROJECT = frozenset(
    {
        "accessnotconfigured",
        "service_disabled",
        "billing_disabled",
        "consumer_suspended",
        "consumer_invalid",
    }
)
"""Reasons that are the installation's; ``forbidden`` may stand before them."""


def classify(
    status: int, content: bytes | str, kind: CallKind, retry_after: float | None = None
) -> Verdict:
    """The verdict on an answer with ``status`` >= 300. Pure; any body is tolerated."""
    refusal = read_refusal(content)
    words = [reason.rsplit(".", 1)[-1].lower() for reason in refusal.reasons]
    message = _message(status, refusal, kind)
    if status >= 500 or status == 408:
        return _transient(message, retry_after, "unclear")
    if status == 429 or any(_is_rate_limit(word) for word in words):
        if refusal.is_daily:
            return _transient(message, retry_after or QUOTA_PAUSE, "never")
        return _transient(message, retry_after, "refused")
    if any(word in _QUOTA for word in words):
        return _transient(message, retry_after or QUOTA_PAUSE, "never")
    for word in sorted(words, key=lambda word: word not in _OF_PROJECT):
        if word in _OF_PROJECT or (word in BY_REASON and not _is_projects(status, refusal)):
            return Verdict(error=BY_REASON[word](message, refusal))
    if _is_projects(status, refusal):
        return Verdict(error=_permanent(AppDead, _PROJECT_OFF)(message, refusal))
    if refusal.is_limit:
        pause = QUOTA_PAUSE if refusal.is_daily else None
        return _transient(message, retry_after or pause, "never")
    return _by_status(status, refusal, kind, message, retry_after)


def _is_projects(status: int, refusal: Refusal) -> bool:
    return status == 403 and bool(_PROJECT.search(refusal.text))


def _is_rate_limit(word: str) -> bool:
    return word.endswith(("ratelimitexceeded", "rate_limit_exceeded"))


def _by_status(
    status: int,
    refusal: Refusal,
    kind: CallKind,
    message: str,
    retry_after: float | None,
) -> Verdict:
    if status == 401:
        return Verdict(error=Unauthorized())
    if status == 410 and kind == "delta":
        return Verdict(error=SyncTokenExpired(message, cause="gone", side=SIDE))
    gone = {"stop": (404, 410), "instances": (410,)}
    if status in gone.get(kind, ()):
        return Verdict(error=CalendarGone(message, cause="gone", side=SIDE))
    if not refusal.is_google or status < 400 or status in (410, 412):
        return _transient(message, retry_after, "never")
    if status == 400 and kind == "delta":
        cause = refusal.cause or "bad_request"
        return Verdict(error=SyncTokenExpired(message, cause=cause, side=SIDE))
    if status == 403:
        if not refusal.reasons:
            return _transient(message, retry_after, "never")
        return Verdict(error=_permanent(AccessLost, _RIGHT)(message, refusal))
    if status == 404:
        cause = refusal.cause or "not_found"
        return Verdict(error=CalendarGone(message, cause=cause, side=SIDE, next_step=_RIGHT))
    cause = refusal.cause or f"http_{status}"
    return Verdict(error=Permanent(message, cause=cause, side=SIDE))


def _transient(message: str, retry_after: float | None, retry: Retry) -> Verdict:
    return Verdict(error=Transient(message, side=SIDE, retry_after=retry_after), retry=retry)


def _message(status: int, refusal: Refusal, kind: CallKind) -> str:
    reason = f" {clean(refusal.reasons[0], 60)}" if refusal.reasons else ""
    text = f": {refusal.text}" if refusal.text else ""
    if not refusal.is_google:
        text = " without an error document"
    return f"Google answered {status}{reason} to {kind}{text}"


def malformed(what: str, kind: str) -> Transient:
    """An answer of 2xx that is not what the API promises: try again later."""
    return Transient(f"Google's answer to {kind} was malformed: {what}", side=SIDE)
