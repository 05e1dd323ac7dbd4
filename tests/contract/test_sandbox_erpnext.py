"""The stand-in for ERPNext answers as a recorded Frappe v15 did, and as the facts about it say.

The recorded exchanges are sent in the order in which they were made, over a real socket, to one
site whose next Event has the number that it had then, so that whole answers can be compared.
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

from watcher.sandbox import erpnext as sandbox
from watcher.sandbox.erpnext.app import serve
from watcher.sandbox.erpnext.site import Site

RECORDINGS = Path(__file__).parent.parent / "recordings"
FILES = (
    "auth", "custom-fields", "event-values", "permissions", "batches", "read-update-delete",
    "settings-users-notices", "token-cache", "outages",
)  # fmt: skip
NOT_REPLAYED = {
    "meta of Event": "the bridge never asks for a DocType",
    "a shared event is in the user's calendar view": "Frappe's desk, not used by the bridge",
    "delete_items of 8: at once": "Frappe's desk, not used by the bridge",
    "delete_items of 60: queued for a background worker": "Frappe's desk, not used",
    "create a Connected App": "the bridge has its own consent, no Connected App",
    "token rows, masked": "no Token Cache",
    "decrypt the refresh token (System Manager only)": "no Token Cache",
    "decrypt the client secret": "no Connected App",
    "a refreshed token can't be written back": "no Token Cache",
    "nor a row created": "no Token Cache",
    "get_active_token is not reachable": "run_doc_method is not used",
}
STATUS_ONLY = {
    "get_list by GET with 200 long keys: request line too large (gunicorn's default)": "a page",
    "body over max_file_size (25 MB)": "a page",
    "get_list without limit returns 20": "the recorded site was full already",
}
MORE = re.compile(r"\.\.\. (\d+) more like these")
CUT = re.compile(r"^(.*?)\.\.\. \((\d+) characters\)$", re.DOTALL)
TAIL = re.compile(r"\d+$")
CUSTOM = {
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


# --- the recorded exchanges ---------------------------------------------------------------------


def unpack(value: Any) -> Any:
    """A recorded request as it was: lists that were cut for the record are long again."""
    if isinstance(value, dict):
        if list(value) == ["json-encoded string of"]:
            return json.dumps(unpack(value["json-encoded string of"]))
        return {k: unpack(v) for k, v in value.items()}
    if isinstance(value, list):
        more = MORE.fullmatch(value[-1]) if value and isinstance(value[-1], str) else None
        kept = [unpack(each) for each in (value[:-1] if more else value)]
        return kept + [_after(kept, n + 1) for n in range(int(more[1]))] if more else kept
    if isinstance(value, str) and (cut := CUT.match(value)):
        return cut[1][0] * int(cut[2])
    return value


def _after(kept: list[Any], steps: int) -> Any:
    """The item that would come ``steps`` after the last: what counted up goes on counting."""
    last, before = kept[-1], kept[-2] if len(kept) > 1 else kept[-1]
    if not isinstance(last, dict):
        return _count(before, last, steps)
    return {k: _count(before.get(k), v, steps) for k, v in last.items()}


def _count(before: Any, last: Any, steps: int) -> Any:
    if before == last or not isinstance(last, str):
        return last
    return TAIL.sub(lambda m: str(int(m[0]) + steps).zfill(len(m[0])), last)


def exchanges() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name in FILES:
        for each in json.loads((RECORDINGS / f"{name}.json").read_text())["exchanges"]:
            found.append((each["title"], each))
    return found


def send(url: str, users: dict[str, tuple[str, str]], request: dict[str, Any]) -> requests.Response:
    who = request["auth"]
    auth, headers = None, {}
    if who.startswith("HTTP Basic"):
        auth = users["token of a user with role System Manager"]
    elif who != "none":
        headers["Authorization"] = "token {}:{}".format(*users[who])
    return requests.request(
        request["method"], url + request["path"], auth=auth, headers=headers, timeout=30,
        json=unpack(request.get("json")), data=unpack(request.get("form")),
        params=unpack(request.get("params")),
    )  # fmt: skip


def prepare(site: Site, title: str) -> None:
    """What was done to the recorded site by hand before these exchanges."""
    site.maintenance = ""
    if title.startswith("maintenance mode"):
        site.maintenance = "full"
    elif title.startswith("read-only maintenance"):
        site.maintenance = "read-only"
    elif title == "get_list by POST with 200 keys":
        for number in range(5061, 5069):  # by delete_items, which is not replayed
            site.remove("Event", f"EV{number:05d}")
    elif title == "site rate limit reached":
        site.add_fault(match="GET /api/resource/Event", status=429)


VOLATILE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}|[0-9a-f]{56}|`_\w+`\.|\b[0-9a-z]{10}\b(?=\"?$)"
)


def comparable(value: Any, key: str = "") -> Any:
    """An answer without what can never be the same twice."""
    if isinstance(value, dict):
        return {k: comparable(v, k) for k, v in value.items() if k not in ("__frappe_exc_id",)}
    if isinstance(value, list):
        return [comparable(each) for each in value if not _is_more(each)]
    if key in ("exc", "idx", "date"):
        return type(value).__name__
    if key == "_server_messages":
        return [comparable(json.loads(each)) for each in json.loads(value)]
    return VOLATILE.sub("~", value) if isinstance(value, str) else value


def _is_more(value: Any) -> bool:
    return isinstance(value, str) and MORE.fullmatch(value) is not None


def cut_alike(recorded: Any, answered: Any) -> Any:
    """Lists that the record cuts are compared as far as it goes, and in their length."""
    if isinstance(recorded, dict) and isinstance(answered, dict):
        return {k: cut_alike(recorded.get(k), v) for k, v in answered.items()}
    if isinstance(recorded, list) and recorded and _is_more(recorded[-1]):
        more = MORE.fullmatch(recorded[-1])
        assert more is not None
        assert len(answered) == len(recorded) - 1 + int(more[1])
        return answered[: len(recorded) - 1]
    return answered


def difference(recorded: dict[str, Any], answer: requests.Response, title: str) -> str:
    if answer.status_code != recorded["status"]:
        return f"{title}: {answer.status_code}, recorded {recorded['status']}: {answer.text[:300]}"
    kind = recorded["headers"].get("Content-Type", "application/json")
    if answer.headers["Content-Type"].partition(";")[0] != kind.partition(";")[0]:
        return f"{title}: {answer.headers['Content-Type']}, recorded {kind}"
    if title in STATUS_ONLY:
        return ""
    body = cut_alike(recorded["body"], answer.json())
    got, wanted = comparable(body), comparable(recorded["body"])
    return "" if got == wanted else f"{title}:\n  got    {got}\n  wanted {wanted}"


def test_every_recorded_exchange_is_answered_as_it_was() -> None:
    site = Site(first_number=5023)
    users = {
        "token of a user with role System Manager": (site.api_key, site.api_secret),
        "token with a wrong secret": (site.api_key, "wrong"),
        "token of a plain desk user (role All/Desk User)": site.add_user("ann@scoopjoy.test"),
        "token of another plain desk user": site.add_user("bob@scoopjoy.test"),
    }
    server = serve(site)
    try:
        Client(server.url, (site.api_key, site.api_secret)).install()
        wrong = []
        for title, each in exchanges():
            if title not in NOT_REPLAYED:
                prepare(site, title)
                answer = send(server.url, users, each["request"])
                wrong.append(difference(each["response"], answer, title))
    finally:
        server.close()
    assert [each for each in wrong if each] == []


def test_the_lists_of_exceptions_name_exchanges_that_exist() -> None:
    titles = {title for title, _ in exchanges()}
    assert titles >= set(NOT_REPLAYED) | set(STATUS_ONLY)
    assert len(exchanges()) == 99


# --- the facts that no recorded exchange shows --------------------------------------------------


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
        417, "LinkValidationError",
    )  # fmt: skip
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
    pools = client.session.get_adapter(server.url).poolmanager.pools
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
        assert [each for each in imported if not each.startswith("watcher.sandbox.erpnext")] == []
