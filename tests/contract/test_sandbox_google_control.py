"""The sandbox Google's control API, its faults, and the command that others start it with."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

import watcher_sandbox.google as package
from watcher_sandbox.google import Server, serve

ANN = "ann@icecream.example"
LIST = "/calendar/v3/calendars/primary/events"
EVENT = {"start": {"date": "2026-12-01"}, "end": {"date": "2026-12-02"}}


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with serve() as server:
        yield server


class Control:
    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.send(method, f"/_sandbox{path}", body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        return self.session.request(method, self.url + path, json=body, headers=headers, timeout=10)

    def list(self) -> requests.Response:
        token = self("POST", "/tokens/mint", {"email": ANN})["access_token"]
        return self.send("GET", LIST, Authorization=f"Bearer {token}")


@pytest.fixture
def control(running: Server) -> Iterator[Control]:
    made = Control(running.url)
    made("POST", "/reset")
    made("POST", "/users", {"email": ANN, "name": "Ann", "time_zone": "Europe/Berlin"})
    yield made
    made.session.close()


class TestControl:
    def test_events(self, control: Control) -> None:
        at = f"/calendars/{ANN}/events"
        series = {**EVENT, "recurrence": ["RRULE:FREQ=DAILY;COUNT=5"]}
        event_id = control("POST", at, series)["id"]
        control("PATCH", f"{at}/{event_id}_20261202", {"summary": "Moved"})
        control("DELETE", f"{at}/{event_id}_20261203")
        new = control("POST", f"{at}/{event_id}_20261204/split", {"summary": "New"})["id"]
        window = "timeMin=2026-11-01T00:00:00Z&timeMax=2027-01-01T00:00:00Z"
        truth = control("GET", f"/calendars/{ANN}/truth?{window}")["items"]
        assert [(e["id"], e.get("summary")) for e in truth] == [
            (f"{event_id}_20261201", None),
            (f"{event_id}_20261202", "Moved"),
            (f"{new}_20261204", "New"),
            (f"{new}_20261205", "New"),
        ]
        control("POST", "/calendars", {"id": "outlet", "owner": ANN})
        control("POST", f"{at}/{new}/move", {"to": "outlet"})
        assert len(control("GET", f"/calendars/outlet/truth?{window}")["items"]) == 2
        assert control("GET", f"{at}/{event_id}")["recurrence"]

    def test_a_user_is_changed(self, control: Control) -> None:
        assert control.list().status_code == 200
        control("PATCH", f"/users/{ANN}", {"has_calendar": False})
        refused = control.list()
        assert (refused.status_code, refused.json()["error"]["errors"]) == (
            403,
            [
                {
                    "domain": "calendar",
                    "reason": "notACalendarUser",
                    "message": "The user must be signed up for Google Calendar.",
                }
            ],
        )
        changed = control(
            "PATCH", f"/users/{ANN}", {"has_calendar": True, "calendar_id": "a@b.example"}
        )
        assert changed["calendar_id"] == control.list().json()["summary"] == "a@b.example"

    def test_refusals_are_told(self, control: Control) -> None:
        at = f"/_sandbox/calendars/{ANN}/events"
        assert control.send("POST", at, {"start": {}}).status_code == 400
        assert control.send("DELETE", f"{at}/nothing").status_code == 404
        unknown = control.send("POST", "/_sandbox/behaviour", {"no_such": 1})
        assert (unknown.status_code, "no_such" in unknown.text) == (400, True)
        assert control.send("POST", "/_sandbox/faults", {"match": "("}).status_code == 400
        assert control.send("POST", "/_sandbox/users", {"mail": 1}).status_code == 400
        assert control.send("GET", "/nowhere").json()["error"]["code"] == 404

    def test_trouble_with_tokens(self, control: Control) -> None:
        token = control("POST", "/tokens/mint", {"email": ANN})["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        sync = control.send("GET", LIST, **headers).json()["nextSyncToken"]
        control("POST", "/sync-tokens/expire", {"calendar": ANN})
        assert control.send("GET", f"{LIST}?syncToken={sync}", **headers).status_code == 410
        assert control("POST", "/tokens/expire", {"email": ANN}) == {"expired": 1}
        assert control.send("GET", LIST, **headers).status_code == 401

    def test_clock(self, control: Control) -> None:
        control("POST", "/clock", {"offset": 3600})
        assert control("POST", "/clock", {"advance": 60})["offset"] == 3660

    def test_service_account_key(self, control: Control) -> None:
        key = control("POST", "/service-accounts", {"delegated": []})
        assert key["type"] == "service_account"
        assert key["token_uri"] == f"{control.url}/token"
        assert "BEGIN PRIVATE KEY" in key["private_key"]

    def test_log_and_counts(self, control: Control) -> None:
        control.list()
        control.send("GET", f"{LIST}?access_token=geheim")
        counts = control("GET", "/counts")
        assert counts["routes"] == {"events.list": 2}
        assert counts["statuses"] == {"events.list 200": 1, "events.list 401": 1}
        entries = control("GET", "/log")
        assert [(e["route"], e["user"], e["status"]) for e in entries] == [
            ("events.list", ANN, 200),
            ("events.list", None, 401),
        ]
        assert "geheim" not in json.dumps(entries)
        control("DELETE", "/log")
        assert control("GET", "/log") == []

    def test_access_and_channels(self, control: Control) -> None:
        control("POST", f"/calendars/{ANN}/access", {"email": ANN, "name": "Me", "hidden": True})
        scope = "https://www.googleapis.com/auth/calendar.calendarlist.readonly"
        token = control("POST", "/tokens/mint", {"email": ANN, "scopes": [scope]})["access_token"]
        path = "/calendar/v3/users/me/calendarList?showHidden=true"
        listed = control.send("GET", path, Authorization=f"Bearer {token}").json()["items"]
        assert [each["summaryOverride"] for each in listed] == ["Me"]
        control("POST", f"/calendars/{ANN}/access", {"email": ANN, "role": None})
        assert control.list().status_code == 404
        assert control("GET", "/channels") == []
        assert control("POST", "/channels/kill") == {"killed": 0}
        assert control("POST", "/pushes/wait") == {"idle": True}


class TestFaults:
    def test_status_reason_and_headers(self, control: Control) -> None:
        rule = {
            "match": "GET .*/events$",
            "status": 403,
            "reason": "quotaExceeded",
            "count": 1,
            "headers": {"Retry-After": "7"},
        }
        control("POST", "/faults", rule)
        answer = control.list()
        entry = answer.json()["error"]["errors"][0]
        assert (answer.status_code, entry["reason"]) == (403, "quotaExceeded")
        assert entry["domain"] == "usageLimits"
        assert answer.headers["Retry-After"] == "7"
        assert control.list().status_code == 200
        assert control("GET", "/faults")[0]["struck"] == 1

    def test_malformed_json_and_html(self, control: Control) -> None:
        control("POST", "/faults", {"match": "events", "body": '{"items": [', "count": 1})
        answer = control.list()
        assert (answer.status_code, answer.text) == (200, '{"items": [')
        html = {"match": "events", "status": 502, "body": "<html>", "content_type": "text/html"}
        control("POST", "/faults", html)
        assert control.list().text == "<html>"
        control("DELETE", "/faults")
        assert control.list().status_code == 200

    def test_skip_delay_and_probability(self, control: Control) -> None:
        control("POST", "/faults", {"match": "events", "status": 500, "skip": 2, "count": 1})
        assert [control.list().status_code for _ in range(4)] == [200, 200, 500, 200]
        control("POST", "/faults", {"match": "events", "delay": 0.2, "count": 1})
        began = time.monotonic()
        assert control.list().status_code == 200
        assert time.monotonic() - began >= 0.2
        control("POST", "/faults", {"match": "events", "status": 500, "probability": 0.0})
        assert control.list().status_code == 200

    def test_query_can_be_matched(self, control: Control) -> None:
        control("POST", "/faults", {"match": "syncToken=", "status": 410})
        assert control.list().status_code == 200
        token = control("POST", "/tokens/mint", {"email": ANN})["access_token"]
        answer = control.send("GET", f"{LIST}?syncToken=x", Authorization=f"Bearer {token}")
        entry = answer.json()["error"]["errors"][0]
        assert (entry["reason"], entry["location"]) == ("fullSyncRequired", "syncToken")

    def test_dropped_connection(self, control: Control) -> None:
        control("POST", "/faults", {"match": "events", "drop": True, "count": 1})
        with pytest.raises(requests.ConnectionError):
            control.list()
        assert control.list().status_code == 200

    def test_lost_answer_of_a_done_request(self, running: Server, control: Control) -> None:
        control("POST", "/faults", {"match": "watch", "status": 503, "after": True})
        token = control("POST", "/tokens/mint", {"email": ANN})["access_token"]
        body = {"id": "c-1", "type": "web_hook", "address": "https://127.0.0.1:9/hook"}
        answer = control.send("POST", f"{LIST}/watch", body, Authorization=f"Bearer {token}")
        assert answer.status_code == 503
        assert [channel["id"] for channel in control("GET", "/channels")] == ["c-1"]

    def test_token_endpoint_speaks_oauth(self, control: Control) -> None:
        control("POST", "/faults", {"match": "POST /token", "status": 503, "reason": "internal"})
        answer = control.send("POST", "/token")
        assert (answer.status_code, answer.json()["error"]) == (503, "internal")


class TestPackage:
    @pytest.mark.system
    def test_run_prints_its_address(self) -> None:
        code = "from watcher_sandbox.google import run; run(0)"
        command = [sys.executable, "-c", code]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                url = json.loads(process.stdout.readline())["url"]
                assert requests.get(f"{url}/_sandbox/health", timeout=10).json() == {"ok": True}
            finally:
                process.terminate()

    def test_keeps_connections_open_until_it_ends(self) -> None:
        server = serve()
        control = Control(server.url)
        try:
            for path in ("/_sandbox/health", "/nowhere", "/_sandbox/health"):
                assert control.send("GET", path).raw.version == 11
            for path in ("/token", "/nowhere"):  # bodies that nobody asked for are read, too
                assert control.send("POST", path, {"x": "y" * 100_000}).status_code >= 400
            adapter = control.session.get_adapter(server.url)
            assert isinstance(adapter, HTTPAdapter)
            pools = adapter.poolmanager.pools
            assert [pools[key].num_connections for key in pools.keys()] == [1]  # noqa: SIM118
        finally:
            server.close()
        with pytest.raises(requests.ConnectionError):
            control.send("GET", "/_sandbox/health")
        control.session.close()

    def test_shares_nothing_with_the_bridge(self) -> None:
        folder = Path(package.__file__).parent
        for path in folder.glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
                ours = [n for n in names if n.partition(".")[0] == "watcher"]
                assert all(n.startswith("watcher_sandbox.google") for n in ours), path
