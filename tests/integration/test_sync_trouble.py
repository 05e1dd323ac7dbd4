"""Either side failing in every way it can: nothing lost, nothing doubled, said plainly."""

from __future__ import annotations

from typing import Any

import pytest

from tests.company import ANN, Company
from watcher.ledger import steps
from watcher.ledger.models import Calendar

pytestmark = pytest.mark.one_shape("postgres")

GOOGLE: dict[str, dict[str, Any]] = {
    "rate limit": {"status": 403, "reason": "userRateLimitExceeded"},
    "quota": {"status": 429, "reason": "rateLimitExceeded"},
    "limit of a person": {"status": 403, "reason": "quotaExceeded"},
    "server error": {"status": 500, "reason": "backendError"},
    "unavailable": {"status": 503, "body": "<html>down</html>", "content_type": "text/html"},
    "no JSON": {"status": 200, "body": "<html>login</html>", "content_type": "text/html"},
    "half an answer": {"status": 200, "body": '{"items": ['},
    "missing fields": {"status": 200, "body": {"kind": "calendar#events"}},
    "items of another kind": {"status": 200, "body": {"items": "none", "nextSyncToken": "x"}},
    "dropped": {"drop": True},
    "unauthorised": {"status": 401, "reason": "authError"},
}
ERPNEXT: dict[str, tuple[dict[str, Any], str, str]] = {
    "server error": ({"status": 500, "html": True}, "ok", "erpnext_unavailable"),
    "maintenance": ({"status": 503, "exc_type": "SessionStopped"}, "ok", "erpnext_unavailable"),
    "too many": ({"status": 429, "headers": {"Retry-After": "1"}}, "ok", "erpnext_unavailable"),
    "a page": ({"status": 200, "html": True}, "ok", "erpnext_unavailable"),
    "dropped": ({"drop": True}, "ok", "erpnext_unavailable"),
    "lost answer": ({"drop": True, "after_commit": True}, "ok", "erpnext_unavailable"),
    "wrong key": ({"status": 401, "exc_type": "AuthenticationError"}, "failing", "auth"),
    "forbidden": ({"status": 403, "exc_type": "PermissionError"}, "failing", "permission"),
}


@pytest.fixture(autouse=True)
def connected(company: Company) -> None:
    for n in range(3):
        company.google.insert_event(ANN, company.timed(hours=n + 2, summary=f"Shift {n}"))
    company.connect()


def change(company: Company) -> None:
    company.google.insert_event(ANN, company.timed(summary="New"))
    edited = company.rows()[0]["custom_google_event_id"]
    company.google.patch_event(ANN, edited, {"summary": "Edited"})


def mends(company: Company, before: Calendar) -> None:
    """With the trouble over the next pass makes both sides equal."""
    company.google.clear_faults()
    company.site.clear_faults()
    assert company.sync() == "done"
    after = company.calendar()
    assert (after.state, after.failures) == ("ok", 0)
    assert after.sync_token != before.sync_token
    assert company.mirrored() == company.expected()
    keys = [row["custom_google_sync_key"] for row in company.site.events()]
    assert len(keys) == len(set(keys)) == 4


@pytest.mark.parametrize("kind", GOOGLE)
def test_google_in_trouble(company: Company, kind: str) -> None:
    before = company.calendar()
    change(company)
    company.google.add_fault(match=r"/events\?", **GOOGLE[kind])
    assert company.sync() == "failed"
    failed = company.calendar()
    assert failed.sync_token == before.sync_token
    assert failed.failures == 1
    assert failed.retry_at is not None
    is_limit = "limit" in kind or kind == "quota"
    cause = "google_quota" if is_limit else "google_unavailable"
    assert (failed.state, failed.cause) == ("retrying", cause)
    step = steps.of_cause(failed.cause)
    assert ("Google Calendar API > Quotas (https://console" in step) == is_limit
    mends(company, before)


