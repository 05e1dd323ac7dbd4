"""The employee's pages: connect, what comes of it, and *My connection*, in four languages."""

from __future__ import annotations

import html
import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient

from tests.company import ADMIN, ANN, BOB, Company
from tests.consenting import at_google, path
from tests.postbox import Postbox
from watcher.accounts import company, disconnect, users, verbs
from watcher.accounts.tokens import refresh_one
from watcher.handlers.app import create_app
from watcher.ledger import accounts, audit

pytestmark = pytest.mark.one_shape("sqlite")

CARLA = "carla@scoopjoy.test"


@pytest.fixture
def shop(company: Company) -> Company:
    company.setup_erpnext()
    company.google.add_user(CARLA, time_zone="America/New_York")
    company.site.add_user(CARLA)
    return company


@pytest.fixture
def browser(shop: Company) -> FlaskClient:
    return create_app(shop.services).test_client()


def invite(shop: Company, email: str = CARLA, **more: str) -> str:
    return path(verbs.invite(shop.services, email, **more))


def connect(shop: Company, browser: FlaskClient, email: str = CARLA) -> str:
    """Through the whole of a consent; the address of the page that it ends with."""
    away = browser.post(invite(shop, email)).headers["Location"]
    return browser.get(at_google(away, email)).headers["Location"]


def sign_in(browser: FlaskClient, email: str) -> Any:
    away = browser.get("/me/sign-in").headers["Location"]
    assert parse_qs(urlsplit(away).query)["scope"] == ["openid email"]
    return browser.get(at_google(away, email))


