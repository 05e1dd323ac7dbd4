"""No word of the admins' pages is left in English: each page is made with words that are marked,
and what stands outside of the marks is data."""

from __future__ import annotations

import csv
import gettext
import io
import re
from collections.abc import Iterator
from datetime import date
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import flask_babel
import pytest
from babel.dates import format_date
from flask.testing import FlaskClient

from tests import catalogs
from tests.company import ADMIN, ANN, BOB, CLIENT_ID, CLIENT_SECRET, DOMAIN, Company
from tests.integration.test_pages import hold, refuse
from watcher.channels.renewal import renew_due
from watcher.doctor.say import Verdict
from watcher.erpnext import versions
from watcher.handlers.app import create_app
from watcher.ledger import accounts, calendars, erpnext, overview, presence, runs
from watcher.ledger.models import Calendar
from watcher.ledger.states import AccountState

pytestmark = pytest.mark.one_shape("sqlite")

CARLA = f"carla@{DOMAIN}"
BEGIN, END = "⟦", "⟧"
DATA = re.compile(
    r"[\w.+-]+@[\w.-]+|https?://\S+|\bUTC\b|\bERPNext\b|\bFrappe\b|\bWatcher\b|\bPython\b|SQLite"
    r"|\w*_\w+|\w*\d\w*|\b[a-z]+\.[a-z_.]+|\b\w+Error\b|\bBob\b|\bfrappe\b"
    r"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)+"
)
"""What is the same in every language: addresses, names, ids, and what has a figure in it. Days are
Babel's."""
SPOKEN_ATTRIBUTES = ("title", "aria-label", "placeholder", "alt", "data-title")
VOID = ("input", "link", "meta", "br")


class Marked(gettext.NullTranslations):
    """A language whose every sentence stands between marks."""

    def gettext(self, message: str) -> str:
        return f"{BEGIN}{message}{END}"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)

    ugettext, ungettext = gettext, ngettext


class Reader(HTMLParser):
    """What a page shows and reads out, but for what people paste, the names of languages, and
    choices that are names in JSON."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.spoken: list[str] = []
        self._open: list[bool] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag not in VOID:
            left_out = tag in ("code", "option") or named.get("class") == "settings"
            self._open.append(left_out or ("lang" in named and tag != "html"))
        self.spoken += [named[name] or "" for name in SPOKEN_ATTRIBUTES if name in named]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass  # shapes of a plot

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if not any(self._open):
            self.texts.append(data)


def left_in_english(page: str) -> set[str]:
    reader = Reader()
    reader.feed(page)
    shown = "".join(reader.texts)
    return {word for text in (shown, *reader.spoken) for word in _outside(text)}


def _outside(text: str) -> Iterator[str]:
    depth, found = 0, []
    for letter in text:
        depth += (letter == BEGIN) - (letter == END)
        found.append(letter if not depth else " ")
    return iter(re.findall(r"[^\W\d_]{2,}", DATA.sub(" ", "".join(found))))


@pytest.fixture
def browser(company: Company, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """An admin's. The sentences of the ledger are marked where a page says them: whether they have
    words is not the pages' matter."""
    monkeypatch.setattr(flask_babel.Domain, "get_translations", lambda _self: Marked())
    monkeypatch.setattr("watcher.languages.saying.say", lambda text, _: f"{BEGIN}{text}{END}")
    company.connect_at_rest()
    renew_due(company.services)
    client = create_app(company.services).test_client()
    client.application.config["PROPAGATE_EXCEPTIONS"] = False
    with client.session_transaction() as session:
        session["admin"] = ADMIN
        session["form_proof"] = "t"
    return client


def looked(browser: FlaskClient, *paths: str) -> dict[str, set[str]]:
    """What each page has left in English."""
    pages = {path: browser.get(path).text for path in paths}
    assert all(BEGIN in page for page in pages.values())
    return {path: left for path, page in pages.items() if (left := left_in_english(page))}


