"""A page that is only opened, loaded again or fetched ahead asks neither Google nor ERPNext: a
button does, once, and what it found stands there with its time."""

from __future__ import annotations

from typing import Any

import pytest
from flask import url_for
from flask.testing import FlaskClient

from tests.company import ANN, BOB, Company
from tests.integration.test_forms_lead_to_pages import OUTLET, browser, number_of
from tests.integration.test_pages import says
from watcher.accounts import verbs
from watcher.handlers.app import create_app

__all__ = ["browser"]

pytestmark = pytest.mark.one_shape("sqlite")
OF_ITSELF = {"me.page", "me.connected"}
"""Pages that show the next event as ERPNext has it."""
ELSEWHERE = {"oauth.callback", "static"}


def asked(company: Company) -> int:
    """How often Google and ERPNext were asked so far."""
    return sum(company.google.log.counts().values()) + company.site.requests.total()


def pages(company: Company, browser: FlaskClient) -> dict[str, str]:
    """An address of each page, by the name of its view."""
    values: dict[str, Any] = {"number": company.calendar().id, "token": "x", "word": "x"}
    with browser.application.test_request_context():
        return {
            rule.endpoint: url_for(rule.endpoint, **{name: values[name] for name in rule.arguments})
            for rule in browser.application.url_map.iter_rules()
            if "GET" in (rule.methods or ()) and rule.endpoint not in ELSEWHERE
        }


def test_no_page_that_is_opened_asks_google_or_erpnext(
    company: Company, browser: FlaskClient
) -> None:
    found = pages(company, browser)
    assert {"calendars.compare", "found.look", "further.look", "explaining.ask"} <= set(found)
    for name, address in found.items():
        before = asked(company)
        for query in ("", "?asked=x"):
            assert browser.get(address + query).status_code in (200, 302, 303, 404), address
        if name not in OF_ITSELF:
            assert asked(company) == before, address


def buttons(company: Company) -> dict[str, dict[str, str]]:
    return {
        f"/calendars/{company.calendar().id}/compare": {},
        f"/employees/{number_of(company, BOB)}/calendars": {},
        "/me/calendars": {},
        "/event": {"what": f"{ANN} stand-up"},
    }


def press(browser: FlaskClient, address: str, form: dict[str, str]) -> str:
    """The address of the page to which a button leads."""
    answer = browser.post(address, data={"form_proof": "t", **form})
    return answer.headers["Location"].partition("#")[0]


def test_what_a_button_found_can_be_looked_at_for_ten_minutes(
    company: Company, browser: FlaskClient
) -> None:
    for address, form in buttons(company).items():
        before = asked(company)
        page = press(browser, address, form)
        assert asked(company) == before, "the page asks, not the button"
        first = says(browser.get(page).text)
        assert asked(company) > before, address
        before = asked(company)
        company.later(minutes=9)
        again = says(browser.get(page).text)
        assert first != again
        assert "9 min" in again, "it says how old it is"
        assert browser.get(f"{page}&language=de").status_code == 200
        browser.get("/?language=en")
        company.later(minutes=2)
        assert "An answer is shown for ten minutes" in says(browser.get(page).text)
        assert asked(company) == before, address


def test_a_button_is_good_for_a_minute_where_the_first_try_met_an_outage(
    company: Company, browser: FlaskClient
) -> None:
    for address, form in buttons(company).items():
        page = press(browser, address, form)
        if address != "/event":  # which tells of one side what the other has not said
            company.google.add_fault(match=".*", status=503, count=None)
            company.site.add_fault(status=503, count=None)
            browser.get(page)
            company.google.clear_faults()
            company.site.clear_faults()
            before = asked(company)
            assert browser.get(page).status_code == 200
            assert asked(company) > before
        late = press(browser, address, form)
        company.later(minutes=1)
        before = asked(company)
        assert "Press the button to ask again" in says(browser.get(late).text)
        assert asked(company) == before


def test_an_answer_is_for_the_calendar_and_the_person_that_it_was_asked_for(
    company: Company, browser: FlaskClient
) -> None:
    first, _ = company.calendar().id, company.add(BOB)
    page = press(browser, f"/calendars/{first}/compare", {})
    assert "Google and ERPNext were asked" in says(browser.get(page).text)
    other = page.replace(f"/{first}/", f"/{company.calendar(BOB).id}/")
    assert other != page
    before = asked(company)
    assert "Google and ERPNext were asked" not in says(browser.get(other).text)
    company.set("admin_emails", f"{company.settings.admin_emails[0]},{BOB}")
    company.rebuild()
    stranger = create_app(company.services).test_client()
    with stranger.session_transaction() as session:
        session["admin"] = BOB
    assert "Google and ERPNext were asked" not in says(stranger.get(page).text)
    assert asked(company) == before


def test_a_list_that_is_shown_again_says_how_each_calendar_stands_now(
    company: Company, browser: FlaskClient
) -> None:
    roster = "roster@group.calendar.google.com"
    company.google.add_calendar(roster, BOB, "Roster")
    address = f"/employees/{number_of(company, BOB)}/calendars"
    page = press(browser, address, {})
    assert "not mirrored Add Roster" in says(browser.get(page).text)
    word = page.rpartition("=")[2]
    verbs.add_calendar(company.services, BOB, roster)
    before = asked(company)
    shown = says(browser.get(page).text)
    assert "Add Roster" not in shown
    assert asked(company) == before
    form = {"form_proof": "t", "calendar": OUTLET, "asked": word}
    asking = browser.post(f"{address}/add", data=form).headers["Location"]
    assert f'href="{page}"' in browser.get(asking).text, "who thinks better of it is led back"


def test_the_next_event_is_asked_for_once_in_ten_seconds(
    company: Company, browser: FlaskClient
) -> None:
    browser.get("/me")
    before = asked(company)
    for _ in range(5):
        browser.get("/me")
    assert asked(company) == before
    company.later(seconds=11)
    browser.get("/me")
    assert asked(company) > before
