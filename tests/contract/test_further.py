"""*My connection*: an employee looks for further calendars and chooses which are copied, too."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient

from tests.company import ADMIN, ANN, BOB, SERVICE_ACCOUNT
from tests.consenting import at_google, path
from tests.contract.test_finding import OUTLET, ROSTER, mirrored
from tests.shop import Shop
from watcher.accounts import verbs
from watcher.accounts.letting_go import finish
from watcher.google.endpoints import CALENDAR_SCOPE, LIST_SCOPE
from watcher.handlers.app import create_app
from watcher.handlers.turns import Turns
from watcher.ledger import accounts, calendars
from watcher.ledger.audit import Audit
from watcher.sync.work import work_off

EVERY_BOX, ONE_BOX = (CALENDAR_SCOPE, LIST_SCOPE), (CALENDAR_SCOPE,)


@pytest.fixture
def finder(shop: Shop) -> Shop:
    shop.set("find_calendars", "employees")
    shop.rebuild()
    shop.google.add_calendar(OUTLET, BOB, "Outlet <b>Pune</b>")
    shop.google.add_calendar(ROSTER, ANN, "Roster")
    shop.google.share(ROSTER, BOB, "reader")
    return shop


@pytest.fixture
def browser(finder: Shop) -> FlaskClient:
    return create_app(finder.services).test_client()


def connect(shop: Shop, browser: FlaskClient, boxes: tuple[str, ...]) -> str:
    """Bob consents; the text of the page that it ends with."""
    away = browser.post(path(verbs.invite(shop.services, BOB))).headers["Location"]
    return text_of(browser.get(at_google(away, BOB, boxes), follow_redirects=True).text)


def text_of(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def press(browser: FlaskClient, address: str, **fields: Any) -> Any:
    """A button of *My connection*."""
    page = browser.get("/me").text
    proof = re.search(r'name="form_proof" value="([^"]+)"', page)
    assert proof is not None, text_of(page)
    return browser.post(address, data={"form_proof": proof[1], **fields})


def look(browser: FlaskClient) -> Any:
    """*Look for my other calendars* is pressed; the page that it leads to."""
    return browser.get(press(browser, "/me/calendars").headers["Location"])


def said(answer: Any) -> str:
    assert answer.status_code == 200, answer.text
    return text_of(answer.text)


def test_an_employee_chooses_and_is_told_who_will_see_it(
    finder: Shop, browser: FlaskClient
) -> None:
    done = connect(finder, browser, EVERY_BOX)
    assert "list of your calendars was not ticked" not in done
    page = look(browser)
    shown = said(page)
    assert "Outlet <b>Pune</b> (yours)" in shown
    assert "<b>Pune" not in page.text, "a name is text"
    assert "Roster (you may look at it)" in shown
    assert "everybody in your company who works in ERPNext can see them" in shown
    assert f"{BOB} (your main calendar) : is copied already" in shown
    assert "missing here has to be on your list" in shown
    assert press(browser, "/me/calendars/add").headers["Location"] == "/me"
    assert "Nothing was ticked" in said(browser.get("/me"))
    assert press(browser, "/me/calendars/add", calendar=[OUTLET]).headers["Location"] == "/me"
    shown = said(browser.get("/me"))
    assert "Your choice is stored" in shown
    assert mirrored(finder, BOB) == [BOB, OUTLET]
    with finder.services.db.reading() as session:
        rows = [(a.who, a.what, a.subject) for a in session.query(Audit)]
    assert rows[-1] == (BOB, "calendar.add", f"{BOB} {OUTLET}")
    assert "Outlet <b>Pune</b> (yours) : is copied already" in said(look(browser))


def test_the_second_box_may_be_left_unticked(finder: Shop, browser: FlaskClient) -> None:
    link = path(verbs.invite(finder.services, BOB))
    before = said(browser.get(link))
    assert "You can have Google list your other calendars" in before
    assert "A second box is for the list of your calendars" in before
    done = connect(finder, browser, ONE_BOX)
    assert "You are connected" in done
    assert "The box for the list of your calendars was not ticked" in done
    assert finder.sync(BOB) == "done"
    shown = said(browser.get("/me"))
    assert "which you have not allowed" in shown
    assert "Look for my other calendars" not in shown
    assert "Google does not show Watcher the list" in said(look(browser))
    again = press(browser, "/me/calendars/allow").headers["Location"]
    away = browser.post(path(again)).headers["Location"]
    assert LIST_SCOPE in parse_qs(urlsplit(away).query)["scope"][0].split()
    browser.get(at_google(away, BOB))
    assert "Look for my other calendars" in said(browser.get("/me"))
    assert "Roster" in said(look(browser))


def test_without_the_first_box_nothing_is_stored(finder: Shop, browser: FlaskClient) -> None:
    done = connect(finder, browser, (LIST_SCOPE,))
    assert "The calendar permission is missing" in done


def test_what_a_colleague_has_is_not_copied_twice(finder: Shop, browser: FlaskClient) -> None:
    finder.add(ANN)
    verbs.add_calendar(finder.services, ANN, ROSTER)
    connect(finder, browser, EVERY_BOX)
    page = look(browser)
    assert "already for a colleague" in said(page)
    assert f'value="{ROSTER}"' not in page.text
    assert ANN not in page.text, "whose it is, is not told"
    press(browser, "/me/calendars/add", calendar=[ROSTER])
    assert "these calendars cannot be copied" in said(browser.get("/me"))
    assert mirrored(finder, BOB) == [BOB]


@pytest.mark.parametrize("value", ["no", "admins"])
def test_employees_look_only_where_they_may(finder: Shop, value: str) -> None:
    finder.set("find_calendars", value)
    finder.rebuild()
    browser = create_app(finder.services).test_client()
    connect(finder, browser, EVERY_BOX)
    assert "Your other calendars" not in said(browser.get("/me"))
    refused = look(browser)
    assert (refused.status_code, ROSTER in refused.text) == (400, False)
    press(browser, "/me/calendars/add", calendar=[ROSTER])
    assert mirrored(finder, BOB) == [BOB]
    assert press(browser, "/me/calendars/allow").headers["Location"] == "/me"


def test_a_delegated_employee_is_sent_to_the_administrator(finder: Shop) -> None:
    finder.add(BOB)
    browser = create_app(finder.services).test_client()
    browser.get(at_google(browser.get("/me/sign-in").headers["Location"], BOB))
    shown = said(look(browser))
    assert "Your administrator can allow it" in shown
    assert "Allow it at Google" not in shown
    finder.google.set_delegated(SERVICE_ACCOUNT, EVERY_BOX)
    assert "Roster" in said(look(browser))


def test_forms_of_others_do_nothing(finder: Shop, browser: FlaskClient) -> None:
    connect(finder, browser, EVERY_BOX)
    for what in ("/add", "/remove", "/allow"):
        address = f"/me/calendars{what}"
        forged = browser.post(address, data={"calendar": OUTLET})
        assert forged.headers["Location"] == "/me/calendars"
        assert "This form is too old" in browser.get("/me/calendars").text
        stranger = create_app(finder.services).test_client()
        assert stranger.post(address, data={"calendar": OUTLET}).headers["Location"] == "/me"
    assert mirrored(finder, BOB) == [BOB]


def test_google_and_others_may_keep_somebody_waiting(finder: Shop, browser: FlaskClient) -> None:
    connect(finder, browser, EVERY_BOX)
    finder.google.add_fault(match="calendarList", status=503, count=1)
    assert look(browser).status_code == 503
    browser.application.extensions["watcher.turns"]["find"] = Turns(0, 60)
    assert "Others are looking" in look(browser).text


def test_the_pages_speak_the_languages(finder: Shop, browser: FlaskClient) -> None:
    connect(finder, browser, EVERY_BOX)
    for language, words in (("de", "Ihre anderen Kalender"), ("es", "Tus otros calendarios")):
        assert words in browser.get(f"/me?language={language}").text
        page = browser.get(f"/me/calendars?language={language}").text
        assert f'<html lang="{language}"' in page
        assert words in page


# --- the admins' page -----------------------------------------------------------------------


@pytest.fixture
def desk(finder: Shop) -> FlaskClient:
    """An admin is signed in; admins may look; Bob is mirrored by delegation."""
    finder.set("find_calendars", "admins")
    finder.rebuild()
    finder.google.set_delegated(SERVICE_ACCOUNT, EVERY_BOX)
    finder.add(BOB)
    browser = create_app(finder.services).test_client()
    browser.get(at_google(browser.get("/sign-in").headers["Location"], ADMIN))
    return browser


def list_of(finder: Shop) -> str:
    """The page of what Google lists for Bob."""
    with finder.services.db.reading() as session:
        return f"/employees/{accounts.get(session, BOB).id}/calendars"


def act(browser: FlaskClient, address: str, **fields: Any) -> Any:
    """A button of an admin's page."""
    page = browser.get("/employees").text
    proof = re.search(r'name="form_proof" value="([^"]+)"', page)
    assert proof is not None, text_of(page)
    return browser.post(address, data={"form_proof": proof[1], **fields})


