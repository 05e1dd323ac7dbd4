"""Why an event is, or is not, in ERPNext: one test for each kind of answer, in this process against
both stand-ins."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient

from tests.company import ADMIN, ANN, BOB, Company
from tests.integration.test_cli_runner import run
from tests.spoken import unsayable_of
from watcher.errors import ExitCode
from watcher.explain.answers import Answer, Report, Verdict
from watcher.explain.search import explain
from watcher.handlers import explaining
from watcher.handlers.app import create_app
from watcher.ledger import accounts, channels, owing
from watcher.ledger.models import Calendar
from watcher.ledger.states import AccountState

pytestmark = pytest.mark.one_shape("sqlite")
SECRET = "Oncology"
THEIRS = {
    "Error",
    "Event",
    "Found",
    "Not",
    "Outlet",
    "Value",
    "backendError",
    "for",
    "missing",
    "outlet",
}
"""Words in the answers of ERPNext and Google, which are shown as they came."""


def ask(company: Company, text: str) -> Report:
    """What is told, all of it in sentences that a page can say in each of its languages."""
    report = explain(company.services, text)
    assert unsayable_of(report) <= THEIRS
    return report


def the(company: Company, text: str, verdict: Verdict, *says: str) -> Answer:
    """The one answer, which must be this and say these."""
    report = ask(company, text)
    assert len(report.answers) == 1, report
    (answer,) = report.answers
    whole = " ".join([answer.what, answer.headline, *(said.text for said in answer.said)])
    assert answer.verdict == verdict, answer
    for text in says:
        assert text in whole, whole
    return answer


def put(company: Company, email: str = ANN, **extra: Any) -> str:
    return company.google.insert_event(email, company.timed(**extra))


def desk(company: Company, method: str, name: str, **fields: Any) -> None:
    """As an administrator of the site, in the Desk."""
    key, secret = company.site.add_user(ADMIN, system_manager=True)
    answer = requests.request(
        method,
        f"{company.environ['WATCHER_ERPNEXT_URL']}/api/resource/Event/{name}",
        json=fields,
        headers={"Authorization": f"token {key}:{secret}"},
        timeout=30,
    )
    assert answer.ok, answer.text


def name_of(company: Company, event_id: str) -> str:
    rows = company.site.events()
    return next(str(r["name"]) for r in rows if r["custom_google_event_id"] == event_id)


def eids_link(company: Company, event_id: str, email: str = ANN) -> str:
    return str(company.google.get_event(email, event_id)["htmlLink"])


# --- as it should be ------------------------------------------------------------------------


def test_an_event_is_found_in_each_way_and_nothing_is_changed(company: Company) -> None:
    company.connect()
    event = put(company, summary="Stand-up")
    put(company, hours=50, summary="Review")
    company.sync()
    name, before = name_of(company, event), company.site.dump()
    for text in (event, name, eids_link(company, event), f"{ANN} stand", f"{ANN} {event}"):
        answer = the(company, text, Verdict.IN_ERPNEXT, f"It is in ERPNext as {name}", "Stand-up")
        assert (answer.event, answer.erpnext, answer.title) == (event, name, "Stand-up")
        assert {said.source for said in answer.said} == {
            "Google now",
            "ledger",
            "rules",
            "ERPNext now",
        }
    assert company.site.dump() == before


def test_private_events_are_named_by_nothing_and_found_by_no_word(company: Company) -> None:
    company.connect()
    event = put(company, summary=SECRET, visibility="private")
    company.sync()
    answer = the(company, event, Verdict.IN_ERPNEXT, 'as "Busy"', "private event, title not shown")
    assert answer.private
    assert answer.title is None
    assert ask(company, f"{ANN} {SECRET}").code == ExitCode.NOT_FOUND
    day = company.google.get_event(ANN, event)["start"]["dateTime"][:10]
    assert SECRET not in json.dumps(ask(company, f"{ANN} {day}").as_json())
    # Made private in Google, and ERPNext still shows it: the title is not for the admin any more.
    late = put(company, hours=30, summary=f"{SECRET} again")
    company.sync()
    company.google.patch_event(ANN, late, {"visibility": "private"})
    for text in (late, name_of(company, late)):
        answer = the(company, text, Verdict.WAITING, "still readable in ERPNext although")
        assert SECRET not in json.dumps(answer.as_json())
    assert not ask(company, f"{ANN} {SECRET}").answers


def test_private_events_that_are_left_out_tell_not_even_their_time(company: Company) -> None:
    company.set("private_events", "skip")
    company.connect()
    event = put(company, summary=SECRET, visibility="private")
    company.sync()
    answer = the(company, event, Verdict.LEFT_OUT, "WATCHER_PRIVATE_EVENTS=skip")
    start = company.google.get_event(ANN, event)["start"]["dateTime"]
    assert answer.day is None
    assert start[11:16] not in answer.what
    assert not ask(company, f"{ANN} {start[:10]}").answers


# --- left out by the rules ------------------------------------------------------------------


def test_what_the_rules_leave_out(company: Company) -> None:
    company.connect()
    declined = [{"email": ANN, "self": True, "responseStatus": "declined"}]
    far = put(company, hours=60 * 24, summary="Offsite")
    old = put(company, hours=-30 * 24, summary="Kick-off")
    no = put(company, summary="Declined", attendees=declined)
    office = put(
        company, eventType="workingLocation", workingLocationProperties={"type": "homeOffice"}
    )
    company.sync()
    the(company, f"{ANN} offsite", Verdict.LEFT_OUT, "it begins after", "WINDOW_FUTURE_DAYS")
    the(company, far, Verdict.LEFT_OUT, "outside the mirrored window, which is from")
    the(company, old, Verdict.LEFT_OUT, "it ended before")
    the(company, no, Verdict.LEFT_OUT, "the employee has declined it", "answer to the invitation")
    the(company, office, Verdict.LEFT_OUT, "it is a working-location event")


def test_what_is_gone_in_google(company: Company) -> None:
    company.connect()
    event = put(company, summary="Lunch")
    company.sync()
    company.google.delete_event(ANN, event)
    the(company, event, Verdict.WAITING, "It is deleted in Google", "still stands in ERPNext")
    company.sync()
    name = name_of(company, event)
    for text in (event, name, f"{ANN} lunch"):
        the(company, text, Verdict.GONE, f"{name} is Cancelled in ERPNext")


def test_a_series_its_instances_and_a_moved_one(company: Company) -> None:
    company.connect()
    daily = ["RRULE:FREQ=DAILY;COUNT=5"]
    series = put(company, hours=3, summary="Stand-up", recurrence=daily)
    company.sync()
    now = company.services.clock()
    first, second, *_ = company.google.instance_ids(ANN, series, now, now + timedelta(days=9))
    body = company.timed(hours=200)
    company.google.move_instance(ANN, first, body["start"], body["end"])
    company.google.cancel_instance(ANN, second)
    the(company, series, Verdict.WAITING, "3 are in ERPNext as in Google", "2 are still to be")
    company.sync()
    the(company, series, Verdict.IN_ERPNEXT, "4 are in ERPNext as in Google", "with 4 instances")
    the(company, first, Verdict.IN_ERPNEXT, "instance of the series", "by its series it would")
    the(company, second, Verdict.GONE, "This instance of the series is cancelled in Google")
    the(company, f"{ANN} stand", Verdict.IN_ERPNEXT, "one instance of the series")


# --- what waits, and for what ---------------------------------------------------------------


def test_what_waits_for_its_reading(company: Company) -> None:
    company.connect_at_rest()
    event = put(company, summary="New")
    says = (
        "not in ERPNext yet",
        "has not read this",
        "polled next by",
        "no push since the last change",
    )
    assert not the(company, event, Verdict.WAITING, *says).steps
    with company.services.db.session() as session:
        live = channels.live(session, company.calendar().id, company.services.clock())
        assert live is not None
        live.heard_at = None
    silent = the(company, event, Verdict.WAITING, "not even Google's first message")
    assert "watcher doctor" in silent.steps[0]
    with company.services.db.session() as session:
        owing.owe_looks(session, [company.calendar().id], "push", company.services.clock())
    the(company, event, Verdict.WAITING, "waits for a worker since")
    company.later(minutes=5)
    late = the(company, event, Verdict.WAITING, "waits for a worker since")
    assert "watcher up" in late.steps[0]
    company.sync()
    the(company, event, Verdict.IN_ERPNEXT, "Read: the first time after the last change")


def test_a_calendar_without_a_channel(company: Company) -> None:
    company.connect()
    event = put(company)
    with company.services.db.session() as session:
        now = company.services.clock()
        live = channels.live(session, company.calendar().id, now)
        assert live is not None
        channels.stopped(session, live.id, now)
    answer = the(company, event, Verdict.WAITING, "no channel is open")
    assert answer.steps == (f"watcher channels renew {ANN}",)


def test_a_failing_calendar_says_why_and_when_it_is_tried_again(company: Company) -> None:
    company.connect()
    event = put(company)
    company.site.add_fault("insert_many", status=503, count=None)
    assert company.sync() == "failed"
    the(company, event, Verdict.BLOCKED, "Syncing this calendar has failed once", "tried again at")


@pytest.mark.parametrize(
    ("state", "cause", "step"),
    [
        (AccountState.PAUSED, "by_admin", f"watcher accounts resume {ANN}"),
        (AccountState.NEEDS_RECONNECT, "invalid_grant", "Admin console"),
    ],
)
def test_an_account_that_does_not_work_is_left_alone(
    company: Company, state: AccountState, cause: str, step: str
) -> None:
    company.connect()
    event = put(company, summary="Kept")
    company.sync()
    with company.services.db.session() as session:
        now = company.services.clock()
        accounts.set_state(accounts.get(session, ANN), state, cause, now)
    asked = company.google.log.counts()
    for text in (event, eids_link(company, event), f"{ANN} kept"):
        answer = the(company, text, Verdict.BLOCKED, f"({cause})", "read or written meanwhile")
        assert step in answer.steps[0]
    assert company.google.log.counts() == asked


def test_a_calendar_that_was_let_go(company: Company) -> None:
    company.connect()
    event = put(company)
    company.sync()
    with company.services.db.session() as session:
        company_calendar = session.get_one(Calendar, company.calendar().id)
        company_calendar.removed = True
    step = f"watcher calendars add {ANN} {ANN}"
    for text in (event, eids_link(company, event)):
        says = ("no longer mirrored", f"{name_of(company, event)} stands in ERPNext")
        assert the(company, text, Verdict.BLOCKED, *says).steps == (step,)


def test_a_mass_cancellation_that_waits_for_a_person(company: Company) -> None:
    company.connect()
    events = [put(company, hours=24 + n) for n in range(22)]
    company.sync()
    for event in events[:15]:
        company.google.delete_event(ANN, event)
    company.google.expire_sync_tokens()
    company.sync(snapshot=True)
    answer = the(company, events[0], Verdict.BLOCKED, "wait to be confirmed", "15 of 22")
    assert "--dry-run" in answer.steps[0]
    the(company, events[20], Verdict.IN_ERPNEXT, "as it stands in Google")


# --- ERPNext's part -------------------------------------------------------------------------


def test_what_erpnext_refuses_is_told_in_its_words(company: Company) -> None:
    company.connect()
    field = {"fieldname": "outlet", "label": "Outlet", "fieldtype": "Data", "reqd": 1}
    company.services.erpnext.insert({"doctype": "Custom Field", "dt": "Event", **field})
    event = put(company, summary="Shift")
    company.sync()
    answer = the(company, event, Verdict.SET_ASIDE, "ERPNext has refused it", "Outlet", "tried")
    assert answer.title == "Shift"


def test_what_erpnext_cannot_hold(company: Company) -> None:
    company.connect()
    odd = {"id": "odd12345", "start": {"dateTime": "0001-01-01T00:00:00Z"}}
    company.google.insert_event(ANN, company.timed(summary="Odd") | odd, raw=True)
    the(company, "odd12345", Verdict.SET_ASIDE, "ERPNext cannot hold it", "out of the range")
    company.sync()
    answer = the(company, "odd12345", Verdict.SET_ASIDE, "Set aside since", "when it changes")
    assert answer.title == "Odd"


def test_what_others_do_to_rows(company: Company) -> None:
    company.connect()
    moved, gone = put(company, summary="Moved"), put(company, hours=30, summary="Gone")
    company.sync()
    desk(company, "PUT", name_of(company, moved), subject="Dragged")
    answer = the(company, moved, Verdict.DIFFERS, "(subject)", f"{ADMIN} has written", "next poll")
    assert answer.steps == (f"watcher resync {ANN}",)
    name = name_of(company, gone)
    desk(company, "DELETE", name)
    for text in (gone, name):
        the(company, text, Verdict.DIFFERS, f"{name} was deleted in ERPNext by {ADMIN}", "full")
    company.sync(snapshot=True)
    the(company, gone, Verdict.IN_ERPNEXT, "as it stands in Google")


def test_the_same_event_in_two_calendars(company: Company) -> None:
    company.connect()
    company.add(BOB)
    event = put(company, summary="Meeting")
    company.google.insert_event(BOB, company.timed(summary="Meeting", id=event))
    company.sync()
    company.sync(BOB)
    report = ask(company, event)
    assert [answer.account for answer in report.answers] == [ANN, BOB]
    texts = " ".join(said.text for answer in report.answers for said in answer.said)
    assert "each with a row of its own" in texts
    the(company, eids_link(company, event, BOB), Verdict.IN_ERPNEXT, f"the calendar of {BOB}")


def test_of_many_that_fit_the_nearest_are_told(company: Company) -> None:
    company.connect()
    for days in range(-3, 8):
        put(company, hours=24 * days + 1, summary="Shift")
    company.sync()
    company.google.log.clear()
    report = ask(company, f"{ANN} shift")
    assert (len(report.answers), report.more) == (8, 3)
    told = [answer.day or "" for answer in report.answers]
    assert max(told) < f"{company.services.clock() + timedelta(days=6):%Y-%m-%d}"
    counts = company.google.log.counts()
    assert {route: counts[route] for route in counts if route.startswith("events")} == {
        "events.list": 1
    }


def test_rows_of_a_calendar_that_nobody_knows_any_more(company: Company) -> None:
    company.connect()
    event = put(company)
    company.sync()
    name = name_of(company, event)
    company.site.set_column("Event", name, "custom_google_account", "left@scoopjoy.test")
    for text in (event, name):
        the(company, text, Verdict.NOT_MIRRORED, "which Watcher does not know (any more)")


def test_an_event_of_the_desks_own(company: Company) -> None:
    company.connect()
    doc = {"doctype": "Event", "subject": "Own", "starts_on": "2026-12-24 10:00:00"}
    made = company.services.erpnext.insert({**doc, "event_type": "Public"})
    the(company, str(made["name"]), Verdict.NOT_MIRRORED, "was made in ERPNext, not by Watcher")


def test_an_imported_event_whose_id_no_field_takes(company: Company) -> None:
    company.connect()
    event = "_" + "6opj4c1g60o30c1g" * 12
    company.google.insert_event(ANN, company.timed(summary="Imported", id=event), raw=True)
    company.sync()
    (row,) = company.rows()
    assert row["custom_google_event_id"] != event
    the(company, event, Verdict.IN_ERPNEXT, "as it stands in Google", "Imported")
    the(company, str(row["name"]), Verdict.UNKNOWN, "id shortened", f"{row['name']} is there")


# --- not found, and sides that are away -----------------------------------------------------


def test_what_is_not_found_says_what_was_looked_through(company: Company) -> None:
    company.connect()
    company.google.add_calendar("outlet@group.calendar.google.com", owner=BOB)
    other = company.google.insert_event("outlet@group.calendar.google.com", company.timed())
    for text, said in (
        ("nosuchevent1", "Google, in 1 of 1 mirrored calendar"),
        ("EV99999", "ERPNext, for the Event EV99999"),
        (f"{ANN} nothing", f"Google, in the calendar {ANN}"),
        (f"{BOB} lunch", f"the ledger, for the account {BOB}"),
        (eids_link(company, other, "outlet@group.calendar.google.com"), "the ledger"),
    ):
        report = ask(company, text)
        assert (report.code, report.answers) == (ExitCode.NOT_FOUND, ())
        assert said in " ".join(report.searched)
    assert "is not mirrored" in report.sentence
    assert "watcher calendars add" in report.steps[0]


def test_a_side_that_is_away_leaves_what_the_ledger_knows(company: Company) -> None:
    company.connect()
    event = put(company, summary=SECRET)
    company.sync()
    name = name_of(company, event)
    company.site.add_fault(status=503, count=None)
    answer = the(company, eids_link(company, event), Verdict.UNKNOWN, "whether ERPNext holds it")
    assert ask(company, event).code == ExitCode.UNAVAILABLE
    assert ask(company, name).code == ExitCode.UNAVAILABLE
    assert answer.title == SECRET
    company.site.clear_faults()
    company.google.add_fault(match="/calendar/v3/", status=503)
    link = eids_link(company, event)
    report = ask(company, link)
    the(company, name, Verdict.UNKNOWN, "Google did not answer", f"{name} is there", "last read")
    assert report.code == ExitCode.UNAVAILABLE
    by_word = the(
        company, f"{ANN} {SECRET}", Verdict.UNKNOWN, "no event can be looked for", "last read"
    )
    assert by_word.event is None
    assert SECRET not in json.dumps(report.as_json())  # it may have become private meanwhile
    # A side that is away is asked once.
    before = company.google.log.counts()["events.get"]
    searched = ask(company, "nosuchevent1").searched
    assert not [each for each in searched if each.startswith("Google")]
    assert company.google.log.counts()["events.get"] == before + 1


def test_a_calendar_that_google_no_longer_shows(company: Company) -> None:
    company.connect()
    event = put(company)
    company.sync()
    company.google.remove_access(ANN, ANN)
    the(company, event, Verdict.BLOCKED, "Google does not show this calendar to the employee")


def test_the_command(company: Company) -> None:
    company.connect()
    event = put(company, summary="Stand-up")
    put(company, hours=26, summary="Stand-up late")
    company.sync()
    says = ('"Stand-up"', "It is in ERPNext as", "Google now", "ledger", "Times are of Asia/Kol")
    run(company, "explain", event, says=says)
    run(company, "explain", ANN, "stand-up", says=("Stand-up late", f"event {event}", "facts"))
    data = run(company, "explain", event, "--json").data
    assert data["found"]
    assert data["answers"][0]["verdict"] == "in_erpnext"
    run(company, "explain", "nosuchevent1", code=5, says=("was not found", "looked at:"))
    run(company, "explain", ANN, code=2, says=("which event of", "do: give an event's id"))


# --- the page -------------------------------------------------------------------------------


def page(company: Company, *, admin: str = ADMIN) -> FlaskClient:
    client = create_app(company.services).test_client()
    with client.session_transaction() as session:
        session["admin"], session["sign_outs"] = admin, 0
    return client


def told_of(client: FlaskClient, asked: str) -> str:
    """The page that answers."""
    return client.post("/event", data={"what": asked}, follow_redirects=True).text


def test_the_page_tells_the_same_and_to_admins_alone(company: Company) -> None:
    company.connect()
    event = put(company, summary="<b>Stand</b> up")
    put(company, hours=30, summary=SECRET, visibility="private")
    company.sync()
    client = page(company)
    assert b"looked through" not in client.get("/event").data
    told = told_of(client, event)
    for sentence in ask(company, event).answers[0].said:
        assert sentence.source in told
    assert f"It is in ERPNext as {name_of(company, event)}" in told
    assert "<b>" not in told
    many = client.post("/event", data={"what": f"{ANN} today"}).get_data(as_text=True)
    assert SECRET not in many
    wrong = told_of(client, "stand up")
    assert "Give an event&#39;s id" in wrong
    none = told_of(client, "nosuchevent1")
    assert "Such an event was not found." in none
    assert "1 of 1 mirrored calendar" in none
    stranger = page(company, admin=BOB)
    asked = company.google.log.counts()
    for answer in (stranger.get("/event"), stranger.post("/event", data={"what": event})):
        assert (answer.status_code, answer.location) in ((302, "/"), (303, "/"))
    assert company.google.log.counts() == asked


def test_the_page_lists_what_stands_aside_and_explains_it(company: Company) -> None:
    company.connect()
    field = {"fieldname": "outlet", "label": "Outlet", "fieldtype": "Data", "reqd": 1}
    company.services.erpnext.insert({"doctype": "Custom Field", "dt": "Event", **field})
    event = put(company, summary="Shift")
    company.sync()
    client, asked = page(company), company.google.log.counts()
    listed = client.get("/event").get_data(as_text=True)
    assert company.google.log.counts() == asked
    assert "Value missing for Event: Outlet" in listed
    assert "Shift" not in listed
    (what,) = re.findall(r'name="what" value="([^"]+)"', listed)
    assert what == f"{ANN} {event}"
    told = told_of(client, what)
    assert "ERPNext has refused it" in told
    assert "Shift" in told
    assert company.google.log.counts()["events.list"] == asked["events.list"]


def test_one_search_at_a_time_on_the_page(company: Company) -> None:
    company.connect()
    event, client = put(company), page(company)
    desk = client.application.extensions[explaining.DESK]
    with desk.lock:
        told = told_of(client, event)
    assert "Another search is still running" in told
    assert "not in ERPNext yet" in told_of(client, event)


# --- names elsewhere ------------------------------------------------------------------------


def test_verify_and_queue_name_events_by_title_and_day(company: Company) -> None:
    company.connect()
    field = {"fieldname": "outlet", "label": "Outlet", "fieldtype": "Data", "reqd": 1}
    company.services.erpnext.insert({"doctype": "Custom Field", "dt": "Event", **field})
    put(company, summary="Shift")
    put(company, hours=30, summary=SECRET, visibility="private")
    company.sync()
    named = run(company, "queue", "show", "--json").data["quarantined"]
    assert {(each["title"], each["private"]) for each in named} == {("Shift", False), (None, True)}
    assert all(each["day"] for each in named)
    says = ('"Shift" on 20', "private event, title not shown on 20")
    shown = run(company, "queue", "show", says=says)
    compared = run(company, "verify", ANN, code=7, says=says)
    assert SECRET not in shown.says + compared.says
    company.google.add_fault(match="/calendar/v3/", status=503)
    company.google.log.clear()
    run(company, "queue", "show", says=("Value missing",))
    assert company.google.log.counts()["events.get"] == 1
    key = company.folder / "useless.json"
    key.write_text("{}")
    company.set("google_service_account_file", str(key))
    run(company, "queue", "show", says=("Value missing",))
