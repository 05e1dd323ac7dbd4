"""Lists of the stand-in for ERPNext: filters with NULLs, order, pages, what they refuse; and the
methods around them. Everything goes through real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from frappeclient import FrappeClient

from watcher_sandbox.erpnext.app import serve
from watcher_sandbox.erpnext.site import Site

ROWS = (
    {"subject": "Alpha", "starts_on": "2026-11-23 10:00:00", "ends_on": "2026-11-23 11:00:00"},
    {"subject": "alpha ", "starts_on": "2026-11-24 00:00:00", "all_day": 1, "custom_key": "K1"},
    {"subject": "50% off_er", "starts_on": "2026-11-25 09:00:00.5", "status": "Cancelled"},
    {"subject": "Beta", "starts_on": "2026-11-26 23:30:00", "custom_key": "k2"},
)


class Api:
    def __init__(self, site: Site) -> None:
        self.site = site
        self.server = serve(site)
        self.pair = (site.api_key, site.api_secret)

    def post(self, method: str, /, **params: Any) -> requests.Response:
        address = f"{self.server.url}/api/method/{method}"
        return requests.post(address, json=params, auth=self.pair, timeout=10)

    def names(self, filters: Any, **more: Any) -> list[int]:
        """The numbers of the Events found."""
        answer = self.post("frappe.client.get_list", doctype="Event", filters=filters, **more)
        assert answer.status_code == 200, answer.text
        return [int(row["name"][2:]) for row in answer.json()["message"]]

    def refused(self, status: int, exc_type: str, method: str, /, **params: Any) -> None:
        answer = self.post(method, **params)
        assert (answer.status_code, answer.json().get("exc_type")) == (status, exc_type)


@pytest.fixture
def api() -> Iterator[Api]:
    site = Site()
    api = Api(site)
    field = {"doctype": "Custom Field", "dt": "Event", "fieldname": "custom_key", "unique": 1}
    assert api.post("frappe.client.insert", doc=field | {"fieldtype": "Data"}).ok
    docs = [{"doctype": "Event", "event_type": "Public", **row} for row in ROWS]
    assert api.post("frappe.client.insert_many", docs=json.dumps(docs)).ok
    yield api
    api.server.close()
    site.close()


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ([["subject", "=", "ALPHA"]], [1, 2]),
        ([["subject", "!=", "alpha"]], [3, 4]),
        ({"subject": "Beta"}, [4]),
        ({"subject": ["like", "%A%"]}, [1, 2, 4]),
        ({"subject": ["like", "50\\%%"]}, [3]),
        ({"subject": ["like", "off\\_er"]}, []),
        ({"subject": ["not like", "al%"]}, [3, 4]),
        ([["Event", "name", "in", ["EV00001", "EV00004"]]], [1, 4]),
        ([["name", "in", "EV00001,EV00003"]], [1, 3]),
        ([["name", "not in", ["EV00001"]]], [2, 3, 4]),
        ([["starts_on", ">", "2026-11-24 00:00:00"]], [3, 4]),
        ([["starts_on", ">=", "2026-11-24T00:00:00"]], [2, 3, 4]),
        ([["starts_on", "<", "2026-11-25"]], [1, 2]),
        ([["starts_on", "between", ["2026-11-24", "2026-11-26"]]], [2, 3, 4]),
        ([["starts_on", "between", ["2026-11-24 00:00:00", "2026-11-26 00:00:00"]]], [2, 3]),
        ([["ends_on", "is", "set"]], [1]),
        ([["ends_on", "is", "not set"]], [2, 3, 4]),
        ([["ends_on", "<", "2026-01-01"]], [2, 3, 4]),  # NULL counts as year 1
        ([["ends_on", ">", "2026-01-01"]], [1]),
        ([["custom_key", "=", ""]], [1, 3]),
        ([["custom_key", "!=", "k1"]], [1, 3, 4]),
        ([["custom_key", "in", ["K1 ", "K2"]]], [2, 4]),
        ([["custom_key", "in", ["k1", ""]]], [1, 2, 3]),
        ([["custom_key", "not in", ["k1"]]], [1, 3, 4]),
        ([["custom_key", "in", []]], [1, 2, 3, 4]),
        ([["all_day", "=", "1"]], [2]),
        ([["all_day", "=", 0], ["status", "=", "Open"]], [1, 4]),
        ([], [1, 2, 3, 4]),
    ],
)
def test_filters(api: Api, filters: Any, found: list[int]) -> None:
    assert api.names(filters, order_by="name asc") == found
    assert api.names(json.dumps(filters), order_by="name asc") == found


def test_order_and_pages(api: Api) -> None:
    assert api.names([], order_by="starts_on desc") == [4, 3, 2, 1]
    assert api.names([], order_by="`tabEvent`.`all_day` desc, name desc") == [2, 4, 3, 1]
    assert api.names([], order_by="name", limit_start=1, limit_page_length=2) == [2, 3]
    assert api.names([], order_by="name", limit_start=1, limit_page_length=0) == [2, 3, 4]
    either = [["name", "=", "EV00001"], ["all_day", "=", 1]]
    assert api.names([], or_filters=either, order_by="name") == [1, 2]


@pytest.mark.parametrize(
    ("status", "exc_type", "params"),
    [
        (417, "DataError", {"fields": ["name", "nope"]}),
        (417, "DataError", {"fields": ["count(*) as n"]}),
        (417, "DataError", {"filters": [["nope", "=", 1]]}),
        (417, "ValidationError", {"filters": [["subject", "~", "x"]]}),
        (417, "ValidationError", {"filters": [["starts_on", ">", "someday"]]}),
        (417, "ValidationError", {"order_by": "name; drop table"}),
        (500, "OperationalError", {"order_by": "nope desc"}),
        (500, "JSONDecodeError", {"filters": "not json"}),
        (500, "UnicodeEncodeError", {"filters": [["subject", "=", "\ud800"]]}),
        (404, "DoesNotExistError", {"filters": [["subject", "x"]]}),
        (404, "DoesNotExistError", {"doctype": "Nope"}),
    ],
)
def test_what_lists_refuse(api: Api, status: int, exc_type: str, params: dict[str, Any]) -> None:
    api.refused(status, exc_type, "frappe.client.get_list", **{"doctype": "Event"} | params)


def test_values_and_counts(api: Api) -> None:
    ask = {"doctype": "Event", "filters": {"name": "EV00004"}}
    value = api.post("frappe.client.get_value", fieldname='["subject","all_day"]', **ask)
    assert value.json() == {"message": {"subject": "Beta", "all_day": 0}}
    assert api.post(
        "frappe.client.get_value", fieldname="subject", doctype="Event", filters="EV00099"
    ).json() == {"message": {}}
    assert api.post("frappe.client.get", **ask).json()["message"]["name"] == "EV00004"
    count: dict[str, Any] = {"doctype": "Event", "filters": [["status", "=", "Open"]]}
    assert api.post("frappe.client.get_count", **count).json() == {"message": 3}
    count["filters"] = [["nope", "=", 1]]
    api.refused(500, "OperationalError", "frappe.client.get_count", **count)
    api.refused(500, "TypeError", "frappe.client.get_list")


def test_writes_by_get_are_not_permitted(api: Api) -> None:
    address = f"{api.server.url}/api/method/frappe.client.delete"
    params = {"doctype": "Event", "name": "EV00001"}
    answer = requests.get(address, params=params, auth=api.pair, timeout=10)
    assert (answer.status_code, answer.json()["exc_type"]) == (403, "PermissionError")
    assert len(api.site.events()) == 4
    assert requests.post(address, json=params, auth=api.pair, timeout=10).json() == {}
    assert len(api.site.events()) == 3


def test_the_published_client_works(api: Api) -> None:
    """FrappeClient as it is: forms, ``cmd=`` to the root, lists by GET, Basic."""
    client = FrappeClient(api.server.url)
    client.authenticate(*api.pair)
    made = client.insert({"doctype": "Event", "subject": "by form", "event_type": "Public"})
    assert made["name"] == "EV00005"
    client.update({"doctype": "Event", "name": "EV00005", "subject": "changed"})
    listed = client.get_list("Event", fields=["subject"], filters={"name": "EV00005"})
    assert listed == [{"subject": "changed"}]
    assert len(client.get_list("Event")[0]) == len(api.site.columns("Event"))
    assert client.get_value("Event", "status", {"name": "EV00003"}) == {"status": "Cancelled"}
    assert client.get_doc("Event", "EV00003")["subject"] == "50% off_er"
    failed = client.bulk_update([{"doctype": "Event", "docname": "EV09", "subject": "x"}])
    assert [each["doc"]["docname"] for each in failed["failed_docs"]] == ["EV09"]
    assert client.set_value("Event", "EV00005", "subject", "again")["subject"] == "again"
    assert client.get_api("frappe.client.get_time_zone") == {"time_zone": "Asia/Kolkata"}
    assert client.delete("Event", "EV00005") is None
    client.session.close()
    form = {"cmd": "frappe.auth.get_logged_user"}
    answer = requests.post(f"{api.server.url}/api/method/", form, auth=api.pair, timeout=10)
    assert answer.json() == {"message": "integration@scoopjoy.test"}


def test_deleting_many(api: Api) -> None:
    items = {"doctype": "Event", "items": json.dumps(["EV00001", "EV00077"])}
    assert api.post("frappe.desk.reportview.delete_items", **items).json() == {}
    assert [row["name"] for row in api.site.events()] == ["EV00002", "EV00003", "EV00004"]
    items["items"] = json.dumps([f"EV{n:05d}" for n in range(1, 12)])
    assert api.post("frappe.desk.reportview.delete_items", **items).json() == {}
    assert len(api.site.events()) == 3
    assert api.site.run_background_jobs() == 5  # each deletion leaves one more
    assert api.site.events() == []


def test_custom_fields_are_no_part_of_the_document_type(api: Api) -> None:
    answer = api.post("frappe.client.get", doctype="DocType", name="Event").json()["message"]
    names = [field["fieldname"] for field in answer["fields"]]
    assert len(names) == 37
    assert "custom_key" not in names
    made = {"doctype": "Custom Field", "filters": {"dt": "Event"}, "fields": ["fieldname"]}
    listed = api.post("frappe.client.get_list", **made).json()["message"]
    assert listed == [{"fieldname": "custom_key"}]


def test_token_cache(api: Api) -> None:
    site = api.site
    site.add_user("ann@scoopjoy.test")
    app = site.add_connected_app("client", "secret")
    row = site.add_token(app, "ann@scoopjoy.test", None)
    ask = {"doctype": "Token Cache", "name": row, "fieldname": "refresh_token"}
    api.refused(401, "AuthenticationError", "frappe.client.get_password", **ask)
    site.add_token(app, "ann@scoopjoy.test", "RT-1")
    assert api.post("frappe.client.get_password", **ask).json() == {"message": "RT-1"}
    shown = api.post("frappe.client.get", doctype="Token Cache", name=row).json()["message"]
    assert (shown["refresh_token"], shown["access_token"]) == ("****", "***")
