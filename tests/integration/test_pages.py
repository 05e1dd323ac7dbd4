"""The admins' pages: what they say, and that their buttons do what the commands do. In this process
against both stand-ins; how they look is for ``tests/acceptance/test_browser.py``."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.company import ADMIN, ANN, BOB, CLIENT_SECRET, Company
from tests.integration.test_cli_runner import run
from tests.integration.test_ledger_locks import counted
from watcher.channels.renewal import renew_due
from watcher.handlers import looking, needs, speech
from watcher.handlers.app import create_app
from watcher.handlers.context import LOOKING
from watcher.handlers.system import EXAMINATION
from watcher.ledger import accounts, calendars, erpnext, overview, presence, runs
from watcher.ledger.models import Calendar
from watcher.ledger.problems import Problem, ProblemState
from watcher.ledger.states import AccountState, CalendarState

pytestmark = pytest.mark.one_shape("sqlite")
RULE = "A rule of ours"


class Admin:
    """An admin's browser: it keeps the token of its forms, and follows redirects."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        with client.session_transaction() as session:
            session["admin"] = ADMIN
            session["form_proof"] = "t"

    def get(self, path: str, code: int = 200) -> str:
        answer = self.client.get(path)
        assert answer.status_code == code, answer.get_data(as_text=True)
        return says(answer.get_data(as_text=True))

    def post(self, path: str, **fields: object) -> str:
        form = {"form_proof": "t", **fields}
        answer = self.client.post(path, data=form, follow_redirects=True)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return says(answer.get_data(as_text=True))


def says(page: str) -> str:
    """What a page says, in one line without its tags."""
    assert "style=" not in page, "the policy of the pages forbids it"
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


@pytest.fixture
def admin(company: Company) -> Admin:
    company.connect_at_rest()
    with company.services.db.session() as session:
        for name in ("sweep", "renew"):  # cron runs
            runs.tick(session, name, company.services.clock())
    return Admin(create_app(company.services).test_client())


def page_of(company: Company, email: str = ANN) -> str:
    return f"/calendars/{company.calendar(email).id}"


def refuse(company: Company) -> str:
    """An event that ERPNext's site refuses, set aside. Returns its id."""
    company.site.add_fault(
        match="insert", status=417, exc_type="ValidationError", message=RULE, count=None
    )
    event = company.google.insert_event(ANN, company.timed(summary="Refused"))
    assert company.sync() == "done"
    return event


# --- one calendar ---------------------------------------------------------------------------


def test_a_calendar_tells_how_it_stands_and_what_was_done(company: Company, admin: Admin) -> None:
    company.google.insert_event(ANN, company.timed())
    assert company.sync() == "done"
    page = admin.get(page_of(company))
    assert f"{ANN} up to date" in page
    assert "In ERPNext 1 new" in page
    assert "The last 2 passes: 2 went well, 0 set an event aside" in page
    assert re.search(r"Channel ends in \d d , is replaced in \d d ; last heard \d+ s ago", page)
    assert "Google's first message came through it" in page
    company.google.insert_event(ANN, company.timed())
    company.site.add_fault(match="insert", status=503, html=True, count=None)
    assert company.sync() == "failed"
    page = admin.get(page_of(company))
    assert "Failed (ERPNext unavailable): " in page
    assert "Next try in" in page
    with company.services.db.session() as session:
        row = session.get_one(Calendar, company.calendar().id)
        row.next_poll_at = company.services.clock()
    assert "Next poll now" in admin.get(page_of(company)), "what has come due is waited for"


