"""Decide first, act second: from what Google says and what ERPNext holds to a list of actions.

Every event ends in exactly one action; what is not written is a ``Keep`` with its reason, so that
nothing is dropped uncounted.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from watcher.errors import SweepHeld
from watcher.events.model import (
    BUSY,
    Action,
    Cancel,
    Create,
    ErpEvent,
    GoogleEvent,
    Held,
    Keep,
    Skipped,
    Update,
    Window,
)
from watcher.events.window import held_bounds, held_in_window, held_is_past

BRAKE_ABOVE = 20
"""A sweep may always cancel in a calendar with this many mirrored events or fewer."""

_MARKUP = re.compile(r"<[^<>]*>|\s+")  # no "<" inside: linear, however many a person typed

Mapped = ErpEvent | Skipped


def newest_by_id(events: Iterable[GoogleEvent]) -> list[GoogleEvent]:
    """One event an id: the newest ``updated`` wins, the later one where they are equal. A tombstone
    may have none, of it only the id is sure: it counts as newer than what came before it."""
    newest: dict[str, GoogleEvent] = {}
    for event in events:
        before = newest[event.id].updated if event.id in newest else None
        stamp = event.updated or (before if event.is_cancelled else None)
        if before is None or (stamp is not None and stamp >= before):
            newest[event.id] = event
    return list(newest.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """The window and the zones in which rows are placed in it."""

    window: Window
    site_zone: ZoneInfo
    calendar_zone: ZoneInfo

    def holds(self, row: Held) -> bool:
        return held_in_window(row, self.window, self.site_zone, self.calendar_zone)

    def starts(self, row: Held) -> datetime:
        return held_bounds(row, self.site_zone, self.calendar_zone)[0]

    def is_past(self, row: Held) -> bool:
        return held_is_past(row, self.window, self.site_zone, self.calendar_zone)


def plan_delta(
    mapped: Iterable[Mapped],
    *,
    outside: Iterable[ErpEvent] = (),
    gone: Iterable[str] = (),
    held: Mapping[str, Held],
    series_held: Iterable[Held] = (),
    series: Mapping[str, str] | None = None,
    private_series: Collection[str] = frozenset(),
    place: Place,
    spare: Collection[str] = frozenset(),
) -> list[Action]:
    """The actions of one delta.

    ``outside`` are events beyond the window, ``gone`` the keys of events that Google cancelled,
    ``held`` the rows by key, ``series_held`` the rows whose series changed. ``series`` maps the
    recurring id as ERPNext holds it to what became of the series: ``expanded`` (its instances in
    the window are all in ``mapped`` or ``outside``), ``single`` (a series no more) or
    ``cancelled``; of those in ``private_series`` nothing readable stays. Rows whose key is in
    ``spare`` (set aside this time) are left alone.
    """
    actions: dict[str, Action] = {}
    for event in mapped:
        actions[event.key] = _event(event, held.get(event.key))
    for event in outside:
        actions[event.key] = _outside(event, held.get(event.key), place)
    for key in gone:
        if key not in actions:
            actions[key] = _gone(key, held.get(key), "cancelled_in_google")
    for row in series_held:
        if row.key in actions or row.key in spare:
            continue
        root = row.recurring_event_id or ""
        actions[row.key] = _series_row(
            row, (series or {}).get(root), place, mask=root in private_series
        )
    for key, row in held.items():
        # The row of the id itself, when a single event has become a series.
        became = (series or {}).get(row.event_id)
        if key not in actions and key not in spare and became == "expanded":
            actions[key] = _gone(key, row, "became_series")
    return list(actions.values())


def plan_snapshot(
    mapped: Iterable[Mapped],
    *,
    outside: Iterable[ErpEvent] = (),
    held: Sequence[Held],
    place: Place,
    api_user: str,
    spare: Collection[str] = frozenset(),
    force: bool = False,
) -> list[Action]:
    """Mark and sweep: the finished listing against all rows of the calendar.

    Raises ``SweepHeld`` when of more than 20 live rows in the window more than half of the events
    would be swept, unless ``force``. Rows that aged out at the past edge are history and stay.
    """
    rows = {row.key: row for row in held}
    actions: dict[str, Action] = {}
    for event in mapped:
        actions[event.key] = _event(event, rows.get(event.key), api_user)
    for event in outside:
        actions[event.key] = _outside(event, rows.get(event.key), place)
    swept: list[Action] = []
    inside: Counter[str] = Counter()
    vanished: Counter[str] = Counter()
    for row in held:
        counts = not row.is_cancelled and place.holds(row)
        inside[_series(row)] += counts
        if row.key in actions or row.key in spare:
            continue
        if row.is_cancelled or place.is_past(row):
            reason = "already_cancelled" if row.is_cancelled else "aged_out"
            actions[row.key] = Keep(key=row.key, event_id=row.event_id, reason=reason)
        else:
            # Rows beyond the window's end go as well, but a window made shorter is no alarm.
            vanished[_series(row)] += counts
            swept.append(_cancel(row, "vanished"))
    if not force and inside.total() > BRAKE_ABOVE and _is_most(vanished, inside):
        raise SweepHeld(
            f"the listing lacks {vanished.total()} of {inside.total()} mirrored events",
            cause="sweep_held",
            side="google",
            next_step="look at Google's calendar, then `watcher resync EMAIL --force`",
        )
    return [*actions.values(), *swept]


def _series(row: Held) -> str:
    return row.recurring_event_id or row.key


def _is_most(vanished: Counter[str], inside: Counter[str]) -> bool:
    """More than half. A series counts as one event, by the share of it that vanished: one that a
    person deletes or splits is one change, however often it recurs."""
    there = [name for name, count in inside.items() if count]
    return sum(vanished[name] / inside[name] for name in there) * 2 > len(there)


def _event(event: Mapped, row: Held | None, api_user: str | None = None) -> Action:
    if isinstance(event, Skipped):
        return _gone(event.key, row, event.reason, event.event_id, mask=event.private)
    if row is None:
        return Create(event=event)
    if row.is_cancelled:
        return Update(name=row.name, event=event, revive=True)
    if row.content_hash != event.content_hash or _meddled(event, row, api_user):
        return Update(name=row.name, event=event)
    return Keep(key=event.key, event_id=event.event_id, reason="unchanged")


def _outside(event: ErpEvent, row: Held | None, place: Place) -> Action:
    """An event beyond the window: cancelled when it was moved there, kept when it aged there."""
    if row is not None and not row.is_cancelled and _same_times(event, row) and place.is_past(row):
        if row.content_hash != event.content_hash:
            # Kept with what Google says now: it may just have been made private.
            return Update(name=row.name, event=event)
        return Keep(key=event.key, event_id=event.event_id, reason="aged_out")
    tightened = row is not None and (event.event_type, row.event_type) == ("Private", "Public")
    mask = tightened or event.subject == BUSY
    return _gone(event.key, row, "outside_window", event.event_id, mask=mask)


def _gone(
    key: str, row: Held | None, reason: str, event_id: str = "", *, mask: bool = False
) -> Action:
    if row is None:
        return Keep(key=key, event_id=event_id, reason=reason)
    readable = mask and (row.subject != BUSY or bool(row.description))
    if row.is_cancelled and not readable:
        return Keep(key=key, event_id=row.event_id, reason="already_cancelled")
    return _cancel(row, reason, mask)


def _cancel(row: Held, reason: str, mask: bool = False) -> Cancel:
    return Cancel(name=row.name, key=row.key, event_id=row.event_id, reason=reason, mask=mask)


def _series_row(row: Held, became: str | None, place: Place, *, mask: bool) -> Action:
    """A row of a changed series that the series' expansion does not contain."""
    if became == "expanded" and not row.is_cancelled and place.is_past(row):
        return Keep(key=row.key, event_id=row.event_id, reason="aged_out")
    return _gone(row.key, row, f"series_{became or 'changed'}", mask=mask)


