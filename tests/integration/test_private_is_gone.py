"""What has become private is nowhere in ERPNext once its background jobs have run.

The proof is a search through everything that the site keeps: rows, Versions, Deleted Documents,
Communications, notifications, the search index. The site keeps them as Frappe 15 (on SQLite) and
Frappe 16 (on PostgreSQL) do.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from tests.company import ANN, BOB, Company
from watcher.erpnext.client import ErpNextClient
from watcher.jobs.erasures import look_after_erased
from watcher.ledger import calendars, overview

CANARY = "Canary-7f3a"
MANAGER = "manager@scoopjoy.test"
PRIVATE: dict[str, Any] = {"visibility": "private"}


@pytest.fixture(autouse=True)
def connected(company: Company) -> None:
    """By the least rights that are promised to do."""
    company.connect()
    company.give_role()


def put(company: Company, hours: float = 24, **extra: Any) -> str:
    body: dict[str, Any] = {
        "summary": f"{CANARY} title",
        "description": f"{CANARY} text",
        "location": f"{CANARY} place",
        "hangoutLink": f"https://meet.google.com/{CANARY}",
    }
    made: str = company.google.insert_event(ANN, company.timed(hours=hours, **body, **extra))
    assert company.sync() == "done"
    return made


def row_of(company: Company, event_id: str) -> dict[str, Any]:
    return next(
        row for row in company.rows(live=False) if row["custom_google_event_id"] == event_id
    )


def ask(company: Company, method: str, **params: Any) -> Any:
    """As a person in the Desk would."""
    answer = requests.post(
        f"{company.environ['WATCHER_ERPNEXT_URL']}/api/method/{method}",
        json=params,
        timeout=30,
        headers={"Authorization": f"token {company.site.api_key}:{company.site.api_secret}"},
    )
    assert answer.ok, answer.text
    return answer.json().get("message")


def is_gone(company: Company) -> bool:
    company.site.run_background_jobs()
    return CANARY not in company.site.dump()


def test_the_search_finds_what_is_kept_of_a_title(company: Company) -> None:
    """Without this, the tests below could not fail."""
    event_id = put(company)
    company.google.patch_event(ANN, event_id, {"summary": "Renamed", "description": ""})
    assert company.sync() == "done"
    assert any(CANARY in str(row["data"]) for row in company.site.rows("Version"))


@pytest.mark.parametrize("visibility", ["private", "confidential"])
def test_an_event_made_private_is_gone_with_its_history(company: Company, visibility: str) -> None:
    event_id = put(company)
    before = row_of(company, event_id)
    company.google.patch_event(ANN, event_id, {"summary": f"{CANARY} renamed"})
    assert company.sync() == "done"
    company.google.patch_event(ANN, event_id, {"visibility": visibility})
    assert company.sync() == "done"
    assert is_gone(company)
    [row] = company.rows(live=False)
    assert (row["subject"], row["status"]) == ("Busy", "Open")
    assert row["custom_google_sync_key"] == before["custom_google_sync_key"]
    assert row["starts_on"] == before["starts_on"]
    assert company.sync(snapshot=True) == "done"
    assert company.watcher("verify").returncode == 0


def test_private_and_free_is_not_busy(company: Company) -> None:
    event_id = put(company, transparency="transparent")
    company.google.patch_event(ANN, event_id, PRIVATE)
    assert company.sync() == "done"
    assert row_of(company, event_id)["subject"] == "Private"
    assert is_gone(company)


def in_words(company: Company, busy: str, free: str = "Private") -> None:
    company.rebuild()
    company.set("busy_title", busy)
    company.set("free_title", free)
    assert company.sync() == "done"


def test_another_word_for_busy_is_written_once_and_former_ones_stay_known(company: Company) -> None:
    """The rows stay, with what people have added to them: nothing of them was readable."""
    event_id = put(company, **PRIVATE)
    free = put(company, hours=26, transparency="transparent", **PRIVATE)
    before = row_of(company, event_id)
    ask(
        company,
        "frappe.desk.form.utils.add_comment",
        reference_doctype="Event",
        reference_name=before["name"],
        content="Is that the dentist?",
        comment_email=MANAGER,
        comment_by="Manager",
    )
    for busy, name in (("Beschäftigt", "Privat"), ("Ocupado", "Private"), ("Busy", "Private")):
        in_words(company, busy, name)
        after = row_of(company, event_id)
        assert (after["name"], after["subject"]) == (before["name"], busy)
        assert row_of(company, free)["subject"] == name
        comments = [row["reference_name"] for row in company.site.rows("Comment")]
        assert comments.count(before["name"]) == 1
        stamp = after["modified"]
        assert company.sync(snapshot=True) == "done"
        assert row_of(company, event_id)["modified"] == stamp
    # What was readable meanwhile is gone, whichever word stands for it.
    company.google.patch_event(ANN, event_id, {"visibility": "default"})
    assert company.sync() == "done"
    assert row_of(company, event_id)["subject"] == f"{CANARY} title"
    in_words(company, "Besetzt")
    company.google.patch_event(ANN, event_id, PRIVATE)
    assert company.sync() == "done"
    assert row_of(company, event_id)["subject"] == "Besetzt"
    assert is_gone(company)


def test_a_series_made_private_is_gone_with_its_history(company: Company) -> None:
    series = put(company, recurrence=["RRULE:FREQ=DAILY;COUNT=5"])
    moved = f"{CANARY} moved"
    first = company.rows()[0]["custom_google_event_id"]
    company.google.patch_event(ANN, first, {"summary": moved})
    assert company.sync() == "done"
    dropped = company.rows()[2]["custom_google_event_id"]
    company.google.delete_event(ANN, dropped)
    assert company.sync() == "done"
    company.google.patch_event(ANN, series, PRIVATE)
    assert company.sync() == "done"
    assert is_gone(company)
    assert company.subjects() == ["Busy"] * 4


def test_moved_out_of_the_window_and_private_is_gone(company: Company) -> None:
    event_id = put(company)
    away = company.timed(hours=24 * 60)
    company.google.patch_event(
        ANN, event_id, {**PRIVATE, "start": away["start"], "end": away["end"]}
    )
    assert company.sync() == "done"
    assert is_gone(company)
    assert row_of(company, event_id)["status"] == "Cancelled"


def test_left_out_because_it_is_private_is_gone(company: Company) -> None:
    event_id = put(company)
    company.rebuild()
    company.set("private_events", "skip")
    company.google.patch_event(ANN, event_id, PRIVATE)
    assert company.sync() == "done"
    assert is_gone(company)
    assert company.rows() == []


def test_deleted_instead_of_cancelled_is_gone(company: Company) -> None:
    company.rebuild()
    company.set("cancelled_events", "delete")
    event_id = put(company)
    company.set("private_events", "skip")
    company.rebuild()
    company.google.patch_event(ANN, event_id, PRIVATE)
    assert company.sync() == "done"
    assert is_gone(company)
    assert company.rows(live=False) == []


def test_deleted_by_hand_then_made_private_is_gone(company: Company) -> None:
    """Frappe keeps the JSON of what is deleted; the row that comes back is a new one."""
    event_id = put(company)
    ask(company, "frappe.client.delete", doctype="Event", name=row_of(company, event_id)["name"])
    company.google.patch_event(ANN, event_id, PRIVATE)
    assert company.sync() == "done"
    assert is_gone(company)
    assert company.subjects() == ["Busy"]


def test_what_people_added_goes_along_or_is_named(
    company: Company, caplog: pytest.LogCaptureFixture
) -> None:
    event_id = put(company)
    name = row_of(company, event_id)["name"]
    ask(company, "frappe.desk.doctype.tag.tag.add_tag", tag="Outlet", dt="Event", dn=name)
    ask(
        company,
        "frappe.desk.form.assign_to.add",
        doctype="Event",
        name=name,
        assign_to=json.dumps([BOB]),
    )
    ask(company, "frappe.share.add", doctype="Event", name=name, user=BOB, read=1, notify=0)
    comment = {"content": f"about {CANARY}", "comment_email": BOB, "comment_by": "Bob"}
    ask(
        company,
        "frappe.desk.form.utils.add_comment",
        reference_doctype="Event",
        reference_name=name,
        **comment,
    )
    ask(
        company,
        "frappe.client.set_value",
        doctype="Event",
        name=name,
        fieldname="event_category",
        value="Meeting",
    )
    company.google.patch_event(ANN, event_id, PRIVATE)
    caplog.set_level("INFO")
    assert company.sync() == "done"
    assert is_gone(company)
    row = row_of(company, event_id)
    assert row["name"] != name
    assert row["event_category"] == "Meeting"
    assert "Outlet" in (row["_user_tags"] or "")
    assert BOB in (row["_assign"] or "")
    shares = [s for s in company.site.rows("DocShare") if s["share_name"] == row["name"]]
    assert [s["user"] for s in shares] == [BOB]
    said = [r for r in caplog.records if "made anew" in r.getMessage()]
    assert said[0].lost == {"comments": 1}  # type: ignore[attr-defined]
    assert CANARY not in caplog.text


def test_rows_that_an_earlier_version_masked_are_healed(company: Company) -> None:
    """It overwrote the row and left what the timeline keeps."""
    event_id = put(company)
    name = row_of(company, event_id)["name"]
    company.google.patch_event(ANN, event_id, PRIVATE)
    fields = {"subject": "Busy", "description": "", "location": "", "google_meet_link": ""}
    known = {k: v for k, v in fields.items() if k in row_of(company, event_id)}
    ask(company, "frappe.client.set_value", doctype="Event", name=name, fieldname=json.dumps(known))
    assert not is_gone(company)
    assert company.sync(snapshot=True) == "done"
    assert is_gone(company)


WRITES = "bulk_update|insert_many|^PUT |^DELETE |^POST /api/resource"


@pytest.mark.parametrize("done", [False, True], ids=["undone", "done"])
@pytest.mark.parametrize("through", range(6))
def test_broken_off_anywhere_it_is_gone_after_the_next_pass(
    company: Company, through: int, done: bool
) -> None:
    """ERPNext goes away at each of the writes in turn, before or after it was carried out."""
    event_id = put(company)
    company.google.patch_event(ANN, event_id, {"summary": f"{CANARY} renamed"})
    assert company.sync() == "done"
    company.google.patch_event(ANN, event_id, PRIVATE)
    if through:
        company.site.add_fault(WRITES, status=0, count=through)
    company.site.add_fault(WRITES, status=502, html=True, count=None, after_commit=done)
    company.sync()
    company.site.clear_faults()
    assert company.sync() == "done"
    assert company.sync(snapshot=True) == "done"
    assert is_gone(company)
    assert company.subjects() == ["Busy"]
    assert [row["status"] for row in company.rows(live=False)] == ["Open"]


def test_the_ledger_and_the_log_keep_no_title(
    company: Company, caplog: pytest.LogCaptureFixture
) -> None:
    """A refusal may quote what was sent: what is kept of it does not."""
    caplog.set_level("DEBUG")
    company.site.add_fault(
        "insert_many",
        status=417,
        exc_type="CharacterLengthExceededError",
        count=None,
        message=f"'Subject' ({CANARY} title) will get truncated",
    )
    put(company)
    with company.services.db.session() as session:
        document = overview.status(
            company.services.db, session, company.services.clock(), {}
        ).as_json()
    assert document["set_aside"]["count"] == 1
    assert "will get truncated" in document["set_aside"]["causes"][0]["message"]
    assert CANARY not in repr(document)
    assert CANARY not in caplog.text
    if company.environ["WATCHER_DATABASE_URL"].startswith("sqlite"):
        path = company.environ["WATCHER_DATABASE_URL"].removeprefix("sqlite:///")
        with open(path, "rb") as ledger:
            assert CANARY.encode() not in ledger.read()


# --- what a second search found -----------------------------------------------------------------


def test_a_single_event_that_becomes_a_private_series_is_gone(company: Company) -> None:
    event_id = put(company)
    company.google.patch_event(
        ANN, event_id, {**PRIVATE, "recurrence": ["RRULE:FREQ=DAILY;COUNT=3"]}
    )
    assert company.sync() == "done"
    assert is_gone(company)
    assert company.subjects() == ["Busy"] * 3


def test_instances_of_a_former_rule_are_gone(company: Company) -> None:
    """They have aged out, Google has forgotten their ids, and then the series becomes private."""
    series = put(company, hours=2, recurrence=["RRULE:FREQ=DAILY;COUNT=12"])
    company.later(days=9)
    later = company.timed(hours=2 + 24 * 9)
    body = {"start": later["start"], "end": later["end"]}
    company.google.patch_event(ANN, series, {**body, "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=3"]})
    assert company.sync() == "done"
    assert any(CANARY in row["subject"] and row["status"] == "Open" for row in company.rows())
    company.google.patch_event(ANN, series, PRIVATE)
    assert company.sync() == "done"
    assert is_gone(company)
    assert {row["status"] for row in company.rows()} == {"Open"}, "history stays where it was"


def test_a_deleted_instance_of_a_private_series_is_gone_by_a_listing_too(company: Company) -> None:
    series = put(company, recurrence=["RRULE:FREQ=DAILY;COUNT=4"])
    company.google.delete_event(ANN, company.rows()[1]["custom_google_event_id"])
    assert company.sync() == "done"
    company.google.patch_event(ANN, series, PRIVATE)
    company.google.expire_sync_tokens()
    assert company.sync() == "done"
    assert is_gone(company)


def test_an_instance_made_private_hides_its_whole_series(company: Company) -> None:
    """Google makes the series private with any of its instances."""
    put(company, recurrence=["RRULE:FREQ=DAILY;COUNT=4"])
    company.google.patch_event(ANN, company.rows()[1]["custom_google_event_id"], PRIVATE)
    assert company.sync() == "done"
    assert is_gone(company)
    assert company.subjects() == ["Busy"] * 4


def test_deleted_while_readable_and_private_later_is_gone(company: Company) -> None:
    """With WATCHER_CANCELLED_EVENTS=delete Frappe keeps the JSON of what was deleted."""
    company.rebuild()
    company.set("cancelled_events", "delete")
    event_id = put(company)
    me = {"email": ANN, "self": True}
    company.google.patch_event(ANN, event_id, {"attendees": [{**me, "responseStatus": "declined"}]})
    assert company.sync() == "done"
    assert company.rows(live=False) == []
    accepted = [{**me, "responseStatus": "accepted"}]
    company.google.patch_event(ANN, event_id, {**PRIVATE, "attendees": accepted})
    assert company.sync() == "done"
    assert is_gone(company)
    assert company.subjects() == ["Busy"]


def test_an_assignment_that_quotes_the_title_is_gone(company: Company) -> None:
    """The Desk fills the assignment's text with the event's title."""
    event_id = put(company)
    name = row_of(company, event_id)["name"]
    ask(
        company,
        "frappe.desk.form.assign_to.add",
        doctype="Event",
        name=name,
        assign_to=json.dumps([BOB]),
        description=f"{CANARY} title",
    )
    company.site.run_background_jobs()
    company.google.patch_event(ANN, event_id, PRIVATE)
    assert company.sync() == "done"
    assert is_gone(company)
    assert BOB in (row_of(company, event_id)["_assign"] or "")


def test_an_error_that_erpnext_logs_later_is_gone(company: Company) -> None:
    """Frappe writes the error of a request, with its data, a quarter of an hour after it."""
    event_id = put(company)
    row = row_of(company, event_id)
    company.google.patch_event(ANN, event_id, PRIVATE)
    assert company.sync() == "done"
    company.site.run_background_jobs()
    company.site.make(
        "Error Log",
        owner="Administrator",
        method="late",
        error=f"docs = {{'subject': '{CANARY}', 'key': '{row['custom_google_sync_key']}'}}",
    )
    assert not is_gone(company)
    company.later(minutes=25)
    assert look_after_erased(company.services) >= 1
    assert is_gone(company)
    for hours in (3, 30):
        company.later(hours=hours)
        look_after_erased(company.services)
    assert look_after_erased(company.services) == 0


@pytest.mark.parametrize("through", range(8))
def test_broken_off_anywhere_nothing_that_people_added_is_lost(
    company: Company, through: int
) -> None:
    company.rebuild()
    company.set("default_event_type", "Private")
    event_id = put(company)
    name = row_of(company, event_id)["name"]
    ask(company, "frappe.desk.doctype.tag.tag.add_tag", tag="Outlet", dt="Event", dn=name)
    ask(
        company,
        "frappe.desk.form.assign_to.add",
        doctype="Event",
        name=name,
        assign_to=json.dumps([BOB]),
    )
    company.google.patch_event(ANN, event_id, PRIVATE)
    writes = f"{WRITES}|add_tag|assign_to|share.add"
    if through:
        company.site.add_fault(writes, status=0, count=through)
    company.site.add_fault(writes, status=502, html=True, count=None)
    company.sync()
    company.site.clear_faults()
    assert company.sync() == "done"
    assert company.sync(snapshot=True) == "done"
    assert is_gone(company)
    [row] = company.rows(live=False)
    shares = [s["user"] for s in company.site.rows("DocShare") if s["share_name"] == row["name"]]
    assert "Outlet" in (row["_user_tags"] or "")
    assert BOB in (row["_assign"] or "")
    assert ANN in shares


def test_an_own_field_with_unique_values_goes_along(company: Company) -> None:
    key = company.site.add_user(MANAGER, system_manager=True)
    ErpNextClient(company.environ["WATCHER_ERPNEXT_URL"], *key).insert(
        {
            "doctype": "Custom Field",
            "dt": "Event",
            "fieldname": "custom_ticket",
            "unique": 1,
            "label": "Ticket",
            "fieldtype": "Data",
            "insert_after": "description",
        }
    )
    event_id = put(company)
    ask(
        company,
        "frappe.client.set_value",
        doctype="Event",
        fieldname="custom_ticket",
        name=row_of(company, event_id)["name"],
        value="T-1",
    )
    company.google.patch_event(ANN, event_id, PRIVATE)
    assert company.sync() == "done"
    assert is_gone(company)
    assert row_of(company, event_id)["custom_ticket"] == "T-1"


def test_private_rows_of_another_policy_are_masked(company: Company) -> None:
    """From readable for the employee to masked: rows that are cancelled or past as well."""
    company.rebuild()
    company.set("private_events", "private")
    gone = put(company, **PRIVATE)
    put(company, hours=50, **PRIVATE)
    company.google.delete_event(ANN, gone)
    assert company.sync() == "done"
    company.rebuild()
    company.set("private_events", "busy")
    assert company.sync() == "done"
    assert is_gone(company)


def test_hostile_rows_of_an_earlier_version_are_made_safe(company: Company) -> None:
    """They are cancelled: no listing writes them anew."""
    event_id = put(company)
    name = row_of(company, event_id)["name"]
    company.google.delete_event(ANN, event_id)
    assert company.sync() == "done"
    title, text = '{"t2":"<script>alert(1)</script>"}', '"<img src=x onerror=alert(1)>"'
    for column, value in (("subject", title), ("description", text)):
        company.site.set_column("Event", name, column, value)
    with company.services.db.session() as session:
        calendars.get(session, company.calendar().id).rows_seen = ""  # as after an upgrade
    assert company.sync(snapshot=True) == "done"
    row = row_of(company, event_id)
    assert row["status"] == "Cancelled"
    assert "<script" not in row["subject"]
    assert "<img" not in row["description"]


def test_the_communication_of_a_participant_who_was_removed_is_gone(company: Company) -> None:
    """Frappe keeps it with the title, and puts it into the search index later."""
    event_id = put(company)
    name = row_of(company, event_id)["name"]
    guest = company.site.add_contact("Guest", "guest@example.com")
    for guests in ([{"reference_doctype": "Contact", "reference_docname": guest}], []):
        answer = requests.put(
            f"{company.environ['WATCHER_ERPNEXT_URL']}/api/resource/Event/{name}",
            json={"event_participants": guests},
            timeout=30,
            headers={"Authorization": f"token {company.site.api_key}:{company.site.api_secret}"},
        )
        assert answer.ok
    assert company.site.rows("Communication")
    company.google.patch_event(ANN, event_id, PRIVATE)
    assert company.sync() == "done"
    assert is_gone(company)