def test_buttons_do_what_the_commands_do(company: Company, admin: Admin) -> None:
    page, rung = page_of(company), company.services.doorbell.waiting
    assert "Google is read now" in admin.post(f"{page}/sync")
    assert (company.calendar().dirty_reason, company.calendar().snapshot_seq) == ("asked", 0)
    assert len(rung()["live"]) == 1
    assert "The whole window is read again" in admin.post(f"{page}/resync")
    assert "The whole window is read again" in admin.post(f"{page}/resync")  # safe to press twice
    calendar = company.calendar()
    assert calendar.dirty_reason == "resync"
    assert calendar.snapshot_seq > calendar.synced_seq
    assert len(rung()["backfill"]) >= 1
    assert "A new channel is opened" in admin.post(f"{page}/renew")
    assert "is paused" in admin.post(f"{page}/pause")
    assert company.account().state == AccountState.PAUSED
    assert "account is paused (by admin)" in admin.get(page)
    assert "is active again" in admin.post(f"{page}/resume")
    assert company.account().state == AccountState.ACTIVE


def test_only_this_calendars_channel_is_renewed(company: Company, admin: Admin) -> None:
    company.add(BOB)
    assert company.sync(BOB) == "done"
    bobs, anns = company.google.live_channels(BOB), company.google.live_channels(ANN)
    admin.post(f"{page_of(company)}/renew")
    assert [(r.account, r.outcome) for r in renew_due(company.services)] == [(ANN, "renewed")]
    assert company.google.live_channels(BOB) == bobs
    assert company.google.live_channels(ANN) != anns


def test_differences_are_named_and_mended_and_private_titles_are_not_shown(
    company: Company, admin: Admin
) -> None:
    page = page_of(company)
    assert "Equal: 0 events" in admin.post(f"{page}/compare")
    company.google.insert_event(ANN, company.timed(summary="Stand-up"))
    company.google.insert_event(ANN, company.timed(summary="Oncology", visibility="private"))
    found = admin.post(f"{page}/compare")
    assert "2 missing of 2 events" in found
    assert '"Stand-up", ' in found
    assert "private event, title not shown" in found
    assert "Oncology" not in found
    assert company.rows() == [], "nothing was changed"
    admin.post(f"{page}/resync")
    assert company.sync() == "done"
    assert "Equal: 2 events" in admin.post(f"{page}/compare")
    company.site.add_fault(status=503, count=None)
    found = admin.post(f"{page}/compare")
    assert "The ERPNext site is in maintenance mode. Do: " in found


def test_what_stands_aside_is_told_with_erpnexts_words(company: Company, admin: Admin) -> None:
    event = refuse(company)
    page = admin.get(page_of(company))
    assert "1 event is not in ERPNext as it should be" in page
    assert RULE in page
    assert f"Explain {event}" in page
    assert "1 set aside" in page


def hold(company: Company) -> None:
    """A mass cancellation of 23 rows waits to be confirmed."""
    ids = [company.google.insert_event(ANN, company.timed(hours=n + 2)) for n in range(24)]
    assert company.sync() == "done"
    for event in ids[:-1]:
        company.google.delete_event(ANN, event)
    company.google.expire_sync_tokens()
    assert company.sync(snapshot=True) == "done"
    assert company.calendar().state == CalendarState.HELD


@pytest.mark.both_shapes
def test_a_mass_cancellation_is_confirmed_by_its_figure(company: Company, admin: Admin) -> None:
    hold(company)
    page = page_of(company)
    assert "23 rows would be cancelled" in admin.get(page)
    assert "23 rows would be cancelled by now, and not 22" in admin.post(f"{page}/confirm", rows=22)
    assert company.sync(snapshot=True) == "done"
    assert len(company.rows()) == 24
    confirmed = admin.post(f"{page}/confirm", rows=23)
    assert "may cancel 23 rows" in confirmed
    assert "would be cancelled" not in confirmed, "what is confirmed is not asked for again"
    assert "Cancel 23 rows" not in confirmed + admin.get("/") + admin.get("/failures")
    assert company.sync() == "done"
    assert len(company.rows()) == 1
    assert "nothing waits to be confirmed" in admin.post(f"{page}/confirm", rows=23).lower()


