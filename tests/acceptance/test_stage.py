"""The demo's page with both sides: what a visitor does to Google's day is seen to arrive."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import sync_playwright

from tests.acceptance.test_browser import CHROMIUM
from tests.company import ANN, BOB, Company
from tests.waiting import wait_for
from watcher_sandbox import company as companies
from watcher_sandbox.people import Person
from watcher_sandbox.stage import app as stage
from watcher_sandbox.stage import day as days

pytestmark = pytest.mark.one_shape("sqlite")

PEOPLE = (
    Person(ANN, "Ann, outlet Pune", "Asia/Kolkata"),
    Person(BOB, "Bob, Berlin", "Europe/Berlin"),
)


@dataclass
class Shown:
    """The page for a test's company, and the demo's view of it."""

    tests: Company
    demo: companies.Company
    client: FlaskClient

    def html(self, **asked: str) -> str:
        return self.client.get("/", query_string=asked).text

    def do(self, what: str, **sent: str) -> str:
        """Press a button; returns what the visitor is told."""
        token = re.search(r'name="token" value="([^"]+)"', self.html())
        assert token is not None
        form = {"token": token[1], "who": ANN, "day": "1", "do": what, **sent}
        answer = self.client.post("/edit", data=form, follow_redirects=True)
        assert answer.status_code == 200
        said = re.search(r'<p class="said" role="status">([^<]*)</p>', answer.text)
        return said[1] if said else ""

    def arrive(self) -> companies.Edit:
        """What a worker does after Google's push."""
        assert self.tests.sync() == "done"
        edit = self.demo.edits[-1]
        wait_for(lambda: edit.seconds is not None, what=edit.what)
        return edit


