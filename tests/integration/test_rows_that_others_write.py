"""Rows that ERPNext has closed, and rows that somebody else writes: a person who drags one in the
Desk, or another script under Watcher's own key."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest
import requests

from tests.company import ANN, BOB, Company
from watcher.ledger import overview, owing

pytestmark = pytest.mark.one_shape("postgres")


@pytest.fixture(autouse=True)
def connected(company: Company) -> None:
    company.connect()
    company.google.insert_event(ANN, company.timed(hours=30, summary="Other"))


def write(company: Company, name: str, user: str = "", **fields: Any) -> None:
    """By the API user's key (another script), or as a person in the Desk."""
    site = company.site
    key, secret = site.keys_of(user) if user else (site.api_key, site.api_secret)
    answer = requests.put(
        f"{company.environ['WATCHER_ERPNEXT_URL']}/api/resource/Event/{name}",
        json=fields,
        headers={"Authorization": f"token {key}:{secret}"},
        timeout=30,
    )
    assert answer.ok, answer.text


def poll(company: Company) -> str:
    """The safety poll, and what a worker does when it rings."""
    with company.services.db.session() as session:
        number = company.calendar().id
        owing.owe_looks(session, [number], "poll", company.services.clock())
    return company.sync()


def put(company: Company, **extra: Any) -> dict[str, Any]:
    event_id = company.google.insert_event(ANN, company.timed(hours=24, **extra))
    assert company.sync() == "done"
    return next(row for row in company.rows() if row["custom_google_event_id"] == event_id)


@pytest.mark.parametrize("who", ["", BOB], ids=["another-script", "a-person"])
@pytest.mark.parametrize(
    "change",
    [
        {"starts_on": "2026-12-24 10:00:00", "ends_on": "2026-12-24 11:00:00"},
        {"subject": "Dragged"},
        {"description": "<p>Mine</p>"},
    ],
    ids=["times", "subject", "description"],
)
def test_the_poll_puts_right_what_others_wrote(
    company: Company, who: str, change: dict[str, str]
) -> None:
    row = put(company, summary="Shift", description="Bring the key")
    write(company, row["name"], who, **change)
    assert poll(company) == "done"
    now = company.site.row("Event", row["name"])
    assert now is not None
    fields = ("subject", "starts_on", "ends_on", "description")
    assert {f: now[f] for f in fields} == {f: row[f] for f in fields}
    assert company.calendar().last_snapshot_at is not None


def test_a_poll_that_finds_nothing_lists_nothing(company: Company) -> None:
    row = put(company)
    write(company, row["name"], BOB, subject="Dragged")
    assert poll(company) == "done"
    before = company.calendar().last_snapshot_at
    assert poll(company) == "done"
    assert company.calendar().last_snapshot_at == before


def test_what_people_add_of_their_own_stays(company: Company) -> None:
    row = put(company)
    write(company, row["name"], BOB, event_category="Meeting")
    assert poll(company) == "done"
    assert company.site.row("Event", row["name"])["event_category"] == "Meeting"  # type: ignore[index]


def test_erpnexts_own_closing_is_no_ones_meddling(company: Company) -> None:
    put(company)
    before = company.calendar().last_snapshot_at
    past = company.google.insert_event(ANN, company.timed(hours=-48))
    assert company.sync() == "done"
    assert company.site.close_past_events()
    assert poll(company) == "done"
    assert company.calendar().last_snapshot_at == before
    row = next(r for r in company.rows() if r["custom_google_event_id"] == past)
    assert row["status"] == "Closed"


@pytest.mark.parametrize("change", ["moved", "prolonged"])
def test_what_erpnext_closed_is_open_again_when_it_moves_into_the_future(
    company: Company, change: str
) -> None:
    event_id = company.google.insert_event(ANN, company.timed(hours=-48))
    assert company.sync() == "done"
    assert company.site.close_past_events()
    times = company.timed(
        hours=24 if change == "moved" else -48, length=1 if change == "moved" else 80
    )
    company.google.patch_event(ANN, event_id, {"start": times["start"], "end": times["end"]})
    assert company.sync() == "done"
    row = next(r for r in company.rows() if r["custom_google_event_id"] == event_id)
    assert row["status"] == "Open"
    assert company.watcher("verify").returncode == 0


