"""ERPNext's Employee, Frappe's own Google integration, mandatory fields, a full queue."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
import requests

from tests.contract.sandbox_erpnext import EVENT, Person, integration, outcome, said
from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.peculiarities import mandatory_fields


@pytest.fixture(params=[15, 16], ids=["frappe 15", "frappe 16"])
def erp(request: pytest.FixtureRequest) -> Iterator[Person]:
    with integration(frappe=request.param, erpnext=True) as person:
        person.site.make_hr()
        yield person


# --- Employee -----------------------------------------------------------------------------------


def test_employees_by_their_user(erp: Person) -> None:
    ann = erp.another("ann@scoopjoy.test")
    name = erp.site.add_employee("Ann", ann.email, branch="Baner", department="Outlet - SJ")
    assert name == "HR-EMP-00001"
    erp.site.add_employee("Without a user")
    (row,) = erp.list("Employee", ["user_id", "=", ann.email])
    assert (row["name"], row["employee_name"], row["status"]) == (name, "Ann", "Active")
    assert (row["branch"], row["department"], row["company"]) == (
        "Baner",
        "Outlet - SJ",
        "Scoop Joy",
    )
    assert [each["name"] for each in ann.list("Employee")] == [name]
    assert [each["name"] for each in erp.list("Branch")] == ["Baner"]


def test_what_an_employee_can_not_be(erp: Person) -> None:
    ann = erp.another("ann@scoopjoy.test")
    erp.site.add_employee("Ann", ann.email)
    path = f"/api/resource/Employee/{erp.site.add_employee('Bob')}"
    left = erp.send("PUT", path, {"status": "Left"})
    assert said(left) == ["Please enter relieving date."]
    twice = erp.send("PUT", path, {"user_id": ann.email})
    assert outcome(twice) == (409, "DuplicateEntryError")
    nobody = erp.send("PUT", path, {"user_id": "nobody@x.test"})
    assert said(nobody) == ["Could not find User ID: nobody@x.test"]
    gone = erp.send("GET", "/api/resource/Employee/HR-EMP-99999")
    assert outcome(gone) == (404, "DoesNotExistError")


def test_a_custom_field_links_an_event_to_the_employee(erp: Person) -> None:
    erp.make(
        "Custom Field",
        dt="Event",
        fieldname="custom_employee",
        fieldtype="Link",
        options="Employee",
        label="Employee",
    )
    name = erp.event(custom_employee=erp.site.add_employee("Ann"))
    assert erp.read("Event", name)["custom_employee"] == "HR-EMP-00001"
    lost = erp.send("PUT", f"/api/resource/Event/{name}", {"custom_employee": "HR-EMP-00009"})
    assert said(lost) == ["Could not find Employee: HR-EMP-00009"]


def test_a_site_without_erpnext_knows_no_employee() -> None:
    with integration(frappe=16) as person:
        for answer in (
            person.send("GET", "/api/resource/Employee"),
            person.call("frappe.client.get_list", doctype="Employee"),
            person.call("frappe.client.get_count", doctype="Employee"),
            person.call("frappe.client.has_permission", doctype="Employee", docname=""),
            person.send("GET", "/api/resource/DocType/Employee"),
        ):
            assert outcome(answer) == (404, "DoesNotExistError")
            assert said(answer) == ["DocType Employee not found"]
        for answer in (
            person.send("GET", "/api/resource/Employee/HR-EMP-00001"),
            person.send("POST", "/api/resource/Employee", {"employee_name": "Ann"}),
        ):
            assert outcome(answer) == (500, "ImportError")
            line = "Error: No module named 'frappe.core.doctype.employee'"
            assert answer.json()["exception"] == line
        with pytest.raises(ValueError, match="no ERPNext"):
            person.site.add_employee("Ann")


def test_document_types_can_be_listed(erp: Person) -> None:
    names = ["name", "in", ["Event", "Employee", "Event Participants", "Nope"]]
    found = {row["name"]: row["istable"] for row in erp.list("DocType", names)}
    assert found == {"Event": 0, "Employee": 0, "Event Participants": 1}
    with integration(frappe=erp.site.frappe) as bare:
        assert {row["name"] for row in bare.list("DocType", names)} == {
            "Event",
            "Event Participants",
        }
    assert erp.send("GET", "/api/resource/DocType/Event").json()["data"]["track_changes"] == 1


def test_employees_over_the_control_api(erp: Person) -> None:
    body = {"employee_name": "Ann", "branch": "Baner"}
    answer = requests.post(f"{erp.url}/_sandbox/employee", json=body, timeout=10)
    assert answer.json() == {"name": "HR-EMP-00001"}


# --- Frappe's own Google Calendar ---------------------------------------------------------------


def test_frappes_own_integration_can_be_seen(erp: Person) -> None:
    assert erp.list("Google Calendar") == []
    ann = erp.another("ann@scoopjoy.test")
    name = erp.site.add_google_calendar(ann.email)
    (row,) = erp.list("Google Calendar")
    assert (row["name"], row["user"], row["enable"]) == (name, ann.email, 1)
    assert row["pull_from_google_calendar"] == row["push_to_google_calendar"] == 1
    assert erp.event(google_calendar=name, sync_with_google_calendar=1)
    refused = ann.call("frappe.client.get_list", doctype="Google Calendar")
    assert outcome(refused) == (403, "PermissionError")


# --- a mandatory field of the site's own --------------------------------------------------------


def test_a_mandatory_field_refuses_every_insert_and_update(erp: Person) -> None:
    name = erp.event()
    field = erp.make(
        "Custom Field",
        dt="Event",
        fieldname="cost_centre",
        fieldtype="Data",
        label="Cost Centre",
        reqd=1,
    )
    insert = erp.send("POST", "/api/resource/Event", EVENT)
    update = erp.send("PUT", f"/api/resource/Event/{name}", {"subject": "x"})
    for answer in (insert, update):
        assert outcome(answer) == (417, "MandatoryError")
        assert said(answer) == ["Error: Value missing for Event: Cost Centre"]
    assert update.json()["exception"] == (
        f"frappe.exceptions.MandatoryError: [Event, {name}]: cost_centre"
    )
    docs = json.dumps([{"doctype": "Event", "docname": name, "subject": "x"}])
    failed = erp.answer("frappe.client.bulk_update", docs=docs)["failed_docs"]
    assert "MandatoryError" in failed[0]["exc"]
    erp.change(name, cost_centre="HQ")
    assert erp.send("PUT", f"/api/resource/Custom Field/{field['name']}", {"reqd": 0}).ok
    erp.event()


@pytest.mark.parametrize(
    ("kind", "more", "status"),
    [
        ("Select", {"options": "A\nB"}, 200),
        ("Select", {"options": "\nA\nB"}, 417),
        ("Select", {"options": "\nA\nB", "default": "B"}, 200),
        ("Check", {}, 200),
        ("Data", {}, 417),
        ("Data", {"default": "HQ"}, 200),
        ("Int", {}, 417),
        ("Date", {}, 417),
        ("Link", {"options": "User"}, 417),
        ("Text Editor", {}, 417),
    ],
)
def test_what_frappe_fills_in_itself_refuses_nothing(
    erp: Person, kind: str, more: dict[str, str], status: int
) -> None:
    """As measured on 15.43; and Watcher tells an admin of those alone that are refused."""
    given = {"fieldname": "custom_cost", "fieldtype": kind, "label": "Cost", "reqd": 1}
    erp.make("Custom Field", dt="Event", **given, **more)
    answer = erp.send("POST", "/api/resource/Event", EVENT)
    assert answer.status_code == status
    client = ErpNextClient(erp.url, *erp.pair)
    assert mandatory_fields(client) == ([] if answer.ok else ["custom_cost"])


def test_event_s_own_fields_that_the_site_makes_mandatory(erp: Person) -> None:
    """In "Customize Form", which sets a default there as well."""
    client = ErpNextClient(erp.url, *erp.pair)
    setter = {"doctype_or_field": "DocField", "doc_type": "Event", "property_type": "Data"}
    for name in ("event_category", "starts_on", "color", "sender"):
        given = {"field_name": name, "property": "reqd", "value": "1"}
        erp.make("Property Setter", **setter, **given)
    assert mandatory_fields(client) == ["color", "sender"]
    given = {"field_name": "color", "property": "default", "value": "#29CD42"}
    erp.make("Property Setter", **setter, **given)
    assert mandatory_fields(client) == ["sender"]


# --- 16's full queue ----------------------------------------------------------------------------


def test_a_full_queue_commits_saves_and_refuses_deletions(erp: Person) -> None:
    name = erp.event()
    requests.post(f"{erp.url}/_sandbox/troubles", json={"queue_full": True}, timeout=10)
    docs = [{"doctype": "Event", **EVENT, "subject": f"many {n}"} for n in range(3)]
    changes = [{"doctype": "Event", "docname": name, "subject": "bulk"}]
    answers = [
        erp.send("POST", "/api/resource/Event", EVENT | {"subject": "one"}),
        erp.call("frappe.client.insert_many", docs=json.dumps(docs)),
        erp.call("frappe.client.bulk_update", docs=json.dumps(changes)),
        erp.call(
            "frappe.client.set_value", doctype="Event", name=name, fieldname="all_day", value=1
        ),
    ]
    delete = erp.delete("Event", name)
    full = erp.site.frappe == 16
    assert {outcome(each) for each in answers} == {(500, "html") if full else (200, "")}
    assert outcome(delete) == ((503, "QueueOverloaded") if full else (202, ""))
    assert len(erp.site.events()) == (5 if full else 4)
    if full:
        row = erp.read("Event", name)
        assert (row["subject"], row["all_day"]) == ("bulk", 1)
        assert erp.site.background == []
        assert erp.list("Deleted Document") == []
    refused = erp.send("POST", "/api/resource/Event", EVENT | {"status": "Nope"})
    assert outcome(refused) == (417, "ValidationError")
    requests.delete(f"{erp.url}/_sandbox/troubles", timeout=10)
    erp.event()


def test_the_answer_comes_late_when_wanted(erp: Person) -> None:
    erp.site.set_troubles({"queue_full": True, "queue_delay": 0.2})
    began = time.monotonic()
    erp.send("POST", "/api/resource/Event", EVENT)
    assert (time.monotonic() - began >= 0.2) == (erp.site.frappe == 16)
