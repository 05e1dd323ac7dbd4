"""What people do to an Event in the Desk: comment, assign, tag, share, like; and ToDo."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.contract.sandbox_erpnext import Person, integration, outcome, said

ADD_COMMENT = "frappe.desk.form.utils.add_comment"
ASSIGN, UNASSIGN = "frappe.desk.form.assign_to.add", "frappe.desk.form.assign_to.remove"
TAG, UNTAG = "frappe.desk.doctype.tag.tag.add_tag", "frappe.desk.doctype.tag.tag.remove_tag"
COLUMNS = ("_assign", "_user_tags", "_comments", "_liked_by", "_seen", "modified")


@pytest.fixture(params=[15, 16], ids=["frappe 15", "frappe 16"])
def erp(request: pytest.FixtureRequest) -> Iterator[Person]:
    with integration(frappe=request.param) as person:
        yield person


@pytest.fixture
def ann(erp: Person) -> Person:
    return erp.another("ann@scoopjoy.test")


def columns(erp: Person, name: str) -> dict[str, str]:
    (row,) = erp.list("Event", ["name", "=", name], fields=COLUMNS)
    return dict(row)


def timeline(erp: Person, name: str) -> list[tuple[str, str]]:
    rows = erp.list("Comment", ["reference_name", "=", name])
    return [(row["comment_type"], row["content"]) for row in rows]


def test_comments(erp: Person, ann: Person) -> None:
    name = erp.event()
    before = columns(erp, name)
    assert before == dict.fromkeys(COLUMNS) | {"modified": before["modified"]}
    row = erp.make(
        "Comment",
        comment_type="Comment",
        reference_doctype="Event",
        reference_name=name,
        content="x" * 120,
    )
    assert row["comment_email"] == erp.email
    added = ann.answer(
        ADD_COMMENT,
        reference_doctype="Event",
        reference_name=name,
        content="seen",
        comment_email=ann.email,
        comment_by="Ann",
    )
    assert (added["owner"], added["comment_by"]) == (ann.email, "Ann")
    after = columns(erp, name)
    assert after["modified"] == before["modified"]
    assert json.loads(after["_comments"]) == [
        {"comment": "x" * 97 + "...", "by": erp.email, "name": row["name"]},
        {"comment": "seen", "by": ann.email, "name": added["name"]},
    ]
    assert erp.delete("Comment", row["name"]).status_code == 202
    assert len(json.loads(columns(erp, name)["_comments"])) == 1
    refused = ann.send("POST", "/api/resource/Comment", {"content": "x"})
    assert outcome(refused) == (403, "PermissionError")
    assert "_comments" not in erp.list("Event", ["name", "=", name])[0]


def test_a_comment_needs_the_right_to_read(erp: Person, ann: Person) -> None:
    name = erp.event(event_type="Private")
    refused = ann.call(
        ADD_COMMENT,
        reference_doctype="Event",
        reference_name=name,
        content="x",
        comment_email=ann.email,
        comment_by="Ann",
    )
    assert outcome(refused) == (403, "PermissionError")


def test_add_comment_checks_types_on_both(erp: Person) -> None:
    where = f" in '{ADD_COMMENT}'" if erp.site.frappe == 16 else ""
    refused = erp.call(
        ADD_COMMENT,
        reference_doctype="Event",
        reference_name=erp.event(),
        content=None,
        comment_email=erp.email,
        comment_by="x",
    )
    assert outcome(refused) == (417, "FrappeTypeError")
    text = f"Argument 'content'{where} should be of type 'str' but got 'NoneType' instead."
    assert refused.json()["exception"].endswith(text)


def test_assignments(erp: Person, ann: Person) -> None:
    bob = erp.another("bob@scoopjoy.test")
    name = erp.event(subject="Tasting", event_type="Private")
    found = erp.call(
        ASSIGN,
        doctype="Event",
        name=name,
        description="<b>do</b> it",
        assign_to=json.dumps([ann.email, bob.email]),
    )
    assert [row["owner"] for row in found.json()["message"]] == [ann.email, bob.email]
    shared = "Shared with the following Users with Read access:"
    assert said(found) == [f"{shared}<br><br>{ann.email}<br>{bob.email}"]
    assert json.loads(columns(erp, name)["_assign"]) == [ann.email, bob.email]
    todo = erp.list("ToDo")[0]
    text = "<b>do</b> it" if erp.site.frappe == 16 else "&lt;b&gt;do&lt;/b&gt; it"
    assert (todo["description"], todo["status"]) == (text, "Open")
    assert todo["assigned_by_full_name"] == "Integration"
    kinds = [f"Integration assigned {who}: {text}" for who in ("Ann", "Bob")]
    assert [text for kind, text in timeline(erp, name) if kind == "Assigned"] == kinds
    again = erp.call(ASSIGN, doctype="Event", name=name, assign_to=json.dumps([ann.email]))
    assert said(again) == [f"Already in the following Users ToDo list:<br><br>{ann.email}"]
    left = erp.answer(UNASSIGN, doctype="Event", name=name, assign_to=ann.email)
    assert [row["owner"] for row in left] == [bob.email]
    assert json.loads(columns(erp, name)["_assign"]) == [bob.email]
    assert timeline(erp, name)[-1] == (
        "Assignment Completed",
        "Assignment of Ann removed by Integration",
    )
    assert erp.answer(UNASSIGN, doctype="Event", name=name, assign_to=bob.email) == []
    assert columns(erp, name)["_assign"] == ""


def test_nobody_can_be_assigned_who_is_not_there(erp: Person) -> None:
    name = erp.event()
    refused = erp.call(ASSIGN, doctype="Event", name=name, assign_to='["nobody@x.test"]')
    assert outcome(refused) == (417, "LinkValidationError")
    assert said(refused) == ["Could not find Allocated To: nobody@x.test"]
    hidden = erp.call("frappe.desk.form.assign_to.get", doctype="Event", name=name)
    assert outcome(hidden) == (403, "PermissionError")
    assert "is not whitelisted" in said(hidden)[0]


def test_a_notification_holds_the_title_of_then(erp: Person, ann: Person) -> None:
    name = erp.event(subject="Tasting")
    erp.answer(ASSIGN, doctype="Event", name=name, assign_to=json.dumps([ann.email]))
    erp.change(name, subject="Busy")
    assert ann.list("Notification Log") == []  # a worker writes it
    erp.site.run_background_jobs()
    (log,) = ann.list("Notification Log")
    title = '<b class="subject-title">Tasting</b>'
    assert log["subject"] == (
        f"<strong>Integration</strong> assigned a new task <strong>Event</strong> {title} to you"
    )
    assert (log["type"], log["document_name"]) == ("Assignment", name)
    assert erp.list("Notification Log") == []  # only one's own


def test_a_todo_with_a_reference(erp: Person, ann: Person) -> None:
    name = erp.event()
    todo = erp.make(
        "ToDo",
        description="look",
        allocated_to=ann.email,
        reference_type="Event",
        reference_name=name,
    )
    assert json.loads(columns(erp, name)["_assign"]) == [ann.email]
    assert [row["name"] for row in ann.list("ToDo")] == [todo["name"]]
    assert erp.another("bob@scoopjoy.test").list("ToDo") == []
    assert outcome(erp.delete("ToDo", todo["name"])) == (403, "PermissionError")
    assert erp.send("PUT", f"/api/resource/ToDo/{todo['name']}", {"status": "Closed"}).ok
    assert columns(erp, name)["_assign"] == ""
    assert ann.delete("ToDo", todo["name"]).status_code == 202


def test_tags(erp: Person) -> None:
    name = erp.event(subject="Tasting")
    lead = "," if erp.site.frappe == 15 else ""
    assert erp.answer(TAG, tag="vip", dt="Event", dn=name) == "vip"
    erp.answer(TAG, tag="vip", dt="Event", dn=name)
    erp.change(name, subject="Busy")
    erp.answer(TAG, tag="late", dt="Event", dn=name)
    assert columns(erp, name)["_user_tags"] == f"{lead}vip,late"
    assert erp.read("Event", name)["_user_tags"] == f"{lead}vip,late"
    links = {row["tag"]: row["title"] for row in erp.list("Tag Link")}
    assert links == {"vip": "Tasting", "late": "Busy"}  # the title of then
    assert {row["name"] for row in erp.list("Tag")} == {"vip", "late"}
    erp.answer(UNTAG, tag="VIP", dt="Event", dn=name)
    assert columns(erp, name)["_user_tags"] == f"{lead}late"
    erp.delete("Event", name)
    assert erp.list("Tag Link") == []


def test_likes_and_who_has_seen_it(erp: Person, ann: Person) -> None:
    name = erp.event()
    ann.answer("frappe.desk.like.toggle_like", doctype="Event", name=name, add="Yes")
    assert json.loads(columns(erp, name)["_liked_by"]) == [ann.email]
    assert erp.read("Event", name)["_liked_by"] == json.dumps([ann.email])
    ann.answer("frappe.desk.like.toggle_like", doctype="Event", name=name, add="No")
    assert columns(erp, name)["_liked_by"] == "[]"
    assert columns(erp, name)["_seen"] is None
    erp.change(name, subject="x")
    assert json.loads(columns(erp, name)["_seen"]) == [erp.email]


def test_shares_are_told(erp: Person, ann: Person) -> None:
    name = erp.event(subject="Tasting", event_type="Private")
    ask = {"doctype": "Event", "name": name, "user": ann.email, "read": 1}
    share = erp.answer("frappe.share.add", **ask, notify=1)
    erp.answer("frappe.share.add", **ask, notify=0)
    erp.site.run_background_jobs()
    assert timeline(erp, name) == [("Shared", "Integration shared this document with Ann")]
    (log,) = ann.list("Notification Log")
    assert "Tasting" in log["subject"]
    assert erp.delete("DocShare", share["name"]).status_code == 202
    assert timeline(erp, name)[-1][0] == "Unshared"