def test_a_pass_that_left_cancellations_to_a_person_is_amber(
    company: Company, admin: Admin
) -> None:
    """Nothing was written, and yet not all is well: neither in the log nor in the strip."""
    hold(company)
    page = admin.get(page_of(company))
    assert "Nothing else to write, 23 cancellations left to be confirmed" in page
    assert re.search(r"The last \d passes: \d went well, 1 set an event aside, left canc", page)
    assert "Nothing else to write, 23 cancellations left to be confirmed" in admin.get("/")


# --- what fails, by cause -------------------------------------------------------------------


@pytest.mark.both_shapes
def test_one_cause_is_one_entry_with_its_words_and_one_button(
    company: Company, admin: Admin
) -> None:
    assert "Nothing fails" in admin.get("/failures")
    company.add(BOB)
    for email in (ANN, BOB):
        company.google.insert_event(email, company.timed())
    company.site.add_fault(status=503, html=True, count=None)
    for email in (ANN, BOB):
        assert company.sync(email) == "failed"
    page = admin.get("/failures")
    assert page.count("delayed (ERPNext unavailable)") == 1
    assert "Holds up 2 calendars (2 employees). Which calendars" in page
    assert "In its words" in page
    found = admin.get("/calendars?cause=erpnext_unavailable")
    assert ANN in found
    assert BOB in found
    home = admin.get("/")
    assert "Needs attention: 1 cause, the oldest" in home
    assert home.count("Try again now") == 1
    company.site.clear_faults()
    said = admin.post("/failures/retry", cause="erpnext_unavailable")
    assert "2 calendars are tried again now" in said
    assert (company.calendar().retry_at, company.calendar(BOB).retry_at) == (None, None)
    assert company.sync() == company.sync(BOB) == "done"
    assert "Nothing is left to try again" in admin.post("/failures/retry", cause="nothing")
    assert "Nothing fails" in admin.get("/failures")


def test_events_set_aside_are_one_entry_for_each_cause(company: Company, admin: Admin) -> None:
    refuse(company)
    page = admin.get("/failures")
    assert "ValidationError Events 1 · 1 calendar (1 employee)" in page
    assert f"For example {RULE}" in page
    assert "Retry all ValidationError" in page
    company.site.clear_faults()
    assert "1 calendar is tried again" in admin.post("/failures/retry", cause="ValidationError")
    assert company.sync() == "done"
    assert "Nothing fails" in admin.get("/failures")


@pytest.mark.both_shapes
def test_what_is_left_aside_counts_no_more_until_it_changes(company: Company, admin: Admin) -> None:
    event = refuse(company)
    page = page_of(company)
    assert "Nothing needs you, but not all is done" in admin.get("/")
    said = admin.post("/failures/leave", email=ANN, event=event, calendar=company.calendar().id)
    assert "1 event is left aside" in said
    assert "Take up again" in said
    assert "All is well" in admin.get("/")
    assert "1 is left aside now" in admin.get("/failures")
    assert company.sync(snapshot=True) == "done"  # the same reason again
    assert "All is well" in admin.get("/")
    assert "They are tried again now" in admin.post("/failures/take-up")
    assert "Nothing needs you, but not all is done" in admin.get("/")
    assert "Leave aside" in admin.get(page)
    assert "1 event is left aside" in admin.post("/failures/leave", cause="ValidationError")
    company.site.clear_faults()
    company.site.add_fault(match="insert", status=403, exc_type="PermissionError", count=None)
    assert company.sync(snapshot=True) in ("done", "failed")
    assert "All is well" not in admin.get("/"), "another reason, which nobody has seen"
    assert "0 events are left aside" in admin.post("/failures/leave")


