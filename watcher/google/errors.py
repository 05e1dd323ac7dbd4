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
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from watcher import errors
from watcher.languages.sentence import joined, sentence

CallKind = Literal[
    "prove", "mint", "delta", "snapshot", "instances", "get", "find", "list", "watch", "stop"
]
Retry = Literal["never", "refused", "unclear"]
ASKED: dict[CallKind, str] = {
    "prove": sentence("for a little of the calendar"),
    "mint": sentence("for a sync token"),
    "delta": sentence("for what has changed"),
    "snapshot": sentence("for all events of the window"),
    "instances": sentence("for the dates of a series"),
    "get": sentence("for one event"),
    "find": sentence("for events with these words"),
    "list": sentence("for the list of calendars"),
    "watch": sentence("for a watch channel"),
    "stop": sentence("to end a watch channel"),
}
"""What each kind of call wants of Google, in the words of messages."""

SIDE = "google"
QUOTA_PAUSE = 3600.0
"""Seconds to leave a user alone after ``quotaExceeded``: that limit lasts hours, not seconds."""
UNAUTHORIZED_PAUSE = 60.0
QUOTA_STEP = sentence(
    "it goes on by itself; if it lasts, see in the Google Cloud console, APIs & Services > Google "
    "Calendar API > Quotas (%(url)s), which limit is reached, and ask there for a higher one: "
    "queries per minute, per minute per user, or per day. Calendar usage limits of one person are "
    "Google's own, and pass after some hours",
    url="https://console.cloud.google.com/apis/api/calendar-json.googleapis.com/quotas",
)


class Unauthorized(errors.Transient):
    """401: the access token was refused; the client forces one refresh and asks again."""

    def __init__(self, message: str = sentence("Google refused the access token")) -> None:
        super().__init__(message, side=SIDE, retry_after=UNAUTHORIZED_PAUSE)


class LimitReached(errors.Transient):
    """Google is well, and limits how often it may be asked; a person can have a limit raised."""

    cause = errors.Cause.GOOGLE_QUOTA

    def __init__(self, message: str, *, retry_after: float | None) -> None:
        super().__init__(message, side=SIDE, retry_after=retry_after, next_step=QUOTA_STEP)


class ChannelIdTaken(errors.Permanent):
    """``channelIdNotUnique``: this id was used before; open the channel with a new one."""


class ConsentDenied(errors.Permanent):
    """The employee (``access_denied``) or a policy of the organisation said no."""


class ConsentFailed(errors.Permanent):
    """Consent did not come about; ``cause`` is Google's code or ours (``bad_id_token`` ...)."""


class CallFailed(Exception):
    """Internal to this room: ``error`` is what callers see, ``retry`` whether the same call may be
    made again within the process.

    ``refused``: nothing was done at Google, so any call may be repeated. ``unclear``: it may have
    been done, so only calls that are safe twice may be repeated. ``never``: do not repeat.
    """

    def __init__(self, error: errors.WatcherError, retry: Retry = "never") -> None:
        super().__init__(error.message)
        self.error = error
        self.retry = retry


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorDocument:
    """The body of a failed answer: Google's ``reasons`` in order and its ``text``.

    ``is_google`` is false where the body is no error document of Google's. ``is_limit``: one of
    the reasons is of the domain ``usageLimits``; ``is_daily``: the limit is one of a day.
    """

    reasons: tuple[str, ...] = ()
    text: str = ""
    is_google: bool = False
    is_limit: bool = False
    is_daily: bool = False

    @property
    def cause(self) -> str:
        return snake(self.reasons[0]) if self.reasons else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedAnswer:
    """An answer with ``status`` >= 300 to one call. ``asked`` is its ``Retry-After`` in seconds."""

    status: int
    kind: CallKind
    document: ErrorDocument
    asked: float | None

    @property
    def message(self) -> str:
        found = self.document
        reason = f" {clean(found.reasons[0], 60)}" if found.reasons else ""
        status, asked = f"{self.status}{reason}", ASKED[self.kind]
        if not found.is_google:
            return sentence(
                "Google answered %(status)s when asked %(asked)s without an error document",
                status=status,
                asked=asked,
            )
        said = sentence(
            "Google answered %(status)s when asked %(asked)s", status=status, asked=asked
        )
        return joined(": ", said, found.text)

    @property
    def is_of_project(self) -> bool:
        """Whether a 403 says in its text that the Cloud project is at fault."""
        return self.status == 403 and bool(_PROJECT.search(self.document.text))


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


