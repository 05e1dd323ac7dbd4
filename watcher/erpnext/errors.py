"""ERPNext's answers as named errors: one pure table over status and ``exc_type``.

``exception`` and ``exc`` may be absent (site setting ``allow_error_traceback``), so nothing is
read from them. A 5xx says nothing about whether the write happened.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any

from watcher.errors import (
    DuplicateKey,
    ErpAuthError,
    ErpRefused,
    ErpSetupMissing,
    Permanent,
    Transient,
    WatcherError,
)

SIDE = "erpnext"
MAX_MESSAGE = 500
PASSING = frozenset(
    {"QueryDeadlockError", "QueryTimeoutError", "SessionStopped", "InReadOnlyMode",
     "TooManyRequestsError", "ConnectionError", "TimeoutError", "InterfaceError"}
)  # fmt: skip
SETUP = "watcher erpnext setup"
_TAG = re.compile(r"<[^>]+>")


class RowGone(ErpRefused):
    """404: the document is not there (any more)."""


class ServerError(Transient):
    """500 with an error of Python or of the database: an outage, or a value it cannot take.

    Trying documents one by one tells the two apart.
    """


def classify(status: int, body: object, headers: Mapping[str, str]) -> WatcherError:
    """The error for an answer that is not a success. ``body`` is parsed JSON, or None (HTML)."""
    answer = body if isinstance(body, dict) else {}
    exc_type = str(answer.get("exc_type") or "")
    text = message_of(answer)
    if status == 429 or exc_type == "TooManyRequestsError":
        return Transient(
            "ERPNext asks for fewer requests (429)",
            side=SIDE,
            retry_after=_seconds(headers),
        )
    if status >= 500 or not isinstance(body, dict):
        return _server(status, exc_type, isinstance(body, dict), headers)
    if status in (401, 403):
        return _auth(status, exc_type, text)
    if exc_type in ("UniqueValidationError", "DuplicateEntryError"):
        return DuplicateKey(text or "a row with this key is there already", cause="duplicate_key")
    if status == 404:
        return RowGone(text or "the document is not there", cause="not_found", side=SIDE)
    if exc_type == "DataError" and "Field not permitted" in (text + str(answer.get("exception"))):
        return ErpSetupMissing(
            "the ERPNext site lacks Watcher's custom fields on Event", cause="missing_fields",
            side=SIDE, next_step=SETUP,
        )  # fmt: skip
    return ErpRefused(text or exc_type or f"status {status}", cause="refused", side=SIDE)


def _server(status: int, exc_type: str, is_json: bool, headers: Mapping[str, str]) -> WatcherError:
    if exc_type in ("SessionStopped", "InReadOnlyMode"):
        return Transient("the ERPNext site is in maintenance mode", side=SIDE)
    if status == 500 and is_json and exc_type and exc_type not in PASSING:
        return ServerError(f"ERPNext failed with {exc_type}", side=SIDE)
    if status == 404:
        return Permanent(
            "no ERPNext site answers under WATCHER_ERPNEXT_URL", cause="no_site", side=SIDE,
            next_step="check the address: the site is chosen by its host name",
        )  # fmt: skip
    if status < 300:
        return Transient(
            "ERPNext answered with a page instead of JSON", side=SIDE,
            next_step="check WATCHER_ERPNEXT_URL",
        )  # fmt: skip
    return Transient(
        f"ERPNext is unavailable (status {status})",
        side=SIDE,
        retry_after=_seconds(headers),
    )


def _auth(status: int, exc_type: str, text: str) -> ErpAuthError:
    if status == 401 or exc_type == "AuthenticationError":
        return ErpAuthError(
            "ERPNext refused the API key", cause="auth", side=SIDE,
            next_step="check WATCHER_ERPNEXT_API_KEY and WATCHER_ERPNEXT_API_SECRET",
        )  # fmt: skip
    return ErpAuthError(
        f"the ERPNext API user lacks a permission{': ' + text if text else ''}",
        cause="permission", side=SIDE, next_step="give the API user the role System Manager",
    )  # fmt: skip


def message_of(answer: Mapping[str, Any]) -> str:
    """ERPNext's text for people: ``_server_messages`` is JSON in JSON, with HTML inside."""
    try:
        parts = [json.loads(part) for part in json.loads(answer.get("_server_messages") or "[]")]
    except (TypeError, ValueError):
        parts = []
    texts = [str(p.get("message", "")) if isinstance(p, dict) else str(p) for p in parts]
    if not any(texts) and isinstance(answer.get("exception"), str):
        texts = [answer["exception"].rpartition("exceptions.")[2]]
    plain = html.unescape(_TAG.sub(" ", "; ".join(t for t in texts if t)))
    return " ".join(plain.split())[:MAX_MESSAGE]


def _seconds(headers: Mapping[str, str]) -> float | None:
    value = headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None
