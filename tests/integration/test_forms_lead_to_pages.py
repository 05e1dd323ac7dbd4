"""A form is answered by the way to a page, so that Back and Reload send nothing once more; and no
address on that way tells of a person, a title or a secret."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

import pytest
from flask.testing import FlaskClient

from tests.company import ADMIN, ANN, BOB, Company
from tests.consenting import at_google, path
from tests.integration.test_pages import says
from watcher.accounts import verbs
from watcher.google.endpoints import CALENDAR_SCOPE, LIST_SCOPE
from watcher.handlers import sealed
from watcher.handlers.app import create_app
from watcher.ledger import accounts, runs
from watcher.ledger.models import Fact

pytestmark = pytest.mark.one_shape("sqlite")
OUTLET = "outlet@group.calendar.google.com"
FOR_PROGRAMS = {"notifications.receive"}


@pytest.fixture
def browser(company: Company) -> FlaskClient:
    """Of an admin, who is signed in as the employee Bob, too."""
    company.set("find_calendars", "both")
    company.rebuild()
    company.connect_at_rest()
    company.google.add_calendar(OUTLET, BOB, "Outlet Pune")
    company.google.share(OUTLET, ANN, "reader")
    verbs.add_calendar(company.services, ANN, OUTLET)
    client = create_app(company.services).test_client()
    away = client.post(path(verbs.invite(company.services, BOB))).headers["Location"]
    client.get(at_google(away, BOB, (CALENDAR_SCOPE, LIST_SCOPE)))
    with client.session_transaction() as session:
        session["admin"], session["form_proof"] = ADMIN, "t"
    return client


def number_of(company: Company, email: str) -> int:
    with company.services.db.reading() as session:
        return accounts.get(session, email).id


def forms(company: Company) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """What the buttons of each view send; those that end a session come last."""
    both: dict[str, Any] = {"act": "pause", "email": [ANN, BOB]}
    calendar, bob = f"/calendars/{company.calendar().id}", number_of(company, BOB)
    mirror = {"calendar": OUTLET}
    return {
        "explaining.answer": [
            ("/event", {"what": f"{ANN} salary talk"}),
            ("/event", {"what": f"{ANN} {'क' * 480}"}),
            ("/event", {}),
        ],
        "calendars.act": [(f"{calendar}/{what}", {}) for what in ("sync", "resync", "renew")]
        + [(f"{calendar}/confirm", {"rows": 3})],
        "calendars.ask": [(f"{calendar}/compare", {})],
        "employees.act": [
            ("/employees/act", {"one": f"disconnect {ANN}"}),
            ("/employees/act", both),
            ("/employees/act", both | {"confirmed": "yes"}),
            ("/employees/act", {"act": "resume", "everyone": "yes"}),
            ("/employees/act", {"act": "resume", "everyone": "yes", "confirmed": "yes"}),
            ("/employees/act", {"act": "pause"}),
        ],
        "employees.invite": [
            ("/employees/invite", {"addresses": "dora@example.com, nonsense", "by": "link"}),
            ("/employees/invite", {"by": "mail"}),
        ],
        "found.ask": [(f"/employees/{bob}/calendars", {})],
        "found.add": [
            (f"/employees/{bob}/calendars/add", mirror),
            (f"/employees/{bob}/calendars/add", {"calendar": "unknown@example.com"}),
            (f"/employees/{bob}/calendars/add", mirror | {"confirmed": "yes"}),
        ],
        "failures.retry": [("/failures/retry", {}), ("/failures/retry", {"cause": "x"})],
        "failures.leave": [("/failures/leave", {"email": ANN, "event": "e1"})],
        "failures.take_up": [("/failures/take-up", {"calendar": company.calendar().id})],
        "system.check": [("/system/check", {})],
        "me.pause": [("/me/pause", {})],
        "me.resume": [("/me/resume", {})],
        "me.choose": [
            ("/me/privacy", {"event_type": "Private", "private_events": "skip"}),
            ("/me/privacy", {"event_type": "nonsense"}),
        ],
        "further.ask": [("/me/calendars", {})],
        "further.add": [("/me/calendars/add", {}), ("/me/calendars/add", mirror)],
        "further.remove": [("/me/calendars/remove", mirror)],
        "further.allow": [("/me/calendars/allow", {})],
        "me.connect_again": [("/me/connect", {})],
        "links.start": [("/connect/nonsense", {})],
        "parts.switch": [("/language?at=/event", {"what": ANN, "language": "en"})],
        "me.leave": [("/me/disconnect", {})],
        "me.sign_out": [("/me/sign-out", {})],
        "oauth.sign_out": [("/sign-out", {})],
    }


def heading(page: str) -> list[str]:
    return re.findall(r"<h1[^>]*>(.*?)</h1>", page, re.DOTALL)


def led(browser: FlaskClient, address: str, form: dict[str, Any]) -> str:
    """The page that a form leads to, which is looked at twice."""
    answer = browser.post(address, data={"form_proof": "t", **form})
    assert answer.status_code in (302, 303), (address, form, answer.text)
    for _ in range(3):
        to = answer.headers["Location"]
        assert "@" not in unquote(to), to
        assert "salary" not in to
        assert len(to) < 4_000
        answer = browser.get(to)
        if answer.status_code not in (302, 303):
            break
    assert answer.status_code == 404 if "nonsense" in address else 200, (to, answer.text)
    assert heading(browser.get(to).text) == heading(answer.text) != []
    return says(answer.text)


def test_every_form_leads_to_a_page_that_can_be_loaded_again(
    company: Company, browser: FlaskClient
) -> None:
    sent = forms(company)
    takes = {
        rule.endpoint
        for rule in browser.application.url_map.iter_rules()
        if "POST" in (rule.methods or ())
    }
    assert takes - FOR_PROGRAMS == set(sent)
    for address, form in (each for forms_ in sent.values() for each in forms_[:1]):
        if "sign-out" not in address:
            led(browser, address, form | {"form_proof": "of a session before"})
    for address, form in (each for forms_ in sent.values() for each in forms_):
        led(browser, address, form)


def test_a_page_says_what_became_of_a_form_however_often_it_is_loaded(
    company: Company, browser: FlaskClient
) -> None:
    asked = browser.post("/event", data={"what": f"{ANN} salary talk"}).headers["Location"]
    for _ in range(2):
        assert "What was looked through" in says(browser.get(asked).text)
    made = {"form_proof": "t", "addresses": "dora@example.com, nonsense"}
    done = browser.post("/employees/invite", data=made).headers["Location"]
    for language in ("en", "de"):
        page = browser.get(f"{done}?language={language}")
        assert len(re.findall(r'<code class="link">http[^<]+/connect/[^<]+<', page.text)) == 1
        assert page.text.count('data-title="Link"') == 1, "nothing stands for a link that lacks"


def test_what_a_page_keeps_is_for_one_person_and_for_an_hour(
    company: Company, browser: FlaskClient
) -> None:
    made = {"form_proof": "t", "addresses": "dora@example.com"}
    done = browser.post("/employees/invite", data=made).headers["Location"]
    asked = browser.post("/event", data={"what": f"{ANN} salary"}).headers["Location"]
    company.set("admin_emails", f"{ADMIN},{BOB}")
    company.rebuild()
    other = create_app(company.services).test_client()
    with other.session_transaction() as session:
        session["admin"] = BOB
    assert other.get(done).headers["Location"] == "/employees"
    assert "is shown for an hour" in says(other.get("/employees").text)
    assert "salary" not in other.get(asked).text
    word = done.rpartition("/")[2]
    for wrong in (word[:-1], "k.", "", "nonsense", "é", f"{word}x", asked.rpartition("=")[2][:-2]):
        assert browser.get(f"/employees/done/{wrong}").status_code in (303, 404)
        assert browser.get(f"/event?asked={wrong}").status_code == 200
    mine = create_app(company.services).test_client()
    with mine.session_transaction() as session:
        session["admin"] = ADMIN
    assert "/connect/" in mine.get(done).text
    with company.services.db.reading() as session:
        (fact,) = [each for each in session.query(Fact) if each.name.startswith("page:")]
    assert "dora" not in fact.value
    assert "http" not in fact.value
    company.later(hours=1, minutes=1)
    assert mine.get(done).headers["Location"] == "/employees"
    runs.prune(company.services.db, company.services.clock())
    with company.services.db.reading() as session:
        assert not [each for each in session.query(Fact) if each.name.startswith("page:")]


def test_two_thousand_outcomes_are_kept(company: Company, browser: FlaskClient) -> None:
    app, many = browser.application, [f"{n}@{'x' * 200}.example" for n in range(2_000)]
    with app.test_request_context("/employees"):
        for keep in (sealed.keep, sealed.keep_for_an_hour):
            word = keep("p", many)
            assert len(word) < 50
            assert sealed.opened("p", word) == many
            assert sealed.opened("q", word) is None
        assert sealed.opened("p", sealed.keep("p", ["short"])) == ["short"]