def pressed(browser: FlaskClient, path: str, **form: object) -> set[str]:
    answer = browser.post(path, data={"form_proof": "t", **form}, follow_redirects=True)
    assert BEGIN in answer.text, answer.status
    return left_in_english(answer.text)


def in_trouble(company: Company) -> None:
    """Calendars and accounts of every kind."""
    clock = company.services.clock
    company.google.add_user(CARLA)
    company.site.add_user(CARLA)
    for email in (BOB, CARLA):
        company.add(email)
    with company.services.db.session() as session:
        runs.tick(session, "sweep", clock())
        runs.tick(session, "renew", clock(), "it broke off")
        presence.begin(session, presence.Me(name="live@h", kind="live", host="h"), clock())
        bob = accounts.get(session, BOB)
        accounts.set_state(bob, AccountState.NEEDS_RECONNECT, "invalid_grant", clock())
        carla = accounts.get(session, CARLA)
        accounts.set_state(carla, AccountState.PAUSED, "by_admin", clock())
        shared = calendars.add(session, accounts.get(session, ANN).id, "c@group.test", clock())
        shared.push_supported = False
    company.sync()
    refuse(company)


def test_no_word_of_an_admins_page_is_left_in_english(
    company: Company, browser: FlaskClient
) -> None:
    in_trouble(company)
    numbers = [company.calendar(email).id for email in (ANN, BOB, CARLA)]
    left = looked(
        browser,
        "/",
        "/employees",
        "/employees?state=paused",
        "/employees?q=nobody",
        "/calendars",
        "/calendars?cause=missing_fields",
        "/failures",
        "/event",
        "/audit?who=nobody",
        "/system",
        "/no-such-page",
        "/failures/retry",
        *(f"/calendars/{number}" for number in numbers),
    )
    assert not left
    rows = csv.DictReader(io.StringIO(browser.get("/audit.csv").text))
    names = {
        word for row in rows for word in re.findall(r"[^\W\d_]+", f"{row['who']} {row['origin']}")
    }
    assert looked(browser, "/audit")["/audit"] <= names


def test_no_answer_to_a_button_is_left_in_english(company: Company, browser: FlaskClient) -> None:
    company.add(BOB)
    page = f"/calendars/{company.calendar().id}"
    company.google.insert_event(ANN, company.timed(summary="⟦Stand-up⟧"))
    both: dict[str, object] = {"act": "pause", "email": [ANN, BOB]}
    presses: list[tuple[str, dict[str, object]]] = [
        *((f"{page}/{what}", {}) for what in ("sync", "renew", "pause", "resume")),
        ("/event", {"what": ""}),
        ("/event", {"what": f"{ANN} stand-up"}),
        ("/employees/act", {"act": "pause"}),
        ("/employees/act", both),
        ("/employees/act", both | {"confirmed": "yes"}),
        ("/employees/act", {"one": f"disconnect {BOB}"}),
        ("/employees/act", {"one": f"resume {ANN}"}),
        ("/employees/invite", {"addresses": "dora@example.com, e1", "by": "link"}),
        ("/employees/invite", {}),
        ("/failures/retry", {}),
        ("/failures/leave", {}),
        ("/failures/take-up", {}),
        ("/system/check", {}),
        ("/failures/retry", {"form_proof": "old"}),
        ("/employees/act", {}),
    ]
    left = {path: left for path, form in presses if (left := pressed(browser, path, **form))}
    assert not left
    assert not left_in_english(browser.get("/failures/retry").text)
    assert not left_in_english(browser.get("/system").text)
    hold(company)
    assert not pressed(browser, f"{page}/confirm", rows=23)
    assert not pressed(browser, f"{page}/compare")
    assert not looked(browser, "/", page, f"{page}/compare?asked=before", "/failures")
    begun = browser.get(f"{page}/stopwatch").headers["Location"]
    assert not looked(browser, begun)
    with company.services.db.session() as session:
        session.get_one(Calendar, company.calendar().id).push_supported = False
    assert not looked(browser, begun)


def in_pieces(text: str) -> str:
    """Marked, but for what is put into it."""
    return BEGIN + re.sub(r"%\(\w+\)s", f"{END}\\g<0>{BEGIN}", text) + END


