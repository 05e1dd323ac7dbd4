"""The shop of the tests of the doctor and of init."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledgers import put_migrated
from tests.shop import Patch, Shop
from watcher_sandbox.erpnext.app import serve as serve_erpnext
from watcher_sandbox.erpnext.site import Site
from watcher_sandbox.google import Server


@pytest.fixture
def shop(
    tmp_path: Path, migrated_folder: Path, google_server: Server, monkeypatch: Patch
) -> Iterator[Shop]:
    site = Site("Asia/Kolkata", frappe=16, erpnext=True)
    google_server.state.reset()
    erpnext_server = serve_erpnext(site)
    url = f"sqlite:///{tmp_path / 'data' / 'ledger.sqlite3'}"
    put_migrated(url, migrated_folder)
    made = Shop(
        google=google_server.state,
        site=site,
        folder=tmp_path,
        google_url=google_server.url,
        erpnext_url=erpnext_server.url,
        queue_url="redis://127.0.0.1:1",
        database_url=url,
    )
    made.patch = monkeypatch
    (tmp_path / "service-account.json").chmod(0o600)
    made.set("notify_webhook_url", "http://127.0.0.1:9/hook")
    made.setup_erpnext()
    yield made
    made.close()
    erpnext_server.close()
    site.close()
