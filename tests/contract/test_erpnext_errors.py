"""ERPNext's answers, as recorded on Frappe 15.43, become named errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from watcher.erpnext.errors import COLLISION, RowGone, ServerError, classify, message_of
from watcher.errors import (
    DuplicateKey,
    ErpAuthError,
    ErpForbidden,
    ErpRefused,
    ErpSetupMissing,
    Permanent,
    Transient,
    WatcherError,
)


def said(exc_type: str, message: str = "") -> dict[str, Any]:
    """An answer of a site that shows no tracebacks: ``exception`` and ``exc`` are absent."""
    body: dict[str, Any] = {"exc_type": exc_type}
    if message:
        body["_server_messages"] = json.dumps([json.dumps({"message": message, "title": "x"})])
    return body


TABLE: list[tuple[int, Any, type[WatcherError], str]] = [
    (401, said("AuthenticationError"), ErpAuthError, "auth"),
    (400, said("InvalidAuthorizationHeader"), ErpAuthError, "auth"),
    (403, said("PermissionError", "No permission for Event"), ErpForbidden, "permission"),
    (417, said("UniqueValidationError", "must be unique"), DuplicateKey, "duplicate_key"),
    (409, said("DuplicateEntryError"), DuplicateKey, "duplicate_key"),
    (409, said("NameError"), DuplicateKey, "duplicate_key"),
    (417, said("DataError", "Field not permitted in query: x"), ErpSetupMissing, "missing_fields"),
    # The same answer of a site in German: texts decide nothing.
    (417, said("DataError", "Feld nicht erlaubt: x"), ErpSetupMissing, "missing_fields"),
    (404, said("DoesNotExistError"), RowGone, "not_found"),
    (404, said("PageDoesNotExistError"), Permanent, "no_site"),
    (404, {"error": "no route"}, Permanent, "no_site"),
    (404, None, Permanent, "no_site"),
    (417, said("LinkValidationError", "Could not find User: x"), ErpRefused, "refused"),
    (417, said("InvalidDates", "ends before it starts"), ErpRefused, "refused"),
    (417, said("TimestampMismatchError"), ErpRefused, COLLISION),
    (417, said("DocumentLockedError"), ErpRefused, COLLISION),
    (413, None, ErpRefused, "too_large"),
    (400, None, ErpRefused, "too_large"),
    (429, said("TooManyRequestsError"), Transient, ""),
    (429, None, Transient, ""),
    (503, said("SessionStopped"), Transient, ""),
    (503, said("InReadOnlyMode", "read only"), Transient, ""),
    (500, said("OperationalError"), ServerError, ""),
    (500, said("TypeError"), ServerError, ""),
    (500, said("DataError"), ServerError, ""),
    (500, said("QueryDeadlockError"), Transient, ""),
    (500, said("QueryTimeoutError"), Transient, ""),
    (500, None, Transient, ""),
    (502, None, Transient, ""),
    (504, None, Transient, ""),
    (403, None, Transient, ""),
    (200, None, Transient, ""),
    (200, [1], Transient, ""),
    (302, None, Transient, ""),
    (301, None, Permanent, "redirected"),
]


@pytest.mark.parametrize(("status", "body", "kind", "cause"), TABLE)
def test_table(status: int, body: Any, kind: type[WatcherError], cause: str) -> None:
    error = classify(status, body, {})
    assert type(error) is kind
    assert getattr(error, "cause", "") == cause
    assert error.message
    assert getattr(error, "side", "") == "erpnext"


def test_wait_is_what_the_site_asks_for() -> None:
    error = classify(429, said("TooManyRequestsError"), {"Retry-After": "12"})
    assert isinstance(error, Transient)
    assert error.retry_after == 12.0


@pytest.mark.parametrize("value", ["", "soon", "²", "-3", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_wait_without_usable_number(value: str) -> None:
    error = classify(429, None, {"Retry-After": value})
    assert isinstance(error, Transient)
    assert error.retry_after == 5.0


def test_wait_is_bounded() -> None:
    error = classify(503, None, {"Retry-After": "9" * 30})
    assert isinstance(error, Transient)
    assert error.retry_after == 3600.0


def test_maintenance_is_named() -> None:
    assert "maintenance" in classify(503, said("SessionStopped"), {}).message


def test_missing_fields_name_the_command() -> None:
    assert classify(417, said("DataError"), {}).next_step == "watcher erpnext setup"


def test_message_is_plain_and_bounded() -> None:
    error = classify(417, said("ValidationError", "<b>Bad</b> &amp; worse<br>" + "x" * 9000), {})
    assert error.message.startswith("Bad & worse xxx")
    assert len(error.message) == 500


@pytest.mark.parametrize(
    "raw", ["no json", "5", "{}", '["no json"]', "[5]", "[null]", None, 7, [], {"a": 1}]
)
def test_odd_messages_do_no_harm(raw: Any) -> None:
    assert isinstance(message_of({"_server_messages": raw}), str)


def test_message_of_endless_brackets_is_quick() -> None:
    message_of(said("ValidationError", "<" * 2_000_000))


RECORDINGS = Path(__file__).parents[1] / "recordings"
FAMILY = {
    "AuthenticationError": ErpAuthError,
    "PermissionError": ErpForbidden,
    "UniqueValidationError": DuplicateKey,
    "DoesNotExistError": RowGone,
    "DataError": ErpSetupMissing,
    "SessionStopped": Transient,
    "InReadOnlyMode": Transient,
    "TooManyRequestsError": Transient,
}


def recorded() -> list[Any]:
    found = []
    for path in sorted(RECORDINGS.glob("*.json")):
        for exchange in json.loads(path.read_text())["exchanges"]:
            if exchange["response"]["status"] >= 300:
                title = f"{path.stem}: {exchange['title']}"
                found.append(pytest.param(exchange["response"], id=title))
    return found


@pytest.mark.parametrize("answer", recorded())
def test_recorded_refusals(answer: dict[str, Any]) -> None:
    """Each recorded refusal gets its kind, the same without what ``allow_error_traceback`` adds."""
    body = answer["body"] if isinstance(answer["body"], dict) else None
    error = classify(answer["status"], body, answer["headers"])
    if body is None:
        assert type(error) is ErpRefused
        return
    wanted = ServerError if answer["status"] == 500 else FAMILY.get(body["exc_type"], ErpRefused)
    assert type(error) is wanted
    bare = {k: v for k, v in body.items() if k not in ("exc", "exception")}
    assert type(classify(answer["status"], bare, answer["headers"])) is wanted
    assert "<" not in error.message
    assert "Traceback" not in error.message


def test_there_are_recordings() -> None:
    assert len(recorded()) > 25
