"""How items are split by what is to be done with them."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.unit.events.build import place, rules
from watcher.events.model import ErpEvent, Skipped
from watcher.events.plan import ChangedSeries, plan_delta
from watcher.sync.intake import Intake, map_events, parse_items, zone_or_utc

ZONE = ZoneInfo("Asia/Kolkata")


def mapped(item: dict[str, Any], zone: ZoneInfo = ZONE) -> Intake:
    events, refused = parse_items([item], rules(), zone)
    assert refused == []
    return map_events(events, rules(), place().window, zone)


def test_a_tombstone_is_gone() -> None:
    found = mapped({"id": "x", "status": "cancelled"})
    assert (found.gone, found.live) == (["x"], [])


@pytest.mark.parametrize("visibility", ["private", "confidential"])
def test_what_was_made_private_and_then_deleted_is_masked_as_well(visibility: str) -> None:
    """An organizer's tombstone says more than the id; the row still has the readable title."""
    item = {"id": "x", "status": "cancelled", "visibility": visibility}
    found = mapped(item)
    (event,) = found.live
    assert isinstance(event, Skipped)
    assert event.private
    assert found.gone == []
    (action,) = plan_delta(found.told(rules()), {}, ChangedSeries(), place())
    assert action.reason == "cancelled_in_google"  # type: ignore[union-attr]


def test_a_time_without_offset_is_in_the_calendars_zone() -> None:
    item = {"id": "x", "start": {"dateTime": "2026-11-24T10:00:00"}}
    found = mapped(item, ZoneInfo("Europe/Berlin"))
    (event,) = found.live
    assert isinstance(event, ErpEvent)
    assert event.starts_on == "2026-11-24 14:30:00"


def test_an_unknown_zone_of_a_calendar_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    zone_or_utc.cache_clear()
    for name in ("Mars/Base", "Mars/Base", "Europe", "../etc/passwd", "\ud800", "GMT+05:30"):
        assert zone_or_utc(name) == ZoneInfo("UTC")
    for name in ("", "Asia/Kolkata"):
        zone_or_utc(name)
    assert zone_or_utc("Asia/Kolkata") == ZONE
    assert [record.args for record in caplog.records] == [
        ("Mars/Base",),
        ("Europe",),
        ("../etc/passwd",),
        ("\ud800",),
        ("GMT+05:30",),
    ]
