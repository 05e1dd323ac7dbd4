"""Whoever switches the language in the middle of a form keeps what was typed and chosen."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.company import ANN, BOB, Company
from tests.integration.test_forms_lead_to_pages import browser
from watcher.handlers.app import create_app

__all__ = ["browser"]
pytestmark = pytest.mark.one_shape("sqlite")
OF_ANOTHER_FORM = {("/employees", "q"), ("/employees", "email"), ("/employees", "everyone")}
"""A button belongs to one form: on this page to the one in which most is typed."""
NOT_KEPT = {"hidden", "file"}
"""What comes from the page itself; and no page may choose a file."""


class Form(HTMLParser):
    """The controls of a page: by name and value, and what the switch of the language sends."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.controls: list[dict[str, str | None]] = []
        self.switch: dict[str, str] = {}
        self._form: str | None = None
        self._options: dict[str, str | None] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "form":
            self._form = named.get("id", "")
        elif tag == "button" and named.get("name") == "language":
            self.switch = {key: value or "" for key, value in attrs}
        elif tag in ("input", "textarea", "select") and named.get("name"):
            kind = named.get("type", "")
            own = {"tag": tag, "type": kind, "form": named.get("form", self._form)}
            self.controls.append({**named, **own})
            self._options = self.controls[-1] if tag == "select" else {}
        elif tag == "option" and "selected" in named:
            self._options["value"] = named["value"]

    def handle_data(self, data: str) -> None:
        if self.controls and self.controls[-1]["tag"] == "textarea":
            self.controls[-1].setdefault("value", data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None


def fields(page: str) -> list[dict[str, str | None]]:
    return [each for each in Form(page).controls if each["type"] not in NOT_KEPT]


def filled_in(controls: list[dict[str, str | None]]) -> dict[str, list[str]]:
    """Something else in each field: words, and of what is chosen the last."""
    form: dict[str, list[str]] = {}
    for each in controls:
        value = str(each.get("value") or "")
        if each["tag"] == "select":
            value = "account.pause"
        elif each["type"] not in ("radio", "checkbox"):
            value = f'{BOB}, <b>"x" & é'
        form[str(each["name"])] = [value]
    return form


def as_filled(page: str) -> dict[str, list[str]]:
    form: dict[str, list[str]] = {}
    for each in fields(page):
        if each["type"] not in ("radio", "checkbox") or "checked" in each:
            form.setdefault(str(each["name"]), []).append(str(each.get("value") or ""))
    return form


def test_what_was_typed_comes_along(company: Company, browser: FlaskClient) -> None:
    company.google.add_calendar("roster@group.calendar.google.com", BOB, "Roster")
    disconnect = {"form_proof": "t", "one": f"disconnect {ANN}"}
    asking = browser.post("/employees/act", data=disconnect).headers["Location"]
    pages = ("/", "/event", "/employees", "/calendars?kind=paused", "/audit", asking, "/me")
    listed = browser.post("/me/calendars", data={"form_proof": "t"}).headers["Location"]
    for address in (*pages, listed):
        page = browser.get(address).text
        switch = Form(page).switch
        mine = [each for each in fields(page) if each["form"] == switch["form"]]
        others = [each for each in fields(page) if each not in mine]
        where = {(address, str(each["name"])) for each in others}
        assert where <= OF_ANOTHER_FORM, where
        assert mine
        sent: dict[str, Any] = filled_in(mine)
        hidden = {
            str(each["name"]): each.get("value") or ""
            for each in Form(page).controls
            if each["type"] == "hidden" and each["form"] == switch["form"]
        }
        form = {**hidden, **sent, "language": "de"}
        answer = browser.post(switch["formaction"], data=form)
        assert answer.status_code == 303
        to = answer.headers["Location"]
        assert to.partition("?")[0] == address.partition("?")[0]
        assert ("%40" in to) == ("typed" not in to), "only a search stands in the address"
        again = browser.get(to).text
        assert '<html lang="de"' in again
        assert {name: as_filled(again)[name] for name in sent} == sent, address
        assert Form(again).switch["formaction"]
        browser.get("/?language=en")


def test_a_search_keeps_its_page_unless_it_is_another_one(browser: FlaskClient) -> None:
    at = "/language?at=%2Fcalendars%3Fq%3Dann%26page%3D3"
    for words, to in (
        ("ann", "/calendars?q=ann&page=3"),
        ("bob", "/calendars?q=bob"),
        ("", "/calendars"),
    ):
        answer = browser.post(at, data={"q": words, "language": "hi"})
        assert answer.headers["Location"] == to
    assert '<html lang="hi"' in browser.get("/calendars").text


def test_the_switch_leads_nowhere_else_and_keeps_nothing_for_a_form_of_another_site(
    company: Company, browser: FlaskClient
) -> None:
    for at in ("https://example.com/", "//example.com", "/\\example.com", "", "x", "/sign-out"):
        answer = browser.post("/language", query_string={"at": at}, data={"language": "de"})
        assert answer.headers["Location"] == "/", at
    forged = {"form_proof": "x", "what": "typed by nobody", "language": "xx"}
    answer = browser.post("/language?at=/event", data=forged)
    assert answer.headers["Location"] == "/event"
    assert '<html lang="en"' in browser.get("/event").text, "a language that there is not"
    stranger = create_app(company.services).test_client()
    assert stranger.post("/language?at=/me", data={"language": "es"}).headers["Location"] == "/me"
    assert '<html lang="es"' in stranger.get("/me").text


def test_two_thousand_addresses_are_kept(browser: FlaskClient) -> None:
    many = "\n".join(f"somebody.with.a.name.{n}@example.com" for n in range(1_500))
    form = {"form_proof": "t", "addresses": many, "language": "es"}
    to = browser.post("/language?at=/employees", data=form).headers["Location"]
    assert len(to) < 100
    assert as_filled(browser.get(to).text)["addresses"] == [many]