def find(browser: FlaskClient, finder: Shop) -> Any:
    """*Find calendars* is pressed; the page that it leads to."""
    return browser.get(act(browser, list_of(finder)).headers["Location"])


def test_an_admin_finds_and_adds(finder: Shop, desk: FlaskClient) -> None:
    assert "Find calendars" in text_of(desk.get("/employees").text)
    page = find(desk, finder)
    assert f"added by its id: watcher calendars add {BOB} ID" in said(page)
    shown = said(page)
    assert f"Outlet <b>Pune</b> {OUTLET} owns it not mirrored Add" in shown
    assert f"{BOB} the main calendar is mirrored" in shown
    assert "every desk user of ERPNext sees them" in shown
    done = act(desk, f"{list_of(finder)}/add", calendar=OUTLET)
    assert re.fullmatch(r"/calendars/\d+", done.headers["Location"])
    assert "It is mirrored from now on" in text_of(desk.get(done.headers["Location"]).text)
    assert mirrored(finder, BOB) == [BOB, OUTLET]
    with finder.services.db.reading() as session:
        row = [(a.who, a.what, a.subject) for a in session.query(Audit)][-1]
    assert row == (ADMIN, "calendar.add", f"{BOB} {OUTLET}")


def test_an_admin_is_asked_before_a_calendar_is_mirrored_twice(
    finder: Shop, desk: FlaskClient
) -> None:
    finder.add(ANN)
    verbs.add_calendar(finder.services, ANN, ROSTER)
    assert f"is mirrored for {ANN} Add Roster" in said(find(desk, finder))
    asking = act(desk, f"{list_of(finder)}/add", calendar=ROSTER).headers["Location"]
    assert "each of its events stands in ERPNext twice" in said(desk.get(asking))
    assert mirrored(finder, BOB) == [BOB]
    act(desk, f"{list_of(finder)}/add", calendar=ROSTER, confirmed="yes")
    assert mirrored(finder, BOB) == [BOB, ROSTER]


