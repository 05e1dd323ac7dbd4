"""The ERPNext client over real sockets: credentials, cookies, time-outs, retries, setup."""

from __future__ import annotations

import json
import socket
import time
import traceback
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.contract.test_erpnext_sites import (
    KEY,
    PEER,
    PLAIN_KEY,
    SECRET,
    USER,
    Answer,
    Call,
    FaultProxy,
    StandIn,
    serve,
)
from watcher.erpnext import fields
from watcher.erpnext.client import ErpNextClient, refuse_empty_in
from watcher.errors import ErpAuthError, ErpRefused, Permanent, Transient, UserError
from watcher.telemetry import traces


@pytest.fixture
def stand_in() -> StandIn:
    return StandIn()


@pytest.fixture
def proxy(stand_in: StandIn) -> Iterator[FaultProxy]:
    with serve(stand_in.handle) as url:
        proxy = FaultProxy(url)
        yield proxy
        proxy.close()
        assert proxy.unused == []


@pytest.fixture
def url(proxy: FaultProxy) -> Iterator[str]:
    with serve(proxy.handle) as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[ErpNextClient]:
    client = ErpNextClient(url, KEY, SECRET, timeout=(2, 15))
    yield client
    client.logout()


def test_who_where_and_whether(client: ErpNextClient) -> None:
    assert client.whoami() == USER
    assert client.time_zone() == "Asia/Kolkata"
    assert client.is_system_manager()
    assert client.may("delete")
    assert client.user_exists(PEER)
    assert not client.user_exists("nobody@scoopjoy.test")
    assert client.calls == 6


def test_cookies_are_refused(client: ErpNextClient, proxy: FaultProxy) -> None:
    client.ping()
    client.whoami()
    assert not list(client.session.cookies)
    assert all("Cookie" not in call.headers for call in proxy.calls)


