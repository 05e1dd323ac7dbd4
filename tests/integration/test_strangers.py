"""What strangers can have the web process do: little, and nothing that others must wait for."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient

from tests.company import ADMIN, Company
from tests.integration.test_ledger_locks import counted
from watcher.handlers.app import create_app
from watcher.handlers.turns import TooMany, Turns, by_purpose

pytestmark = pytest.mark.one_shape("sqlite")

EVIL = "evil.example"


@pytest.fixture
def visitor(company: Company) -> FlaskClient:
    company.set("admin_emails", ADMIN)
    return create_app(company.services).test_client()


def come_back(visitor: FlaskClient) -> int:
    """Begin a sign-in and bring a code that is none."""
    away = visitor.get("/sign-in").headers["Location"]
    state = parse_qs(urlsplit(away).query)["state"][0]
    query = {"state": state, "code": "junk"}
    return visitor.get("/oauth/google/callback", query_string=query).status_code


def test_sign_ins_that_lead_nowhere_ask_google_some_times_a_minute(
    company: Company, visitor: FlaskClient
) -> None:
    most = by_purpose()["sign_in"]._begun.maxlen or 0
    with counted(company.services.db) as statements:
        answers = [come_back(visitor) for _ in range(most + 5)]
    assert answers == [400] * most + [429] * 5
    assert company.google.log.counts()["token"] == most
    assert not [each for each in statements if each.startswith(("INSERT", "UPDATE", "DELETE"))]


def test_those_who_wait_for_google_leave_turns_to_others() -> None:
    now = [0.0]
    turns = Turns(at_once=2, a_minute=3, monotonic=lambda: now[0])
    with turns.take(), turns.take(), pytest.raises(TooMany), turns.take():
        pass
    with turns.take():
        pass
    with pytest.raises(TooMany), turns.take():
        pass
    now[0] = 60.0
    with turns.take():
        pass


def test_counts_are_written_once_a_second_however_often_they_are_read(
    company: Company, visitor: FlaskClient
) -> None:
    forged = {"X-Goog-Channel-ID": "nobody's", "X-Goog-Resource-State": "exists"}
    with counted(company.services.db) as statements:
        for _ in range(5):
            assert visitor.post("/webhooks/google", headers=forged).status_code == 404
            assert visitor.get("/metrics").status_code == 200
    assert len([each for each in statements if "INTO counters" in each]) == 1


@pytest.mark.parametrize(
    "path", ["", "//", "//connect//x", "/connect/x/", f"//{EVIL}/", f"//{EVIL}/..", "/sign-in/"]
)
def test_no_answer_leads_to_a_host_that_the_visitor_has_named(
    visitor: FlaskClient, path: str
) -> None:
    for answer in (
        visitor.get("/", environ_overrides={"PATH_INFO": path, "HTTP_HOST": EVIL}),
        visitor.get("/", environ_overrides={"PATH_INFO": path, "HTTP_X_FORWARDED_HOST": EVIL}),
        visitor.post("/sign-out", headers={"Host": EVIL}),
    ):
        assert EVIL not in answer.headers.get("Location", "")


def test_by_https_browsers_stay_with_https_and_take_our_cookie_from_nobody_else(
    company: Company,
) -> None:
    company.set("admin_emails", ADMIN)
    company.set("public_url", "https://watcher.example.com")
    answer = create_app(company.services).test_client().get("/sign-in")
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
    name, _, rest = answer.headers["Set-Cookie"].partition("=")
    assert name == "__Host-watcher"
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(rest.split("; "))
    assert "Domain" not in rest