def test_why_an_admin_finds_nothing(finder: Shop, desk: FlaskClient) -> None:
    finder.google.set_delegated(SERVICE_ACCOUNT, ONE_BOX)
    shown = text_of(find(desk, finder).text)
    assert "everything else works" in shown
    assert f"with the scopes {CALENDAR_SCOPE},{LIST_SCOPE}" in shown
    desk.application.extensions["watcher.turns"]["find"] = Turns(0, 60)
    assert "Others are looking at this moment" in text_of(find(desk, finder).text)


def test_admins_look_only_where_they_may(finder: Shop, desk: FlaskClient) -> None:
    finder.set("find_calendars", "employees")
    finder.rebuild()
    other = create_app(finder.services).test_client()
    other.get(at_google(other.get("/sign-in").headers["Location"], ADMIN))
    assert "Find calendars" not in text_of(other.get("/employees").text)
    assert "is not for admins" in text_of(find(other, finder).text)
    act(other, f"{list_of(finder)}/add", calendar=ROSTER)
    assert mirrored(finder, BOB) == [BOB]
    address = f"{list_of(finder)}/add"
    forged = other.post(address, data={"calendar": ROSTER, "confirmed": "yes"})
    assert forged.headers["Location"] == address
    stranger = create_app(finder.services).test_client()
    assert stranger.get(list_of(finder)).status_code == 303
    assert stranger.post(address, data={"calendar": ROSTER}).headers["Location"] == "/"
    assert mirrored(finder, BOB) == [BOB]


