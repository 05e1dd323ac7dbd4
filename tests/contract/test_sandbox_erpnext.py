"""What Frappe 15 was seen to do that no recording shows: the stand-in for ERPNext does it too.

Everything goes through real HTTP.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from watcher_sandbox import erpnext as sandbox
from watcher_sandbox.erpnext.app import serve
from watcher_sandbox.erpnext.site import Site

CUSTOM: dict[str, dict[str, Any]] = {
    "custom_google_sync_key": {"label": "Google Sync Key", "unique": 1},
    "custom_google_event_id": {"label": "Google Event Id"},
    "custom_google_calendar_id": {"label": "Google Calendar Id"},
    "custom_google_hash": {"label": "Google Hash"},
    "custom_google_user": {"label": "Google User", "fieldtype": "Link", "options": "User"},
    "custom_synced_from": {"label": "Synced From"},
}


class Client:
    """One user of one site."""

    def __init__(self, url: str, pair: tuple[str, str]) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"token {pair[0]}:{pair[1]}"

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        return self.session.request(method, self.url + path, json=body, timeout=20, **more)

    def event(self, **fields: Any) -> requests.Response:
        body = {"subject": "Shift", "starts_on": "2026-11-23 10:00:00", "event_type": "Public"}
        return self.call("POST", "/api/resource/Event", body | fields)

    def method(self, name: str, /, **params: Any) -> requests.Response:
        return self.call("POST", f"/api/method/{name}", params)

    def install(self) -> None:
        for fieldname, more in CUSTOM.items():
            body = {"dt": "Event", "fieldname": fieldname, "fieldtype": "Data", **more}
            assert self.call("POST", "/api/resource/Custom Field", body).status_code == 200


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def client(site: Site) -> Iterator[Client]:
    server = serve(site)
    user = Client(server.url, (site.api_key, site.api_secret))
    yield user
    user.session.close()
    server.close()


def refused(answer: requests.Response, status: int, exc_type: str) -> None:
    assert (answer.status_code, answer.json().get("exc_type")) == (status, exc_type), answer.text


def test_a_custom_field_is_unknown_until_it_is_created(client: Client, site: Site) -> None:
    assert client.event(custom_google_hash="early").status_code == 200
    ask = {"doctype": "Event", "fields": ["name", "custom_google_hash"]}
    refused(client.method("frappe.client.get_list", **ask), 417, "DataError")
    client.install()
    rows = client.method("frappe.client.get_list", **ask).json()["message"]
    assert rows == [{"name": "EV00001", "custom_google_hash": None}]
    bad = {"dt": "Event", "fieldname": "bad-name", "fieldtype": "Data"}
    refused(client.call("POST", "/api/resource/Custom Field", bad), 417, "InvalidColumnName")
    assert client.event().status_code == 500  # the site's meta is poisoned until another is saved
    good = {"dt": "Event", "fieldname": "custom_more", "fieldtype": "Data"}
    assert client.call("POST", "/api/resource/Custom Field", good).status_code == 200
    assert client.event().status_code == 200
    assert [row["name"] for row in site.events()] == ["EV00001", "EV00002"]


def test_a_key_is_unique_without_case_and_may_be_empty(client: Client) -> None:
    client.install()
    assert client.event(custom_google_sync_key="abc").status_code == 200
    refused(client.event(custom_google_sync_key="ABC "), 417, "UniqueValidationError")
    assert client.event(custom_google_sync_key="").status_code == 200
    assert client.event(custom_google_sync_key="").status_code == 200
    assert client.call("DELETE", "/api/resource/Event/EV00001").status_code == 202
    assert client.event(custom_google_sync_key="abc").json()["data"]["name"] == "EV00004"


def test_of_eight_concurrent_inserts_of_a_key_one_wins(client: Client, site: Site) -> None:
    client.install()
    headers = dict(client.session.headers)
    body = {"subject": "x", "custom_google_sync_key": "k"}

    def insert(_: int) -> int:
        address = f"{client.url}/api/resource/Event"
        return requests.post(address, json=body, headers=headers, timeout=10).status_code

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(insert, range(8))) == [200] + [417] * 7
    assert [row["name"] for row in site.events()] == ["EV00001"]


def test_the_last_name_is_used_again(client: Client) -> None:
    assert client.event().json()["data"]["name"] == "EV00001"
    client.call("DELETE", "/api/resource/Event/EV00001")
    assert client.event().json()["data"]["name"] == "EV00001"


def test_an_empty_in_restricts_nothing_and_a_page_has_20_rows(client: Client) -> None:
    docs = [{"doctype": "Event", "subject": f"s{i}", "event_type": "Public"} for i in range(25)]
    client.method("frappe.client.insert_many", docs=json.dumps(docs))
    ask = {"doctype": "Event", "filters": json.dumps([["subject", "in", []]])}
    assert len(client.method("frappe.client.get_list", **ask).json()["message"]) == 20
    more = client.method("frappe.client.get_list", limit_page_length=0, **ask)
    assert len(more.json()["message"]) == 25
    after = {"doctype": "Event", "filters": [["name", ">", "EV00023"]], "order_by": "name desc"}
    names = [
        row["name"] for row in client.method("frappe.client.get_list", **after).json()["message"]
    ]
    assert names == ["EV00025", "EV00024"]


@pytest.mark.parametrize(
    ("fields", "status", "exc_type"),
    [
        ({"ends_on": "2026-11-22 10:00:00"}, 417, "InvalidDates"),
        ({"subject": "<x>"}, 417, "MandatoryError"),
        ({"subject": "x" * 66_000}, 500, "DataError"),
        ({"subject": "\ud800"}, 500, "UnicodeEncodeError"),
        ({"event_type": ""}, 417, "MandatoryError"),
        ({"ends_on": "someday"}, 417, "ValidationError"),
        ({"starts_on": "someday"}, 500, "OperationalError"),
        ({"starts_on": "2026-02-31 10:00:00"}, 500, "OperationalError"),
        ({"google_meet_link": "x" * 141}, 417, "CharacterLengthExceededError"),
    ],
)
def test_bad_values_are_refused(
    client: Client, site: Site, fields: dict[str, str], status: int, exc_type: str
) -> None:
    refused(client.event(**fields), status, exc_type)
    assert site.events() == []
    assert client.event().json()["data"]["name"] == "EV00001"


def test_what_is_stored_differs_from_what_was_sent(client: Client, site: Site) -> None:
    same = "2026-11-23T10:00:00"
    client.event(starts_on=same, ends_on=same, subject="a < b", description="<b>x</b><script>")
    client.event(starts_on="", ends_on="")
    first, second = site.events()
    assert (first["starts_on"], first["ends_on"]) == ("2026-11-23 10:00:00", None)
    assert (first["subject"], first["send_reminder"], first["status"]) == ("a < b", 1, "Open")
    assert first["description"] == "<b>x</b>&lt;script&gt;"
    assert second["starts_on"][:10] == second["creation"][:10]
    assert client.event(subject="x" * 65_000).status_code == 200


def test_updates_that_are_refused_or_mended(client: Client, site: Site) -> None:
    name = client.event(all_day=7, description="<b>x<br><i>y</b>").json()["data"]["name"]
    assert site.events()[0]["all_day"] == 1
    assert site.events()[0]["description"] == "<b>x<br><i>y</i></b>"
    path = f"/api/resource/Event/{name}"
    refused(client.call("PUT", path, {"name": "EV09999"}), 404, "DoesNotExistError")
    values = {"doctype": "Event", "name": name}
    owner = client.method("frappe.client.set_value", fieldname={"owner": "x@y.test"}, **values)
    refused(owner, 417, "CannotChangeConstantError")
    before = site.events()[0]["modified"]
    assert client.call("PUT", path, {"name": name, "doctype": "Event"}).ok
    assert site.events()[0]["modified"] > before  # also when nothing changes
    text = json.dumps({"status": "Closed", "all_day": 0})
    assert client.method("frappe.client.set_value", fieldname=text, **values).ok
    assert (site.events()[0]["status"], site.events()[0]["all_day"]) == ("Closed", 0)


def test_a_batch_is_kept_whole_or_not_at_all(client: Client, site: Site) -> None:
    docs = [{"doctype": "Event", "subject": s, "event_type": "Public"} for s in ("a", "", "c")]
    answer = client.method("frappe.client.insert_many", docs=json.dumps(docs))
    refused(answer, 417, "MandatoryError")
    assert site.events() == []
    assert client.event().json()["data"]["name"] == "EV00001"


def test_bulk_update_wants_a_string_and_loses_after_a_deadlock(client: Client, site: Site) -> None:
    for number in range(6):
        client.event(subject=f"old {number}")
    docs = [{"doctype": "Event", "docname": r["name"], "subject": "new"} for r in site.events()]
    refused(client.method("frappe.client.bulk_update", docs=docs), 500, "TypeError")
    site.deadlock_at = 4
    answer = client.method("frappe.client.bulk_update", docs=json.dumps(docs)).json()["message"]
    assert [each["doc"]["docname"] for each in answer["failed_docs"]] == ["EV00004"]
    assert "QueryDeadlockError" in answer["failed_docs"][0]["exc"]
    subjects = [row["subject"] for row in site.events()]
    assert subjects == ["old 0", "old 1", "old 2", "old 3", "new", "new"]


def test_an_owner_is_constant_and_a_private_event_its_own(client: Client, site: Site) -> None:
    ann = Client(client.url, site.add_user("ann@scoopjoy.test"))
    public = client.event().json()["data"]["name"]
    change = client.call("PUT", f"/api/resource/Event/{public}", {"owner": "ann@scoopjoy.test"})
    refused(change, 417, "CannotChangeConstantError")
    assert ann.call("PUT", f"/api/resource/Event/{public}", {"subject": "by ann"}).ok
    assert site.events()[0]["modified_by"] == "ann@scoopjoy.test"
    secret = client.event(event_type="Private").json()["data"]["name"]
    refused(ann.call("GET", f"/api/resource/Event/{secret}"), 403, "PermissionError")
    for _ in range(2):
        share = {"doctype": "Event", "name": secret, "user": "ann@scoopjoy.test", "read": 1}
        assert client.method("frappe.share.add", **share).ok
    assert len(site.rows("DocShare")) == 1
    assert ann.call("GET", f"/api/resource/Event/{secret}").ok
    refused(ann.call("PUT", f"/api/resource/Event/{secret}", {}), 403, "PermissionError")
    refused(
        client.method("frappe.share.add", doctype="Event", name=secret, user="no@one.test"),
        417,
        "LinkValidationError",
    )
    ann.session.close()


def test_shares_of_a_deleted_event_stay_until_a_worker_comes(client: Client, site: Site) -> None:
    ann = Client(client.url, site.add_user("ann@scoopjoy.test"))
    name = client.event(event_type="Private").json()["data"]["name"]
    share = {"doctype": "Event", "name": name, "user": "ann@scoopjoy.test", "read": 1}
    assert client.method("frappe.share.add", **share).ok
    assert client.call("DELETE", f"/api/resource/Event/{name}").status_code == 202
    assert client.event(event_type="Private").json()["data"]["name"] == name
    assert ann.call("GET", f"/api/resource/Event/{name}").ok
    site.run_background_jobs()
    refused(ann.call("GET", f"/api/resource/Event/{name}"), 403, "PermissionError")
    ann.session.close()


def test_a_sid_cookie_beats_the_token(client: Client) -> None:
    with requests.Session() as session:
        assert session.post(f"{client.url}/api/method/ping", timeout=5).json() == {
            "message": "pong"
        }
        assert session.cookies["sid"] == "Guest"
        session.headers["Authorization"] = client.session.headers["Authorization"]
        who = session.get(f"{client.url}/api/method/frappe.auth.get_logged_user", timeout=5)
        refused(who, 403, "PermissionError")


def test_faults_before_and_after_the_commit(client: Client, site: Site) -> None:
    site.add_fault("POST /api/resource/Event", status=500, html=True)
    page = client.event()
    assert (page.status_code, page.headers["Content-Type"][:9]) == (500, "text/html")
    assert site.events() == []
    site.add_fault("insert_many", status=500, exc_type="QueryTimeoutError", after_commit=True)
    docs = json.dumps([{"doctype": "Event", "subject": "a"}])
    lost = client.method("frappe.client.insert_many", docs=docs)
    refused(lost, 500, "QueryTimeoutError")
    assert [row["subject"] for row in site.events()] == ["a"]
    site.add_fault("ping", drop=True)
    with pytest.raises(requests.ConnectionError):
        client.method("ping")
    assert client.method("ping").json() == {"message": "pong"}
    site.tracebacks = False
    site.add_fault(status=429, headers={"Retry-After": "7"})
    limited = client.method("ping")
    assert limited.json() == {"exc_type": "TooManyRequestsError"}
    assert limited.headers["Retry-After"] == "7"


def test_the_switches_over_http_and_the_page(client: Client, site: Site) -> None:
    client.event(subject="a < b & <i>c</i>")
    assert "&lt;i&gt;c" in client.call("GET", "/app/event").text
    assert client.call("GET", "/_sandbox/events").json() == site.events()
    fault = {"match": "ping", "status": 503, "count": None}
    assert client.call("POST", "/_sandbox/faults", fault).ok
    refused(client.method("ping"), 503, "SessionStopped")
    assert client.call("POST", "/_sandbox/faults", {"nope": 1}).status_code == 400
    assert client.call("DELETE", "/_sandbox/faults").ok
    assert client.method("ping").ok
    assert client.call("POST", "/_sandbox/maintenance", {"mode": "read-only"}).ok
    assert client.call("GET", "/api/resource/Event").ok
    refused(client.event(), 503, "InReadOnlyMode")
    assert client.call("POST", "/_sandbox/maintenance", {"mode": ""}).ok
    assert client.event().ok


def test_a_connection_is_kept_and_a_closed_server_is_gone(site: Site) -> None:
    server = serve(site)
    client = Client(server.url, (site.api_key, site.api_secret))
    for _ in range(5):
        assert client.event().ok
    adapter = client.session.get_adapter(server.url)
    assert isinstance(adapter, HTTPAdapter)
    pools = adapter.poolmanager.pools
    (key,) = pools.keys()
    pool = pools[key]
    assert (pool.num_connections, pool.num_requests) == (1, 5)
    assert site.requests["POST /api/resource/Event"] == 5
    server.close()
    with pytest.raises(requests.ConnectionError):
        client.event()
    client.session.close()


def test_it_shares_no_code_with_the_bridge() -> None:
    """A bug of the bridge must not cancel itself out here."""
    for path in Path(sandbox.__file__).parent.glob("*.py"):
        imported = re.findall(r"^\s*(?:from|import) (watcher\S*)", path.read_text(), re.MULTILINE)
        assert [each for each in imported if not each.startswith("watcher_sandbox.erpnext")] == []
