"""The pages in a real Chromium: the employee's way in, and the admin's dashboard."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.company import ADMIN, ANN, BOB, Company
from tests.waiting import wait_for
from watcher.jobs import timetable
from watcher.ledger.models import Calendar
from watcher.processes.cron import run_one

CHROMIUM = os.environ.get("WATCHER_TEST_CHROMIUM", "/usr/bin/chromium")
SHOTS = os.environ.get("WATCHER_TEST_SCREENSHOTS", "")
RULE = "A rule of ours: " + "Kostenstelle fehlt " * 9
LONG = f"c_{'0123456789abcdef' * 4}@group.calendar.google.com"
pytestmark = [pytest.mark.browser, pytest.mark.one_shape("sqlite")]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: install one or set WATCHER_TEST_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def shop(company: Company) -> Company:
    company.set("company_name", "Scoop Joy")
    company.connect()
    for hours in range(4):
        company.google.insert_event(ANN, company.timed(hours=hours + 1))
    assert company.sync() == "done"
    for row in timetable.timetable(company.services).values():
        for work in row:
            run_one(company.services, work)
    company.start("web", "--port", str(company.port))
    wait_for(company.web_is_up, what="the web server")
    return company


@pytest.fixture(params=[1280, 360])
def page(chromium: Browser, shop: Company, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A fresh browser profile; any message of the console is a failure.

    It asks for the shop so that it is closed before the shop's server is stopped: a browser
    fetches a page's icon when it pleases, also after the test has seen all it wanted.
    """
    context = chromium.new_context(viewport={"width": request.param, "height": 900})
    context.set_default_timeout(60_000)
    tab = context.new_page()
    said: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # A page that is itself an answer such as 403 is reported as well; its parts must be
        # there. The sandbox Google has no icon.
        about = message.location.get("url", "")
        expected = any(part in about for part in ("/connect/", "/oauth/", "favicon"))
        if message.type in ("error", "warning") and not expected:
            said.append(f"{message.text} {about}")

    tab.on("console", note)
    tab.on("pageerror", lambda error: said.append(str(error)))
    yield tab
    context.close()
    assert said == []


def check(page: Page, company: Company, shot: str, language: str = "en") -> None:
    """Every page of Watcher has a title, one heading and a language, and nothing on it is cut
    off."""
    page.wait_for_load_state()  # its text is there before its style sheet
    assert page.url.startswith(company.public_url)
    assert page.locator("h1").count() == 1
    assert page.locator("html").get_attribute("lang") == language
    assert page.title()
    overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert overflow <= 0, f"{shot}: {overflow} px wider than the screen"
    if SHOTS:
        size = page.viewport_size or {"width": 0}
        page.screenshot(path=f"{SHOTS}/{shot}-{size['width']}.png", full_page=True)


def test_an_employee_connects(page: Page, shop: Company) -> None:
    shop.google.add_user("nina@scoopjoy.test", "Nina")
    shop.site.add_user("nina@scoopjoy.test")
    link = shop.watcher("accounts", "invite", "nina@scoopjoy.test").stdout.strip()
    page.goto(link)
    check(page, shop, "connect")
    page.get_by_role("button", name="Continue to Google").click()
    page.get_by_label("nina@scoopjoy.test").check()
    page.get_by_role("button", name="Allow").click()
    page.get_by_role("heading", name="You are connected").wait_for()
    page.get_by_text("being read for the first time").wait_for()
    check(page, shop, "reading")
    shop.google.insert_event("nina@scoopjoy.test", shop.timed(hours=20, summary="Tasting: mango"))
    assert shop.sync("nina@scoopjoy.test") == "done"
    # The page fetches itself, and asks ERPNext.
    page.get_by_text("Tasting: mango").wait_for()
    check(page, shop, "connected")
    page.get_by_role("link", name="My connection").click()
    page.get_by_role("heading", name="My connection").wait_for()
    check(page, shop, "me")
    page.get_by_label("shown to me alone").check()
    page.get_by_role("button", name="Store my choice").click()
    page.get_by_text("Your choice is stored").wait_for()
    assert shop.account("nina@scoopjoy.test").chosen_event_type == "Private"
    page.get_by_label("not copied").check()
    for name, code in (("हिन्दी", "hi"), ("Español", "es"), ("Deutsch", "de")):
        page.get_by_role("button", name=name).click()
        page.locator(f"html[lang={code}]").wait_for()
        assert page.locator("input[value=skip]").is_checked(), "what was chosen comes along"
        check(page, shop, f"me-{code}", code)
    page.get_by_role("link", name="Trennen").click()
    page.get_by_role("heading", name="Ihren Kalender trennen?").wait_for()
    check(page, shop, "leave", "de")
    page.goto(f"{shop.public_url}/connect/nonsense?language=en")
    check(page, shop, "invalid")


