"""Whose fault a 403 of the Calendar API is, where its first reason does not say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from watcher.errors import AccessLost, AppDead, Transient
from watcher.google.consent import ConsentDenied, callback_error
from watcher.google.errors import QUOTA_PAUSE, classify
from watcher.ledger.causes import WIDE


def body(reason: str, message: str = "No.", domain: str = "global", **more: Any) -> str:
    entry = {"domain": domain, "reason": reason, "message": message}
    return json.dumps({"error": {"code": 403, "message": message, "errors": [entry], **more}})


def info(reason: str, **metadata: str) -> list[dict[str, Any]]:
    return [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason,
            "metadata": metadata,
        }
    ]


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (body("accessNotConfigured"), "access_not_configured"),
        (body("forbidden", details=info("SERVICE_DISABLED")), "service_disabled"),
        (body("forbidden", details=info("BILLING_DISABLED")), "project_suspended"),
        (body("forbidden", details=info("CONSUMER_SUSPENDED")), "project_suspended"),
        (body("forbidden", details=info("CONSUMER_INVALID")), "project_suspended"),
        (
            body("forbidden", "Permission denied: Consumer 'project:7' has been suspended."),
            "project_suspended",
        ),
        (body("forbidden", "Project 'x' has been deleted."), "project_suspended"),
        (body("forbidden", "This API method requires billing to be enabled."), "project_suspended"),
    ],
)
def test_the_project_is_the_installations_and_not_the_calendars(content: str, cause: str) -> None:
    found = classify(403, content, "delta").error
    assert isinstance(found, AppDead)
    assert found.cause == cause
    assert cause in WIDE, "it is one notice, however few calendars show it"


def test_a_calendar_that_is_forbidden_is_still_that() -> None:
    assert isinstance(classify(403, body("forbidden", "Forbidden"), "delta").error, AccessLost)


def test_a_limit_of_an_unknown_name_passes() -> None:
    found = classify(403, body("concurrentLimitExceeded", domain="usageLimits"), "delta").error
    assert isinstance(found, Transient)


@pytest.mark.parametrize(
    "content",
    [
        body("dailyLimitExceededUnreg", domain="usageLimits"),
        body("rateLimitExceeded", "Quota exceeded for limit 'Queries per day'.", "usageLimits"),
        body("rateLimitExceeded", details=info("RATE_LIMIT_EXCEEDED", quota_limit="QueriesPerDay")),
    ],
)
def test_a_days_limit_pauses_long(content: str) -> None:
    found = classify(403, content, "delta").error
    assert isinstance(found, Transient)
    assert found.retry_after == QUOTA_PAUSE


def test_a_mailbox_without_calendar_may_be_suspended() -> None:
    assert "suspended" in classify(403, body("notACalendarUser"), "delta").error.next_step


def test_a_policy_that_enforces_itself_is_the_organisations() -> None:
    assert isinstance(callback_error("policy_enforced"), ConsentDenied)