def side(html: str, name: str) -> str:
    found = re.search(rf'<section aria-labelledby="{name}">(.*?)</section>', html, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def shown(company: Company, monkeypatch: pytest.MonkeyPatch) -> Shown:
    company.connect()
    demo = companies.Company(
        company.google, company.site, {"WATCHER_PUBLIC_URL": company.public_url}, company.folder
    )
    monkeypatch.setattr(stage, "WAITED_SECONDS", 0.0)
    return Shown(company, demo, stage.create_app(demo, PEOPLE).test_client())


def test_an_event_is_made_moved_made_private_and_deleted(shown: Shown) -> None:
    assert shown.do("add", title="Tasting <b>", hour="10") == ""
    html = shown.html()
    assert "Tasting &lt;b&gt;" in side(html, "google")
    assert "Tasting" not in side(html, "erpnext")
    assert "on its way" in html
    edit = shown.arrive()
    html = shown.html()
    assert "10:00-11:00" in side(html, "erpnext")
    assert f"{edit.seconds:.2f} s" in html
    event = re.search(r'<option value="(\w+)">Tasting', html)
    assert event is not None
    shown.do("move", event=event[1])
    shown.arrive()
    assert "11:00-12:00" in side(shown.html(), "erpnext")
    shown.do("private", event=event[1])
    shown.arrive()
    html = shown.html()
    assert "Busy" in side(html, "erpnext")
    assert "Tasting" not in side(html, "erpnext")
    assert "Tasting" in side(html, "google"), "Google shows its owner the title"
    assert shown.do("private", event=event[1]).startswith("It is private already")
    shown.do("delete", event=event[1])
    shown.arrive()
    html = shown.html()
    assert "Tasting" not in side(html, "google")
    assert "Busy" not in side(html, "erpnext")
    assert "ann deletes a private event" in html
    assert shown.do("delete", event=event[1]).startswith("This event is no longer")


@pytest.mark.parametrize(
    ("what", "sent", "says"),
    [
        ("move", {"event": ""}, "Choose an event"),
        ("add", {"hour": "99"}, "The hour has to be"),
        ("burn", {}, "no such button"),
    ],
)
def test_what_cannot_be_done_is_said(
    shown: Shown, what: str, sent: dict[str, str], says: str
) -> None:
    assert says in shown.do(what, **sent)


def test_no_other_page_can_press_a_button_and_nothing_foreign_is_loaded(shown: Shown) -> None:
    assert shown.client.post("/edit", data={"do": "add", "token": "x"}).status_code == 403
    assert len(shown.demo.edits) == 0
    answer = shown.client.get("/")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "style=" not in answer.text, "the policy would drop it"
    assert not re.findall(r'(?:src|href)="https?://(?!127)', answer.text)
    assert "Set-Cookie" not in answer.headers
    assert shown.client.get("/grid.css").mimetype == "text/css"


def test_both_sides_are_told_in_the_employees_zone(shown: Shown) -> None:
    """Bob is in Berlin, the site in India."""
    google = shown.tests.google
    google.users[BOB].time_zone = "Europe/Berlin"
    shown.tests.add(BOB)
    assert shown.tests.sync(BOB) == "done"
    shown.client.post("/edit", data={"token": token_of(shown), "who": BOB, "day": "2", "do": "add"})
    shown.client.post(
        "/edit",
        data={"token": token_of(shown), "who": BOB, "day": "2", "do": "add", "hour": "9"},
    )
    assert shown.tests.sync(BOB) == "done"
    html = shown.html(who=BOB, day="2")
    assert "09:00-10:00" in side(html, "google")
    assert "09:00-10:00" in side(html, "erpnext")
    assert re.search(r"stored 20\d\d-\d\d-\d\d 1[23]:30", side(html, "erpnext"))


def token_of(shown: Shown) -> str:
    found = re.search(r'name="token" value="([^"]+)"', shown.html())
    assert found is not None
    return found[1]


def block(title: str, begins: float, hours: float) -> days.Block:
    start = datetime(2026, 12, 2, tzinfo=UTC) + timedelta(hours=begins)
    return days.Block(title, title, start, start + timedelta(hours=hours))


def test_blocks_that_overlap_stand_beside_each_other() -> None:
    drawn = days._laid_out(
        [
            block("a", 8, 8),
            block("b", 12, 1),
            block("c", 12, 1),
            block("d", 16, 1),
            block("e", 5, 2),
        ],
        date(2026, 12, 2),
    ).drawn
    placed = {each.title: (each.top, each.height, each.left, each.width) for each in drawn}
    assert placed == {
        "e": (1, 4, 1, 6),  # it begins before what is drawn
        "a": (9, 32, 1, 2),
        "b": (25, 4, 3, 2),
        "c": (25, 4, 5, 2),
        "d": (41, 4, 1, 6),
    }


# --- in a browser ---------------------------------------------------------------------------


@contextmanager
def working(company: Company) -> Iterator[None]:
    """A worker that is at it all the time."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            company.sync()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join()


@pytest.mark.browser
@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"no Chromium at {CHROMIUM}")
@pytest.mark.parametrize("javascript", [True, False], ids=["polling", "without JavaScript"])
def test_a_visitor_sees_it_arrive(
    shown: Shown, monkeypatch: pytest.MonkeyPatch, javascript: bool
) -> None:
    monkeypatch.setattr(stage, "WAITED_SECONDS", 0.0 if javascript else 20.0)
    with sync_playwright() as playwright, working(shown.tests):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": 1280 if javascript else 360, "height": 800},
            java_script_enabled=javascript,
        )
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.goto(stage.serve(shown.demo, PEOPLE))
        erpnext = page.get_by_role("region", name=re.compile("^ERPNext"))
        page.get_by_label("Title").fill("Tasting")
        page.get_by_role("button", name="Make it").click()
        erpnext.get_by_text("Tasting").wait_for()
        if javascript:
            page.locator("#event").select_option(label="Tasting, 10:00-11:00")
            page.get_by_role("button", name="Make private").click()
            erpnext.get_by_text("Busy").wait_for()
        if javascript:
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            page.set_viewport_size({"width": 360, "height": 800})
            narrow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert (wide, narrow) == (0, 0)
        assert [text for text in said if "favicon" not in text and "404" not in text] == []
        browser.close()
