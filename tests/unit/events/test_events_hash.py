"""The content hash of what is in ERPNext already: other bytes would rewrite every row."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.unit.events.build import at, event, on, rules
from watcher.events.mapping import to_erpnext
from watcher.events.model import ErpEvent, GoogleEvent, MappingRules

MEET = "https://meet.google.com/a?b=1&c=2"
SITES = (
    frozenset[str](),
    frozenset({"location"}),
    frozenset({"location", "google_meet_link", "custom_google_employee"}),
)
RULES = (
    rules(),
    rules(default_event_type="Private", site_zone=ZoneInfo("America/New_York")),
    rules(private_events="private", declined_events="mirror", employee="HR-EMP-1"),
    rules(account="Ann@Example.com", calendar_id="c" * 200, erpnext_user=None, employee="HR-2"),
)
EVENTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "untitled": {"summary": None},
    "texts": {"summary": "<b>x</b>\u202e", "description": "a & b\nc", "location": "Outlet\n& 3"},
    "links": {"meeting_link": MEET, "description": '<a href="https://x.example">x</a>'},
    "long": {"location": "p" * 141, "meeting_link": "https://e.example/" + "x" * 130},
    "day": {"start": on("2026-03-08"), "end": on("2026-03-09")},
    "days": {"start": on("2026-03-08"), "end": on("2026-03-11")},
    "no end": {"start": at("2026-11-23T10:00:00Z"), "end": None},
    "clock change": {"start": at("2026-11-01T05:50:00Z"), "end": at("2026-11-01T06:10:00Z")},
    "instance": {"recurring_event_id": "series<1>", "own_response": "accepted"},
    "private": {"visibility": "private", "description": "x", "location": "y"},
    "private and free": {"visibility": "confidential", "is_free": True, "meeting_link": MEET},
}
WRITTEN = {
    "plain": "54a90d4754019f78",
    "untitled": "a3d673ffab0b5bc7",
    "texts": "11d3d342e283e910",
    "links": "30a114eef5443c55",
    "long": "4006c84f88712074",
    "day": "997f7bb7431b3bfd",
    "days": "5cbc92c292ac0af6",
    "no end": "661ef1b6d2e99420",
    "clock change": "b9922a29ffb7b1c5",
    "instance": "c93588376cf42932",
    "private": "2073c1a52a540f45",
    "private and free": "e9c8ef9088058e4e",
}
"""By event: the SHA-256 of its content hashes under all rules and sites, as they were before the
mirrored fields stood in one table."""


def content_hash(given: GoogleEvent, under: MappingRules) -> str:
    result = to_erpnext(given, under)
    assert isinstance(result, ErpEvent)
    return result.content_hash


def digest(name: str) -> str:
    given = event(name, **EVENTS[name])
    hashes = [
        content_hash(given, replace(under, site_fields=site)) for under in RULES for site in SITES
    ]
    return hashlib.sha256(" ".join(hashes).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", EVENTS)
def test_rows_that_are_there_are_not_written_anew(name: str) -> None:
    assert digest(name) == WRITTEN[name]
