"""How items are split by what is to be done with them."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from tests.unit.events.build import place, rules
from watcher.events.model import Skipped
from watcher.events.plan import plan_delta
from watcher.intake import map_items

ZONE = ZoneInfo("Asia/Kolkata")


def test_a_tombstone_is_gone() -> None:
    mapped = map_items([{"id": "x", "status": "cancelled"}], rules(), place().window, ZONE)
    assert (mapped.gone, mapped.live) == (["x"], [])


@pytest.mark.parametrize("visibility", ["private", "confidential"])
def test_what_was_made_private_and_then_deleted_is_masked_as_well(visibility: str) -> None:
    """An organizer's tombstone says more than the id; the row still has the readable title."""
    item = {"id": "x", "status": "cancelled", "visibility": visibility}
    mapped = map_items([item], rules(), place().window, ZONE)
    (event,) = mapped.live
    assert isinstance(event, Skipped)
    assert event.private
    assert mapped.gone == []
    (action,) = plan_delta(mapped.live, held={}, place=place())
    assert action.reason == "cancelled_in_google"  # type: ignore[union-attr]