def text_of(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def shown(browser: FlaskClient, address: str, **headers: str) -> str:
    answer = browser.get(address, headers=headers)
    assert answer.status_code == 200, answer.text
    return text_of(answer.text)


def test_it_is_said_since_when_somebody_is_connected(shop: Company, browser: FlaskClient) -> None:
    """Since the consent, and not since the invitation, which may be a week older."""
    link = invite(shop)
    shop.later(days=3)
    away = browser.post(link).headers["Location"]
    browser.get(at_google(away, CARLA))
    shop.later(hours=2, minutes=1)
    assert "Connected 2 hours ago." in shown(browser, "/me")
    assert "Verbunden vor 2 Stunden." in shown(browser, "/me?language=de")
    assert "Conectado hace 2 horas." in shown(browser, "/me?language=es")
    shop.add(ANN)
    sign_in(browser, ANN)
    shop.later(minutes=5)
    assert "Connected 5 minutes ago." in shown(browser, "/me?language=en"), "by delegation"


def test_before_consenting_it_is_said_who_asks_and_who_will_see_it(
    shop: Company, browser: FlaskClient
) -> None:
    shop.set("company_name", "Scoop Joy")
    shop.set("busy_title", "Away")
    shop.rebuild()
    browser = create_app(shop.services).test_client()
    link = invite(shop, invited_by=ADMIN)
    page = shown(browser, link)
    for said in (
        f"{ADMIN} invites you for Scoop Joy",
        "from 7 days ago to 30 days ahead",
        "everybody in your company who works in ERPNext can see them",
        "appear as “Away”: the others see when you are not free",
        "stay there as cancelled",
        "Your administrator can end it",
    ):
        assert said in page
    verbs.set_event_type(shop.services, CARLA, "Private")
    page = shown(browser, link)
    assert "only you can see them in ERPNext" in page
    assert "everybody in your company" not in page


def test_the_end_of_the_consent_survives_a_reload_and_shows_what_erpnext_has(
    shop: Company, browser: FlaskClient
) -> None:
    done = connect(shop, browser)
    assert done == "/connected", "no code, no token, no address"
    page = browser.get(done)
    assert "being read for the first time" in page.text
    assert "live.js" in page.text
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    shop.google.insert_event(CARLA, shop.timed(hours=5, summary="Dentist", visibility="private"))
    shop.google.insert_event(CARLA, shop.timed(hours=3, summary="Tasting"))
    assert shop.sync(CARLA) == "done"
    page = browser.get(done)
    said = text_of(page.text)
    assert "live.js" not in page.text
    assert "Title Tasting" in said
    assert "(America/New_York) Seen by everybody who works in ERPNext" in said
    # As ERPNext has it, not as it was sent there.
    row = next(row for row in shop.rows(CARLA) if row["subject"] == "Tasting")
    shop.site.put("Event", row | {"subject": "Tasting of vanilla"})
    shop.later(seconds=11)
    assert "Title Tasting of vanilla" in shown(browser, done)
    shop.site.add_fault(match="get_list", status=503, html=True, count=100)
    shop.later(seconds=11)
    assert "ERPNext does not answer now" in shown(browser, done)
    other = create_app(shop.services).test_client()
    assert other.get(done).headers["Location"] == "/me", "it is for this browser alone"


def test_nothing_to_come_and_a_calendar_that_google_does_not_show(
    shop: Company, browser: FlaskClient
) -> None:
    done = connect(shop, browser)
    assert shop.sync(CARLA) == "done"
    assert "nothing begins after this moment" in shown(browser, done)
    shop.google.add_user("dora@scoopjoy.test", has_calendar=False)
    connect(shop, browser, "dora@scoopjoy.test")
    page = shown(browser, done)
    assert "Google does not show your calendar yet" in page
    assert "show this page to your administrator" in page


def test_what_erpnext_refuses_is_not_put_down_to_google(
    shop: Company, browser: FlaskClient
) -> None:
    done = connect(shop, browser)
    shop.site.wrong_keys = True
    shop.google.insert_event(CARLA, shop.timed(hours=3, summary="Tasting"))
    assert shop.sync(CARLA) == "failed"
    page = browser.get(f"{done}?language=es").text
    assert "ERPNext no acepta tus eventos en este momento" in page
    assert "WATCHER_ERPNEXT" not in page, "what an admin has to do is told to admins alone"


def test_a_wrong_account_leads_to_googles_list_with_the_same_invitation(
    shop: Company, browser: FlaskClient
) -> None:
    away = browser.post(invite(shop)).headers["Location"]
    wrong = browser.get(at_google(away, BOB))
    assert wrong.status_code == 403
    again = re.search(r'href="([^"]+/another)">Use another account', wrong.text)
    assert again is not None
    away = browser.get(path(again[1])).headers["Location"]
    asked = parse_qs(urlsplit(away).query)
    assert asked["prompt"] == ["select_account consent"]
    assert "login_hint" not in asked
    assert browser.get(at_google(away, CARLA)).headers["Location"] == "/connected"
    away = browser.get("/sign-in").headers["Location"]
    stranger = browser.get(at_google(away, BOB))
    assert stranger.status_code == 403
    assert 'href="/sign-in">Use another account' in stranger.text


def test_an_admin_signs_in_to_the_page_that_was_asked_for(browser: FlaskClient) -> None:
    """Such as the one to which a notice links. What a form asked for is not done afterwards."""
    for asked, leads_to in (
        ("/calendars?cause=missing_fields&q=a/b", "/calendars?cause=missing_fields&q=a/b"),
        ("/event", "/event"),
        (f"/employees?q={'x' * 600}", "/"),
        ("/nowhere", "/"),
    ):
        browser.get(asked)
        browser.post("/employees/act", data={"email": ANN, "what": "pause"})
        away = browser.get("/sign-in").headers["Location"]
        assert browser.get(at_google(away, ADMIN)).headers["Location"] == leads_to
        assert browser.get("/sign-in").status_code == 302
        with browser.session_transaction() as session:
            assert session.pop("admin") == ADMIN


def test_the_language_of_erpnext_then_of_the_browser_and_a_switch(
    shop: Company, browser: FlaskClient
) -> None:
    german = {"Accept-Language": "fr, de-AT;q=0.8, en;q=0.5"}
    link = invite(shop)
    page = browser.get(link, headers=german).text
    assert '<html lang="de">' in page
    assert "Weiter zu Google" in page
    user = next(row for row in shop.site.rows("User") if row["name"] == CARLA)
    shop.site.put("User", user | {"language": "hi"})
    users.look_at_names(shop.services)
    page = browser.get(link, headers=german).text
    assert '<html lang="hi">' in page
    assert "Google पर जाएँ" in page
    assert '<html lang="es">' in browser.get(f"{link}?language=es", headers=german).text
    page = browser.get(link, headers=german).text
    assert "Continuar en Google" in page, "it stays chosen"
    assert "Diese Seite" not in browser.get("/connect/nonsense", headers=german).text
    lost = create_app(shop.services).test_client().get("/connect/nonsense", headers=german)
    assert "Dieser Link ist ungültig" in lost.text
    assert '<html lang="es">' in browser.get("/").text, "on all pages"


def test_who_consents_in_a_language_is_told_in_it_later(
    shop: Company, browser: FlaskClient
) -> None:
    browser.get("/me?language=es")
    connect(shop, browser)
    with shop.services.db.reading() as session:
        assert accounts.get(session, CARLA).language == "es"


def test_strangers_learn_nothing(shop: Company, browser: FlaskClient) -> None:
    shop.connect(ANN)
    assert "Sign in with Google" in shown(browser, "/me")
    for address in ("/me/pause", "/me/resume", "/me/disconnect", "/me/privacy", "/me/connect"):
        assert browser.post(address).headers["Location"] == "/me"
    answer = sign_in(browser, BOB)
    assert answer.status_code == 403
    assert f"No calendar is connected for {BOB}" in text_of(answer.text)
    assert "Use another account" in answer.text
    assert ANN not in answer.text


# --- My connection --------------------------------------------------------------------------


def proof_in(page: str) -> str:
    found = re.search(r'name="form_proof" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def press(browser: FlaskClient, address: str, **form: str) -> str:
    """Send a form of *My connection*; what the page says then."""
    form["form_proof"] = proof_in(browser.get("/me").text)
    answer = browser.post(address, data=form, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    return text_of(answer.text)


def acts(shop: Company) -> list[tuple[str, str, str]]:
    with shop.services.db.reading() as session:
        rows = session.query(audit.Audit).order_by(audit.Audit.id)
        return [(row.who, row.what, row.subject) for row in rows]


def test_it_does_not_work_while_there_is_trouble(shop: Company, browser: FlaskClient) -> None:
    connect(shop, browser)
    assert shop.sync(CARLA) == "done"
    shop.google.add_fault(match="/events", status=403, reason="accessNotConfigured", count=None)
    shop.google.insert_event(CARLA, shop.timed())
    assert shop.sync(CARLA) == "failed"
    page = shown(browser, "/me")
    assert "Trouble Google does not let Watcher read calendars at this moment" in page
    assert "It works" not in page
    assert "Störung Google lässt Watcher zurzeit keine Kalender lesen" in shown(
        browser, "/me?language=de"
    )


def test_an_employee_pauses_and_goes_on_but_not_against_an_admin(
    shop: Company, browser: FlaskClient
) -> None:
    connect(shop, browser)
    assert shop.sync(CARLA) == "done"
    assert "It works" in shown(browser, "/me")
    assert browser.post("/me/pause").headers["Location"] == "/me", "without the form's proof"
    assert "This form is too old. Nothing was done." in shown(browser, "/me")
    assert "Paused. Nothing is read until you go on" in press(browser, "/me/pause")
    assert (shop.account(CARLA).state, shop.account(CARLA).cause) == ("paused", "by_employee")
    assert company.left_as_it_is(shop.services, CARLA, "oauth") != "", "an import lifts no pause"
    assert "It goes on" in press(browser, "/me/resume")
    assert shop.account(CARLA).state == "active"
    verbs.pause(shop.services, CARLA)
    assert "Nothing was changed" in press(browser, "/me/resume")
    assert "Only your administrator can go on" in shown(browser, "/me")
    assert (shop.account(CARLA).state, shop.account(CARLA).cause) == ("paused", "by_admin")
    done = [what for who, what, subject in acts(shop) if who == subject == CARLA]
    assert done == ["consent.give", "account.pause", "account.pause", "account.resume"]


def test_a_choice_shows_less_than_the_admins_and_never_more(
    shop: Company, browser: FlaskClient
) -> None:
    shop.google.insert_event(CARLA, shop.timed(hours=3, summary="Tasting"))
    shop.google.insert_event(CARLA, shop.timed(hours=5, summary="Dentist", visibility="private"))
    connect(shop, browser)
    assert shop.sync(CARLA) == "done"
    assert shop.subjects(CARLA) == ["Tasting", "Busy"]
    wanted = {"event_type": "Private", "private_events": "skip"}
    assert "Your choice is stored" in press(browser, "/me/privacy", **wanted)
    assert shop.sync(CARLA) == "done"
    (row,) = shop.rows(CARLA)
    assert (row["subject"], row["event_type"]) == ("Tasting", "Private")
    assert "Seen by you alone" in shown(browser, "/me")
    listed = json.loads(shop.watcher("accounts", "list", "--json").stdout)
    assert listed[0]["chosen_by_employee"] == {"event_type": "Private", "private_events": "skip"}
    assert "shows less: Private, skip" in shop.watcher("accounts", "list").stdout
    verbs.set_event_type(shop.services, CARLA, "Public")
    assert shop.sync(CARLA) == "done"
    assert shop.rows(CARLA)[0]["event_type"] == "Private", "the employee's choice stays"
    back = {"event_type": "Public", "private_events": "busy"}
    assert "Your choice is stored" in press(browser, "/me/privacy", **back)
    verbs.set_event_type(shop.services, CARLA, "Private")
    more = {"event_type": "Public", "private_events": "private"}
    assert "Nothing was changed" in press(browser, "/me/privacy", **more)
    assert shop.account(CARLA).chosen_event_type is None
    assert shop.account(CARLA).chosen_private_events is None


def test_disconnecting_is_asked_for_with_its_consequences_and_done_by_cron(
    shop: Company, browser: FlaskClient
) -> None:
    shop.google.insert_event(CARLA, shop.timed(hours=3, summary="Tasting"))
    connect(shop, browser)
    assert shop.sync(CARLA) == "done"
    asked = shown(browser, "/me/disconnect")
    assert "the permission at Google is taken back" in asked
    assert "stay there as cancelled" in asked
    assert "It is being disconnected" in press(browser, "/me/disconnect")
    box = Postbox()
    shop.set("smtp_url", box.smtp_url)
    object.__setattr__(shop.services, "settings", shop.settings)
    assert disconnect.finish(shop.services) == 1
    assert box.subjects() == [f"Watcher: {CARLA} has disconnected the own calendar"]
    box.close()
    account = shop.account(CARLA)
    assert (account.state, account.cause) == ("disconnected", "by_employee")
    assert account.refresh_token is None
    assert [row["status"] for row in shop.rows(CARLA, live=False)] == ["Cancelled"]
    assert disconnect.finish(shop.services) == 0
    assert sign_in(browser, CARLA).status_code == 403


def test_who_is_mirrored_by_delegation_signs_in_and_asks_to_leave(
    shop: Company, browser: FlaskClient
) -> None:
    shop.connect(ANN)
    with shop.services.db.session() as session:
        accounts.get(session, ANN).google_sub = "1" * 21  # of a consent to another Google account
    assert sign_in(browser, ANN).headers["Location"] == "/me"
    page = shown(browser, "/me")
    assert "It works" in page
    assert "Your calendar was connected by your company" in shown(browser, "/me/disconnect")
    assert "Your administrator is told" in press(browser, "/me/disconnect")
    (problem,) = [p for p in shop.status()["problems"] if p["account"] == ANN]
    assert (problem["state"], problem["cause"]) == ("paused", "wishes_to_leave")
    assert "asks to leave" in problem["next_step"]
    assert "It goes on" in press(browser, "/me/resume"), "a change of mind"


def test_a_permission_that_has_ended_is_given_again_from_here(
    shop: Company, browser: FlaskClient
) -> None:
    connect(shop, browser)
    shop.google.revoke_user(CARLA)
    assert refresh_one(shop.services, shop.account(CARLA).id)
    page = shown(browser, "/me")
    assert "It has ended" in page
    assert "your administrator is told" in page
    proof = proof_in(browser.get("/me").text)
    away = browser.post("/me/connect", data={"form_proof": proof}).headers["Location"]
    assert "Continue to Google" in browser.get(path(away)).text
    away = browser.post(path(away)).headers["Location"]
    assert browser.get(at_google(away, CARLA)).headers["Location"] == "/connected"
    assert shop.account(CARLA).state == "active"


def test_a_sign_out_ends_the_session_in_every_browser(shop: Company, browser: FlaskClient) -> None:
    connect(shop, browser)
    other = create_app(shop.services).test_client()
    assert sign_in(other, CARLA).headers["Location"] == "/me"
    browser.post("/me/sign-out")
    assert "Sign in with Google" in shown(browser, "/me")
    assert "Sign in with Google" in shown(other, "/me")
    shop.later(hours=13)
    assert sign_in(browser, CARLA).headers["Location"] == "/me"
    shop.later(hours=13)
    assert "Sign in with Google" in shown(browser, "/me"), "twelve hours"


def test_why_a_consent_connected_nobody_survives_a_reload(
    shop: Company, browser: FlaskClient
) -> None:
    """With the way to try again, which an employee finds nowhere else."""
    for email, boxes, says in (
        (CARLA, (), "permission is missing"),
        (ANN, None, f"You signed in as {ANN}"),
    ):
        away = browser.post(invite(shop)).headers["Location"]
        back = at_google(away, email, boxes)
        first, again = browser.get(back), browser.get(back)
        assert first.status_code == again.status_code
        assert says in text_of(first.text)
        assert text_of(first.text) == text_of(again.text)
        assert "/connect/" in again.text
        assert 'lang="de"' in browser.get("/me?language=de").text
        assert text_of(browser.get(back).text) != text_of(first.text), "also in another language"
        browser.get("/me?language=en")
        other = create_app(shop.services).test_client()
        assert "no longer valid" in other.get(back).text


def test_who_has_left_is_promised_nothing_and_has_nothing_to_press(
    shop: Company, browser: FlaskClient
) -> None:
    connect(shop, browser)
    assert shop.sync(CARLA) == "done"
    assert "From now on changes in your calendar appear" in shown(browser, "/connected")
    press(browser, "/me/pause")
    assert "The connection does not work now" in shown(browser, "/connected")
    assert "From now on" not in shown(browser, "/connected")
