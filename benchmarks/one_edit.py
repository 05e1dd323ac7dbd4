"""One edit in a calendar: by delta (what a push brings) against a full listing (what a poll does).

Each run does both by turns on the same calendar, over HTTP between the sandbox servers, and prints
the medians and their ratio. Machines are noisy: compare figures of the same run only.

    .venv/bin/python benchmarks/one_edit.py [events ...]
"""

from __future__ import annotations

import os
import secrets
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from watcher.accounts.verbs import add_delegated
from watcher.erpnext.fields import install
from watcher.ledger import accounts, calendars, owing
from watcher.services import Ledger, build
from watcher.settings import load
from watcher.sync.work import work_off
from watcher_sandbox.erpnext.app import serve as serve_erpnext
from watcher_sandbox.erpnext.site import Site
from watcher_sandbox.google import GoogleState
from watcher_sandbox.google import serve as serve_google

ANN, ROUNDS = "ann@scoopjoy.test", 15


def measure(events: int, folder: Path) -> None:
    """Print medians in milliseconds, calls to each side, and the ratio."""
    google, site = GoogleState(), Site("Asia/Kolkata")
    google_server, erpnext_server = serve_google(google), serve_erpnext(site)
    google.add_user(ANN)
    site.add_user(ANN)
    services = build(
        load(
            {
                "WATCHER_DATA_DIR": str(folder),
                "WATCHER_SECRET_KEYS": secrets.token_hex(32),
                "WATCHER_GOOGLE_API_URL": google_server.url,
                "WATCHER_GOOGLE_TOKEN_URL": f"{google_server.url}/token",
                "WATCHER_GOOGLE_SERVICE_ACCOUNT_FILE": str(
                    google.make_service_account(folder / "key.json")
                ),
                "WATCHER_DELEGATION_ALLOW": ANN,
                "WATCHER_PUBLIC_URL": "http://127.0.0.1:9",
                "WATCHER_ERPNEXT_URL": erpnext_server.url,
                "WATCHER_ERPNEXT_API_KEY": site.api_key,
                "WATCHER_ERPNEXT_API_SECRET": site.api_secret,
            }
        ).settings,
        ledger=Ledger.MADE,
    )
    install(services.erpnext)
    start = datetime.now(UTC).replace(microsecond=0)
    ids = []
    for number in range(events):
        begins = start + timedelta(minutes=number * 40_000 // events)
        body = {
            "summary": f"Shift {number}",
            "start": {"dateTime": begins.isoformat()},
            "end": {"dateTime": (begins + timedelta(hours=1)).isoformat()},
        }
        ids.append(google.insert_event(ANN, body))
    add_delegated(services, ANN)
    with services.db.session() as session:
        number = calendars.of_account(session, accounts.get(session, ANN).id)[0].id
    work_off(services, number, "bench")

    def one(snapshot: bool) -> tuple[float, int]:
        google.patch_event(ANN, secrets.choice(ids), {"summary": f"Shift {secrets.token_hex(3)}"})
        with services.db.session() as session:
            if snapshot:
                owing.owe_listings(session, [number], "bench", services.clock())
        calls = services.erpnext.calls
        began = time.perf_counter()
        assert work_off(services, number, "bench") == "done"
        return (time.perf_counter() - began) * 1000, services.erpnext.calls - calls

    rounds = [(one(False), one(True)) for _ in range(ROUNDS)]
    delta = statistics.median(d for (d, _), _ in rounds)
    listing = statistics.median(s for _, (s, _) in rounds)
    print(
        f"{events:6} events   delta {delta:7.1f} ms ({rounds[0][0][1]} ERPNext calls)   "
        f"listing {listing:8.1f} ms ({rounds[0][1][1]} ERPNext calls)   "
        f"ratio {listing / delta:5.1f}"
    )
    services.db.dispose()
    google_server.close()
    erpnext_server.close()


if __name__ == "__main__":
    os.environ["NO_PROXY"] = "*"
    for size in [int(word) for word in sys.argv[1:]] or [50, 500, 2000]:
        with tempfile.TemporaryDirectory() as scratch:
            measure(size, Path(scratch))
