"""The sample company of the demo: five employees of an ice-cream franchise, in four zones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from watcher_sandbox.google import GoogleState

DOMAIN = "scoopjoy.example"
OUTLET = "c_outlet_pune@group.calendar.google.com"
ROSTER = "c_roster@group.calendar.google.com"
ROOM = "c_tasting_room@resource.calendar.google.com"
HOLIDAYS = "en.indian#holiday@group.v.calendar.google.com"


@dataclass(frozen=True, slots=True)
class Person:
    email: str
    name: str
    zone: str


PEOPLE = (
    Person(f"asha@{DOMAIN}", "Asha, outlet Pune", "Asia/Kolkata"),
    Person(f"bela@{DOMAIN}", "Bela, outlet Kathmandu", "Asia/Kathmandu"),
    Person(f"carlos@{DOMAIN}", "Carlos, outlet Brooklyn", "America/New_York"),
    Person(f"dana@{DOMAIN}", "Dana, outlet Berlin", "Europe/Berlin"),
    Person(f"emil@{DOMAIN}", "Emil, head office", "Asia/Kolkata"),
)


def timed(zone: str, day: int, hour: float, hours: float, now: datetime, **extra: Any) -> Any:
    """An event body: ``day`` from today in ``zone``, at ``hour`` for ``hours``."""
    local = now.astimezone(ZoneInfo(zone)).date() + timedelta(days=day)
    begins = datetime.combine(local, time(int(hour), round(hour % 1 * 60)), ZoneInfo(zone))
    ends = begins + timedelta(hours=hours)
    return {
        "start": {"dateTime": begins.isoformat(), "timeZone": zone},
        "end": {"dateTime": ends.isoformat(), "timeZone": zone},
        **extra,
    }


def days(zone: str, day: int, length: int, now: datetime, **extra: Any) -> Any:
    """An all-day event body; Google's end is exclusive."""
    first = now.astimezone(ZoneInfo(zone)).date() + timedelta(days=day)
    last = first + timedelta(days=length)
    return {"start": {"date": first.isoformat()}, "end": {"date": last.isoformat()}, **extra}


def fill(google: GoogleState) -> None:
    """Shifts, outlet events, a roster with exceptions, private appointments, leave."""
    now = google.clock.now()
    for number, person in enumerate(PEOPLE):
        google.add_user(person.email, person.name, person.zone)
        roster = timed(
            person.zone,
            -6,
            8 + number,
            8,
            now,
            summary="Shift",
            location=person.name.partition(", ")[2],
            recurrence=["RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"],
        )
        _exceptions(google, person, google.insert_event(person.email, roster), now)
        dentist = timed(
            person.zone,
            2 + number,
            18,
            1,
            now,
            summary="Dentist",
            visibility="private",
            description="Dr. Frost, root canal",
        )
        leave = days(person.zone, 10 + number, 2, now, summary="Annual leave")
        supplier = timed(
            person.zone,
            3,
            15,
            1.5,
            now,
            summary="Supplier meeting: vanilla & cones",
            hangoutLink="https://meet.google.com/ice-cream-now",
        )
        for body in (dentist, leave, supplier):
            google.insert_event(person.email, body)
    host = PEOPLE[4]
    opening = timed(
        host.zone,
        5,
        11,
        6,
        now,
        summary="Outlet opening: Koregaon Park",
        description="<p>Bring <b>1,200</b> cones.</p>",
    )
    google.insert_event(host.email, opening)
    _further(google)


def _further(google: GoogleState) -> None:
    """Calendars beside the people's own, of which nothing is mirrored before somebody chooses one:
    an outlet's, a roster that all see, a room, public holidays."""
    asha, host = PEOPLE[0], PEOPLE[4]
    google.add_calendar(OUTLET, asha.email, "Outlet Pune: tastings & parties", asha.zone)
    google.add_calendar(ROSTER, host.email, "Roster of all outlets", host.zone)
    google.add_calendar(ROOM, host.email, "Tasting room, Pune", host.zone)
    google.add_calendar(HOLIDAYS, "holidays@google.example", "Holidays in India", host.zone)
    for person in PEOPLE[:4]:
        google.share(ROSTER, person.email, "reader")
    google.share(OUTLET, host.email, "writer")
    google.share(ROOM, asha.email, "freeBusyReader")
    google.share(HOLIDAYS, asha.email, "reader")
    now = google.clock.now()
    tasting = timed(asha.zone, 2, 17, 2, now, summary="Tasting: mango & chili")
    google.insert_event(OUTLET, tasting)
    google.insert_event(ROSTER, days(host.zone, 4, 1, now, summary="Stocktaking in all outlets"))


def _exceptions(google: GoogleState, person: Person, roster: str, now: datetime) -> None:
    """One shift of the roster is swapped, one is dropped."""
    ahead = google.instance_ids(person.email, roster, now, now + timedelta(days=14))
    google.patch_event(person.email, ahead[-1], {"summary": "Shift (swapped)"})
    google.delete_event(person.email, ahead[-2])
