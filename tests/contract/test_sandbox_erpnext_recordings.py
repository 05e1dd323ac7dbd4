"""The stand-in for ERPNext answers all the recorded exchanges as Frappe 15.43 and 16.4.1 did.

They are sent in the order in which they were made, over a real socket, to one site whose next
Event has the number that it had then, so that whole answers can be compared.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from watcher_sandbox.erpnext.app import serve
from watcher_sandbox.erpnext.site import Site


@dataclass(frozen=True)
class Record:
    """What was recorded from one site. ``domain``: of its users; ``first``: the number of the
    first Event; ``custom``: its fields; ``more``: users beside the known ones; ``app``: the name
    of its Connected App, with ``tokens`` of so many seconds; ``wait``: what its rate limit said.
    """

    frappe: int
    folder: str
    domain: str
    first: int
    custom: dict[str, dict[str, Any]]
    more: tuple[str, ...]
    app: str
    tokens: tuple[str, str, int]
    wait: int

    def exchanges(self) -> list[tuple[str, dict[str, Any]]]:
        found = []
        for name in FILES:
            path = Path(__file__).parent.parent / self.folder / f"{name}.json"
            text = path.read_text().replace(f"@{self.domain}", "@scoopjoy.test")
            for each in json.loads(text)["exchanges"]:
                found.append((each["title"], each))
        return found


FILES = (
    "auth",
    "custom-fields",
    "event-values",
    "permissions",
    "batches",
    "read-update-delete",
    "settings-users-notices",
    "token-cache",
    "outages",
)
NOT_REPLAYED: dict[str, str] = {}
"""Title and reason of exchanges that are not sent at all: none at present."""
SHAPE_ONLY = {
    "get_list without limit returns 20": "the recorded site was full of other rows already",
}
"""Sent, but only status, keys and lengths are compared."""
SYSTEM_MANAGER = "token of a user with role System Manager"
MORE = re.compile(r"\.\.\. (\d+) more like these")
CUT = re.compile(r"^(.*?)\.\.\. \((\d+) characters\)$", re.DOTALL)
LEFT_OUT = re.compile(r"^(.*?) ?\.\.\.(\d+) characters left out\.\.\.", re.DOTALL)
TAIL = re.compile(r"\d+$")
CUSTOM_15: dict[str, dict[str, Any]] = {
    "custom_google_sync_key": {"label": "Google Sync Key", "unique": 1},
    "custom_google_event_id": {"label": "Google Event Id"},
    "custom_google_calendar_id": {"label": "Google Calendar Id"},
    "custom_google_hash": {"label": "Google Hash"},
    "custom_google_user": {"label": "Google User", "fieldtype": "Link", "options": "User"},
    "custom_synced_from": {"label": "Synced From"},
}
CUSTOM_16 = CUSTOM_15 | {
    "custom_google_event_id": {"label": "Google Event ID"},
    "custom_google_user": {"label": "Google Calendar of", "fieldtype": "Link", "options": "User"},
    "custom_google_account": {"label": "Google Account"},
    "custom_google_recurring_event_id": {"label": "Google Recurring Event ID"},
    "custom_google_calendar_section": {"fieldtype": "Section Break"},
}
RECORDS = {
    15: Record(
        15,
        "recordings",
        "scoopjoy.test",
        5023,
        CUSTOM_15,
        (),
        "u9q9bhru89",
        ("RT1", "AT1", 3600),
        12,
    ),
    16: Record(
        16,
        "recordings-16",
        "scoop.test",
        650,
        CUSTOM_16,
        tuple(f"u{n}@j1795992920.test" for n in range(4)),
        "kb02u6d1mf",
        ("rt-recorded", "at-recorded", 3599),
        4,
    ),
}


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
    if isinstance(value, str) and (cut := CUT.match(value) or LEFT_OUT.match(value)):
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


def send(url: str, users: dict[str, tuple[str, str]], request: dict[str, Any]) -> requests.Response:
    who = request["auth"]
    auth, headers = None, {}
    if who.startswith("HTTP Basic"):
        auth = users[SYSTEM_MANAGER]
    elif who != "none":
        headers["Authorization"] = "token {}:{}".format(*users[who])
    return requests.request(
        request["method"],
        url + request["path"],
        auth=auth,
        headers=headers,
        timeout=30,
        json=unpack(request.get("json")),
        data=unpack(request.get("form")),
        params=unpack(request.get("params")),
    )


def prepare(site: Site, title: str, record: Record) -> None:
    """What was done to the recorded site by hand before these exchanges."""
    site.clear_troubles()
    if title.startswith("maintenance mode"):
        site.maintenance = "full"
    elif title.startswith("read-only maintenance"):
        site.maintenance = "read-only"
    elif title == "site rate limit reached":
        site.limit_rate(record.wait)
    elif title == "token rows, masked":
        app = site.add_connected_app("cid", "csec", name=record.app)
        site.add_token(app, "ann@scoopjoy.test", *record.tokens)


def whole(title: str, exchange: dict[str, Any]) -> dict[str, Any]:
    """The request; the fields that this record cuts are those of its answer."""
    request: dict[str, Any] = exchange["request"]
    if title == "token rows, masked":
        fields = list(exchange["response"]["body"]["data"][0])
        params = request["params"] | {"fields": {"json-encoded string of": fields}}
        return request | {"params": params}
    return request


MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}")
SCHEMA = re.compile(r"`(_\w+|scoop164_db)`\.")
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+|(?<=callback/)\w{10}$")
RANDOM_NAME = re.compile(r"[0-9a-z]{10}")
SENT_MOMENT = "2026-11-23 10:00:00.123456"


def comparable(value: Any, key: str = "") -> Any:
    """An answer without what can never be the same twice: clocks, random names, tracebacks."""
    if isinstance(value, dict):
        return {k: comparable(v, k) for k, v in value.items() if k != "__frappe_exc_id"}
    if isinstance(value, list):
        return [comparable(each) for each in value if not _is_more(each)]
    if key in ("exc", "idx", "date"):
        return type(value).__name__
    if key == "_server_messages":
        return [comparable(json.loads(each)) for each in json.loads(value)]
    if not isinstance(value, str):
        return value
    if key in ("name", "parent") and RANDOM_NAME.fullmatch(value):
        return "~"
    value = value if value == SENT_MOMENT else MOMENT.sub("~", value)
    return ADDRESS.sub("~", SCHEMA.sub("~", value))


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


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value]
    return type(value).__name__


def difference(recorded: dict[str, Any], answer: requests.Response, title: str) -> str:
    """Empty when they are alike."""
    if answer.status_code != recorded["status"]:
        return f"{title}: {answer.status_code}, recorded {recorded['status']}: {answer.text[:300]}"
    for name, value in recorded["headers"].items():
        if not answer.headers.get(name, "").startswith(value.partition(";")[0]):
            return f"{title}: {name} {answer.headers.get(name)}, recorded {value}"
    if isinstance(recorded["body"], str):
        return "" if answer.text == recorded["body"] else f"{title}: {answer.text}"
    got = comparable(cut_alike(recorded["body"], answer.json()))
    wanted = comparable(recorded["body"])
    if title in SHAPE_ONLY:
        got, wanted = shape(got), shape(wanted)
    return "" if got == wanted else f"{title}:\n  got    {got}\n  wanted {wanted}"


@pytest.mark.parametrize("record", RECORDS.values(), ids=[f"frappe {n}" for n in RECORDS])
def test_every_recorded_exchange_is_answered_as_it_was(record: Record) -> None:
    site = Site(first_number=record.first, frappe=record.frappe)
    exchanges = record.exchanges()
    users = {
        SYSTEM_MANAGER: (site.api_key, site.api_secret),
        "token with a wrong secret": (site.api_key, "wrong"),
        "token of a plain desk user (role All/Desk User)": site.add_user("ann@scoopjoy.test"),
        "token of another plain desk user": site.add_user("bob@scoopjoy.test"),
    }
    for email in record.more:
        site.add_user(email)
    server = serve(site)
    try:
        for fieldname, more in record.custom.items():
            field = {"dt": "Event", "fieldname": fieldname, "fieldtype": "Data", **more}
            request = {"method": "POST", "path": "/api/resource/Custom Field", "json": field}
            assert send(server.url, users, request | {"auth": SYSTEM_MANAGER}).ok
        replayed, wrong = 0, []
        for title, each in exchanges:
            if title not in NOT_REPLAYED:
                prepare(site, title, record)
                answer = send(server.url, users, whole(title, each))
                wrong.append(difference(each["response"], answer, title))
                replayed += 1
    finally:
        server.close()
        site.close()
    assert "\n".join(filter(None, wrong)) == ""
    assert replayed == len(exchanges) - len(NOT_REPLAYED) == 99 - len(NOT_REPLAYED)


def test_the_lists_of_exceptions_name_exchanges_that_exist() -> None:
    titles = {title for record in RECORDS.values() for title, _ in record.exchanges()}
    assert titles >= set(NOT_REPLAYED) | set(SHAPE_ONLY)


def test_the_comparison_can_fail() -> None:
    """A replay that accepts anything would prove nothing."""
    (recorded,) = [e["response"] for title, e in RECORDS[15].exchanges() if title == "insert"]
    answer = requests.Response()
    answer.status_code = 200
    answer.headers["Content-Type"] = "application/json"
    for fieldname, value in (("send_reminder", 1), ("name", "EV09999"), ("status", None)):
        body = {"data": recorded["body"]["data"] | {fieldname: value}}
        answer._content = json.dumps(body).encode()
        assert difference(recorded, answer, "insert") != ""
    answer._content = json.dumps(recorded["body"]).encode()
    assert difference(recorded, answer, "insert") == ""
