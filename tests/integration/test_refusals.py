"""What ERPNext refuses: a site that refuses everything is told from an odd event, what became
private is deleted where it cannot be masked, and all of it is tried again by itself."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.company import ANN, Company
from watcher.erpnext.client import ErpNextClient
from watcher.jobs.timetable import retry_aside
from watcher.ledger import aside, overview
from watcher.ledger.models import Quarantined

pytestmark = pytest.mark.one_shape("postgres")

FIELD = "custom_outlet"


@pytest.fixture(autouse=True)
def connected(company: Company) -> None:
    company.connect()


def desk(company: Company) -> ErpNextClient:
    """An administrator of the site, who is not Watcher."""
    return company.services.erpnext


def make_mandatory(company: Company) -> None:
    """A field of the company's own, which every Event must have from now on."""
    desk(company).insert(
        {
            "doctype": "Custom Field",
            "dt": "Event",
            "fieldname": FIELD,
            "label": "Outlet",
            "fieldtype": "Data",
            "reqd": 1,
            "insert_after": "description",
        }
    )


def make_optional(company: Company) -> None:
    desk(company).delete("Custom Field", f"Event-{FIELD}")


def put(company: Company, count: int, first: int = 24) -> list[str]:
    return [
        company.google.insert_event(ANN, company.timed(hours=first + n, summary=f"Shift {n}"))
        for n in range(count)
    ]


def status(company: Company) -> dict[str, Any]:
    services = company.services
    with services.db.session() as session:
        return overview.status(
            services.db, session, services.clock(), {"live": 0, "backfill": 0}
        ).as_json()


def retry_now(company: Company) -> int:
    """As cron does once the pause is over."""
    with company.services.db.session() as session:
        for row in session.query(Quarantined):
            row.next_try_at = company.services.clock() - timedelta(seconds=1)
    return retry_aside(company.services)


def kinds(company: Company) -> list[str]:
    with company.services.db.session() as session:
        return sorted(row.kind for row, _, _ in aside.everything(session))


# --- a site that refuses everything -------------------------------------------------------------


def test_a_mandatory_field_makes_the_calendar_failing_and_is_named(company: Company) -> None:
    make_mandatory(company)
    put(company, 13)
    assert company.sync() == "done"
    [problem] = [p for p in status(company)["problems"] if p["account"] == ANN]
    assert (problem["state"], problem["cause"]) == ("failing", "refused_by_erpnext")
    assert "Outlet" in problem["message"]
    assert FIELD in problem["next_step"]
    assert status(company)["set_aside"]["count"] == 13
    make_optional(company)
    assert retry_now(company) == 1
    assert company.sync() == "done"
    assert len(company.rows()) == 13
    assert status(company)["calendars"]["failing"] == 0
    assert status(company)["set_aside"]["count"] == 0


def test_a_site_that_hides_tracebacks_names_the_field_all_the_same(company: Company) -> None:
    company.site.tracebacks = False
    make_mandatory(company)
    put(company, 3)
    assert company.sync() == "done"
    [problem] = [p for p in status(company)["problems"] if p["account"] == ANN]
    assert "Outlet" in problem["next_step"]


def test_few_events_are_sent_to_a_site_that_refuses_all(company: Company) -> None:
    """Trying a thousand events one by one would keep the site busy for nothing."""
    make_mandatory(company)
    put(company, 60)
    before = company.site.requests["POST /api/method/frappe.client.insert_many"]
    assert company.sync() == "done"
    sent = company.site.requests["POST /api/method/frappe.client.insert_many"] - before
    assert sent <= 16, "60 events halved down to single ones are 119 requests"
    assert status(company)["set_aside"]["count"] == 60


def test_it_stays_failing_until_something_is_accepted(company: Company) -> None:
    make_mandatory(company)
    put(company, 3)
    assert company.sync() == "done"
    assert company.sync() == "done"  # a pass with nothing to write
    assert company.calendar().state == "refused"


def test_one_odd_event_makes_nothing_unhealthy(company: Company) -> None:
    put(company, 5)
    company.google.insert_event(ANN, company.timed(hours=50, summary="odd"))
    company.site.add_fault(
        "insert_many", status=417, exc_type="ValidationError", message="no", count=4
    )
    assert company.sync() == "done"
    assert company.calendar().state == "ok"
    found = status(company)
    assert found["healthy"] or all(p["account"] != ANN for p in found["problems"])
    assert 1 <= found["set_aside"]["count"] <= 2
    assert found["set_aside"]["oldest"]


