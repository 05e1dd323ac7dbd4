"""How ``make bench`` leaves a site for tests as it was found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks import real
from watcher.erpnext import fields
from watcher.erpnext.client import ErpNextClient
from watcher_sandbox.erpnext.app import serve
from watcher_sandbox.erpnext.site import Site


@pytest.fixture
def erpnext() -> Iterator[tuple[Site, ErpNextClient]]:
    site = Site("Asia/Kolkata")
    server = serve(site)
    client = ErpNextClient(server.url, site.api_key, site.api_secret)
    fields.install(client)
    yield site, client
    client.logout()
    server.close()
    site.close()


def made(client: ErpNextClient, *accounts: str) -> list[str]:
    day = {"doctype": "Event", "starts_on": "2026-12-01 10:00:00", "event_type": "Public"}
    return client.insert_many(
        [{**day, "subject": "Shift", "custom_google_account": each} for each in accounts]
    )


def test_its_events_and_their_copies_go_and_others_stay(
    erpnext: tuple[Site, ErpNextClient],
) -> None:
    """More than one request's worth, and a copy of somebody else's event under a name that Frappe
    has given again."""
    site, client = erpnext
    (gone,) = made(client, "ann@scoopjoy.test")
    client.delete("Event", gone)
    stays, *_ = made(client, "my-bench-1@scoopjoy.test", *["bench-a-1@scoopjoy.test"] * 23)
    assert stays == gone
    assert real.take_back(client) == 23
    assert [row["name"] for row in site.events()] == [stays]
    (kept,) = site.rows("Deleted Document")
    assert "ann@scoopjoy.test" in kept["data"]
    assert real.take_back(client) == 0


def test_what_cannot_be_deleted_is_said(
    erpnext: tuple[Site, ErpNextClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frappe leaves it out of a request for several without a word."""
    _site, client = erpnext
    made(client, "bench-a-1@scoopjoy.test")
    monkeypatch.setattr(client, "method", lambda *_args, **_params: None)
    tried: list[str] = []

    def refuses(_doctype: str, name: str) -> bool:
        tried.append(name)
        raise PermissionError

    monkeypatch.setattr(client, "delete", refuses)
    with pytest.raises(PermissionError):
        real.take_back(client)
    assert len(tried) == 1