def test_calls_are_prepared_once_and_take_nothing_from_each_other(
    client: ErpNextClient, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """requests takes as long to prepare a call as to send it."""
    prepare, prepared = client.session.prepare_request, list[requests.Request]()

    def counted(request: requests.Request) -> requests.PreparedRequest:
        prepared.append(request)
        made: requests.PreparedRequest = prepare(request)
        return made

    monkeypatch.setattr(client.session, "prepare_request", counted)
    with traces.of_pass("0123456789abcdef", ""):
        client.whoami()
    client.get_list("Event", ["name"], {"subject": "Überfahrt"})
    with pytest.raises(ErpRefused):
        client.get_doc("Event", "EV0")
    assert not client.delete("Event", "EV ä/0")
    assert len(prepared) == 1
    traced, plain, read, gone = proxy.calls
    assert traced.headers["X-Frappe-Request-Id"] == "0123456789abcdef"
    assert "X-Frappe-Request-Id" not in plain.headers
    assert "0123456789abcdef" not in plain.headers["User-Agent"]
    assert json.loads(plain.json["filters"]) == {"subject": "Überfahrt"}
    assert (plain.method, plain.path) == ("POST", "/api/method/frappe.client.get_list")
    assert (read.method, read.path, read.body) == ("GET", "/api/resource/Event/EV0", b"")
    assert not {"Content-Type", "Content-Length"} & set(read.headers)
    assert (gone.method, gone.path) == ("DELETE", "/api/resource/Event/EV%20%C3%A4%2F0")
    assert gone.headers["Content-Length"] == "0", "as requests itself says of a call without a body"


def test_netrc_does_not_replace_the_key(
    client: ErpNextClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert client.whoami() == USER


def test_wrong_key_is_said_without_showing_it(url: str) -> None:
    client = ErpNextClient(url, KEY, "wrong-secret-42")
    with pytest.raises(ErpAuthError) as caught:
        client.whoami()
    assert caught.value.cause == "auth"
    shown = "".join(traceback.format_exception(caught.value)) + repr(client) + repr(vars(client))
    assert "wrong-secret-42" not in shown
    assert "WATCHER_ERPNEXT_API_KEY" in caught.value.next_step
    client.logout()


@pytest.mark.parametrize("secret", ["line\nbreak", "snowman☃", "a b"])
def test_key_that_fits_no_header(secret: str) -> None:
    with pytest.raises(UserError) as caught:
        ErpNextClient("http://127.0.0.1:1", KEY, secret)
    assert secret not in str(caught.value)


def test_guest_is_no_user(client: ErpNextClient, proxy: FaultProxy) -> None:
    proxy.fail("get_logged_user", Answer(body={"message": "Guest"}))
    with pytest.raises(ErpAuthError):
        client.whoami()


def test_nobody_answers() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound but not listening: refused at once
        client = ErpNextClient(f"http://127.0.0.1:{held.getsockname()[1]}", KEY, SECRET)
        with pytest.raises(Transient) as caught:
            client.ping()
    assert caught.value.side == "erpnext"
    assert client.calls == 2, "a read is tried twice"
    client.logout()


def test_time_out() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        client = ErpNextClient(url, KEY, SECRET, timeout=(1, 0.1))
        started = time.monotonic()
        with pytest.raises(Transient, match="in time"):
            client.ping()
        assert time.monotonic() - started < 5
        assert client.calls == 1, "a time-out is not repeated"
        client.logout()


def test_who_only_reads_knows_soon_that_a_site_hangs_and_waits_longer_the_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, waited = ErpNextClient("http://erp.example", KEY, SECRET), []
    took = [timedelta(seconds=each) for each in (40, 1, 1)]

    def hang(*_: Any, timeout: tuple[float, float], **__: Any) -> None:
        waited.append(timeout[1])
        raise requests.ReadTimeout

    def answer(*_: Any, timeout: tuple[float, float], **__: Any) -> requests.Response:
        waited.append(timeout[1])
        found = requests.Response()
        found.status_code, found._content, found.elapsed = 200, b'{"message": ""}', took.pop(0)
        return found

    monkeypatch.setattr(client.session, "send", hang)
    for _ in range(4):
        with pytest.raises(Transient, match="in time"):
            client.ping()
    with pytest.raises(Transient, match="in time"):
        client.method("write", params={})
    assert waited == [15, 30, 60, 60, 60]
    monkeypatch.setattr(client.session, "send", answer)
    for _ in range(3):
        client.ping()
    assert waited[5:] == [60, 60, 15], "a slow site is heard, until it is quick again"


def test_no_address() -> None:
    with pytest.raises(Permanent) as caught:
        ErpNextClient("erp.example.com", KEY, SECRET).ping()
    assert caught.value.cause == "no_site"


def test_read_is_tried_again_after_a_broken_connection(
    client: ErpNextClient, proxy: FaultProxy
) -> None:
    proxy.fail("get_list", None)
    assert client.rows("User", [["name", "=", PEER]], ["name"]) == [{"name": PEER}]
    assert client.calls == 2


def test_write_is_not_tried_again(client: ErpNextClient, proxy: FaultProxy) -> None:
    proxy.fail("insert_many", None)
    with pytest.raises(Transient):
        client.insert_many([{"doctype": "Event", "subject": "x", "starts_on": "2026-11-23"}])
    assert client.calls == 1


def test_redirects_are_not_followed(client: ErpNextClient, proxy: FaultProxy) -> None:
    moved = Answer(301, "<html>", "text/html", {"Location": "http://127.0.0.1:1/"})
    proxy.fail("ping", moved)
    with pytest.raises(Permanent) as caught:
        client.ping()
    assert caught.value.cause == "redirected"


def test_nothing_is_printed(
    client: ErpNextClient, proxy: FaultProxy, capfd: pytest.CaptureFixture[str]
) -> None:
    proxy.fail("ping", Answer(502, "<html>Bad gateway</html>", "text/html"))
    with pytest.raises(Transient):
        client.ping()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "filters",
    [[["name", "in", []]], [["Event", "name", "IN", ()]], {"name": ["in", []]}],
)
def test_empty_in_is_never_sent(client: ErpNextClient, filters: object) -> None:
    with pytest.raises(ValueError, match="every row"):
        client.get_list("Event", filters=filters)
    assert client.calls == 0


@pytest.mark.parametrize("filters", [None, [], [["name", "in", ["a"]]], {"name": "a"}])
def test_other_filters_pass(filters: object) -> None:
    refuse_empty_in(filters)


def test_paging_by_name(
    client: ErpNextClient,
    stand_in: StandIn,
    proxy: FaultProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("watcher.erpnext.client.PAGE", 3)
    names = [f"EV{n:05d}" for n in range(1, 8)]
    stand_in.tables["Event"] = {n: {"name": n, "subject": "x"} for n in reversed(names)}
    assert [r["name"] for r in client.rows("Event", [], ["subject"])] == names
    assert [len(call.path) > 0 for call in proxy.calls] == [True] * 3
    assert all(call.method == "POST" and "?" not in call.path for call in proxy.calls)


def test_a_row_that_goes_between_pages_hides_no_other(
    client: ErpNextClient,
    stand_in: StandIn,
    proxy: FaultProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("watcher.erpnext.client.PAGE", 2)
    names = [f"EV{n:05d}" for n in range(1, 6)]
    stand_in.tables["Event"] = {n: {"name": n} for n in names}

    def lose_one(call: Call, forward: object) -> Answer:
        answer = proxy.forward(call)
        stand_in.tables["Event"].pop("EV00001")
        return answer

    proxy.rule("get_list", lose_one)
    assert [r["name"] for r in client.rows("Event", [], [])] == names


def test_documents_go_as_a_json_string(client: ErpNextClient, proxy: FaultProxy) -> None:
    client.bulk_update([{"doctype": "Event", "docname": "EV1", "subject": "x"}])
    assert isinstance(proxy.calls[0].json["docs"], str)


@pytest.mark.parametrize("body", [{"message": None}, {"message": ["EV1"]}, {}])
def test_names_that_are_missing_are_no_success(
    client: ErpNextClient, proxy: FaultProxy, body: dict[str, object]
) -> None:
    proxy.fail("insert_many", Answer(body=body))
    with pytest.raises(Transient):
        client.insert_many([{"doctype": "Event"}] * 2)


def test_methods_of_the_package_go_the_same_way(client: ErpNextClient, proxy: FaultProxy) -> None:
    ask = {"cmd": "frappe.client.get_list", "doctype": "User", "filters": [["name", "=", PEER]]}
    assert client.post_request(ask) == [{"name": PEER}]
    assert isinstance(ask["filters"], list), "the caller's dict is left alone"
    assert client.get_api("ping") == "pong"
    assert [c.path for c in proxy.calls] == [
        "/api/method/frappe.client.get_list",
        "/api/method/ping",
    ]


# --- setup ------------------------------------------------------------------------------------


def test_setup_creates_once(client: ErpNextClient, stand_in: StandIn) -> None:
    looked = fields.plan(client)
    assert len(looked.missing) == 10
    assert not stand_in.tables["Custom Field"]
    made = fields.install(client)
    assert made.complete
    assert made.created == [f["fieldname"] for f in fields.WANTED]
    again = fields.install(client)
    assert (again.created, again.missing, again.complete) == ([], [], True)
    spec = stand_in.tables["Custom Field"]["Event-custom_google_sync_key"]
    assert (spec["unique"], spec["read_only"], spec["no_copy"]) == (1, 1, 1)


def test_setup_when_the_answer_is_lost(client: ErpNextClient, proxy: FaultProxy) -> None:
    proxy.fail("POST /api/resource/Custom", None, after=True)
    assert fields.install(client).complete


def test_setup_names_what_is_wrong(client: ErpNextClient, stand_in: StandIn) -> None:
    fields.install(client)
    stand_in.tables["Custom Field"]["Event-custom_google_sync_key"]["unique"] = 0
    stand_in.tables["Custom Field"]["Event-custom_google_user"]["options"] = "Contact"
    report = fields.check(client)
    assert not report.complete
    assert report.wrong == [
        ("custom_google_sync_key", "is not unique"),
        ("custom_google_user", "links to Contact: remove it in Customize Form"),
    ]


def test_setup_without_system_manager(client: ErpNextClient, url: str) -> None:
    plain = ErpNextClient(url, PLAIN_KEY, SECRET)
    report = fields.check(plain)
    assert not report.system_manager
    assert len(report.missing) == 10
    assert report.permissions["delete"] is False
    with pytest.raises(ErpAuthError) as caught:
        fields.install(plain)
    assert PEER in caught.value.message
    assert "--admin-key` asks for the key of a System Manager" in caught.value.next_step
    fields.install(client)
    assert fields.check(plain).missing == []
    plain.logout()


def test_field_names_are_checked_before_they_are_sent() -> None:
    docs = fields.wanted_fields()
    after = [doc["insert_after"] for doc in docs]
    assert after == ["description", *[doc["fieldname"] for doc in docs[:-1]]]
    assert json.dumps(docs)