def read_document(content: bytes | str) -> ErrorDocument:
    """Reasons and text of an error body of any shape; never raises."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return ErrorDocument()
    error = document.get("error") if isinstance(document, dict) else None
    if isinstance(error, str):
        description = document.get("error_description")
        return ErrorDocument(reasons=(error,), text=clean(description), is_google=True)
    if not isinstance(error, dict):
        return ErrorDocument()
    reasons = [*_reasons(error.get("errors")), *_reasons(error.get("details"))]
    text = clean(error.get("message"))
    return ErrorDocument(
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


# --- the table ----------------------------------------------------------------------------

Maker = Callable[[str, str], errors.WatcherError]
"""From our message and Google's cause to the error."""


def _permanent(kind: type[errors.Permanent], next_step: str) -> Maker:
    def make(message: str, cause: str) -> errors.WatcherError:
        return kind(message, cause=cause, side=SIDE, next_step=next_step)

    return make


def _of_project(cause: str, next_step: str) -> Maker:
    """The Cloud project is at fault: ``cause`` takes the place of Google's first reason, which may
    be no more than ``forbidden``."""

    def make(message: str, _: str) -> errors.WatcherError:
        return errors.AppDead(message, cause=cause, side=SIDE, next_step=next_step)

    return make


def _no_calendar_user(message: str, _: str) -> errors.WatcherError:
    return errors.AccessLost(
        message, cause="not_a_calendar_user", side=SIDE, next_step=_SERVICE_OFF
    )


_DOMAIN = sentence(
    "Check WATCHER_PUBLIC_URL: Google must reach it over https with a valid certificate. If it "
    "is right, verify the host in Google Search Console for the Cloud project and try again."
)
_HTTPS = sentence(
    "Set WATCHER_PUBLIC_URL to an https address with a host name that Google can reach."
)
_SCOPE = sentence(
    "Connect the account again and grant access to Calendar: watcher accounts invite EMAIL"
)
_RIGHT = sentence("Check that the account may still read this calendar in Google Calendar.")
_API_OFF = sentence("Enable the Google Calendar API in the Cloud project of the OAuth client.")
_PROJECT_OFF = sentence(
    "Check the Cloud project of the OAuth client: it is suspended, deleted or not paid."
)
_SERVICE_OFF = sentence(
    "The mailbox is suspended or has no Google Calendar: check it in the Admin console, and that "
    "Calendar is on for this person (Apps > Google Workspace > Calendar)."
)

_suspended = _of_project("project_suspended", _PROJECT_OFF)

# Reasons by their last part: the push back end spells them with and without "push.".
BY_REASON: dict[str, Maker] = {
    "fullsyncrequired": _permanent(errors.SyncTokenExpired, ""),
    "updatedmintoolongago": _permanent(errors.SyncTokenExpired, ""),
    "pushnotsupportedforrequestedresource": _permanent(
        errors.PushNotSupported, sentence("Nothing to do: this calendar is polled instead.")
    ),
    "channelidnotunique": _permanent(
        ChannelIdTaken, sentence("Open the channel again with a new id.")
    ),
    "channelidinvalid": _permanent(
        errors.Permanent, sentence("Open the channel again with a new id.")
    ),
    "channeltypenotsupported": _permanent(errors.Permanent, sentence("Update Watcher.")),
    "webhookurlunauthorized": _permanent(errors.Permanent, _DOMAIN),
    "webhookurlnothttps": _permanent(errors.Permanent, _HTTPS),
    "webhookurlnohostoraddress": _permanent(errors.Permanent, _HTTPS),
    "accessnotconfigured": _of_project("access_not_configured", _API_OFF),
    "service_disabled": _of_project("service_disabled", _API_OFF),
    "billing_disabled": _suspended,
    "consumer_suspended": _suspended,
    "consumer_invalid": _suspended,
    "insufficientpermissions": _permanent(errors.AccessLost, _SCOPE),
    "access_token_scope_insufficient": _permanent(errors.AccessLost, _SCOPE),
    "forbidden": _permanent(errors.AccessLost, _RIGHT),
    "notacalendaruser": _no_calendar_user,
}

