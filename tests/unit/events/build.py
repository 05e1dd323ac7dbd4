"""Builders, strategies and a small ERPNext for the tests of the pure room."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from watcher.events.compare import Place
from watcher.events.model import (
    Action,
    Cancel,
    Create,
    ErpEvent,
    EventTime,
    GoogleEvent,
    MappingRules,
    Rewrite,
    Row,
    Update,
)
from watcher.events.window import make_window

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
API = "api@example.com"
ZONES = [
    ZoneInfo(name)
    for name in (
        "Asia/Kolkata",
        "America/New_York",
        "Europe/Berlin",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "UTC",
    )
]
KOLKATA = ZoneInfo("Asia/Kolkata")
zones = st.sampled_from(ZONES)


def at(text: str) -> EventTime:
    return EventTime(instant=datetime.fromisoformat(text))


def on(text: str) -> EventTime:
    return EventTime(day=date.fromisoformat(text))


def rules(**changes: Any) -> MappingRules:
    given: dict[str, Any] = {
        "account": "maya@example.com",
        "calendar_id": "maya@example.com",
        "erpnext_user": "maya@example.com",
        "site_zone": KOLKATA,
    }
    return MappingRules(**{**given, **changes})


def event(event_id: str = "e1", **changes: Any) -> GoogleEvent:
    given: dict[str, Any] = {
        "summary": "Tasting",
        "start": EventTime(instant=NOW),
        "end": EventTime(instant=NOW + timedelta(hours=1)),
    }
    return GoogleEvent(id=event_id, **{**given, **changes})


def place(zone: ZoneInfo = KOLKATA, calendar_zone: ZoneInfo | None = None) -> Place:
    return Place(
        window=make_window(NOW, 7, 30),
        site_zone=zone,
        calendar_zone=calendar_zone or zone,
        now=NOW,
    )


def held(sent: ErpEvent, **changes: Any) -> Row:
    """The row that ERPNext holds after ``sent``: an end equal to the start is stored as NULL."""
    row = Row(
        name=f"EV-{sent.key[:8]}",
        key=sent.key,
        event_id=sent.event_id,
        recurring_event_id=sent.recurring_event_id,
        content_hash=sent.content_hash,
        status="Open",
        subject=sent.subject,
        starts_on=sent.starts_on,
        ends_on=None if sent.ends_on == sent.starts_on else sent.ends_on,
        all_day=sent.all_day,
        event_type=sent.event_type,
        description=sent.description,
        modified_by=API,
    )
    return replace(row, **changes)


MASKED = {"subject": "Busy", "description": "", "content_hash": ""}
"""What is written over a row that is to be masked (``watcher/events/fields.py::masked_texts``)."""


class Rows:
    """ERPNext's rows by key; a second row of one key is refused, as the unique field does."""

    def __init__(self) -> None:
        self.by_key: dict[str, Row] = {}

    def apply(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Create):
                assert action.event.key not in self.by_key, "a second row of one key"
                self.by_key[action.event.key] = held(action.event)
            elif isinstance(action, Update):
                before = self.by_key[action.event.key]
                status = "Open" if action.revive else before.status
                self.by_key[before.key] = held(action.event, status=status, name=before.name)
            elif isinstance(action, Cancel):
                self._cancel(action)
            elif isinstance(action, Rewrite):
                texts = {"subject": action.subject, "description": action.description}
                row = self.by_key[action.key]
                self.by_key[action.key] = replace(row, **MASKED if action.mask else texts)  # type: ignore[arg-type]

    def _cancel(self, action: Cancel) -> None:
        masked = MASKED if action.mask else {}
        before = self.by_key[action.key]
        self.by_key[action.key] = replace(before, status="Cancelled", **masked)  # type: ignore[arg-type]

    def live(self) -> dict[str, Row]:
        return {row.event_id: row for row in self.by_key.values() if not row.is_cancelled}


def instants(first: datetime, last: datetime) -> st.SearchStrategy[datetime]:
    """Aware, whole seconds, as Google's API gives them."""
    seconds = st.integers(0, int((last - first).total_seconds()))
    return seconds.map(lambda count: first + timedelta(seconds=count))


@st.composite
def spans(draw: st.DrawFn, around: datetime = NOW, days: int = 60) -> tuple[EventTime, EventTime]:
    """Start and end of one kind; zero-length and, now and then, backwards."""
    first, last = around - timedelta(days=days), around + timedelta(days=days)
    begins = draw(instants(first, last))
    if draw(st.booleans()):
        length = draw(st.integers(-1, 40))
        day = begins.date()
        return EventTime(day=day), EventTime(day=day + timedelta(days=length))
    seconds = draw(st.sampled_from([0, 1, 900, 3600, 86_400, -60]) | st.integers(0, 900_000))
    return EventTime(instant=begins), EventTime(instant=begins + timedelta(seconds=seconds))