def test_several_odd_events_beside_accepted_ones_stay_odd(company: Company) -> None:
    """They are refused alike in each listing, long after the others were accepted."""
    put(company, 4)
    assert company.sync() == "done"
    for n in range(3):
        item = company.timed(hours=70 + n, summary="odd")
        item["start"] = {"dateTime": "garbage"}
        company.google.insert_event(ANN, item, raw=True)
    for _ in range(2):
        assert company.sync(snapshot=True) == "done"
    assert company.calendar().state == "ok"


def test_what_is_refused_is_tried_again_with_growing_pauses(company: Company) -> None:
    company.site.add_fault("insert_many", status=417, exc_type="ValidationError", count=None)
    put(company, 1)
    pauses = []
    for _ in range(4):
        assert company.sync(snapshot=True) == "done"
        with company.services.db.session() as session:
            [row] = session.query(Quarantined).all()
            assert row.next_try_at is not None
            pauses.append((row.next_try_at - company.services.clock()).total_seconds())
    assert all(later > before * 1.2 for before, later in zip(pauses, pauses[1:], strict=False))
    company.site.clear_faults()
    retry_now(company)
    assert company.sync() == "done"
    assert len(company.rows()) == 1
    assert kinds(company) == []


def test_what_cannot_be_mapped_is_not_tried_again(company: Company) -> None:
    item = company.timed(hours=30)
    item["start"] = {"dateTime": "garbage"}
    company.google.insert_event(ANN, item, raw=True)
    assert company.sync(snapshot=True) == "done"
    assert kinds(company) == ["unmappable"]
    assert retry_aside(company.services) == 0


def test_queue_show_says_when_and_what(company: Company) -> None:
    make_mandatory(company)
    put(company, 3)
    assert company.sync() == "done"
    shown = json.loads(company.watcher("queue", "show", "--json").stdout)["quarantined"]
    assert {row["cause"] for row in shown} == {"MandatoryError"}
    assert all(row["next_try"] and FIELD in row["next_step"] for row in shown)
    assert FIELD in company.watcher("queue", "show").stderr
    screen = company.watcher("status")
    assert screen.returncode == 7
    assert "MandatoryError" in screen.stdout


# --- what became private or was cancelled -------------------------------------------------------


def test_a_masking_that_is_refused_deletes_the_row(company: Company) -> None:
    [event_id] = put(company, 1)
    assert company.sync() == "done"
    make_mandatory(company)
    company.google.patch_event(ANN, event_id, {"visibility": "private"})
    assert company.sync() == "done"
    company.site.run_background_jobs()
    assert "Shift 0" not in company.site.dump()
    assert company.rows(live=False) == []
    assert kinds(company) == ["event"], "the masked row is to come"
    make_optional(company)
    retry_now(company)
    assert company.sync() == "done"
    assert company.subjects() == ["Busy"]


def test_a_masking_that_cannot_even_be_deleted_is_a_problem_at_once(company: Company) -> None:
    [event_id] = put(company, 1)
    assert company.sync() == "done"
    make_mandatory(company)
    company.site.add_fault(
        "^DELETE .*Event",
        status=417,
        exc_type="LinkExistsError",
        count=None,
        message="linked with a Task",
    )
    company.google.patch_event(ANN, event_id, {"visibility": "private"})
    assert company.sync() == "done"
    [problem] = [p for p in status(company)["problems"] if p["account"] == ANN]
    assert problem["state"] == "not_masked"
    assert "Shift" not in repr(status(company))
    company.site.clear_faults()
    make_optional(company)
    retry_now(company)
    assert company.sync() == "done"
    company.site.run_background_jobs()
    assert "Shift 0" not in company.site.dump()
    assert [p for p in status(company)["problems"] if p["account"] == ANN] == []


def test_a_cancellation_that_is_refused_is_a_problem_at_once(company: Company) -> None:
    [event_id] = put(company, 1)
    assert company.sync() == "done"
    make_mandatory(company)
    company.google.delete_event(ANN, event_id)
    assert company.sync() == "done"
    [problem] = [p for p in status(company)["problems"] if p["account"] == ANN]
    assert problem["state"] == "not_cancelled"
    make_optional(company)
    retry_now(company)
    assert company.sync() == "done"
    assert company.rows() == []
    assert [p for p in status(company)["problems"] if p["account"] == ANN] == []


