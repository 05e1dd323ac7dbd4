"""ERPNext's answers as named errors: one pure table over status, ``exc_type`` and kind of body.

``exception`` and ``exc`` may be absent (site setting ``allow_error_traceback``) and messages are
translated, so neither decides anything; texts are only shown. A 5xx says nothing about whether
the write happened.

    429, RateLimitExceededError           Transient(retry_after)
    503 SessionStopped, InReadOnlyMode    Transient "maintenance mode"
    503 QueueOverloaded                   Transient "job queue is full"
    500 with any other exc_type           ServerError (a Transient that may be one bad value)
    5xx, HTML, redirects that may pass    Transient
    401                                   ErpAuthError (the key)
    403                                   ErpForbidden (a permission that its user lacks)
    409, UniqueValidationError            DuplicateKey
    404 DoesNotExistError                 RowGone
    404 without it                        Permanent: no such site or method
    417 DataError, 403 PermissionError,
      either naming a field of ours       ErpSetupMissing (a field that is not on the site)
    417 DataError that names no field     ErpSetupMissing (a translated or hidden message)
    400, 413, 414 as HTML; other 4xx      ErpRefused with ERPNext's own text
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any

from watcher import errors
from watcher.languages.sentence import joined, sentence
from watcher.waiting import asked_seconds

SIDE = "erpnext"
SETUP = "watcher erpnext setup"
CHECK_KEY = sentence(
    "check WATCHER_ERPNEXT_API_KEY and WATCHER_ERPNEXT_API_SECRET; after a change restart Watcher"
)
MAX_MESSAGE = 500
COLLISION = "collision"
"""``cause`` of a refusal because somebody else has saved the same document meanwhile."""

_MAINTENANCE = frozenset({"SessionStopped", "InReadOnlyMode"})
_LIMITED = frozenset({"TooManyRequestsError", "RateLimitExceededError"})
_BAD_KEY = frozenset(
    {
        "AuthenticationError",
        "InvalidAuthorizationHeader",
        "InvalidAuthorizationPrefix",
        "InvalidAuthorizationToken",
        "SessionExpired",
    }
)
_QUEUE_FULL = "QueueOverloaded"
_DUPLICATE = frozenset({"UniqueValidationError", "DuplicateEntryError"})
_COLLIDED = frozenset({"TimestampMismatchError", "DocumentLockedError"})
_PASSING = frozenset(
    {
        "QueryDeadlockError",
        "QueryTimeoutError",
        "ConnectionError",
        "TimeoutError",
        "InterfaceError",
        "SessionBootFailed",
    }
)
"""500s that are the server's trouble whatever the document holds."""
_REQUEST_TOO_LARGE = frozenset({400, 413, 414, 431})
_TAG = re.compile(r"<[^>]*>")
_OUR_FIELD = re.compile(r"\bcustom_(?:google_[a-z_]+|synced_from)\b")
_MANDATORY = re.compile(r"MandatoryError: \[[^\]]*\]: ([\w, ]+)")
_MANDATORY_LABEL = re.compile(r"Value missing for [^:]+: (.+)")
_MAX_RAW = 4_000
"""Characters of a message that are looked at: the tag pattern is slow on endless ``<<<``."""


class RowGone(errors.ErpRefused):
    """404 DoesNotExistError: the document is not there (any more)."""


class ServerError(errors.Transient):
    """500 with an error of Python or of the database: an outage, or a value it cannot take.

    Trying documents one by one tells the two apart.
    """


def asks_to_wait(error: errors.WatcherError) -> bool:
    """Whether the site said when to come again: it would refuse whatever comes before."""
    return isinstance(error, errors.Transient) and error.retry_after is not None