# --- what was chosen may be let go ------------------------------------------------------------


def work(shop: Shop, google_id: str) -> str:
    """What a worker does for one of Bob's calendars."""
    with shop.services.db.reading() as session:
        account = accounts.get(session, BOB)
        found = calendars.find(session, account.id, google_id)
    assert found is not None
    return work_off(shop.services, found.id, "test")


@pytest.mark.parametrize(
    ("leaving", "left"), [("keep", ["Open"]), ("cancel", ["Cancelled"]), ("delete", [])]
)
def test_an_employee_stops_a_calendar_of_the_own_choice(
    finder: Shop, leaving: str, left: list[str]
) -> None:
    finder.set("leaving_events", leaving)
    finder.rebuild()
    browser = create_app(finder.services).test_client()
    connect(finder, browser, EVERY_BOX)
    finder.google.insert_event(OUTLET, finder.timed(summary="Opening"))
    press(browser, "/me/calendars/add", calendar=[OUTLET])
    assert work(finder, OUTLET) == "done"
    assert finder.subjects(BOB) == ["Opening"]
    assert f"{OUTLET} Stop copying" in said(browser.get("/me"))
    assert "Stop copying" in said(look(browser))
    press(browser, "/me/calendars/remove", calendar=OUTLET)
    shown = said(browser.get("/me"))
    assert "It is not copied any more" in shown
    assert OUTLET not in shown
    assert mirrored(finder, BOB) == [BOB]
    assert finish(finder.services) == 1
    assert [row["status"] for row in finder.rows(BOB, live=False)] == left
    assert finish(finder.services) == 0, "once"
    press(browser, "/me/calendars/add", calendar=[OUTLET])
    assert work(finder, OUTLET) == "done"
    assert finder.subjects(BOB) == ["Opening"]
    assert finish(finder.services) == 0, "it was added again"


def test_what_an_admin_has_added_stays(finder: Shop, browser: FlaskClient) -> None:
    connect(finder, browser, EVERY_BOX)
    verbs.add_calendar(finder.services, BOB, OUTLET)
    assert "Stop copying" not in said(browser.get("/me"))
    for google_id in (OUTLET, BOB, "c_x@group.calendar.google.com"):
        press(browser, "/me/calendars/remove", calendar=google_id)
    assert mirrored(finder, BOB) == [BOB, OUTLET]


def test_a_removal_that_erpnext_did_not_take_is_tried_again(
    finder: Shop, browser: FlaskClient
) -> None:
    connect(finder, browser, EVERY_BOX)
    finder.google.insert_event(OUTLET, finder.timed(summary="Opening"))
    press(browser, "/me/calendars/add", calendar=[OUTLET])
    assert work(finder, OUTLET) == "done"
    press(browser, "/me/calendars/remove", calendar=OUTLET)
    finder.site.add_fault(match=".*", status=503, html=True, count=100)
    assert finish(finder.services) == 0
    finder.site.clear_faults()
    assert finish(finder.services) == 1
    assert finder.subjects(BOB) == []