def test_the_wrong_account_gets_another_try(page: Page, shop: Company) -> None:
    shop.google.add_user("nina@scoopjoy.test", "Nina")
    page.goto(shop.watcher("accounts", "invite", "nina@scoopjoy.test").stdout.strip())
    page.get_by_role("button", name="Continue to Google").click()
    page.get_by_label(ANN).check()
    page.get_by_role("button", name="Allow").click()
    page.get_by_role("heading", name="This is another Google account").wait_for()
    check(page, shop, "wrong-account")
    page.get_by_role("link", name="Use another account").click()
    page.get_by_label("nina@scoopjoy.test").check()
    page.get_by_role("button", name="Allow").click()
    page.get_by_role("heading", name="You are connected").wait_for()


def test_an_admin_looks_at_the_dashboard(page: Page, shop: Company) -> None:
    shop.start("worker", "--queue", "backfill")  # for the look around after web's start
    shop.start("cron")
    shop.await_health(1)
    page.goto(shop.public_url)
    check(page, shop, "sign-in")
    page.get_by_role("link", name="Sign in with Google").click()
    page.get_by_label(ADMIN).check()
    page.get_by_role("button", name="Allow").click()
    page.get_by_text("All is well").wait_for()
    check(page, shop, "dashboard")
    assert page.title() == "All is well – Watcher"
    assert page.get_by_role("cell", name=ANN).count() >= 1
    page.get_by_role("link", name=ANN).first.focus()
    page.evaluate("refresh()")
    assert page.evaluate("document.activeElement.textContent").strip().endswith(ANN)
    box = page.get_by_role("searchbox")
    box.fill("half a ques")
    shop.add(BOB)
    # The page fetches itself every ten seconds, and what is typed stays.
    page.get_by_role("cell", name=BOB).first.wait_for()
    assert box.input_value() == "half a ques"
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Sign in with Google").wait_for()


def test_an_admin_asks_why_an_event_is_not_in_erpnext(page: Page, shop: Company) -> None:
    shop.google.insert_event(ANN, shop.timed(hours=24, summary="Check-up", visibility="private"))
    far = shop.google.insert_event(ANN, shop.timed(hours=24 * 60, summary="Offsite with everybody"))
    assert shop.sync() == "done"
    shop.google.insert_event(ANN, shop.timed(hours=25, summary="Not read yet"))
    page.goto(f"{shop.public_url}/sign-in")
    page.get_by_label(ADMIN).check()
    page.get_by_role("button", name="Allow").click()
    page.get_by_role("link", name="Why is this event not in ERPNext?").click()
    page.wait_for_url(f"{shop.public_url}/event")
    check(page, shop, "event")
    box = page.get_by_role("searchbox")
    for asked, heading, says in (
        (f"{ANN} offsite", '"Offsite with everybody"', "it begins after"),
        (far, '"Offsite with everybody"', "outside the mirrored window"),
        (f"{ANN} not read", '"Not read yet"', "It is not in ERPNext yet."),
        (f"{ANN} tomorrow", "Private event, title not shown", "since it is private"),
        ("nosuchevent1", "Such an event was not found.", "1 of 1 mirrored calendar"),
    ):
        box.fill(asked)
        page.get_by_role("button", name="Explain").click()
        page.get_by_role("heading", name=heading).first.wait_for()
        assert page.get_by_text(says).count() >= 1
        check(page, shop, f"event-{asked.split()[-1]}"[:20])
        assert box.input_value() == asked