def classify(status: int, body: object, headers: Mapping[str, str]) -> errors.WatcherError:
    """The error for an answer that is not a success. ``body`` is parsed JSON, or None (HTML)."""
    if not isinstance(body, dict):
        return _page(status, headers)
    exc_type = str(body.get("exc_type") or "")[:80]
    text = message_of(body)
    if status == 429 or exc_type in _LIMITED:
        return _limited(headers)
    if exc_type in _MAINTENANCE:
        return errors.Transient(sentence("the ERPNext site is in maintenance mode"), side=SIDE)
    if exc_type == _QUEUE_FULL:
        return _queue_full(headers)
    if status in (403, 417) and exc_type in ("PermissionError", "DataError") and _names_ours(body):
        return _missing_fields()
    if status >= 500:
        return _server(status, exc_type, headers)
    if status in (401, 403) or exc_type in _BAD_KEY:
        return _auth(status, exc_type, text)
    if status < 400:
        return _elsewhere(status)
    return _refused(status, exc_type, text, body)


def _refused(status: int, exc_type: str, text: str, body: Mapping[str, Any]) -> errors.WatcherError:
    if status == 409 or exc_type in _DUPLICATE:
        return errors.DuplicateKey(
            text or sentence("a row with this key is there already"),
            cause="duplicate_key",
            side=SIDE,
        )
    if status == 404:
        if exc_type == "DoesNotExistError":
            return RowGone(
                text or sentence("the document is not there"), cause="not_found", side=SIDE
            )
        return _no_site()
    if status == 417 and exc_type == "DataError":
        return _missing_fields()
    cause = COLLISION if exc_type in _COLLIDED else "refused"
    error = errors.ErpRefused(
        text or exc_type or sentence("status %(status)s", status=status), cause=cause, side=SIDE
    )
    error.exc_type = exc_type
    if exc_type == "MandatoryError":
        error.fields = _mandatory_fields(body)
        error.next_step = mandatory_step(error.fields)
    return error


def _missing_fields() -> errors.ErpSetupMissing:
    return errors.ErpSetupMissing(
        sentence("the ERPNext site lacks Watcher's custom fields on Event"),
        cause=errors.Cause.MISSING_FIELDS,
        side=SIDE,
        next_step=SETUP,
    )


def _names_ours(body: Mapping[str, Any]) -> bool:
    """Whether a refused query names a field that ``watcher erpnext setup`` makes.

    Frappe 15 and 16.4 answer an unknown field with 417 DataError, later versions with 403
    PermissionError. The texts are translated, the field's name in them is not.
    """
    said = f"{body.get('_server_messages') or ''} {body.get('exception') or ''}"
    return _OUR_FIELD.search(said[:_MAX_RAW]) is not None