def test_the_command_leaves_aside_and_takes_up(company: Company) -> None:
    company.connect()
    event = refuse(company)
    run(company, "queue", "leave", ANN, "other", code=5)
    run(company, "queue", "leave", ANN, event, says=("left aside: 1 event",))
    (row,) = run(company, "queue", "show", "--json").data["quarantined"]
    assert row["left"] is True
    with company.services.db.reading() as session:
        assert erpnext.set_aside(session).count == 0
    run(company, "queue", "take-up", says=("to be tried again: 1 calendar",))
    run(company, "queue", "take-up", says=("nothing was left aside",))


def test_home_confirms_a_mass_cancellation_by_the_figure_on_its_button(
    company: Company, admin: Admin
) -> None:
    hold(company)
    home = admin.client.get("/").get_data(as_text=True)
    forms = re.findall(r'action="(/calendars/\d+/confirm)".*?name="rows" value="(\d+)"', home, re.S)
    ((path, rows),) = forms
    assert "Cancel 23 rows in ERPNext" in says(home)
    assert "Cancel 23 rows" in admin.get("/failures")
    admin.post(path, rows=rows)
    assert company.sync() == "done"
    assert len(company.rows()) == 1


def test_homes_buttons_for_accounts_do_what_they_say(company: Company, admin: Admin) -> None:
    def dies(email: str) -> None:
        with company.services.db.session() as session:
            account, now = accounts.get(session, email), company.services.clock()
            accounts.set_state(account, AccountState.NEEDS_RECONNECT, "invalid_grant", now)

    def press(label: str) -> str:
        home = admin.client.get("/").get_data(as_text=True)
        form = next(each for each in home.split("<form") if f">{label}<" in each)
        (path,) = re.findall(r'action="([^"]+)"', form)
        (one,) = re.findall(r'name="one" value="([^"]+)"', form)
        return admin.post(path, one=one)

    dies(ANN)  # a mailbox of the delegation
    press("Try it again")
    assert company.account().state == AccountState.ACTIVE
    company.consented(BOB)
    dies(BOB)
    assert f"{company.public_url}/connect/" in press("Make a reconnect link")
    dies(ANN)
    home = admin.get("/")
    assert "2 employees : needs reconnect (invalid grant)" in home
    assert home.count("Show them") == 1


def test_many_of_the_same_are_one_line() -> None:
    def away(name: str, **more: Any) -> Problem:
        email = f"{name}@scoopjoy.test"
        state = ProblemState.NEEDS_RECONNECT
        return Problem(account=email, state=state, cause="invalid_grant", next_step="x", **more)

    now = datetime(2026, 12, 1, tzinfo=UTC)
    wide = Problem(state=ProblemState.QUEUE_DOWN, cause="redis_unreachable", next_step="y")
    people = [away(f"e{n}", since=now - timedelta(hours=n)) for n in range(500)]
    first, second = needs.grouped([wide, *people])
    assert (first.first, first.count) == (wide, 1)
    assert (second.count, second.employees, second.is_single) == (500, 500, False)
    assert second.first.since == now - timedelta(hours=499)


# --- the system -----------------------------------------------------------------------------


def test_the_system_is_checked_once_at_a_time_and_nothing_secret_is_shown(
    company: Company, admin: Admin
) -> None:
    with company.services.db.session() as session:
        presence.begin(
            session, presence.Me(name="cron@h", kind="cron", host="h"), company.services.clock()
        )
    page = admin.get("/system")
    assert "Not run yet" in page
    assert "cron cron@h runs" in page
    assert "WATCHER_ERPNEXT_API_SECRET ********" in page
    for secret in (CLIENT_SECRET, company.key, company.site.api_secret):
        assert secret not in page
    assert "Run the checks first" in says(
        admin.client.get("/system/report.json", follow_redirects=True).get_data(as_text=True)
    )
    page = admin.post("/system/check")
    told = r"Checked in \d\.\d s: \d+ ok, \d+ warnings?, \d+ failures?, \d+ skipped"
    assert re.search(told, page)
    assert "ledger.writes ok it takes writes" in page
    answer = admin.client.get("/system/report.json")
    assert "attachment" in answer.headers["Content-Disposition"]
    assert (answer.json or {})["doctor"]["ledger.writes"]["verdict"] == "ok"
    assert ANN not in answer.get_data(as_text=True)
    examination = admin.client.application.extensions[EXAMINATION]
    with examination._lock:
        assert "The checks are running already" in admin.post("/system/check")