_QUOTA = frozenset({"quotaexceeded", "dailylimitexceeded", "dailylimitexceededunreg"})
_PROJECTS = frozenset(
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
    status: int, content: bytes | str, kind: CallKind, asked: float | None = None
) -> CallFailed:
    """What an answer with ``status`` >= 300 means; ``asked`` is its ``Retry-After`` in seconds.
    Pure; any body is tolerated."""
    found = read_document(content)
    answer = FailedAnswer(status=status, kind=kind, document=found, asked=asked)
    words = [reason.rsplit(".", 1)[-1].lower() for reason in found.reasons]
    if status >= 500 or status == 408:
        return _passing(answer, "unclear")
    if status == 429 or any(_is_rate_limit(word) for word in words):
        return _exhausted(answer) if found.is_daily else _limited(answer, "refused")
    if any(word in _QUOTA for word in words):
        return _exhausted(answer)
    for word in sorted(words, key=lambda word: word not in _PROJECTS):
        if word in _PROJECTS or (word in BY_REASON and not answer.is_of_project):
            return CallFailed(BY_REASON[word](answer.message, found.cause))
    if answer.is_of_project:
        return CallFailed(_suspended(answer.message, found.cause))
    if found.is_limit:
        return _exhausted(answer) if found.is_daily else _limited(answer, "never")
    return _by_status(answer)


def _is_rate_limit(word: str) -> bool:
    return word.endswith(("ratelimitexceeded", "rate_limit_exceeded"))


def _by_status(answer: FailedAnswer) -> CallFailed:
    status, kind, message = answer.status, answer.kind, answer.message
    found = answer.document
    if status == 401:
        return CallFailed(Unauthorized())
    if status == 410 and kind == "delta":
        return CallFailed(errors.SyncTokenExpired(message, cause="gone", side=SIDE))
    gone = {"stop": (404, 410), "instances": (410,), "get": (410,)}
    if status in gone.get(kind, ()):
        return CallFailed(errors.CalendarGone(message, cause="gone", side=SIDE))
    if not found.is_google or status < 400 or status in (410, 412):
        return _passing(answer, "never")
    if status == 400 and kind == "delta":
        return CallFailed(
            errors.SyncTokenExpired(message, cause=found.cause or "bad_request", side=SIDE)
        )
    if status == 403:
        if not found.reasons:
            return _passing(answer, "never")
        return CallFailed(_permanent(errors.AccessLost, _RIGHT)(message, found.cause))
    if status == 404:
        cause = found.cause or "not_found"
        return CallFailed(errors.CalendarGone(message, cause=cause, side=SIDE, next_step=_RIGHT))
    return CallFailed(errors.Permanent(message, cause=found.cause or f"http_{status}", side=SIDE))


def _passing(answer: FailedAnswer, retry: Retry) -> CallFailed:
    return CallFailed(errors.Transient(answer.message, side=SIDE, retry_after=answer.asked), retry)


def _limited(answer: FailedAnswer, retry: Retry) -> CallFailed:
    """A 429 of something between us and Google tells nothing of Google's limits."""
    if not answer.document.is_google:
        return _passing(answer, retry)
    return CallFailed(LimitReached(answer.message, retry_after=answer.asked), retry)


def _exhausted(answer: FailedAnswer) -> CallFailed:
    """A quota of hours or of a day is used up."""
    return CallFailed(LimitReached(answer.message, retry_after=answer.asked or QUOTA_PAUSE))


def malformed(what: str, kind: CallKind) -> errors.Transient:
    """An answer of 2xx that is not what the API promises: try again later."""
    said = sentence(
        "Google's answer when asked %(asked)s was malformed: %(what)s", asked=ASKED[kind], what=what
    )
    return errors.Transient(said, side=SIDE)
