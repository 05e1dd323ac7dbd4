"""A real Frappe for the tests, and its Desk's calendar in a real Chromium.

A site is named by WATCHER_TEST_DESK_15_URL, _KEY, _SECRET (of the API user) and _USER, _PASSWORD
(of who looks at the Desk); the same with 16. Nothing of Frappe's is copied: the page draws, and
what it drew is measured.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import Page, sync_playwright

CHROMIUM = os.environ.get("WATCHER_TEST_CHROMIUM", "/usr/bin/chromium")
SHOTS = os.environ.get("WATCHER_TEST_SCREENSHOTS", "")
DESK = {15: "/app", 16: "/desk"}
WEEK_BUTTON = ".fc-agendaWeek-button, .fc-timeGridWeek-button"
DESCRIPTION = ".form-layout [data-fieldname=description] .ql-editor:visible"

LOCKED = """() => cur_frm.fields.filter(each => each.disp_status === 'Read'
  && each.$wrapper.is(':visible')).map(each => each.df.fieldname)"""
READ = """() => {
  // Every piece of an event, and on which days' cells it lies.
  const grid = e => e.closest('.fc-time-grid, .fc-timegrid-body, .fc-day-grid, .fc-daygrid-body');
  const cells = [...document.querySelectorAll('td[data-date]:not(.fc-day-top)')];
  const pieces = [...document.querySelectorAll('.fc-event')].filter(e => !e.closest('.fc-helper'));
  const found = pieces.map(event => {
    const segment = event.fcSeg || window.$(event).data('fcSeg');
    const name = event.fcSeg ? segment.eventRange.def.publicId : segment.footprint.eventDef.id;
    const title = event.querySelector('.fc-title, .fc-event-title').textContent;
    const box = event.getBoundingClientRect(), middle = box.top + Math.min(box.height, 4) / 2;
    const days = cells.filter(cell => {
      const other = cell.getBoundingClientRect();
      const wide = Math.min(box.right, other.right) - Math.max(box.left, other.left);
      const beside = grid(cell) === grid(event) && middle >= other.top - 1;
      return beside && (grid(event).matches('.fc-time-grid, .fc-timegrid-body')
        || middle < other.bottom) && wide > Math.min(box.width, other.width) / 2;
    }).map(cell => cell.dataset.date);
    return {name, title, days, height: box.height};
  });
  return {found, cells: cells.map(cell => cell.dataset.date)};
}"""


@dataclass(frozen=True)
class Block:
    """A piece of an event as the page shows it: on one day."""

    name: str
    title: str
    day: date
    height: float


@dataclass(frozen=True)
class Form:
    """What the form of an event shows."""

    subject: str
    lines: list[str]
    """Of the description, without the empty ones."""
    links: set[str]
    can_join: bool
    note: str
    """The line that says where to change a mirrored event."""
    note_link: str
    locked: set[str]
    """Fields that can be seen and not be changed."""


class RealSite:
    """A real site, with the attributes and methods of a sandbox ``Site`` that a ``Company``
    uses."""

    def __init__(self, version: int, values: dict[str, str]) -> None:
        self.frappe, self.url = version, values["URL"].rstrip("/")
        self.api_key, self.api_secret = values["KEY"], values["SECRET"]
        self.user, self.password = values["USER"], values["PASSWORD"]
        self.headers = {"Authorization": f"token {self.api_key}:{self.api_secret}"}
        self.account = ""
        """The account whose rows these tests look at; the site has rows of others too."""

    def add_user(self, _email: str) -> None:
        """Public rows need no user of the site's."""

    def ask(self, verb: str, path: str, **body: Any) -> Any:
        answer = requests.request(
            verb, f"{self.url}/api/{path}", json=body, headers=self.headers, timeout=60
        )
        assert answer.ok, f"{verb} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json()

    def events(self) -> list[dict[str, Any]]:
        method = "method/frappe.client.get_list"
        wanted = [["custom_google_account", "=", self.account]]
        found = self.ask(
            "POST",
            method,
            doctype="Event",
            fields=["*"],
            filters=wanted,
            limit_page_length=0,
            order_by="name asc",
        )
        rows: list[dict[str, Any]] = found["message"]
        return rows

    @property
    def zone(self) -> str:
        found = self.ask("POST", "method/frappe.client.get_time_zone")["message"]
        return str(found["time_zone"])

    def clear(self) -> None:
        for row in self.events():
            self.ask("DELETE", f"resource/Event/{row['name']}")