class InPieces(Marked):
    """The same of what has words in German, so that nothing hides within the marks."""

    def gettext(self, message: str) -> str:
        return in_pieces(message) if message in KNOWN else message


KNOWN = {text for message in catalogs.kept("de") for text in catalogs.ids(message)}


def test_no_word_of_an_answer_about_an_event_is_left_in_english(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor within what is put into a sentence, nor within what is said to be English."""
    company.connect()
    daily = ["RRULE:FREQ=DAILY;COUNT=5"]
    declined = [{"email": ANN, "self": True, "responseStatus": "declined"}]
    for extra in (
        {"summary": "1-1"},
        {"hours": 30, "summary": "2-2", "visibility": "private"},
        {"hours": 3, "summary": "3-3", "recurrence": daily},
        {"hours": 60 * 24, "summary": "4-4"},
        {"hours": 26, "summary": "5-5", "attendees": declined},
    ):
        company.google.insert_event(ANN, company.timed(**extra))
    company.sync()
    lost = company.google.insert_event(ANN, company.timed(hours=9, summary="6-6"))
    browser = create_app(company.services).test_client()
    with browser.session_transaction() as session:
        session["admin"], session["language"], session["form_proof"] = ADMIN, "de", "t"
    monkeypatch.setattr(flask_babel.Domain, "get_translations", lambda _self: InPieces())
    monkeypatch.setattr("watcher.languages.catalogs.messages", lambda _language: InPieces())
    day = company.google.get_event(ANN, lost)["start"]["dateTime"][:10]
    asked = [f"{ANN} {word}" for word in ("1-1", "3-3", "4-4", "5-5", "6-6", "7-7", day)]
    for text in (*asked, f"{BOB} 1-1", "nosuchevent1", "EV99999", "a b", ANN, day, "-"):
        page = browser.post("/event", data={"what": text}, follow_redirects=True).text
        assert not re.search(r'<(?!a |button )\w+ [^>]*lang="en"', page), text
        assert left_in_english(page) <= {"Busy", *DAYS, *MONTHS}, text
    company.google.add_fault(match="/calendar/v3/", status=503)
    page = browser.post("/event", data={"what": f"{ANN} 1-1"}, follow_redirects=True).text
    assert "backendError" in page, "Google's own words stay"


def test_no_word_of_what_the_checks_find_is_left_in_english(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each state; `tests/contract/test_doctor.py` makes the checks find everything else."""
    company.connect_at_rest()
    company.site.version = "15.99.1"
    company.services.erpnext.delete("Custom Field", "Event-custom_google_hash")
    company.google.add_client(CLIENT_ID, CLIENT_SECRET, ["https://other.example/callback"])
    browser = create_app(company.services).test_client()
    with browser.session_transaction() as session:
        session["admin"], session["language"], session["form_proof"] = ADMIN, "de", "t"
    monkeypatch.setattr(flask_babel.Domain, "get_translations", lambda _self: InPieces())
    monkeypatch.setattr("watcher.languages.catalogs.messages", lambda _language: InPieces())
    page = browser.post("/system/check", data={"form_proof": "t"}, follow_redirects=True).text
    assert all(f"check-{each}" in page for each in Verdict)
    assert not re.search(r'<(?!a |button )\w+ [^>]*lang="en"', page)
    names = {"Google", "Event", "ToDo", "User", "Deleted", "Document", "Asia", "Kolkata"}
    folder = set(re.findall(r"[^\W\d_]+", str(company.services.settings.data_dir)))
    left = left_in_english(page) - names - folder
    assert not left


DAYS = {"Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"}
MONTHS = {f"{format_date(date(2026, m, 1), 'MMM', locale='de')}".strip(".") for m in range(1, 13)}


@pytest.mark.parametrize(
    ("language", "sentence", "when"),
    [
        (
            "de",
            "Er steht in ERPNext als EV",
            r"\w\w\., \d+\. \w+\.? \d{4}, \d\d:\d\d bis \d\d:\d\d",
        ),
        ("es", "Está en ERPNext como EV", r"\w{3}, \d+ \w+ \d{4}, \d+:\d\d a \d+:\d\d"),
        ("hi", "यह ERPNext में EV", r"\d+:\d\d [ap]m से \d+:\d\d [ap]m तक"),
    ],
)
def test_an_answer_about_an_event_is_in_the_language_and_has_its_dates(
    company: Company, language: str, sentence: str, when: str
) -> None:
    company.connect()
    company.google.insert_event(ANN, company.timed(summary="Home"))
    company.sync()
    browser = create_app(company.services).test_client()
    with browser.session_transaction() as session:
        session["admin"], session["language"] = ADMIN, language
    asked = {"what": f"{ANN} home"}
    page = unescape(browser.post("/event", data=asked, follow_redirects=True).text)
    (name,) = re.findall(r"<h2>(.*?)</h2>", page)
    assert "Home" in name, "a title is no word of Watcher's"
    assert re.search(when, name), name
    assert sentence in page


def test_what_differs_in_a_calendar_is_in_the_language_of_the_page(company: Company) -> None:
    company.connect_at_rest()
    for hours, summary in ((2, "Shift"), (30, "Review")):
        company.google.insert_event(ANN, company.timed(hours=hours, summary=summary))
    company.sync()
    company.google.insert_event(ANN, company.timed(hours=50, summary="New"))
    first, second = (str(row["name"]) for row in company.rows())
    company.site.set_column("Event", first, "subject", "Dragged")
    company.site.set_column("Event", second, "custom_google_event_id", "gone12345")
    company.site.set_column("Event", second, "custom_google_sync_key", "k")
    browser = create_app(company.services).test_client()
    with browser.session_transaction() as session:
        session["admin"], session["language"], session["form_proof"] = ADMIN, "de", "t"
    compared = f"/calendars/{company.calendar().id}/compare"
    page = browser.post(compared, data={"form_proof": "t"}, follow_redirects=True).text
    assert "(Titel)" in page
    assert "(nicht in Google)" in page
    assert re.search(r"\(\w\w\., \d+\. \w+\.? \d{4}, \d\d:\d\d:\d\d\)", page)


def test_what_is_counted_what_is_known_of_frappe_and_full_stops_are_in_the_language_of_the_page(
    company: Company,
) -> None:
    company.connect_at_rest()
    now = company.services.clock()
    facts = erpnext.SiteFacts(
        versions={"frappe": "16.4.1"}, warnings=versions.warnings("16.4.1"), key_is_unique=True
    )
    with company.services.db.session() as session:
        erpnext.remember_site(session, facts, now)
    browser = create_app(company.services).test_client()
    with browser.session_transaction() as session:
        session["admin"], session["language"] = ADMIN, "de"
    assert "Hinweis: der Desk zeichnet ganztägige Termine" in browser.get("/").text
    assert "gemessen mit 16.4;" in browser.get("/system").text
    assert (
        "Der letzte Durchlauf: gelungen 1"
        in browser.get(f"/calendars/{company.calendar().id}").text
    )
    page = browser.post("/event", data={"what": f"{ANN} 31.02.2026"}, follow_redirects=True).text
    assert "31.02.2026 ist kein Datum. Geben Sie" in page
    with browser.session_transaction() as session:
        session["language"] = "hi"
    page = browser.post("/event", data={"what": f"{ANN} 31.02.2026"}, follow_redirects=True).text
    assert "31.02.2026 कोई तारीख नहीं है। " in page


def test_no_word_of_who_may_not_look_or_of_a_failure_is_left_in_english(
    company: Company, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "look", lambda *_, **__: 1 / 0)
    assert not looked(browser, "/")
    ledger: Path = company.folder / "ledger.sqlite3"
    ledger.rename(company.folder / "elsewhere")
    assert not looked(browser, "/failures")
    (company.folder / "elsewhere").rename(ledger)
    assert not looked(browser.application.test_client(), "/", "/me", "/connect/nonsense")
