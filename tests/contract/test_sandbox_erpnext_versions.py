"""Where Frappe 16.4.1 and 15.43 differ, beside what the recordings hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.contract.sandbox_erpnext import Person, integration, outcome, said
from watcher_sandbox.erpnext.site import Site

GET_EVENTS = "frappe.desk.doctype.event.event.get_events"


@pytest.fixture
def old() -> Iterator[Person]:
    with integration(frappe=15) as person:
        yield person


@pytest.fixture
def new() -> Iterator[Person]:
    with integration(frappe=16) as person:
        yield person


def test_a_null_for_a_string_is_refused_by_16_only(old: Person, new: Person) -> None:
    ask = {"doctype": "Event", "docname": None, "perm_type": "write"}
    assert old.answer("frappe.client.has_permission", **ask) == {"has_permission": True}
    refused = new.call("frappe.client.has_permission", **ask)
    assert refused.status_code == 417
    assert set(refused.json()) == {"exception", "exc_type", "exc"}
    assert refused.json()["exception"] == (
        "frappe.exceptions.FrappeTypeError: Argument 'docname' in 'frappe.client.has_permission' "
        "should be of type 'str' but got 'NoneType' instead."
    )
    for person in (old, new):
        ask = {"doctype": "Event", "docname": ""}
        assert person.answer("frappe.client.has_permission", **ask) == {"has_permission": True}
        lacking = person.call("frappe.client.has_permission", doctype="Event")
        assert lacking.json()["exception"] == (
            "TypeError: has_permission() missing 1 required positional argument: 'docname'"
        )


@pytest.mark.parametrize(
    ("method", "arguments", "says"),
    [
        ("frappe.client.has_permission", {"doctype": ["Event"], "docname": ""}, "'list'"),
        ("frappe.client.has_permission", {"doctype": "Event", "docname": 5}, "'int'"),
        (
            "frappe.client.has_permission",
            {"doctype": "Event", "docname": "", "perm_type": None},
            "'perm_type'",
        ),
        (
            "frappe.client.get_password",
            {"doctype": "Event", "name": None, "fieldname": "x"},
            "'name'",
        ),
        (GET_EVENTS, {"start": "2026-11-23", "end": "soon"}, "'datetime.date'"),
        (GET_EVENTS, {"start": "20261123", "end": "2026-11-24"}, "'start'"),
        (GET_EVENTS, {"start": "2026-11-23", "end": "2026-11-24 10:00:00"}, "'end'"),
        (GET_EVENTS, {"start": "2026-11-23", "end": "2026-11-24", "user": 5}, "'str | None'"),
    ],
)
def test_arguments_of_a_wrong_type(
    new: Person, method: str, arguments: dict[str, Any], says: str
) -> None:
    refused = new.call(method, **arguments)
    assert outcome(refused) == (417, "FrappeTypeError")
    assert f"in '{method}'" in refused.json()["exception"]
    assert says in refused.json()["exception"]


def test_an_unknown_field_is_refused_in_three_ways(old: Person, new: Person) -> None:
    def asked(person: Person, **query: Any) -> tuple[int, str]:
        return outcome(person.call("frappe.client.get_list", doctype="Event", **query))

    for person in (old, new):
        assert asked(person, fields=["nope"]) == (417, "DataError")
        assert asked(person, filters=[["nope", "=", "1"]]) == (417, "DataError")
    assert asked(old, order_by="nope asc") == (500, "OperationalError")
    assert asked(new, order_by="nope asc") == (403, "PermissionError")
    for person in (old, new):
        person.site.unknown_field_answer = "permission"
        assert asked(person, fields=["name", "nope"]) == (403, "PermissionError")
        refused = person.call("frappe.client.get_list", doctype="Event", filters={"nope": 1})
        assert said(refused) == [
            "You do not have permission to access field: <strong>Event.nope</strong>"
        ]


def test_the_count_of_16_is_of_what_is_listed(old: Person, new: Person) -> None:
    for person, counted in ((old, 1), (new, 0)):
        ann = person.another("ann@scoopjoy.test")
        person.event(event_type="Private")
        assert ann.answer("frappe.client.get_count", doctype="Event") == counted
    refused = new.call("frappe.client.get_count", doctype="Event", filters={"nope": 1})
    assert outcome(refused) == (417, "DataError")


def test_without_an_order_16_lists_what_was_made_first(new: Person) -> None:
    names = [new.event() for _ in range(3)]
    new.change(names[0], subject="changed last")
    found = new.answer("frappe.client.get_list", doctype="Event")
    assert [row["name"] for row in found] == names


def test_what_16_has_in_an_event(new: Person) -> None:
    name = new.event(
        location="Baner",
        attending="Maybe",
        reference_doctype="User",
        reference_docname=new.email,
        google_meet_link="https://meet.example/" + "x" * 300,
        links=[{"link_doctype": "User", "link_name": new.email}],
        notifications=[{"type": "Email", "before": 10, "interval": "minutes"}],
    )
    row = new.read("Event", name)
    assert (row["location"], row["attending"]) == ("Baner", "Maybe")
    assert row["links"][0]["link_name"] == new.email
    assert row["notifications"][0]["before"] == 10
    assert len(row["google_meet_link"]) > 300
    too_long = new.send("PUT", f"/api/resource/Event/{name}", {"location": "x" * 141})
    assert outcome(too_long) == (417, "CharacterLengthExceededError")


def test_a_later_15_has_the_location_too() -> None:
    with integration(frappe=15, rich_events=True) as person:
        row = person.read("Event", person.event(location="Baner"))
        assert (row["location"], row["attending"]) == ("Baner", "")
        fields = [field["fieldname"] for field in person.read("DocType", "Event")["fields"]]
        assert {"location", "attending"} <= set(fields)
        assert "reference_doctype" not in fields


@pytest.mark.parametrize(("frappe", "number"), [(15, "15.43.0"), (16, "16.4.1")])
def test_versions_say_which_it_is(frappe: int, number: str) -> None:
    with integration(frappe=frappe, erpnext=True) as person:
        found = person.answer("frappe.utils.change_log.get_versions")
        assert found["frappe"]["version"] == number
        assert found["erpnext"]["version"].startswith(f"{frappe}.")


def test_a_participant_reads_a_private_event_on_16(old: Person, new: Person) -> None:
    for person in (old, new):
        ann = person.another("ann@scoopjoy.test")
        who = {"reference_doctype": "User", "reference_docname": ann.email, "email": ann.email}
        name = person.event(event_type="Private", event_participants=[who])
        person.event(event_type="Private", event_participants=[who | {"email": None}])
        listed = [row["name"] for row in ann.list("Event")]
        read = ann.send("GET", f"/api/resource/Event/{name}").status_code
        assert (read, listed) == ((403, []) if person is old else (200, [name]))
        assert ann.send("PUT", f"/api/resource/Event/{name}", {"subject": "x"}).status_code == 403
        calendar = ann.answer(GET_EVENTS, start="2026-12-01", end="2026-12-31")
        assert calendar == []  # the Desk's calendar knows shares only


def test_shared_events_are_in_the_lists_of_16(old: Person, new: Person) -> None:
    for person in (old, new):
        ann = person.another("ann@scoopjoy.test")
        name = person.event(event_type="Private")
        person.answer("frappe.share.add", doctype="Event", name=name, user=ann.email, read=1)
        assert [row["name"] for row in ann.list("Event")] == ([] if person is old else [name])
        calendar = ann.answer(GET_EVENTS, start="2026-12-01", end="2026-12-31")
        assert [row["name"] for row in calendar] == [name]


def test_anybody_may_ask_for_the_calendar_of_another(old: Person, new: Person) -> None:
    for person in (old, new):
        ann = person.another("ann@scoopjoy.test")
        name = person.event(event_type="Private")
        ask = {"start": "2026-12-01", "end": "2026-12-31"}
        found = ann.answer(GET_EVENTS, user=person.email, **ask)
        assert [row["name"] for row in found] == [name]
        assert ann.answer(GET_EVENTS, **ask) == []


def test_only_desk_users_write_on_16(old: Person, new: Person) -> None:
    for person, status in ((old, 200), (new, 403)):
        customer = person.another("customer@scoopjoy.test", desk=False)
        person.event()
        body = {"subject": "x", "starts_on": "2026-12-03 10:00:00", "event_type": "Public"}
        assert customer.send("POST", "/api/resource/Event", body).status_code == status
        assert customer.list("Event") != []


def test_refusals_before_the_handler_say_less_on_16(old: Person, new: Person) -> None:
    for person, terse in ((old, False), (new, True)):
        customer = person.another("customer@scoopjoy.test", desk=False)
        body = customer.call("frappe.client.get_list", doctype="Event", fields=["nope"]).json()
        assert ("exception" in body) != terse
        person.site.limit_rate(60)
        body = person.call("ping").json()
        assert set(body) == ({"exc_type"} if terse else {"exception", "exc_type", "exc"})


def test_the_address_of_the_desk(old: Person, new: Person) -> None:
    for person, at in ((old, "/app/event"), (new, "/desk/event")):
        other = {"/app/event": "/desk/event", "/desk/event": "/app/event"}[at]
        assert requests.get(person.url + at, timeout=10).status_code == 200
        sent_on = requests.get(f"{person.url}{other}", timeout=10, allow_redirects=False)
        assert (sent_on.status_code, sent_on.headers["Location"]) == (301, at)


def test_a_reset_can_change_the_version(old: Person) -> None:
    old.event()
    answer = requests.post(f"{old.url}/_sandbox/reset", json={"frappe": 16}, timeout=10)
    assert answer.json() == {"frappe": 16}
    assert old.read("Event", old.event(location="Baner"))["location"] == "Baner"
    found = requests.get(f"{old.url}/_sandbox/site", timeout=10).json()
    assert (found["version"], found["erpnext"]) == ("16.4.1", False)
    bad = requests.post(f"{old.url}/_sandbox/reset", json={"frappe": 14}, timeout=10)
    assert bad.status_code == 400


def test_a_file_of_15_is_upgraded(tmp_path: Any) -> None:
    path = tmp_path / "site.db"
    with integration(frappe=15, path=path) as person:
        name = person.event(subject="of before")
    with integration(frappe=16, path=path, erpnext=True) as person:
        person.site.make_hr()
        row = person.read("Event", name)
        assert (row["subject"], row["location"]) == ("of before", None)
        assert person.list("Employee") == []


def test_other_versions_are_refused() -> None:
    with pytest.raises(ValueError, match="15, 16"):
        Site(frappe=14)