def test_a_slow_look_serves_for_some_times_as_long_as_it_took(
    company: Company, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many dashboards are open; after a button it is looked at anew."""
    monkeypatch.setattr(looking, "SLOW_SECONDS", 0.0)
    monkeypatch.setattr(looking, "KEPT_TIMES", 1_000.0)

    def looks() -> int:
        with counted(company.services.db) as statements:
            admin.get("/")
        return len(statements)

    first, second = looks(), looks()
    assert second < first - 10
    with company.services.db.session() as session:
        account, now = accounts.get(session, ANN), company.services.clock()
        accounts.set_state(account, AccountState.NEEDS_RECONNECT, "invalid_grant", now)
    assert "invalid grant" not in admin.get("/failures")
    admin.post("/failures/retry", cause="nothing")
    page = admin.get("/failures")
    assert f"needs reconnect (invalid grant) Whom {ANN}" in page
    with admin.client.application.extensions[LOOKING]._lock:  # another thread looks
        assert "Needs attention" in admin.get("/")


# --- strangers, and pages that must stay quick ------------------------------------------------


def test_nobody_else_sees_or_does_anything(company: Company, admin: Admin) -> None:
    stranger, page = create_app(company.services).test_client(), page_of(company)
    for path in ("/calendars", page, "/failures", "/system", "/system/report.json"):
        assert stranger.get(path).headers["Location"] == "/"
    for path in (f"{page}/resync", "/failures/retry", "/failures/leave", "/system/check"):
        assert stranger.post(path).headers["Location"] == "/"
    forged = admin.client.post(f"{page}/resync", data={"form_proof": "x"})
    assert forged.headers["Location"] == page
    assert "This form is too old" in admin.get(page)
    assert company.calendar().snapshot_seq == 0
    admin.get("/calendars/999", 404)


@pytest.mark.both_shapes
def test_no_page_asks_more_of_the_ledger_for_more_calendars(company: Company, admin: Admin) -> None:
    paths = ("/calendars", page_of(company), "/failures", "/", "/system")

    def queries() -> list[int]:
        found = []
        for path in paths:
            with counted(company.services.db) as statements:
                admin.get(path)
            found.append(len(statements))
        return found

    few = queries()
    with company.services.db.session() as session:
        account, now = accounts.get(session, ANN), company.services.clock()
        for number in range(60):
            added = calendars.add(session, account.id, f"c{number}@group.calendar.google.com", now)
            added.last_success_at = now - timedelta(minutes=number)
    assert "1 to 50 of 61" in admin.get("/calendars")
    assert "51 to 61 of 61" in admin.get("/calendars?page=2")
    assert all(many <= one + 3 for one, many in zip(few, queries(), strict=True))
    assert max(few) <= 50, few


def test_a_page_that_cannot_be_made_says_why_and_what_to_do(
    company: Company, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin.client.application.config["PROPAGATE_EXCEPTIONS"] = False
    answer = admin.client.get("/failures/retry")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert "takes the form of a page" in says(answer.get_data(as_text=True))
    assert "Try again" not in answer.text
    assert 'href="/"' in answer.text
    assert 'href="/me"' in admin.client.get("/me/calendars").text
    assert 'href="/">Home' in admin.client.get("/calendars/none").text
    ledger = company.folder / "ledger.sqlite3"
    ledger.rename(company.folder / "elsewhere")
    for path in ("/", "/failures"):
        page = admin.get(path, 503)
        assert "The ledger does not answer" in page
        assert "nothing is lost" in page
        assert str(company.folder) not in page
    (company.folder / "elsewhere").rename(ledger)
    monkeypatch.setattr(overview, "look", lambda *_, **__: 1 / 0)
    page = admin.get("/", 500)
    assert "a defect of Watcher's own" in page
    assert re.search(r"log has for this request \([0-9a-f]{16}\)", page)


def test_a_step_that_names_a_command_leads_to_the_page_that_does_it(
    company: Company, admin: Admin
) -> None:
    with company.services.db.session() as session:
        account = accounts.get(session, ANN)
        account.state, account.cause = AccountState.PAUSED, "wishes_to_leave"
    page = admin.client.get("/failures").text
    command = f"<code>watcher accounts disconnect {ANN}</code>"
    assert f'{command} (<a href="/employees?q={ANN}">Employees</a>)' in page
    assert 'href="/employees?q=' in admin.client.get("/").text
    german = admin.client.get("/failures?language=de").text
    assert f'{command} (<a href="/employees?q={ANN}">Mitarbeitende</a>)' in german


def test_what_is_for_many_names_none_of_them(company: Company, admin: Admin) -> None:
    for email in (ANN, BOB):
        if email != ANN:
            company.add(email)
        with company.services.db.session() as session:
            account = accounts.get(session, email)
            account.state, account.cause = AccountState.PAUSED, "wishes_to_leave"
    for path in ("/", "/failures"):
        page = admin.get(path)
        step = "EMAIL asks to leave: talk about it, then watcher accounts disconnect EMAIL"
        assert "2 employees" in page
        assert step in page
        assert ANN not in page.partition(step)[2].partition("Check")[0].partition("Show")[0]
    problem = Problem(
        account=ANN,
        calendar="c1@x",
        state=ProblemState.NO_CHANNEL,
        cause="no_channel",
        next_step=f"watcher calendars remove {ANN} c1@x",
    )
    assert needs._for_each(problem.next_step, problem) == "watcher calendars remove EMAIL ID"


def test_a_mistake_in_an_invitation_takes_nothing_away(company: Company, admin: Admin) -> None:
    file = (io.BytesIO(b"mail;user\nnina@x.test;n\n"), "people.csv")
    form = {"form_proof": "t", "addresses": "dora@example.com", "people": file, "by": "link"}
    answer = admin.client.post("/employees/invite", data=form, follow_redirects=True)
    assert re.search(r"<details class=\"invite\" open>", answer.text)
    assert ">dora@example.com</textarea>" in answer.text
    assert "people.csv has no column <code>email</code>" in answer.text, "as the file is called"
    assert "Do: write <code>email</code> into its first line" in answer.text
    nobody = admin.client.post("/employees/invite", data={"form_proof": "t", "by": "link"})
    assert "open>" in admin.client.get(nobody.headers["Location"]).text


def test_what_stands_at_the_start_of_a_sentence_keeps_its_letters(
    company: Company, admin: Admin
) -> None:
    for text, said in (
        ("google does not answer", "Google does not answer"),
        ("well-known, so", "Well-known, so"),
        ("people.csv has none", "people.csv has none"),
        (f"{ANN} is paused", f"{ANN} is paused"),
        ("", ""),
    ):
        assert speech.capital(text) == said
    asked = admin.post("/event", what=ANN)
    assert f"Which event of {ANN}? Give" in asked
    with company.services.db.session() as session:
        accounts.get(session, ANN).state = AccountState.INVITED
    refused = admin.post("/employees/act", one=f"pause {ANN}")
    assert f"{ANN} is invited, which cannot be paused ( watcher accounts show {ANN} )." in refused
    assert f"{ANN}: {ANN}" not in refused


def test_before_anybody_is_there_home_says_where_to_begin(company: Company) -> None:
    admin = Admin(create_app(company.services).test_client())
    page = admin.get("/")
    assert "Nobody is connected yet. Begin with one person" in page
    company.add(ANN)
    assert "Nobody is connected yet" not in admin.get("/")
