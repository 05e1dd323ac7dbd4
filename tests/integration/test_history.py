"""Years of rows that have aged out of the window: a listing does not read them, and does all that
has to be done about them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from tests.company import ANN, Company
from watcher.ledger import aside
from watcher.ledger.aside import SetAside

pytestmark = pytest.mark.one_shape("postgres")

Row = dict[str, Any]


@pytest.fixture(autouse=True)
def connected(company: Company) -> None:
    company.google.insert_event(ANN, company.timed(hours=5, summary="Soon"))
    company.connect()


def age(company: Company, count: int) -> list[str]:
    """Rows of a month and more ago, as this calendar's mirror has left them; their names."""
    (like,) = [row for row in company.rows() if row["subject"] == "Soon"]
    begins = company.services.clock() - timedelta(days=400)
    names = []
    for number in range(count):
        at = begins + timedelta(hours=8 * number)
        names.append(f"EVOLD{number:05}")
        company.site.put(
            "Event",
            like
            | {
                "name": names[-1],
                "subject": f"Old {number}",
                "status": "Closed",
                "starts_on": f"{at:%Y-%m-%d %H:%M:%S}",
                "ends_on": f"{at:%Y-%m-%d %H:%M:%S}",
                "custom_google_event_id": f"old{number}",
                "custom_google_sync_key": f"{number:064}",
            },
        )
    return names


def listing(company: Company) -> int:
    """One full listing; how many calls of ERPNext it took."""
    before = company.services.erpnext.calls
    assert company.sync(snapshot=True) == "done"
    return company.services.erpnext.calls - before


def old_rows(company: Company, names: Iterable[str]) -> list[Row]:
    return [row for name in names if (row := company.site.row("Event", name)) is not None]


def test_a_listing_and_verify_read_no_history(company: Company) -> None:
    names = age(company, 1_100)
    before = old_rows(company, names)
    assert listing(company) <= 1
    assert old_rows(company, names) == before
    assert company.mirrored() == company.expected()
    assert company.watcher("verify", "--all").returncode == 0


def test_all_rows_are_looked_at_by_the_first_listing_after_an_upgrade(company: Company) -> None:
    (name,) = age(company, 1)
    ledger_of_an_earlier_version(company)
    old = company.site.row("Event", name)
    assert old is not None
    company.site.put("Event", old | {"subject": "Busy", "description": ""})
    calls: list[str] = []
    assert listing_told(company, calls) == "done"
    assert company.calendar().rows_seen
    assert any(name in call for call in calls), "what it only masked is looked at"


def ledger_of_an_earlier_version(company: Company) -> None:
    with company.services.db.session() as session:
        row = session.merge(company.calendar())
        row.rows_seen = ""


def listing_told(company: Company, calls: list[str]) -> str:
    client = company.services.erpnext
    send = client._send

    def told(*args: Any, **options: Any) -> Any:
        calls.append(f"{args} {options}")
        return send(*args, **options)

    client._send = told  # type: ignore[method-assign]
    return company.sync(snapshot=True)


def test_what_comes_back_from_history_is_the_same_row(company: Company) -> None:
    """It has aged out of the window long ago, and Google moves it into it while the token is
    dead: no second row."""
    event = company.google.insert_event(ANN, company.timed(hours=3, summary="Comes back"))
    assert company.sync() == "done"
    (row,) = [r for r in company.rows() if r["custom_google_event_id"] == event]
    past = {"starts_on": "2020-01-01 10:00:00", "ends_on": "2020-01-01 11:00:00"}
    past["custom_google_hash"] = "of those times"
    company.site.put("Event", row | past)
    company.google.expire_sync_tokens()
    assert company.sync() == "done"
    assert company.mirrored() == company.expected()
    assert len([r for r in company.site.events() if r["custom_google_event_id"] == event]) == 1


def test_somebody_who_writes_into_history_makes_no_listing_for_ever(company: Company) -> None:
    """The poll finds the row, the listing sees it as well and knows it from then on."""
    (name,) = age(company, 1)
    assert listing(company) <= 1
    old = company.site.row("Event", name)
    assert old is not None
    stamp = f"{company.services.clock() + timedelta(hours=6):%Y-%m-%d %H:%M:%S}.000001"
    company.site.put("Event", old | {"subject": "Mine", "modified": stamp, "modified_by": ANN})
    listing(company)
    assert company.calendar().rows_seen == stamp
    listing(company)
    assert company.calendar().rows_seen == stamp, "it does not go back either"


def test_what_has_to_go_from_history_goes(company: Company) -> None:
    """A row without a key, and one that could not be masked so far."""
    leftover, readable, other = age(company, 3)
    assert listing(company) <= 1
    for name, fields in ((leftover, {"custom_google_sync_key": None}), (readable, {})):
        row = company.site.row("Event", name)
        assert row is not None
        company.site.put("Event", row | fields)
    number = company.calendar().id
    with company.services.db.session() as session:
        refusal = SetAside(key=f"{1:064}", event_id="old1", message="refused", kind="masking")
        now = company.services.clock()
        aside.quarantine(session, number, [refusal], now, now)
    listing(company)
    assert company.site.row("Event", leftover) is None
    texts = [row["subject"] for row in company.site.events()]
    assert "Old 1" not in texts
    assert "Old 2" in texts
    assert company.site.row("Event", other) is not None
