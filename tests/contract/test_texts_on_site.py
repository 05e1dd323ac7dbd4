"""What a site makes of the texts that we send: it takes each, and nothing active is stored.

Runs against the sandbox, and against a real Frappe too where WATCHER_TEST_ERPNEXT_URL, _KEY and
_SECRET name one (each Event is deleted after it was read).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.texts import HOSTILE, ORDINARY, assert_inert, assert_no_markup, shown
from tests.unit.events.build import at, event, on, rules
from watcher.erpnext.client import ErpNextClient
from watcher.events.fields import document
from watcher.events.mapping import to_erpnext
from watcher.events.model import ErpEvent, EventTime
from watcher_sandbox.erpnext.app import serve
from watcher_sandbox.erpnext.site import Site

REAL = [os.environ.get(f"WATCHER_TEST_ERPNEXT_{name}", "") for name in ("URL", "KEY", "SECRET")]
SITES = ["sandbox", *(["real"] if all(REAL) else [])]
SOON = (2.0, 60.0)
LINK = "https://meet.example/a-b?x=1&y=2"

Stored = dict[str, Any]
Store = Callable[[ErpEvent], Stored]


@pytest.fixture(params=SITES, scope="module")
def client(request: pytest.FixtureRequest) -> Iterator[ErpNextClient]:
    if request.param == "real":
        url, key, secret = REAL
        yield ErpNextClient(url, key, secret, timeout=SOON)
        return
    site = Site()
    server = serve(site)
    yield ErpNextClient(server.url, site.api_key, site.api_secret, timeout=SOON)
    server.close()


@pytest.fixture
def store(client: ErpNextClient) -> Store:
    """Send an event, read the row back, and take it away again."""

    def stored(sent: ErpEvent) -> Stored:
        name = str(client.insert(frappes_own(sent))["name"])
        try:
            return client.get_doc("Event", name)
        finally:
            client.delete("Event", name)

    return stored


def frappes_own(sent: ErpEvent) -> dict[str, object]:
    """Without the fields of our own, which the site need not have."""
    own = {k: v for k, v in document(sent).items() if not k.startswith("custom_")}
    return {"doctype": "Event", **own}


def mapped(text: str, **changes: Any) -> ErpEvent:
    given = event(summary=text, description=text, location=text, meeting_link=LINK, **changes)
    sent = to_erpnext(
        given, rules(site_fields=frozenset({"location", "google_meet_link"}), private_events="busy")
    )
    assert isinstance(sent, ErpEvent)
    return sent


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:50])
def test_nothing_active_is_stored(store: Store, text: str) -> None:
    row = store(mapped(text))
    assert_inert(row["description"] or "")
    assert_no_markup(row["subject"])
    assert_no_markup(row.get("location") or "")


@pytest.mark.parametrize("text", ORDINARY, ids=ascii)
def test_an_ordinary_text_reads_back(store: Store, text: str) -> None:
    row = store(mapped(text))
    assert row["subject"] == text
    assert row.get("location") or text == text
    assert row["google_meet_link"] == LINK
    assert shown(row["description"]).splitlines()[0] == text
    assert f'href="{LINK.replace("&", "&amp;")}"' in row["description"]


def test_what_was_readable_is_overwritten(client: ErpNextClient) -> None:
    """Empty texts are sent as such: a field that was left out would keep what it held."""
    before, after = mapped("Clinic"), mapped("Clinic", visibility="private")
    name = str(client.insert(frappes_own(before))["name"])
    try:
        client.update({"name": name, **frappes_own(after)})
        row = client.get_doc("Event", name)
    finally:
        client.delete("Event", name)
    assert (row["subject"], row["description"] or "") == ("Busy", "")
    assert [row.get(field) or "" for field in ("location", "google_meet_link")] == ["", ""]


@pytest.mark.parametrize(
    ("start", "end", "ends_on"),
    [
        (on("2026-11-23"), on("2026-11-24"), "2026-11-23 23:59:59"),
        (on("2026-11-23"), on("2026-11-26"), "2026-11-25 00:00:00"),
        (at("2026-11-23T10:00:00Z"), at("2026-11-23T10:00:00Z"), "2026-11-23 15:31:00"),
        (at("2026-11-23T10:00:00Z"), at("9998-12-31T23:00:00Z"), "9998-12-31 23:59:59"),
    ],
)
def test_an_end_is_stored_as_it_is_sent(
    store: Store, start: EventTime, end: EventTime, ends_on: str
) -> None:
    assert store(mapped("Shift", start=start, end=end))["ends_on"] == ends_on
