"""The stand-in for ERPNext answers as a recorded Frappe v15 did, and as the facts about it say.

The recorded exchanges are sent in the order in which they were made, over a real socket, to one
site whose next Event has the number that it had then, so that whole answers can be compared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

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

    def method(self, name: str, **params: Any) -> requests.Response:
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
    if isinstance(recorded, list) and isinstance(answered, list) and recorded:
        if _is_more(recorded[-1]):
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
