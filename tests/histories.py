"""Random histories of calendars: what people do in Google, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.company import ADMIN, Company
from watcher_sandbox.google.errors import GoogleError

CANARY = "CANARY at the clinic"
REOPENED = "Open"
"""Titles of events while they are private, and from then on when they are not any more."""


class History:
    """What people do, drawn from a seed. ``zones`` are their zones by address."""

    def __init__(self, company: Company, seed: int, zones: Mapping[str, str]) -> None:
        self.google, self.zones = company.google, zones
        self.rng = random.Random(seed)
        self.known: dict[str, list[str]] = {email: [] for email in zones}
        self.series: dict[str, list[str]] = {email: [] for email in zones}
        self.deleted: dict[str, list[str]] = {email: [] for email in zones}
        self.done: list[str] = []

    def edit(self) -> str:
        """Somebody does something; returns whose calendar it was."""
        verbs: list[tuple[int, Callable[[str], None]]] = [
            (24, self.insert),
            (8, self.insert_series),
            (5, self.insert_all_day),
            (14, self.rename),
            (12, self.move),
            (8, self.delete),
            (5, self.restore),
            (6, self.edit_series),
            (5, self.split),
            (6, self.cancel_instance),
            (6, self.move_instance),
            (6, self.flip_private),
            (5, self.decline),
        ]
        verb = self.rng.choices([v for _, v in verbs], [weight for weight, _ in verbs])[0]
        email = self.rng.choice(list(self.zones))
        self.done.append(f"{verb.__name__} {email}")
        try:
            verb(email)
        except GoogleError as refused:
            # What no longer makes sense, as a split of a series that was deleted.
            if refused.status not in (400, 404, 409, 410):
                raise
        return email

    def body(self, email: str, **extra: Any) -> dict[str, Any]:
        """Mostly well inside the window, at times across its edges or outside it."""
        hours = self.rng.choice([self.rng.uniform(-150, 24 * 28), self.rng.uniform(2, 200)])
        if self.rng.random() < 0.1:
            hours = self.rng.choice([-300.0, 24 * 45.0])
        begins = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=hours)
        ends = begins + timedelta(minutes=self.rng.choice([0, 30, 60, 480, 1500]))
        times = {
            name: {"dateTime": moment.isoformat(), "timeZone": self.zones[email]}
            for name, moment in (("start", begins), ("end", ends))
        }
        return {"summary": f"Shift {self.rng.random():.7f}", **times, **extra}

    def some(self, email: str, among: dict[str, list[str]] | None = None) -> str:
        found = (among or self.known)[email]
        if not found:
            self.insert(email)
            found = self.known[email]
        return self.rng.choice(found)

    def insert(self, email: str) -> None:
        extra: dict[str, Any] = {}
        if self.rng.random() < 0.15:
            extra = {"visibility": "private", "summary": CANARY, "description": CANARY}
        self.known[email].append(self.google.insert_event(email, self.body(email, **extra)))

    def insert_series(self, email: str) -> None:
        rule = self.rng.choice(
            [
                "FREQ=DAILY;COUNT=8",
                "FREQ=WEEKLY",
                "FREQ=WEEKLY;BYDAY=MO,TH",
                "FREQ=DAILY;INTERVAL=3",
            ]
        )
        body = self.body(email, recurrence=[f"RRULE:{rule}"])
        self.series[email].append(self.google.insert_event(email, body))

    def insert_all_day(self, email: str) -> None:
        first = datetime.now(UTC).date() + timedelta(days=self.rng.randrange(-4, 25))
        last = first + timedelta(days=self.rng.randrange(1, 4))
        body = {
            "summary": f"Leave {self.rng.random():.5f}",
            "start": {"date": first.isoformat()},
            "end": {"date": last.isoformat()},
        }
        self.known[email].append(self.google.insert_event(email, body))

    def rename(self, email: str) -> None:
        self.google.patch_event(
            email, self.some(email), {"summary": f"Renamed {self.rng.random():.7f}"}
        )

    def move(self, email: str) -> None:
        body = self.body(email)
        change = {"start": body["start"], "end": body["end"]}
        self.google.patch_event(email, self.some(email), change)

    def delete(self, email: str) -> None:
        event = self.some(email)
        self.google.delete_event(email, event)
        self.known[email].remove(event)
        self.deleted[email].append(event)

    def restore(self, email: str) -> None:
        if self.deleted[email]:
            event = self.deleted[email].pop()
            self.google.patch_event(email, event, {"status": "confirmed"})
            self.known[email].append(event)

    def edit_series(self, email: str) -> None:
        series = self.some(email, self.series)
        body = self.body(email)
        change = self.rng.choice(
            [
                {"summary": f"Series {self.rng.random():.6f}"},
                {"start": body["start"], "end": body["end"]},
                {"recurrence": ["RRULE:FREQ=DAILY;COUNT=5"]},
            ]
        )
        self.google.patch_event(email, series, change)

    def instances(self, email: str) -> list[str]:
        now = datetime.now(UTC)
        window = (now - timedelta(days=6), now + timedelta(days=29))
        if not self.series[email]:
            self.insert_series(email)
        return self.google.instance_ids(email, self.rng.choice(self.series[email]), *window)

    def split(self, email: str) -> None:
        found = self.instances(email)
        if len(found) > 2:
            new = {"summary": f"Following {self.rng.random():.6f}"}
            self.google.split_series(email, found[len(found) // 2], changes=new)

    def cancel_instance(self, email: str) -> None:
        for instance in self.instances(email)[:1]:
            self.google.delete_event(email, instance)

    def move_instance(self, email: str) -> None:
        for instance in self.instances(email)[-1:]:
            body = self.body(email, summary="Swapped")
            self.google.patch_event(
                email, instance, {k: body[k] for k in ("summary", "start", "end")}
            )

    def flip_private(self, email: str) -> None:
        event = self.some(email)
        if self.google.get_event(email, event).get("visibility") == "private":
            open_again = {"visibility": "default", "summary": REOPENED, "description": ""}
            self.google.patch_event(email, event, open_again)
        else:
            secret = {"visibility": "private", "summary": CANARY, "description": CANARY}
            self.google.patch_event(email, event, secret)

    def decline(self, email: str) -> None:
        answer = self.rng.choice(["declined", "accepted"])
        guests = [{"email": email, "self": True, "responseStatus": answer}, {"email": ADMIN}]
        self.google.patch_event(email, self.some(email), {"attendees": guests})


def difference(company: Company, email: str) -> dict[str, tuple[object, object]]:
    """Event id -> (in Google, in ERPNext), where they are not the same."""
    google, erpnext = company.expected(email), company.mirrored(email)
    return {
        event: (google.get(event), erpnext.get(event))
        for event in google.keys() | erpnext.keys()
        if google.get(event) != erpnext.get(event)
    }