def test_verify_sees_a_row_that_stayed_closed(company: Company) -> None:
    """As an earlier version left them: moved, and still closed."""
    event_id = company.google.insert_event(ANN, company.timed(hours=-48))
    assert company.sync() == "done"
    company.site.close_past_events()
    times = company.timed(hours=24)
    company.google.patch_event(ANN, event_id, {"start": times["start"], "end": times["end"]})
    assert company.watcher("verify").returncode == 7


def test_a_late_edit_during_our_own_writing_is_still_seen(company: Company) -> None:
    """A person edits one row while Watcher writes another: the stamp of the pass is not moved
    beyond the person's."""
    first = put(company, summary="First")
    write(company, first["name"], BOB, subject="Dragged")
    put(company, summary="Second")
    assert "Dragged" not in company.subjects(), "a busy calendar need not wait for a poll"


def test_the_daily_listing_is_not_needed_for_it(company: Company) -> None:
    row = put(company)
    write(company, row["name"], BOB, subject="Dragged")
    due = company.calendar().next_reconcile_at
    assert due is not None
    assert due > company.services.clock() + timedelta(hours=20)
    assert poll(company) == "done"
    assert "Dragged" not in company.subjects()


def test_an_address_under_the_same_words_is_put_right(company: Company) -> None:
    row = put(company, description='<a href="https://good.example/">the agenda</a>')
    assert 'href="https://good.example/"' in row["description"]
    evil = row["description"].replace("good.example", "evil.example")
    write(company, row["name"], BOB, description=evil)
    assert poll(company) == "done"
    assert "evil.example" not in str(company.site.row("Event", row["name"]))


def test_frappes_own_repetition_is_taken_back(company: Company) -> None:
    row = put(company)
    write(company, row["name"], BOB, repeat_this_event=1, repeat_on="Daily")
    assert poll(company) == "done"
    now = company.site.row("Event", row["name"])
    assert now is not None
    assert now["repeat_this_event"] == 0


def test_an_edit_of_a_closed_row_by_administrator_is_seen(company: Company) -> None:
    past = company.google.insert_event(ANN, company.timed(hours=-48))
    assert company.sync() == "done"
    company.site.close_past_events()
    assert poll(company) == "done"
    key, secret = company.site.add_user("Administrator", system_manager=True)
    row = next(r for r in company.rows() if r["custom_google_event_id"] == past)
    url = f"{company.environ['WATCHER_ERPNEXT_URL']}/api/resource/Event/{row['name']}"
    headers = {"Authorization": f"token {key}:{secret}"}
    assert requests.put(url, json={"subject": "Mine"}, headers=headers, timeout=30).ok
    assert poll(company) == "done"
    assert "Mine" not in company.subjects()


def test_another_watcher_with_other_settings_is_told_and_not_fought(company: Company) -> None:
    """Both write under the same keys; the other one is played by its writes."""
    for n in range(4):
        company.google.insert_event(ANN, company.timed(hours=24 + n, summary=f"Shift {n}"))
    assert company.sync() == "done"
    assert company.sync(snapshot=True) == "done"

    def other(word: str) -> None:
        for row in company.rows():
            digest = hashlib.sha256(word.encode()).hexdigest()
            fields = {"event_type": "Private", "custom_google_hash": digest}
            write(company, row["name"], **fields)

    def types() -> set[str]:
        return {row["event_type"] for row in company.rows()}

    other("theirs")
    assert poll(company) == "done"
    assert types() == {"Public"}, "put right once, for a person or a script may have done it"
    (told,) = [p for p in overview.look(company.services).problems if p.state == "another_watcher"]
    assert (told.calendars, ANN in told.next_step) == (1, True)
    other("theirs again")
    assert poll(company) == "done"
    assert types() == {"Private"}, "and not again with each poll"
    assert company.sync(snapshot=True) == "done"
    assert types() == {"Public"}
    assert company.sync(snapshot=True) == "done"
    assert "another_watcher" not in [p.state for p in overview.look(company.services).problems]
