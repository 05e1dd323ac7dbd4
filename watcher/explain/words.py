"""Times, names and reasons as they stand in sentences. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from watcher.events import model
from watcher.events.times import from_site
from watcher.events.window import REACH
from watcher.explain import gathered, privacy

LEFT_OUT = {
    "declined": "the employee has declined it (WATCHER_DECLINED_EVENTS=skip)",
    "private": "it is private in Google (WATCHER_PRIVATE_EVENTS=skip)",
    "google_task": "Google made it of a task, and tasks are not mirrored",
    "cancelled_in_google": "it is cancelled in Google",
    "vanished": "Google no longer lists it",
    "became_series": "it has become a series, whose instances have rows of their own",
}
"""Why an event has no live row, by the reason that the plan gives."""
STATUSES = {
    "Closed": "Closed (ERPNext closes what is past; lists that show open events leave it out)",
    "Completed": "Completed (somebody has set that in ERPNext, and it stays)",
}
ACCOUNTS = {
    "invited": "the employee is invited and has not consented",
    "paused": "the account is paused",
    "needs_reconnect": "the account has to be connected again",
    "disconnecting": "the account is being disconnected",
    "disconnected": "the account is disconnected",
}


_CAPITAL = re.compile(r"(?<=[a-z])([A-Z])")


@dataclass(frozen=True, slots=True)
class Clock:
    """Writes moments in one zone, which is named once for all of them."""

    zone: ZoneInfo

    def at(self, moment: datetime | None) -> str:
        return f"{moment.astimezone(self.zone):%a %Y-%m-%d %H:%M:%S}" if moment else "never"

    def site(self, text: str, zone: ZoneInfo) -> str:
        """A naive string of the site in ``zone``."""
        return self.at(from_site(text, zone)) if text else "never"

    def start(self, moment: model.EventTime) -> str:
        if moment.instant is not None:
            return f"{moment.instant.astimezone(self.zone):%a %Y-%m-%d %H:%M}"
        return f"{moment.day:%a %Y-%m-%d}"

    def day(self, moment: model.EventTime) -> date:
        if moment.instant is not None:
            return moment.instant.astimezone(self.zone).date()
        return moment.day or date.min

    def span(self, event: model.GoogleEvent) -> str:
        """When an event is: ``Tue 2026-12-01 10:00 to 10:15``, ``Tue 2026-12-01, all day``."""
        start, end = event.start, event.end
        if start is None:
            return ""
        if start.day is not None:
            last = end.day - timedelta(days=1) if end is not None and end.day else start.day
            until = f" to {last:%a %Y-%m-%d}" if last > start.day else ""
            return f"{start.day:%a %Y-%m-%d}{until}, all day"
        if end is None or end.instant is None or start.instant is None:
            return self.start(start)
        same = (
            start.instant.astimezone(self.zone).date() == end.instant.astimezone(self.zone).date()
        )
        until = f"{end.instant.astimezone(self.zone):%H:%M}" if same else self.start(end)
        return f"{self.start(start)} to {until}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Name:
    """What an event may be called: ``title`` and ``day`` (``2026-12-01``) are None where they are
    not known or not to be shown. ``private``: there is a title that is not to be shown. ``text`` is
    the name for people, with ``span``, which says when it is, as far as that may be shown."""

    title: str | None = None
    day: str | None = None
    private: bool = False
    text: str = ""
    span: str = ""

    def as_json(self) -> dict[str, str | bool | None]:
        return {"title": self.title, "day": self.day, "private": self.private}


def name_of(event: model.GoogleEvent, rules: model.MappingRules, clock: Clock) -> Name:
    title = privacy.title_of(event, rules.default_event_type)
    shown = event.start is not None and privacy.may_show_times(event, rules)
    kind = "private event" if privacy.is_private(event) else "event for the employee alone"
    return Name(
        title=title,
        day=clock.day(event.start).isoformat() if shown and event.start else None,
        private=title is None,
        text=f'"{title}"' if title is not None else f"{kind}, title not shown",
        span=clock.span(event) if shown else "",
    )


def calendar_of(facts: gathered.Facts) -> str:
    """``ann@example.com`` for the employee's own calendar, else with the calendar's id."""
    email, google_id = facts.calendar.account.email, facts.calendar.google_id
    own = google_id.lower() in (email, "primary")
    return f"the calendar of {email}" if own else f"the calendar {google_id} of {email}"


def moved_from(facts: gathered.Facts, clock: Clock) -> str:
    """When an instance began before it was moved; empty where it was not, or is not to be told."""
    google, event = facts.google, facts.event
    moved = google.moved_from if isinstance(google, gathered.AtGoogle) else None
    if moved is None or event is None or not privacy.may_show_times(event, facts.basis.rules):
        return ""
    return clock.start(moved)


def window_end(facts: gathered.Facts) -> datetime:
    """Where the window ends by the settings: a little beyond is mirrored as well."""
    return facts.basis.window.end - REACH


def left_out(facts: gathered.Facts, reason: str, clock: Clock) -> str:
    """Why there is no live row: a clause without a full stop."""
    event = facts.event
    if reason == "event_type" and event is not None:
        kind = _CAPITAL.sub(r" \1", event.event_type).lower()
        return f"it is a {kind}, which is not mirrored"
    if reason == "outside_window":
        return outside(facts, clock)
    if reason.startswith("series_"):
        return "its series was changed, and no longer has it"
    return LEFT_OUT.get(reason, reason)


def outside(facts: gathered.Facts, clock: Clock) -> str:
    """On which side of the window it lies, and when it comes in."""
    window, event = facts.basis.window, facts.event
    end = window_end(facts)
    begins = event.start.instant if event is not None and event.start else None
    if event is not None and event.start is not None and event.start.day is not None:
        begins = datetime.combine(event.start.day, datetime.min.time(), facts.basis.rules.site_zone)
    if begins is None or begins < end:
        return f"it ended before {clock.at(window.start)}, where the mirrored window begins"
    span = end - facts.basis.now
    return (
        f"it begins after {clock.at(end)}, where the mirrored window ends now; it is mirrored from "
        f"{clock.at(begins - span)} on (WATCHER_WINDOW_FUTURE_DAYS)"
    )
