"""The next event of somebody as it stands in ERPNext now: read there, and not taken for granted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from watcher.events.mapping import data_id
from watcher.services import Services


@dataclass(frozen=True, kw_only=True, slots=True)
class Upcoming:
    """``starts_at`` is aware; of an ``all_day`` one only the day counts, in the site's zone, which
    ``zone`` names."""

    title: str
    starts_at: datetime
    all_day: bool
    is_private: bool
    zone: str


def next_event(services: Services, email: str) -> Upcoming | None:
    """The first open event of an account that is still to begin. Raises ``WatcherError``."""
    zone = services.site().zone
    after = services.clock().astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    row = services.mirror().next_of(data_id(email), after)
    if row is None:
        return None
    return Upcoming(
        title=row.subject,
        starts_at=datetime.fromisoformat(row.starts_on).replace(tzinfo=zone),
        all_day=row.all_day,
        is_private=row.event_type == "Private",
        zone=str(zone),
    )
