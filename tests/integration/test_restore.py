"""A backup of the ledger, put back on another host: it heals by itself, nothing is twice."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from tests.company import ANN, BOB, Company, free_port
from tests.waiting import wait_for
from watcher.channels import renewal


@pytest.fixture
def company(company: Company) -> Company:
    """With the ledger where ``watcher`` keeps it by default, since that is what is backed up."""
    company.set("database_url", "")
    return company


def back_up(company: Company) -> Path:
    """While the ledger is in use."""
    done = company.watcher("backup", str(company.folder / "backup"))
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def restore(company: Company, backup: Path) -> None:
    """On a new host: an empty data directory, the copy in it, the same keys, another address."""
    company.rebuild()
    data = company.folder / "new-host"
    company.set("data_dir", str(data))
    done = company.watcher("restore", str(backup), "--yes")
    assert done.returncode == 0, done.stderr
    company.port = free_port()
    company.public_url = f"http://127.0.0.1:{company.port}"
    company.set("public_url", company.public_url)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("tokens", ["grown old", "still good"])
def test_a_restored_ledger_heals_by_itself(company: Company, tokens: str) -> None:
    google = company.google
    company.setup_erpnext()
    company.add(BOB)
    company.consented(ANN)
    kept = google.insert_event(ANN, company.timed(summary="Stocktaking"))
    gone = google.insert_event(ANN, company.timed(summary="Tasting"))
    for email in (ANN, BOB):
        assert company.sync(email) == "done"
    backup = back_up(company)

    # After the backup: edits that are mirrored, and channels that the backup knows nothing of.
    google.patch_event(ANN, kept, {"summary": "Stocktaking, late"})
    google.delete_event(ANN, gone)
    google.insert_event(ANN, company.timed(summary="Delivery"))
    assert company.sync() == "done"
    renewal.renew_due(company.services, renewal.Wanted(force=True))
    for email in (ANN, BOB):
        assert company.sync(email) == "done"
    renewal.stop_retired(company.services)
    unknown = {channel.id for channel in google.live_channels()}
    names = {row["name"] for row in company.rows(live=False)}

    google.expire_access_tokens()
    if tokens == "grown old":
        google.expire_sync_tokens()
    restore(company, backup)
    google.insert_event(BOB, company.timed(summary="On the new host"))
    company.start("up", "--port", str(company.port), "--workers", "1")
    wait_for(company.web_is_up, what="the new host")
    wait_for(lambda: company.subjects(BOB) == ["On the new host"] or None, what="Bob's mirror")
    wait_for(
        lambda: sorted(company.subjects()) == ["Delivery", "Stocktaking, late"] or None,
        what="Ann's mirror",
    )
    assert {row["name"] for row in company.rows(live=False)} == names, "the same rows"
    keys = [row["custom_google_sync_key"] for row in company.site.events()]
    assert len(keys) == len(set(keys)) == 4

    # Channels that the restored ledger does not know are strangers; new ones open by themselves.
    stranger = next(iter(unknown))
    headers = {
        "X-Goog-Channel-ID": stranger,
        "X-Goog-Resource-State": "exists",
        "X-Goog-Channel-Token": str(google.channels.all[stranger].token),
    }
    answer = requests.post(f"{company.public_url}/webhooks/google", headers=headers, timeout=10)
    assert answer.status_code == 404

    def fresh() -> bool:
        found = [c for c in google.live_channels() if c.address.startswith(company.public_url)]
        return len(found) == 2

    wait_for(fresh, what="new channels")
    google.insert_event(ANN, company.timed(summary="By push"))
    wait_for(lambda: "By push" in company.subjects() or None, what="a push to the new host")
    assert company.watcher("verify", "--all").returncode == 0
    status = company.watcher("status", "--json")
    assert status.returncode == 0, status.stdout
