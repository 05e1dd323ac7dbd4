"""Commands in steps lead to the pages that do the same."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from markupsafe import Markup

from watcher.cli.recording import COMMANDS
from watcher.handlers import leads
from watcher.handlers.parts import MENU

NAMES = dict(MENU)


@pytest.fixture
def app() -> Flask:
    """The addresses of the pages, as ``handlers/app.py`` has them, and nothing behind them."""
    app = Flask("watcher.handlers")
    for endpoint, path in PATHS.items():
        app.add_url_rule(path, endpoint)
    return app


PATHS = {
    "dashboard.home": "/",
    "employees.everybody": "/employees",
    "calendars.everything": "/calendars",
    "failures.show": "/failures",
    "explaining.ask": "/event",
    "auditing.show": "/audit",
    "system.show": "/system",
}


def linked(app: Flask, text: str) -> str:
    with app.test_request_context("/"):
        return leads.leads(text, NAMES)


@pytest.mark.parametrize(
    ("step", "shown"),
    [
        (
            "watcher queue show",
            '<code>watcher queue show</code> (<a href="/failures#aside">Failures</a>)',
        ),
        (
            "watcher accounts invite ann+x@example.com",
            "<code>watcher accounts invite ann+x@example.com</code> "
            '(<a href="/employees?q=ann%2Bx@example.com">Employees</a>)',
        ),
        (
            "watcher resync ann@example.com --dry-run, then --force if that is right",
            "<code>watcher resync ann@example.com --dry-run</code> "
            '(<a href="/calendars?q=ann@example.com">Calendars</a>), then --force if that is right',
        ),
        (
            "Auf der Maschine sagt `watcher doctor`, was ist.",
            "Auf der Maschine sagt <code>watcher doctor</code> "
            '(<a href="/system">System</a>), was ist.',
        ),
        (
            Markup("And 3 more: <code>watcher queue show</code>"),
            'And 3 more: <code>watcher queue show</code> (<a href="/failures#aside">Failures</a>)',
        ),
        (
            Markup("<code>watcher calendars remove ann@example.com en.indian#1</code>, or not"),
            "<code>watcher calendars remove ann@example.com en.indian#1</code>, or not",
        ),
        (
            "watcher calendars remove ann@example.com c_1@group.calendar.google.com.",
            "<code>watcher calendars remove ann@example.com c_1@group.calendar.google.com</code>.",
        ),
        ("watcher erpnext setup", "watcher erpnext setup"),
        ("start `watcher up`", "start <code>watcher up</code>"),
        (
            "its first line has `a<b`, `user`",
            "its first line has <code>a&lt;b</code>, <code>user</code>",
        ),
        ("<b>watcher</b> & status", "&lt;b&gt;watcher&lt;/b&gt; &amp; status"),
    ],
)
def test_a_command_stays_and_the_page_stands_behind_it(app: Flask, step: str, shown: str) -> None:
    assert linked(app, step) == shown


def test_no_stranger_writes_a_link(app: Flask) -> None:
    """Names come from outside: such as an address that somebody has made up."""
    said = linked(app, "watcher accounts show a\"><script>@x.test' onclick='x")
    assert set(re.findall(r"<(\w+)", said)) <= {"code", "a"}
    assert set(re.findall(r" (\w+)=\"", said)) <= {"href"}
    assert "'" not in said


def test_every_command_that_is_named_there_is() -> None:
    first = {words.split()[0] for words in COMMANDS}
    assert set(leads.PAGES) <= first
    assert set(COMMANDS) >= leads.NO_BUTTON
    assert set(leads.PAGES.values()) <= set(PATHS) == set(NAMES)


def test_no_page_leads_to_itself(app: Flask) -> None:
    with app.test_request_context("/employees?q=ann"):
        assert leads.leads("watcher accounts list", NAMES) == "<code>watcher accounts list</code>"
    with app.test_request_context("/failures"):
        assert 'href="/failures#aside"' in leads.leads("watcher queue show", NAMES)