# --- a full queue of background jobs ------------------------------------------------------------


def test_a_full_queue_loses_and_doubles_nothing(company: Company) -> None:
    """Frappe 16 writes, and then answers 500 with a page; deletions it answers 503."""
    if not hasattr(company.site, "queue_full") or "postgres" not in str(
        company.environ["WATCHER_DATABASE_URL"]
    ):
        return  # Frappe 15 has no such limit
    ids = put(company, 5)
    company.site.queue_full = True
    assert company.sync() == "done"
    company.google.patch_event(ANN, ids[0], {"summary": "Renamed"})
    assert company.sync() == "done"
    assert len(company.rows(live=False)) == 5
    assert "Renamed" in company.subjects()
    states = {p["state"]: p for p in status(company)["problems"]}
    assert "queue" in states["erpnext_answers_late"]["next_step"]
    company.google.patch_event(ANN, ids[1], {"visibility": "private"})
    assert company.sync() == "failed"
    assert "QueueOverloaded" in company.calendar().message
    company.site.queue_full = False
    assert company.sync() == "done"
    company.site.run_background_jobs()
    assert "Shift 1" not in company.site.dump()
    assert sorted(company.subjects()) == ["Busy", "Renamed", "Shift 2", "Shift 3", "Shift 4"]


# --- fields that the site does not have ---------------------------------------------------------


@pytest.mark.parametrize("answer", ["", "permission"])
def test_a_missing_field_is_called_missing_however_the_site_says_it(
    company: Company, answer: Any
) -> None:
    company.site.unknown_field_answer = answer
    desk(company).delete("Custom Field", "Event-custom_google_hash")
    put(company, 1)
    assert company.sync() == "failed"
    calendar = company.calendar()
    assert (calendar.state, calendar.cause) == ("failing", "missing_fields")
    assert company.watcher("erpnext", "setup").returncode == 0
    assert company.sync() == "done"


DEMANDED = (
    {"fieldtype": "Link", "options": "User"},
    {"fieldtype": "Select", "options": "\nA\nB"},
    {"fieldtype": "Date"},
    {"fieldtype": "Int"},
)


@pytest.mark.parametrize("field", DEMANDED, ids=lambda field: field["fieldtype"])
def test_whatever_field_is_mandatory_the_search_index_keeps_no_title(
    company: Company, field: dict[str, str]
) -> None:
    """Frappe fills its index later, with what was saved last: the mask has to be saved."""
    [event_id] = put(company, 1)
    assert company.sync() == "done"
    desk(company).insert(
        {
            "doctype": "Custom Field",
            "dt": "Event",
            "fieldname": FIELD,
            "label": "Outlet",
            "reqd": 1,
            "insert_after": "description",
            **field,
        }
    )
    company.google.patch_event(ANN, event_id, {"visibility": "private"})
    assert company.sync() == "done"
    company.site.run_background_jobs()
    assert "Shift 0" not in company.site.dump()


def test_a_masking_that_meets_a_lasting_500_deletes_the_row(company: Company) -> None:
    [event_id] = put(company, 1)
    assert company.sync() == "done"
    company.site.run_background_jobs()
    company.site.add_fault("bulk_update|^PUT .*Event", status=500, exc_type="TypeError", count=None)
    company.google.patch_event(ANN, event_id, {"visibility": "private"})
    assert company.sync() == "done"
    company.site.clear_faults()
    company.site.run_background_jobs()
    assert "Shift 0" not in company.site.dump()


def test_a_row_whose_account_was_overwritten_is_put_right(company: Company) -> None:
    """It is in no listing of the calendar's rows any more, and its key is taken."""
    put(company, 1)
    assert company.sync() == "done"
    [row] = company.rows()
    desk(company).update(
        {"doctype": "Event", "name": row["name"], "custom_google_account": "x@y.test"}
    )
    assert company.sync(snapshot=True) == "done"
    assert [r["name"] for r in company.rows()] == [row["name"]]
    assert all(p["state"] != "erpnext_answers_late" for p in status(company)["problems"])