@pytest.mark.parametrize("kind", ERPNEXT)
def test_erpnext_in_trouble(company: Company, kind: str) -> None:
    fault, _, cause = ERPNEXT[kind]
    before = company.calendar()
    change(company)
    company.site.add_fault(match="insert|bulk|PUT|POST", count=None, **fault)
    assert company.sync() == "failed"
    failed = company.calendar()
    assert failed.sync_token == before.sync_token
    assert failed.cause == cause
    assert failed.message
    mends(company, before)


def test_an_expired_access_token_is_renewed_on_the_way(company: Company) -> None:
    before = company.calendar()
    change(company)
    company.google.expire_access_tokens()
    mends(company, before)


def test_a_calendar_out_of_reach_cancels_nothing(company: Company) -> None:
    """Google's 404 can pass: it is believed the third time in a row, and cancels nothing then."""
    before = company.calendar()
    change(company)
    company.google.add_fault(match="/events", status=404, reason="notFound")
    for state in ("retrying", "retrying", "gone", "gone"):
        assert company.sync() == "failed"
        assert (company.calendar().state, company.calendar().cause) == (state, "not_found")
    assert len(company.rows()) == 3
    mends(company, before)


def test_access_lost_in_the_middle_of_a_delta_cancels_no_series(company: Company) -> None:
    """The delta still came, but the expansion of the changed series meets a 404, and so does the
    listing of the window: that is no word that the series has ended."""
    body = company.timed(summary="Roster", recurrence=["RRULE:FREQ=DAILY;COUNT=5"])
    series = company.google.insert_event(ANN, body)
    assert company.sync() == "done"
    held = company.subjects().count("Roster")
    assert held == 5
    company.google.patch_event(ANN, series, {"summary": "Late roster"})
    company.google.add_fault(match="/instances", status=404, reason="notFound", count=1)
    company.google.add_fault(match="singleEvents=true", status=404, reason="notFound", count=1)
    assert company.sync() == "failed"
    assert company.subjects().count("Roster") == held
    assert company.sync() == "done"
    assert company.subjects().count("Late roster") == held


def test_a_series_that_is_not_found_for_a_moment_stays(company: Company) -> None:
    """The delta says that it lives, its expansion that there is none: the listing decides."""
    body = company.timed(summary="Roster", recurrence=["RRULE:FREQ=DAILY;COUNT=5"])
    series = company.google.insert_event(ANN, body)
    assert company.sync() == "done"
    company.google.patch_event(ANN, series, {"summary": "Late roster"})
    company.google.add_fault(match="/instances", status=404, reason="notFound", count=1)
    assert company.sync() == "done"
    assert "Roster" not in company.subjects()
    assert company.subjects().count("Late roster") == 5
    company.google.delete_event(ANN, series)
    assert company.sync() == "done"
    assert "Late roster" not in company.subjects()


def test_missing_custom_fields_name_the_command(company: Company) -> None:
    company.site.reset()
    company.google.insert_event(ANN, company.timed(summary="New"))
    company.rebuild()
    assert company.sync() == "failed"
    assert company.calendar().cause in ("missing_fields", "auth")
    status = company.watcher("status")
    assert status.returncode == 7
    assert "watcher erpnext setup" in status.stdout or "WATCHER_ERPNEXT_API" in status.stdout


def test_a_deadlock_in_a_batch_loses_no_update(company: Company) -> None:
    before = company.calendar()
    for row in company.rows():
        company.google.patch_event(ANN, row["custom_google_event_id"], {"summary": "Again"})
    company.google.insert_event(ANN, company.timed(summary="New"))
    company.site.deadlock_at = 2
    company.sync()
    mends(company, before)


def test_the_ledger_remembers_why(company: Company) -> None:
    change(company)
    company.google.add_fault(match=r"/events\?", status=503, reason="backendError")
    assert company.sync() == "failed"
    shown = company.watcher("status", "--json")
    assert "Traceback" not in shown.stderr
    assert company.services.settings.google_client_secret.get_secret_value() not in shown.stdout