def _mandatory_fields(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the fields without a value; their labels where the site shows no exception."""
    named = _MANDATORY.search(str(body.get("exception") or "")[:_MAX_RAW])
    if named:
        return tuple(name.strip() for name in named[1].split(",") if name.strip())
    labels = (_MANDATORY_LABEL.search(text) for text in _texts(body))
    return tuple(dict.fromkeys(label[1].strip() for label in labels if label))


def mandatory_step(fields: tuple[str, ...]) -> str:
    """What to do about a field that the site makes mandatory on Event."""
    return sentence(
        "in ERPNext's Customize Form for Event give %(which)s a default value or make it not "
        "mandatory; Watcher tries again by itself (at once: watcher queue retry)",
        which=", ".join(fields) or sentence("the field that ERPNext names"),
    )


def _queue_full(headers: Mapping[str, str]) -> errors.Transient:
    """Frappe 16 refuses new background jobs above ``max_queued_jobs``; a deletion needs one."""
    return errors.Transient(
        sentence("ERPNext's queue of background jobs is full (QueueOverloaded)"),
        side=SIDE,
        retry_after=_asked(headers) or 30.0,
        next_step=sentence("see that ERPNext's background workers run, and what fills their queue"),
    )


def _page(status: int, headers: Mapping[str, str]) -> errors.WatcherError:
    """An answer that is no JSON object: of the web server or of something in front of it."""
    if status == 429:
        return _limited(headers)
    if status == 404:
        return _no_site()
    if status in _REQUEST_TOO_LARGE:
        return errors.ErpRefused(
            sentence("the web server refused the request (status %(status)s)", status=status),
            cause="too_large",
            side=SIDE,
        )
    if status < 400:
        return _elsewhere(status)
    if status < 500:
        return errors.Transient(
            sentence(
                "something in front of ERPNext answered %(status)s with a page", status=status
            ),
            side=SIDE,
            next_step=sentence("look at the proxy or firewall between Watcher and ERPNext"),
        )
    return _server(status, "", headers)


def _server(status: int, exc_type: str, headers: Mapping[str, str]) -> errors.Transient:
    if status == 500 and exc_type and exc_type not in _PASSING:
        return ServerError(
            sentence("ERPNext failed with %(exc_type)s", exc_type=exc_type), side=SIDE
        )
    what = joined(", ", str(status), exc_type)
    error = errors.Transient(
        sentence("ERPNext is unavailable (status %(what)s)", what=what),
        side=SIDE,
        retry_after=_asked(headers),
    )
    error.bare_500 = status == 500 and not exc_type
    return error


def _elsewhere(status: int) -> errors.WatcherError:
    """2xx that is no JSON object, and redirects, which are never followed (they lose the body)."""
    step = sentence("check WATCHER_ERPNEXT_URL (https, the site's own host name)")
    if status in (301, 308):
        return errors.Permanent(
            sentence("WATCHER_ERPNEXT_URL redirects for good"),
            cause=errors.Cause.REDIRECTED,
            side=SIDE,
            next_step=step,
        )
    said = (
        sentence("ERPNext answered with a redirect")
        if status >= 300
        else sentence("ERPNext answered with a page instead of JSON")
    )
    return errors.Transient(said, side=SIDE, next_step=step)


def _no_site() -> errors.Permanent:
    return errors.Permanent(
        sentence("no ERPNext site answers under WATCHER_ERPNEXT_URL"),
        cause=errors.Cause.NO_SITE,
        side=SIDE,
        next_step=sentence("check the address: the site is chosen by its host name"),
    )


def _limited(headers: Mapping[str, str]) -> errors.Transient:
    return errors.Transient(
        sentence("ERPNext asks for fewer requests (429)"),
        side=SIDE,
        retry_after=_asked(headers) or 5.0,
    )


def _auth(status: int, exc_type: str, text: str) -> errors.ErpAuthError:
    if status == 401 or exc_type in _BAD_KEY:
        return errors.ErpAuthError(
            sentence("ERPNext refused the API key"),
            cause=errors.Cause.AUTH,
            side=SIDE,
            next_step=CHECK_KEY,
        )
    return errors.ErpForbidden(
        joined(": ", sentence("the ERPNext API user lacks a permission"), text),
        next_step=sentence(
            "`watcher doctor` names it; `watcher erpnext setup --role yes "
            "--admin-key` gives the API user all that Watcher needs"
        ),
    )


def message_of(answer: Mapping[str, Any]) -> str:
    """ERPNext's text for people: ``_server_messages`` is JSON in JSON, with HTML inside.

    At most 500 characters, without markup; empty when there is none.
    """
    texts = _texts(answer)
    if not any(texts) and isinstance(answer.get("exception"), str):
        texts = [answer["exception"].rpartition("exceptions.")[2]]
    raw = "; ".join(t for t in texts if t)[:_MAX_RAW]
    return " ".join(html.unescape(_TAG.sub(" ", raw)).split())[:MAX_MESSAGE]


def _texts(answer: Mapping[str, Any]) -> list[str]:
    try:
        parts = [json.loads(part) for part in json.loads(answer.get("_server_messages") or "[]")]
    except (TypeError, ValueError):
        return []
    return [str(p.get("message", "")) if isinstance(p, dict) else str(p) for p in parts]


def _asked(headers: Mapping[str, str]) -> float | None:
    return asked_seconds(headers.get("Retry-After"))