def test_an_admin_looks_at_a_calendar(page: Page, shop: Company) -> None:
    shop.site.add_fault(
        match="insert", status=417, exc_type="ValidationError", message=RULE, count=None
    )
    shop.google.insert_event(ANN, shop.timed(hours=5, summary="Refused"))
    assert shop.sync() == "done"
    shop.site.clear_faults()
    shop.google.add_fault(match="/events", status=503, count=None)
    assert shop.sync() == "failed"
    shop.google.clear_faults()
    page.goto(f"{shop.public_url}/sign-in")
    page.get_by_label(ADMIN).check()
    page.get_by_role("button", name="Allow").click()
    page.get_by_role("heading", name="Waits, and needs nobody so far").wait_for()
    check(page, shop, "home-in-trouble")
    page.get_by_role("link", name="Failures").click()
    check(page, shop, "failures")
    with shop.services.db.session() as session:  # such an id has no place to break
        now = shop.services.clock()
        session.add(Calendar(account_id=shop.account().id, google_id=LONG, since=now, message=RULE))
    page.get_by_role("link", name="Calendars").first.click()
    check(page, shop, "calendars")
    with shop.services.db.session() as session:
        session.delete(session.query(Calendar).filter_by(google_id=LONG).one())
    page.get_by_role("link", name="own calendar").first.click()
    check(page, shop, "calendar")
    page.get_by_role("button", name="Compare now").click()
    page.get_by_text("1 missing of 5 events").wait_for()
    check(page, shop, "calendar-compared")
    page.get_by_role("button", name="Mend now").click()
    page.get_by_text("The whole window is read again now").wait_for()
    assert shop.sync() == "done"
    page.get_by_role("button", name="Compare now").click()
    page.get_by_text("Equal: 5 events.").wait_for()
    page.get_by_role("link", name="System").click()
    page.get_by_role("button", name="Run the checks").click()
    page.get_by_text("Checked in ").wait_for()
    check(page, shop, "system")
    page.get_by_role("link", name="Audit").click()
    page.get_by_label("What", exact=True).select_option("calendar.resync")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("cell", name="full sync asked for").first.wait_for()
    check(page, shop, "audit-chosen")
    page.get_by_role("link", name="Audit").click()
    check(page, shop, "audit")
    look_after_employees(page, shop)
    stop_the_time(page, shop)


def look_after_employees(page: Page, shop: Company) -> None:
    page.get_by_role("link", name="Employees").click()
    page.get_by_text("Invite employees").click()
    page.get_by_label("Addresses, up to about 2,000 at once").fill(f"nina@scoopjoy.test, {ANN}")
    check(page, shop, "employees")
    page.get_by_role("button", name="Make the links").click()
    page.get_by_text("left as it is: connected already").wait_for()
    check(page, shop, "employees-links")
    page.get_by_role("link", name="Back to the employees").click()
    page.get_by_role("button", name=f"Disconnect {ANN}").click()
    check(page, shop, "employees-asked")
    page.get_by_role("link", name="Change nothing").click()
    for email in (ANN, "nina@scoopjoy.test"):
        page.get_by_role("checkbox", name=email).check()
    page.get_by_role("button", name="Pause", exact=True).click()
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("1 of 2 done").wait_for()
    page.reload()  # nothing is asked, and nothing is sent a second time
    page.get_by_text("1 of 2 done").wait_for()
    page.get_by_role("link", name="Back to the employees").click()
    page.get_by_role("searchbox").fill("ann")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("button", name=f"Resume {ANN}").click()
    page.get_by_text(f"{ANN}: resumed").wait_for()


def stop_the_time(page: Page, shop: Company) -> None:
    assert shop.sync() == "done"
    page.get_by_role("link", name="Try it").click()
    page.get_by_text("Now make or change an event").wait_for()
    check(page, shop, "stopwatch")
    shop.google.insert_event(ANN, shop.timed(hours=6, summary="Just now"))
    shop.google.wait_pushes()
    assert shop.sync() == "done"
    page.get_by_text("seconds after the change in Google").wait_for()  # it looks by itself
    check(page, shop, "stopwatch-done")
