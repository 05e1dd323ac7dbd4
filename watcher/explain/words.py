"""Names and reasons as they stand in sentences. Pure.

The modules that make the sentences of an answer take ``sentence`` and its like from here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from watcher.events import model
from watcher.events.window import REACH
from watcher.explain import gathered, privacy
from watcher.explain.clock import Clock as Clock
from watcher.languages.names import code as code
from watcher.languages.sentence import Given as Given
from watcher.languages.sentence import coded as coded
from watcher.languages.sentence import counted as counted
from watcher.languages.sentence import joined as joined
from watcher.languages.sentence import sentence as sentence
from watcher.languages.sentence import unended as unended

LEFT_OUT = {
    "declined": sentence("the employee has declined it (WATCHER_DECLINED_EVENTS=skip)"),
    "private": sentence("it is private in Google (WATCHER_PRIVATE_EVENTS=skip)"),
    "google_task": sentence("Google made it of a task, and tasks are not mirrored"),
    "cancelled_in_google": sentence("it is cancelled in Google"),
    "vanished": sentence("Google no longer lists it"),
    "became_series": sentence("it has become a series, whose instances have rows of their own"),
}
"""Why an event has no live row, by the reason that the plan gives."""
EXTRA = {
    "not in Google": sentence("not in Google"),
    "event_type": sentence("it is of a type that is not mirrored"),
}
"""Why a row should not be there, beside the reasons in ``LEFT_OUT``."""
KINDS = {
    "birthday": sentence("it is a birthday, which is not mirrored"),
    "workingLocation": sentence("it is a working-location event, which is not mirrored"),
}
"""The same where the kind of event is the reason: Google's ``eventType``."""
STATUSES = {
    "Open": sentence("Open"),
    "Cancelled": sentence("Cancelled"),
    "Closed": sentence(
        "Closed (ERPNext closes what is past; lists that show open events leave it out)"
    ),
    "Completed": sentence("Completed (somebody has set that in ERPNext, and it stays)"),
}
"""By ERPNext's word."""
_CAPITAL = re.compile(r"(?<=[a-z])([A-Z])")


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
    return Name(
        title=title,
        day=clock.day(event.start).isoformat() if shown and event.start else None,
        private=title is None,
        text=_called(event, title),
        span=clock.span(event) if shown else "",
    )


def _called(event: model.GoogleEvent, title: str | None) -> str:
    if title is not None:
        return sentence('"%(title)s"', title=Given(title))
    if privacy.is_private(event):
        return sentence("private event, title not shown")
    return sentence("event for the employee alone, title not shown")


def calendar_of(facts: gathered.Facts) -> str:
    """``ann@example.com`` for the employee's own calendar, else with the calendar's id."""
    email, google_id = facts.calendar.account.email, facts.calendar.google_id
    if google_id.lower() in (email, "primary"):
        return sentence("the calendar of %(email)s", email=email)
    return sentence("the calendar %(calendar)s of %(email)s", calendar=google_id, email=email)


def status_of(row: model.Row) -> str:
    """With what ERPNext means by it."""
    return STATUSES.get(row.status) or Given(row.status)


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
        return _of_kind(event.event_type)
    if reason == "outside_window":
        return outside(facts, clock)
    if reason.startswith("series_"):
        return sentence("its series was changed, and no longer has it")
    return LEFT_OUT.get(reason, reason)


def _of_kind(event_type: str) -> str:
    kind = _CAPITAL.sub(r" \1", event_type).lower()
    return KINDS.get(event_type) or sentence("it is a %(kind)s, which is not mirrored", kind=kind)


def outside(facts: gathered.Facts, clock: Clock) -> str:
    """On which side of the window it lies, and when it comes in."""
    window, event = facts.basis.window, facts.event
    end = window_end(facts)
    begins = event.start.instant if event is not None and event.start else None
    if event is not None and event.start is not None and event.start.day is not None:
        begins = datetime.combine(event.start.day, datetime.min.time(), facts.basis.rules.site_zone)
    if begins is None or begins < end:
        return sentence(
            "it ended before %(begin)s, where the mirrored window begins",
            begin=clock.at(window.start),
        )
    return sentence(
        "it begins after %(end)s, where the mirrored window ends now; it is mirrored from "
        "%(first)s on (WATCHER_WINDOW_FUTURE_DAYS)",
        end=clock.at(end),
        first=clock.at(begins - (end - facts.basis.now)),
    )
