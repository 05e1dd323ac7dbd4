"""The switches of the stand-in for ERPNext, over HTTP and in Python, and its process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from watcher_sandbox.erpnext.app import serve
from watcher_sandbox.erpnext.server import Server
from watcher_sandbox.erpnext.site import Site

EVENT = {"subject": "Shift", "starts_on": "2026-11-23 10:00:00", "event_type": "Public"}
WHO = "/api/method/frappe.auth.get_logged_user"


class Desk:
    """The integration user, and whoever turns the switches."""

    def __init__(self, url: str, pair: tuple[str, str]) -> None:
        self.url, self.pair = url, pair

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        return requests.request(
            method, self.url + path, json=body, auth=self.pair, timeout=10, **more
        )

    def event(self, **fields: Any) -> requests.Response:
        return self.call("POST", "/api/resource/Event", EVENT | fields)

    def switch(self, path: str, body: Any = None, method: str = "POST") -> Any:
        answer = requests.request(method, f"{self.url}/_sandbox/{path}", json=body, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture
def server(site: Site) -> Iterator[Server]:
    server = serve(site)
    yield server
    server.close()


@pytest.fixture
def desk(site: Site, server: Server) -> Desk:
    return Desk(server.url, (site.api_key, site.api_secret))


def outcome(answer: requests.Response) -> tuple[int, str]:
    """Status, and exc_type or "html"."""
    if answer.headers["Content-Type"].startswith("text/html"):
        return answer.status_code, "html"
    return answer.status_code, answer.json().get("exc_type", "")


@pytest.mark.parametrize(
    ("trouble", "status", "exc_type"),
    [
        ({"maintenance": "full"}, 503, "SessionStopped"),
        ({"database_down": True}, 500, "html"),
        ({"html": True}, 200, "html"),
        ({"wrong_keys": True}, 401, "AuthenticationError"),
        ({"rate_limit": 60}, 429, "TooManyRequestsError"),
        ({"host": "erp.example.test"}, 404, "html"),
    ],
)
def test_troubles_begin_and_end(
    desk: Desk, trouble: dict[str, Any], status: int, exc_type: str
) -> None:
    desk.switch("troubles", trouble)
    assert outcome(desk.call("GET", WHO)) == (status, exc_type)
    assert outcome(desk.event()) == (status, exc_type)
    desk.switch("troubles", method="DELETE")
    assert outcome(desk.call("GET", WHO)) == (200, "")
    assert desk.switch("events", method="GET") == []


def test_the_rate_limit_ends_by_the_clock(desk: Desk) -> None:
    desk.switch("troubles", {"rate_limit": 12})
    limited = desk.call("GET", WHO)
    assert limited.headers["Retry-After"] == limited.headers["X-RateLimit-Reset"]
    assert 8 <= int(limited.headers["Retry-After"]) <= 12
    desk.switch("clock", {"advance": 13})
    assert desk.call("GET", WHO).ok


def test_a_deletion_without_the_queue_is_done_and_answers_500(desk: Desk) -> None:
    assert desk.event().ok
    desk.switch("troubles", {"queue_down": True})
    assert outcome(desk.call("DELETE", "/api/resource/Event/EV00001")) == (500, "ConnectionError")
    assert outcome(desk.call("DELETE", "/api/resource/Event/EV00001")) == (404, "DoesNotExistError")
    assert desk.event().ok


def test_a_deadlock_over_http(desk: Desk) -> None:
    for _ in range(3):
        desk.event()
    desk.switch("troubles", {"deadlock_at": 2})
    docs = [{"doctype": "Event", "docname": f"EV0000{n}", "subject": "new"} for n in (1, 2, 3)]
    answer = desk.call("POST", "/api/method/frappe.client.bulk_update", {"docs": json.dumps(docs)})
    (failed,) = answer.json()["message"]["failed_docs"]
    assert failed["doc"]["docname"] == "EV00002"
    rows = desk.switch("events", method="GET")
    assert [row["subject"] for row in rows] == ["Shift", "Shift", "new"]


def test_a_fault_is_chosen_by_method_path_and_cmd(desk: Desk) -> None:
    desk.switch("faults", {"match": r"^POST / frappe\.client\.insert_many$", "status": 502})
    form = {"cmd": "frappe.client.insert_many", "docs": json.dumps([{"doctype": "Event"} | EVENT])}
    assert desk.event().ok
    first = requests.post(desk.url + "/", form, auth=desk.pair, timeout=10)
    second = requests.post(desk.url + "/", form, auth=desk.pair, timeout=10)
    assert (first.status_code, second.status_code) == (502, 200)
    assert desk.switch("faults", method="GET") == {"waiting": 0}


def test_a_fault_with_a_message_and_without_tracebacks(desk: Desk) -> None:
    desk.switch("tracebacks", {"allowed": False})
    fault = {"match": "Event", "status": 417, "exc_type": "ValidationError", "message": "Too late"}
    desk.switch("faults", fault)
    body = desk.event().json()
    assert set(body) == {"exc_type", "_server_messages"}
    assert json.loads(json.loads(body["_server_messages"])[0])["message"] == "Too late"
    assert set(desk.event(event_type="Nope").json()) == {"exc_type", "_server_messages"}


def test_a_delay_and_a_probability(desk: Desk) -> None:
    desk.switch("faults", {"match": "ping", "status": 0, "delay": 0.2})
    began = time.monotonic()
    assert desk.call("GET", "/api/method/ping").json() == {"message": "pong"}
    assert time.monotonic() - began >= 0.2
    desk.switch("faults", {"match": "ping", "count": None, "probability": 0.5})
    answers = [desk.call("GET", "/api/method/ping").status_code for _ in range(40)]
    assert 5 < answers.count(503) < 35
    assert answers.count(503) + answers.count(200) == 40


def test_an_answer_lost_after_the_commit(desk: Desk, site: Site) -> None:
    desk.switch(
        "faults",
        {"match": "^POST /api/resource/Event", "after_commit": True, "html": True, "status": 504},
    )
    assert outcome(desk.event()) == (504, "html")
    assert len(site.events()) == 1
    desk.switch("faults", {"match": "Event", "drop": True, "after_commit": True})
    with pytest.raises(requests.ConnectionError):
        desk.event()
    assert len(site.events()) == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", {"match": "("}),
        ("faults", {"nope": 1}),
        ("faults", {"probability": 2}),
        ("troubles", {"nope": 1}),
        ("troubles", {"maintenance": "half"}),
        ("maintenance", {"mode": "half"}),
        ("zone", {"zone": "Mars/Olympus"}),
        ("users", {}),
        ("clock", {"advance": "soon"}),
    ],
)
def test_wrong_switches_are_refused(desk: Desk, path: str, body: dict[str, Any]) -> None:
    answer = requests.post(f"{desk.url}/_sandbox/{path}", json=body, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_zone_and_users(desk: Desk, site: Site) -> None:
    assert desk.switch("zone", {"zone": "America/New_York"}) == {"zone": "America/New_York"}
    assert desk.call("GET", "/api/method/frappe.client.get_time_zone").json() == {
        "message": {"time_zone": "America/New_York"}
    }
    keys = desk.switch("users", {"email": "ann@scoopjoy.test"})
    ann = Desk(desk.url, (keys["api_key"], keys["api_secret"]))
    assert ann.call("GET", WHO).json() == {"message": "ann@scoopjoy.test"}
    disable = {"enabled": 0}
    assert desk.call("PUT", "/api/resource/User/ann@scoopjoy.test", disable).ok
    assert ann.call("GET", WHO).ok  # a disabled user's key still works
    desk.switch("users/ann@scoopjoy.test", method="DELETE")
    assert outcome(ann.call("GET", WHO)) == (401, "AuthenticationError")
    assert desk.switch("users", method="GET") == ["integration@scoopjoy.test"]
    assert site.row("User", "ann@scoopjoy.test") is None


def test_the_request_log_counts_and_holds_no_secret(desk: Desk) -> None:
    desk.event()
    desk.call("POST", "/", {"cmd": "frappe.client.get_count", "doctype": "Event"})
    desk.call("GET", "/api/resource/Event/EV00001")
    found = desk.switch("requests", method="GET")
    assert found["counts"] == {
        "POST /api/resource/Event": 1,
        "POST /api/method/frappe.client.get_count": 1,
        "GET /api/resource/Event": 1,
    }
    assert [(each["path"], each["cmd"], each["status"]) for each in found["log"]] == [
        ("/api/resource/Event", "", 200),
        ("/", "frappe.client.get_count", 200),
        ("/api/resource/Event/EV00001", "", 200),
    ]
    assert {each["user"] for each in found["log"]} == {"integration@scoopjoy.test"}
    assert not any(part in json.dumps(found) for part in desk.pair)
    desk.switch("requests", method="DELETE")
    assert desk.switch("requests", method="GET") == {"counts": {}, "log": []}


def test_reset_empties_the_site_and_keeps_the_keys(desk: Desk, site: Site) -> None:
    field = {"dt": "Event", "fieldname": "custom_key", "fieldtype": "Data", "unique": 1}
    assert desk.call("POST", "/api/resource/Custom Field", field).ok
    assert desk.event(custom_key="a").ok
    desk.switch("troubles", {"maintenance": "full"})
    desk.switch("reset", {"keep_fields": True})
    assert desk.event(custom_key="a").json()["data"]["name"] == "EV00001"
    assert outcome(desk.event(custom_key="A")) == (417, "UniqueValidationError")
    desk.switch("reset", {})
    assert site.rows("Custom Field") == []
    assert "custom_key" not in desk.event(custom_key="a").json()["data"]


def test_frappes_daily_job_closes_past_events(desk: Desk) -> None:
    desk.event(ends_on="2026-11-23 11:00:00", starts_on="2020-01-01 10:00:00")
    desk.event(ends_on="2020-01-01 11:00:00", starts_on="2020-01-01 10:00:00")
    desk.event(ends_on="2020-01-01 11:00:00", starts_on="2020-01-01 10:00:00", status="Cancelled")
    desk.event(starts_on="2020-01-01 10:00:00", ends_on=None)
    closed = desk.switch("close-past", {})["closed"]
    assert closed[-1] == "EV00002"
    rows = desk.switch("events", method="GET")
    assert [row["status"] for row in rows[1:]] == ["Closed", "Cancelled", "Open"]
    assert rows[1]["modified_by"] == "Administrator"


def test_many_clients_at_once_lose_nothing(desk: Desk, site: Site) -> None:
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda n: desk.event(subject=f"s{n}").status_code, range(60)))
    assert answers == [200] * 60
    rows = site.events()
    assert [row["name"] for row in rows] == [f"EV{n:05d}" for n in range(1, 61)]
    assert len({row["subject"] for row in rows}) == 60


RUN = "import sys; from watcher_sandbox.erpnext.app import run; run(0, path=sys.argv[1])"


@pytest.mark.system
def test_a_killed_process_leaves_its_rows_to_the_next(tmp_path: Path) -> None:
    def start() -> tuple[subprocess.Popen[str], Desk]:
        command = [sys.executable, "-c", RUN, str(tmp_path / "site.db")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        where = json.loads(process.stdout.readline())
        return process, Desk(where["url"], (where["api_key"], where["api_secret"]))

    def kill(process: subprocess.Popen[str]) -> None:
        process.kill()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()

    field = {"dt": "Event", "fieldname": "custom_key", "fieldtype": "Data", "unique": 1}
    process, desk = start()
    try:
        assert desk.call("POST", "/api/resource/Custom Field", field).ok
        assert desk.event(custom_key="a").ok
    finally:
        kill(process)
    before = desk.pair
    process, desk = start()
    try:
        assert desk.pair == before
        assert outcome(desk.event(custom_key="A")) == (417, "UniqueValidationError")
        assert desk.event(custom_key="b").json()["data"]["name"] == "EV00002"
    finally:
        kill(process)
