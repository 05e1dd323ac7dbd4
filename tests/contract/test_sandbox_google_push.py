"""What Google documents, and others recorded, of channels and notifications: the stand-in does
it too."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from watcher_sandbox.google import Server, serve

ANN = "ann@icecream.example"
EVENT = {"start": {"date": "2026-12-01"}, "end": {"date": "2026-12-02"}}


class Receiver(ThreadingHTTPServer):
    """Takes notifications; answers with the statuses in ``answers``, then 204."""

    daemon_threads = True

    def __init__(self) -> None:
        self.got: list[dict[str, str]] = []
        self.answers: list[int] = []
        self.changed = threading.Condition()
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_port}/webhooks/google"

    def wait(self, what: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(what, timeout=10), self.got

    def numbers(self, channel: str) -> list[int]:
        return [int(m["x-goog-message-number"]) for m in self.of(channel)]

    def of(self, channel: str) -> list[dict[str, str]]:
        return [m for m in self.got if m["x-goog-channel-id"] == channel]


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.server.changed:
            self.server.got.append({**headers, "body": body.decode(), "path": self.path})
            status = self.server.answers.pop(0) if self.server.answers else 204
            self.server.changed.notify_all()
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with Receiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield receiver
        receiver.shutdown()
        thread.join()


@pytest.fixture
def google() -> Iterator[Server]:
    with serve() as server:
        server.state.add_user(ANN)
        server.state.pusher.retry_first = 0.02
        yield server


class Watcher:
    def __init__(self, server: Server, hook: Receiver, email: str = ANN) -> None:
        self.server, self.hook = server, hook
        self.session = requests.Session()
        token = server.state.mint_access_token(email)
        self.session.headers["Authorization"] = f"Bearer {token}"
        self.url = f"{server.url}/calendar/v3"

    def watch(self, channel: str = "c-1", query: str = "", **more: Any) -> requests.Response:
        body = {"id": channel, "type": "web_hook", "address": self.hook.address, **more}
        body = {name: value for name, value in body.items() if value is not None}
        url = f"{self.url}/calendars/primary/events/watch{query}"
        return self.session.post(url, json=body, timeout=10)

    def opened(self, channel: str = "c-1", **more: Any) -> dict[str, Any]:
        answer = self.watch(channel, **more)
        assert answer.status_code == 200, answer.text
        self.hook.wait(lambda: bool(self.hook.of(channel)))
        body: dict[str, Any] = answer.json()
        return body

    def stop(self, channel: str, resource_id: str) -> requests.Response:
        body = {"id": channel, "resourceId": resource_id}
        return self.session.post(f"{self.url}/channels/stop", json=body, timeout=10)

    def change(self) -> None:
        self.server.state.insert_event(ANN, EVENT)
        assert self.server.state.wait_pushes()


@pytest.fixture
def ann(google: Server, hook: Receiver) -> Iterator[Watcher]:
    watcher = Watcher(google, hook)
    yield watcher
    watcher.session.close()


def reason(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["errors"][0]["reason"]


class TestWatch:
    def test_answer_and_sync_message(self, google: Server, ann: Watcher, hook: Receiver) -> None:
        before = time.time()
        answer = ann.opened(token="t=1&x=é"[:5])
        assert answer["kind"] == "api#channel"
        assert answer["id"] == "c-1"
        assert answer["token"] == "t=1&x"
        assert f"/calendars/{ANN}/events" in answer["resourceUri"]
        assert int(answer["expiration"]) / 1000 == pytest.approx(before + 604_800, abs=30)
        message = hook.got[0]
        assert message["body"] == ""
        assert message["content-length"] == "0"
        assert message["content-type"] == "application/json; utf-8"
        assert message["user-agent"].startswith("APIs-Google")
        assert message["x-goog-channel-token"] == "t=1&x"
        assert message["x-goog-resource-id"] == answer["resourceId"]
        assert message["x-goog-resource-uri"] == answer["resourceUri"]
        assert message["x-goog-resource-state"] == "sync"
        assert message["x-goog-message-number"] == "1"
        ends = message["x-goog-channel-expiration"]
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", ends)
        assert parsedate_to_datetime(ends).timestamp() == int(answer["expiration"]) // 1000

    def test_sync_message_comes_first(self, ann: Watcher, hook: Receiver) -> None:
        assert ann.watch().status_code == 200
        assert hook.numbers("c-1") == [1]  # already there

    def test_sync_message_may_come_later(
        self, google: Server, ann: Watcher, hook: Receiver
    ) -> None:
        google.state.behaviour.sync_before_answer = False
        google.state.set_push_faults(delay=2)
        assert ann.watch().status_code == 200
        assert hook.got == []
        hook.wait(lambda: hook.numbers("c-1") == [1])

    def test_sync_message_is_retried(self, ann: Watcher, hook: Receiver) -> None:
        hook.answers = [503]
        assert ann.watch().status_code == 200
        hook.wait(lambda: hook.numbers("c-1") == [1, 1])

    def test_used_id(self, ann: Watcher) -> None:
        first = ann.opened()
        assert reason(ann.watch()) == (400, "channelIdNotUnique")
        assert ann.stop("c-1", first["resourceId"]).status_code == 204
        assert reason(ann.watch()) == (400, "channelIdNotUnique")

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"address": None}, "required"),
            ({"type": None}, "required"),
            ({"address": "http://watcher.example/hook"}, "push.webhookUrlNotHttps"),
            ({"address": "https://"}, "push.webhookUrlNoHostOrAddress"),
            ({"id": "x" * 65}, "push.channelIdInvalid"),
            ({"id": "a b"}, "push.channelIdInvalid"),
            ({"type": "email"}, "push.channelTypeNotSupported"),
            ({"token": "x" * 257}, "invalid"),
            ({"expiration": "1"}, "invalid"),
            ({"params": {"ttl": "-5"}}, "invalid"),
        ],
    )
    def test_refusals(self, ann: Watcher, change: dict[str, Any], expected: str) -> None:
        answer = ann.watch(**{"channel": "c-1", **_renamed(change)})
        assert reason(answer) == (400, expected)

    def test_unverified_host(self, google: Server, ann: Watcher) -> None:
        google.state.channels.unauthorized_hosts.add("127.0.0.1")
        assert reason(ann.watch()) == (401, "push.webhookUrlUnauthorized")

    def test_unwatchable_and_unknown_calendars(self, google: Server, ann: Watcher) -> None:
        google.state.set_watchable(ANN, False)
        assert reason(ann.watch()) == (400, "pushNotSupportedForRequestedResource")
        url = f"{ann.url}/calendars/nobody/events/watch"
        assert reason(ann.session.post(url, json={}, timeout=10)) == (404, "notFound")

    def test_life_is_the_stricter_of_two(self, google: Server, ann: Watcher) -> None:
        short = ann.opened("c-1", params={"ttl": "600"})
        assert int(short["expiration"]) / 1000 == pytest.approx(time.time() + 600, abs=30)
        google.state.behaviour.max_channel_ttl = 300
        capped = ann.opened("c-2", params={"ttl": "600"})
        assert int(capped["expiration"]) / 1000 == pytest.approx(time.time() + 300, abs=30)

    def test_one_resource_id_for_a_users_calendar(self, google: Server, ann: Watcher) -> None:
        first, second = ann.opened("c-1"), ann.opened("c-2")
        assert first["resourceId"] == second["resourceId"]


def _renamed(change: dict[str, Any]) -> dict[str, Any]:
    return {"channel" if name == "id" else name: value for name, value in change.items()}


class TestNotices:
    def test_each_change_once_a_channel(self, ann: Watcher, hook: Receiver) -> None:
        for channel in ("c-1", "c-2"):
            ann.opened(channel)
        for _ in range(3):
            ann.change()
        for channel in ("c-1", "c-2"):
            numbers = hook.numbers(channel)
            assert len(numbers) == 4
            assert len(set(numbers)) == 4
            states = [message["x-goog-resource-state"] for message in hook.of(channel)]
            assert states == ["sync", "exists", "exists", "exists"]

    def test_numbers_grow_with_gaps(self, ann: Watcher, hook: Receiver) -> None:
        ann.opened()
        for _ in range(40):
            ann.change()
        numbers = hook.numbers("c-1")
        assert numbers == sorted(numbers)
        assert any(b - a > 1 for a, b in zip(numbers, numbers[1:], strict=False))

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_retried(self, ann: Watcher, hook: Receiver, status: int) -> None:
        ann.opened()
        hook.answers = [status, status]
        ann.change()
        numbers = hook.numbers("c-1")[1:]
        assert len(numbers) == 3
        assert len(set(numbers)) == 1

    @pytest.mark.parametrize("status", [404, 401, 429, 302, 501])
    def test_not_retried(self, ann: Watcher, hook: Receiver, status: int) -> None:
        ann.opened()
        hook.answers = [status]
        ann.change()
        assert len(hook.numbers("c-1")) == 2
        assert ann.server.state.pusher.counts["failed"] == 1

    def test_event_types_deliver_nothing(self, ann: Watcher, hook: Receiver) -> None:
        answer = ann.watch(query="?eventTypes=default")
        assert answer.status_code == 200
        ann.change()
        assert hook.numbers("c-1") == [1]

    def test_expired_and_killed_channels_are_silent(
        self, google: Server, ann: Watcher, hook: Receiver
    ) -> None:
        ann.opened("c-1", params={"ttl": "60"})
        ann.opened("c-2")
        google.state.clock.set_offset(61)
        ann.change()
        assert (len(hook.of("c-1")), len(hook.of("c-2"))) == (1, 2)
        assert google.state.kill_channels(ANN) == 1
        ann.change()
        assert len(hook.of("c-2")) == 2
        assert google.state.live_channels() == []

    def test_lost_access_silences(self, google: Server, ann: Watcher, hook: Receiver) -> None:
        ann.opened()
        google.state.remove_access(ANN, ANN)
        ann.change()
        assert hook.numbers("c-1") == [1]

    def test_faults(self, google: Server, ann: Watcher, hook: Receiver) -> None:
        ann.opened()
        google.state.set_push_faults(drop=1.0)
        ann.change()
        assert len(hook.of("c-1")) == 1
        google.state.set_push_faults(duplicate=1.0)
        ann.change()
        numbers = hook.numbers("c-1")[1:]
        assert len(numbers) == 2
        assert numbers[0] == numbers[1]
        google.state.set_push_faults(shuffle=0.3)
        for _ in range(20):
            google.state.insert_event(ANN, EVENT)
        assert google.state.wait_pushes()
        numbers = hook.numbers("c-1")[3:]
        assert len(numbers) == 20
        assert numbers != sorted(numbers)


class TestStop:
    def test_stop_and_unknown(self, ann: Watcher, hook: Receiver) -> None:
        opened = ann.opened()
        answer = ann.stop("c-1", opened["resourceId"])
        assert (answer.status_code, answer.content) == (204, b"")
        ann.change()
        assert hook.numbers("c-1") == [1]
        again = ann.stop("c-1", opened["resourceId"])
        assert reason(again) == (404, "notFound")
        message = again.json()["error"]["message"]
        assert re.fullmatch(r"Channel 'c-1' not found for project '\d+'", message)
        assert reason(ann.stop("c-9", opened["resourceId"]))[0] == 404
        assert ann.session.post(f"{ann.url}/channels/stop", json={}, timeout=10).status_code == 400

    def test_several_stops_and_late_notices(
        self, google: Server, ann: Watcher, hook: Receiver
    ) -> None:
        google.state.behaviour.update({"stops_before_404": 2, "late_notices": 1})
        resource = ann.opened()["resourceId"]
        statuses = [ann.stop("c-1", resource).status_code for _ in range(3)]
        assert statuses == [204, 204, 404]
        ann.change()
        ann.change()
        assert len(hook.numbers("c-1")) == 2

    def test_only_the_same_user_and_resource(
        self, google: Server, ann: Watcher, hook: Receiver
    ) -> None:
        opened = ann.opened()
        google.state.add_user("bob@icecream.example")
        bob = Watcher(google, hook, "bob@icecream.example")
        assert bob.stop("c-1", opened["resourceId"]).status_code == 404
        bob.session.close()
        assert ann.stop("c-1", "another").status_code == 404
        assert ann.stop("c-1", opened["resourceId"]).status_code == 204

    def test_calendar_list_channel(self, google: Server, ann: Watcher, hook: Receiver) -> None:
        token = google.state.mint_access_token(
            ANN, ["https://www.googleapis.com/auth/calendar.readonly"]
        )
        url = f"{ann.url}/users/me/calendarList/watch"
        body = {"id": "l-1", "type": "web_hook", "address": hook.address}
        headers = {"Authorization": f"Bearer {token}"}
        assert ann.session.post(url, json=body, headers=headers, timeout=10).status_code == 200
        google.state.add_calendar("outlet", ANN)
        assert google.state.wait_pushes()
        assert len(hook.of("l-1")) == 2
