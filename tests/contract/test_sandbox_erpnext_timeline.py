"""What the stand-in keeps of an Event beyond its row, and when it is gone, as on real sites."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.contract.sandbox_erpnext import Person, integration, outcome

SECRET = "canary-5f2a"


@pytest.fixture(params=[15, 16], ids=["frappe 15", "frappe 16"])
def erp(request: pytest.FixtureRequest) -> Iterator[Person]:
    with integration(frappe=request.param) as person:
        yield person


def kept(erp: Person) -> set[str]:
    """The tables in which the secret stands."""
    lines = erp.site.dump().splitlines()
    return {line.partition(" {")[0] for line in lines if SECRET in line}


def changes(erp: Person, name: str) -> list[dict[str, Any]]:
    return [json.loads(row["data"]) for row in erp.list("Version", ["docname", "=", name])]


# --- Versions -----------------------------------------------------------------------------------


def test_each_changed_save_leaves_a_version(erp: Person) -> None:
    name = erp.event(subject="one", description="<p>a</p>")
    erp.change(name, subject="two\nlines", all_day=1, description="<p>b</p>", ends_on=None)
    erp.change(name, subject="two\nlines")
    erp.answer(
        "frappe.client.set_value", doctype="Event", name=name, fieldname="status", value="Closed"
    )
    docs = json.dumps([{"doctype": "Event", "docname": name, "starts_on": "2026-12-04 09:00:00"}])
    erp.answer("frappe.client.bulk_update", docs=docs)
    first, second, third = changes(erp, name)
    assert first == {
        "added": [],
        "removed": [],
        "row_changed": [],
        "data_import": None,
        "updater_reference": None,
        "changed": [
            ["subject", "one", "two<br>lines"],
            ["ends_on", "03-12-2026 11:00:00", None],
            ["all_day", 0, 1],
            ["description", "<p>a</p>", "<p>b</p>"],
        ],
    }
    assert second["changed"] == [["status", "Open", "Closed"]]
    assert third["changed"] == [["starts_on", "03-12-2026 10:00:00", "04-12-2026 09:00:00"]]


def test_the_dates_of_a_version_are_in_the_sites_format(erp: Person) -> None:
    erp.site.date_format = "yyyy-mm-dd"
    name = erp.event()
    erp.change(name, starts_on="2026-12-03 10:30:00")
    (found,) = changes(erp, name)
    assert found["changed"] == [["starts_on", "2026-12-03 10:00:00", "2026-12-03 10:30:00"]]


def test_participants_in_versions(erp: Person) -> None:
    name = erp.event()
    who = {"reference_doctype": "User", "reference_docname": erp.email}
    erp.change(name, event_participants=[who])
    (row,) = erp.read("Event", name)["event_participants"]
    erp.change(name, event_participants=[{**row, "email": "x@example.test"}])
    erp.change(name, event_participants=[])
    added, changed, removed = changes(erp, name)
    assert added["added"][0][1]["reference_docname"] == erp.email
    assert changed["row_changed"] == [
        ["event_participants", 0, row["name"], [["email", None, "x@example.test"]]]
    ]
    assert removed["removed"][0][1]["email"] == "x@example.test"


def test_a_failed_save_leaves_none(erp: Person) -> None:
    name = erp.event()
    refused = erp.send("PUT", f"/api/resource/Event/{name}", {"subject": "x", "status": "Nope"})
    assert refused.status_code == 417
    assert changes(erp, name) == []


def test_versions_of_other_document_types(erp: Person) -> None:
    todo = erp.make("ToDo", description="do it")
    erp.send("PUT", f"/api/resource/ToDo/{todo['name']}", {"status": "Closed"})
    (found,) = changes(erp, todo["name"])
    assert found["changed"] == [["status", "Open", "Closed"]]


def test_a_property_setter_switches_versions_off_at_once(erp: Person) -> None:
    name = erp.event()
    body = {
        "doctype_or_field": "DocType",
        "doc_type": "Event",
        "property": "track_changes",
        "property_type": "Check",
        "value": "0",
    }
    for _ in range(2):
        assert erp.make("Property Setter", **body)["name"] == "Event-main-track_changes"
    assert len(erp.list("Property Setter")) == 1
    erp.change(name, subject=SECRET)
    erp.change(name, subject="Busy")
    assert changes(erp, name) == []
    assert erp.read("DocType", "Event")["track_changes"] == 1
    ann = erp.another("ann@scoopjoy.test")
    refused = ann.send("POST", "/api/resource/Property Setter", body)
    assert outcome(refused) == (403, "PermissionError")
    assert erp.delete("Property Setter", "Event-main-track_changes").status_code == 202
    erp.change(name, subject="Shift")
    assert len(changes(erp, name)) == 1


# --- what a deletion leaves ---------------------------------------------------------------------


def test_masking_alone_hides_nothing(erp: Person) -> None:
    name = erp.event(subject=SECRET)
    erp.change(name, subject="Busy")
    assert kept(erp) == {"tabVersion"}
    erp.site.run_background_jobs()
    assert kept(erp) == {"tabVersion"}


def test_masked_deleted_and_made_anew_it_is_gone(erp: Person) -> None:
    name = erp.event(subject=SECRET, description=f"<p>{SECRET}</p>")
    erp.site.run_background_jobs()
    erp.change(name, subject="Busy", description="")
    assert erp.delete("Event", name).status_code == 202
    assert kept(erp) == {"tabVersion"}
    erp.site.run_background_jobs()
    assert kept(erp) == set()


def test_deleted_without_masking_the_row_stays_readable(erp: Person) -> None:
    name = erp.event(subject=SECRET)
    erp.site.run_background_jobs()
    assert kept(erp) == {"tabEvent", "tab__global_search"}
    erp.delete("Event", name)
    erp.site.run_background_jobs()
    assert kept(erp) == {"tabDeleted Document"}
    (row,) = erp.list("Deleted Document")
    assert json.loads(row["data"])["subject"] == SECRET
    assert (row["deleted_doctype"], row["deleted_name"], row["restored"]) == ("Event", name, 0)
    assert erp.delete("Deleted Document", row["name"]).status_code == 202
    assert kept(erp) == set()


def test_the_search_keeps_what_was_deleted_before_it_had_run(erp: Person) -> None:
    name = erp.event(subject=SECRET)
    erp.delete("Event", name)
    erp.site.run_background_jobs()
    assert kept(erp) == {"tabDeleted Document", "tab__global_search"}


def test_all_that_gathers_around_an_event(erp: Person) -> None:
    ann, contact = erp.another("ann@scoopjoy.test"), erp.site.add_contact("Cara", "cara@x.test")
    who = {"reference_doctype": "Contact", "reference_docname": contact}
    name = erp.event(subject=SECRET, event_participants=[who])
    comment(erp, name, SECRET)
    assign(erp, name, ann.email, SECRET)
    erp.answer("frappe.desk.doctype.tag.tag.add_tag", tag="vip", dt="Event", dn=name)
    erp.answer("frappe.share.add", doctype="Event", name=name, user=ann.email, read=1, notify=1)
    erp.site.run_background_jobs()
    tables = {"Event", "Comment", "ToDo", "Tag Link", "Notification Log", "Communication"}
    assert kept(erp) == {f"tab{each}" for each in {*tables, "__global_search"}}
    erp.change(name, subject="Busy")
    erp.delete("Event", name)
    erp.site.run_background_jobs()
    assert kept(erp) == set()
    assert erp.list("ToDo") == erp.list("DocShare") == erp.list("Tag Link") == []


def test_the_worker_goes_by_the_name_alone(erp: Person) -> None:
    """Names are given out again, and a late worker takes the new row for the old."""
    name = erp.event()
    erp.delete("Event", name)
    assert erp.event() == name
    erp.change(name, subject="new")
    erp.site.run_background_jobs()
    assert changes(erp, name) == []


def test_the_deletion_itself_is_in_the_timeline(erp: Person) -> None:
    name = erp.event(subject=SECRET)
    erp.delete("Event", name)
    (row,) = erp.list("Comment", ["comment_type", "=", "Deleted"])
    assert (row["subject"], row["reference_name"]) == (f"Event {name}", None)


def test_files_go_with_their_event(erp: Person) -> None:
    picture = '<p>x <img src="data:image/png;base64,iVBORw0KGgo="></p>'
    name = erp.event(description=picture)
    (row,) = erp.list("File")
    assert erp.read("Event", name)["description"] == (
        f'<p>x <img src="/private/files/{row["file_name"]}?fid={row["name"]}"></p>'
    )
    about = {"attached_to_doctype": "Event", "attached_to_name": name}
    erp.make("File", file_name=f"{SECRET}.pdf", file_url="/private/files/x.pdf", **about)
    erp.delete("Event", name)
    assert erp.list("File") == []
    assert kept(erp) == {"tabDeleted Document"}
    assert len(erp.list("Deleted Document", ["deleted_doctype", "=", "File"])) == 2


def test_an_error_takes_what_was_sent_into_the_error_log(erp: Person) -> None:
    """Measured on both: the traceback is kept with its variables, a quarter of an hour later."""
    body = {"subject": SECRET, "starts_on": "2026-12-03T10:00:00Z", "event_type": "Public"}
    assert erp.send("POST", "/api/resource/Event", body).status_code == 500
    refused = erp.send("POST", "/api/resource/Event", body | {"event_type": "Nope"})
    assert refused.status_code == 417
    assert kept(erp) == set()
    erp.site.run_background_jobs()
    assert kept(erp) == {"tabError Log"}
    (row,) = erp.list("Error Log")
    assert row["method"].startswith("(1292")
    assert erp.delete("Error Log", row["name"]).status_code == 202
    assert "tabError Log" not in kept(erp)


# --- participants -------------------------------------------------------------------------------


def test_a_contact_that_takes_part_gets_a_communication(erp: Person) -> None:
    contact = erp.site.add_contact("Cara", "cara@x.test")
    who = {"reference_doctype": "Contact", "reference_docname": contact}
    name = erp.event(subject=SECRET, description="<p>text</p>", event_participants=[who])
    (row,) = erp.list("Communication")
    assert (row["subject"], row["content"]) == (SECRET, "<p>text</p>")
    assert (row["reference_name"], row["communication_medium"]) == (name, "Event")
    (participant,) = erp.read("Event", name)["event_participants"]
    assert participant["email"] == "cara@x.test"
    erp.change(name, subject="Busy", description="")
    (row,) = erp.list("Communication")
    assert (row["subject"], row["content"]) == ("Busy", "Busy")
    (version,) = changes(erp, row["name"])
    assert version["changed"][0] == ["subject", SECRET, "Busy"]
    erp.delete("Event", name)
    erp.site.run_background_jobs()
    assert erp.list("Communication") == []
    assert {each["deleted_doctype"] for each in erp.list("Deleted Document")} == {
        "Event",
        "Communication",
    }
    assert kept(erp) == set()


def test_a_user_that_takes_part_gets_none(erp: Person) -> None:
    who = {"reference_doctype": "User", "reference_docname": erp.email}
    erp.event(event_participants=[who])
    assert erp.list("Communication") == []


def test_a_participant_that_is_not_there(erp: Person) -> None:
    who = {"reference_doctype": "User", "reference_docname": "nobody@scoopjoy.test"}
    refused = erp.send(
        "POST",
        "/api/resource/Event",
        {"subject": "x", "event_type": "Public", "event_participants": [who]},
    )
    assert outcome(refused) == (417, "LinkValidationError")
    assert "Row #1: Reference Name: nobody@scoopjoy.test" in refused.json()["exception"]


# --- dump ---------------------------------------------------------------------------------------


def test_a_dump_holds_everything_but_keys(erp: Person) -> None:
    name = erp.event(subject="of the row ünïcode")
    erp.change(name, subject="later")
    text = requests.get(f"{erp.url}/_sandbox/dump", timeout=10).json()["text"]
    assert text == erp.site.dump()
    assert "of the row" in text
    assert "later" in text
    assert not any(part in text for part in erp.pair)


def comment(erp: Person, name: str, content: str) -> None:
    who = {"comment_email": erp.email, "comment_by": "Integration"}
    erp.answer(
        "frappe.desk.form.utils.add_comment",
        reference_doctype="Event",
        reference_name=name,
        content=content,
        **who,
    )


def assign(erp: Person, name: str, whom: str, text: str) -> None:
    erp.answer(
        "frappe.desk.form.assign_to.add",
        doctype="Event",
        name=name,
        assign_to=json.dumps([whom]),
        description=text,
    )