def named(version: int) -> RealSite | None:
    """The site that the environment names."""
    names = ("URL", "KEY", "SECRET", "USER", "PASSWORD")
    values = {name: os.environ.get(f"WATCHER_TEST_DESK_{version}_{name}", "") for name in names}
    return RealSite(version, values) if all(values.values()) else None


@contextmanager
def desk(site: RealSite, reader_zone: str = "") -> Iterator[Desk]:
    """The calendar of the site's account, before a person who is signed in."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(
            base_url=site.url,
            timezone_id=reader_zone or site.zone,
            locale="en-GB",
            viewport={"width": 1500, "height": 1400},
        )
        context.set_default_timeout(60_000)
        form: dict[str, str | float | bool] = {"usr": site.user, "pwd": site.password}
        assert context.request.post("/api/method/login", form=form).ok
        yield Desk(site, context.new_page())
        browser.close()


class Desk:
    """Frappe's calendar in a page."""

    def __init__(self, site: RealSite, page: Page) -> None:
        self.site, self.page = site, page

    def drawn(self, view: str, first: date, last: date) -> list[Block]:
        """All that is drawn in the months or weeks from ``first`` to ``last``."""
        route = f"{DESK[self.site.frappe]}/event/view/calendar/default"
        self.page.goto(f"{route}?custom_google_account={self.site.account}")
        self._settled(lambda: self.page.locator(".fc-prev-button").wait_for())
        if view == "week":
            self._settled(lambda: self.page.locator(WEEK_BUTTON).click())
        blocks: dict[tuple[str, date], Block] = {}
        while True:
            found = self.page.evaluate(READ)
            for each in found["found"]:
                for day in map(date.fromisoformat, each["days"]):
                    blocks[each["name"], day] = Block(
                        each["name"], each["title"], day, each["height"]
                    )
            self._shoot(view, min(found["cells"]), first, max(found["cells"]))
            if max(map(date.fromisoformat, found["cells"])) >= last:
                return [blocks[key] for key in sorted(blocks)]
            self._settled(lambda: self.page.locator(".fc-next-button").click())

    def _settled(self, act: Callable[[], None]) -> None:
        """Do ``act`` and wait until the calendar has got the answers to what it then asked
        for."""
        act()
        for pause in (300, 400):
            self.page.wait_for_timeout(pause)
            self.page.wait_for_function("() => window.frappe.request.ajax_count === 0")

    def _shoot(self, view: str, begins: str, first: date, ends: str) -> None:
        if SHOTS and Path(SHOTS).is_dir() and ends >= str(first):
            self.page.screenshot(
                path=f"{SHOTS}/desk-{self.site.frappe}-{view}-{begins}.png", full_page=True
            )

    def form(self, name: str) -> Form:
        """The event's form, which is locked."""
        self.page.goto(f"{DESK[self.site.frappe]}/event/{name}")
        self._settled(lambda: self.page.locator(DESCRIPTION).first.wait_for())
        if SHOTS and Path(SHOTS).is_dir():
            shot = f"{SHOTS}/desk-{self.site.frappe}-form.png"
            self.page.screenshot(path=shot, full_page=True)
        text = self.page.locator(DESCRIPTION).first
        links = text.locator("a").evaluate_all("all => all.map(each => each.href)")
        note = self.page.locator("[data-fieldname=custom_google_note]:visible")
        return Form(
            subject=self.page.locator("[data-fieldname=subject] .control-value").inner_text(),
            lines=[line for line in text.inner_text().splitlines() if line],
            links=set(links),
            can_join=self.page.get_by_text("Join video conference").is_visible(),
            note=note.inner_text(),
            note_link=note.locator("a").evaluate("link => link.href"),
            locked=set(self.page.evaluate(LOCKED)),
        )
