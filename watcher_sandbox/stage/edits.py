"""What a visitor can do to Google's day, and how it is known that ERPNext has it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from watcher_sandbox.company import Company
from watcher_sandbox.people import Person

MASKS = ("Busy", "Private")
LONGEST_TITLE = 60


class NotPossible(Exception):
    """What was asked for cannot be done; the text says so to the visitor."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One edit: in words, the change, and a look at ERPNext."""

    what: str
    change: Callable[[], str]
    seen: Callable[[str], bool]


class Edits:
    """Edits of one employee's day in Google."""

    def __init__(self, company: Company, person: Person, day: date) -> None:
        self._company, self._person, self._day = company, person, day
        self._zone = ZoneInfo(person.zone)

    def wanted(self, do: str, event: str, title: str, hour: str) -> Wanted:
        """Raises ``NotPossible``."""
        if do == "add":
            return self._add(title, hour)
        known: dict[str, Callable[[str], Wanted]] = {
            "move": self._move,
            "private": self._private,
            "delete": self._delete,
        }
        if do not in known:
            raise NotPossible("There is no such button.")
        if not event:
            raise NotPossible("Choose an event of Google's day first.")
        return known[do](event)

    def _add(self, title: str, hour: str) -> Wanted:
        subject = " ".join(title.split())[:LONGEST_TITLE] or f"New event {secrets.token_hex(2)}"
        if not hour.isdigit() or int(hour) > 23:
            raise NotPossible("The hour has to be one from 0 to 23.")
        begins = datetime.combine(self._day, time(int(hour)), self._zone)

        def change() -> str:
            body = {"summary": subject, **self._times(begins, begins + timedelta(hours=1))}
            return self._company.google.insert_event(self._person.email, body)

        return Wanted(f"adds {subject}", change, lambda event: bool(self._rows(event)))

    def _move(self, event: str) -> Wanted:
        item = self._item(event)
        if "date" in item["start"]:
            raise NotPossible("An all-day event has no hour: choose another one.")
        begins, ends = (datetime.fromisoformat(item[e]["dateTime"]) for e in ("start", "end"))
        hour = timedelta(hours=1)
        times = self._times(begins + hour, ends + hour)
        site = ZoneInfo(self._company.site.zone)
        expected = f"{(begins + hour).astimezone(site):%Y-%m-%d %H:%M:%S}"

        def change() -> str:
            self._company.google.patch_event(self._person.email, event, times)
            return event

        def seen(_: str) -> bool:
            return any(row["starts_on"] == expected for row in self._rows(event))

        return Wanted(f"moves {_name(item)} by an hour", change, seen)

    def _private(self, event: str) -> Wanted:
        item = self._item(event)
        if item.get("visibility") == "private":
            raise NotPossible("It is private already: look at what ERPNext shows of it.")

        def change() -> str:
            self._company.google.patch_event(self._person.email, event, {"visibility": "private"})
            return event

        def seen(_: str) -> bool:
            return any(row["subject"] in MASKS for row in self._rows(event))

        return Wanted(f"makes {_name(item)} private", change, seen)

    def _delete(self, event: str) -> Wanted:
        item = self._item(event)

        def change() -> str:
            self._company.google.delete_event(self._person.email, event)
            return event

        return Wanted(f"deletes {_name(item)}", change, lambda _: not self._rows(event))

    def _item(self, event: str) -> dict[str, Any]:
        first = datetime.combine(self._day, time(), self._zone)
        found = self._company.google.truth(self._person.email, first, first + timedelta(days=1))
        for item in found:
            if item["id"] == event:
                return item
        raise NotPossible("This event is no longer in Google's day.")

    def _rows(self, event: str) -> list[dict[str, Any]]:
        return [
            row
            for row in self._company.rows(self._person.email)
            if row["custom_google_event_id"] == event and row["status"] != "Cancelled"
        ]

    def _times(self, begins: datetime, ends: datetime) -> dict[str, Any]:
        zone = self._person.zone
        return {
            "start": {"dateTime": begins.isoformat(), "timeZone": zone},
            "end": {"dateTime": ends.isoformat(), "timeZone": zone},
        }


def _name(item: dict[str, Any]) -> str:
    """In the list of edits, which is told on the page alone, a private title is not repeated."""
    if item.get("visibility") in ("private", "confidential"):
        return "a private event"
    return str(item.get("summary") or "an event without a title")