def _same_times(event: ErpEvent, row: Held) -> bool:
    ends = row.ends_on or row.starts_on
    return (event.starts_on, event.ends_on, event.all_day) == (
        row.starts_on,
        ends,
        row.all_day,
    )


def _meddled(event: ErpEvent, row: Held, api_user: str | None) -> bool:
    """Somebody else wrote the row last, and a mirrored field differs from what we would write."""
    if api_user is None or row.modified_by.lower() == api_user.lower():
        return False
    return (
        not _same_times(event, row)
        or row.event_type != event.event_type
        or _plain(row.subject) != _plain(event.subject)
        or _plain(row.description) != _plain(event.description)
    )


def _plain(text: str) -> str:
    """Text without markup: the server sanitises, so that a read-back differs in markup only."""
    return _MARKUP.sub("", html.unescape(_MARKUP.sub(" ", html.unescape(text))))


@dataclass(frozen=True, slots=True)
class Difference:
    """What ``watcher verify`` found: (key, event id, detail) each."""

    missing: list[tuple[str, str, str]] = field(default_factory=list)
    extra: list[tuple[str, str, str]] = field(default_factory=list)
    different: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.missing) + len(self.extra) + len(self.different)


def difference(
    mapped: Iterable[Mapped],
    held: Sequence[Held],
    place: Place,
    *,
    spare: Collection[str] = frozenset(),
) -> Difference:
    """Compare the window of Google with the live rows of ERPNext; changes nothing. Rows whose key
    is in ``spare`` (what Google says of them cannot be mapped) are left out."""
    found = Difference()
    rows = {row.key: row for row in held if not row.is_cancelled and row.key not in spare}
    for event in mapped:
        row = rows.pop(event.key, None)
        if isinstance(event, Skipped):
            if row is not None:
                found.extra.append((event.key, event.event_id, event.reason))
        elif row is None:
            found.missing.append((event.key, event.event_id, event.starts_on))
        elif detail := _detail(event, row):
            found.different.append((event.key, event.event_id, detail))
    for row in rows.values():
        if place.holds(row):
            found.extra.append((row.key, row.event_id, "not in Google"))
    return found


def _detail(event: ErpEvent, row: Held) -> str:
    wrong = []
    if not _same_times(event, row):
        wrong.append("time")
    if _plain(row.subject) != _plain(event.subject):
        wrong.append("subject")
    if row.event_type != event.event_type:
        wrong.append("event_type")
    if _plain(row.description) != _plain(event.description):
        wrong.append("description")
    return ", ".join(wrong)
