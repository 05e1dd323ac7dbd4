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
    Action,
    Cancel,
    Create,
    Discard,
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Trust:
    """Which rows stand as Watcher wrote them: those whose last writer is the API user, and whose
    stamp is not newer than the newest that was seen after Watcher's own writing. Another script
    may write under the same key. ``seen`` is empty before the first look."""

    api_user: str
    seen: str = ""

    @property
    def is_first(self) -> bool:
        return not self.seen

    def covers(self, row: Held) -> bool:
        ours = row.modified_by.lower() == self.api_user.lower()
        return ours and (not self.seen or row.modified <= self.seen)


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
    """The window and the zones in which rows are placed in it; ``now`` is aware."""

    window: Window
    site_zone: ZoneInfo
    calendar_zone: ZoneInfo
    now: datetime

    @property
    def today(self) -> str:
        """The site's date, by which ERPNext closes what is past."""
        return f"{self.now.astimezone(self.site_zone):%Y-%m-%d}"

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
        actions[event.key] = _event(event, held.get(event.key), place)
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
    trust: Trust,
    spare: Collection[str] = frozenset(),
    to_mask: Collection[str] = frozenset(),
    force: bool = False,
) -> list[Action]:
    """Mark and sweep: the finished listing against all rows of the calendar.

    A row that ``trust`` does not take for ours as it stands is compared field by field. Rows whose
    key is in ``to_mask`` are of private events that could not be masked so far.

    Raises ``SweepHeld`` when of more than 20 live rows in the window more than half of the events
    would be swept, unless ``force``. Rows that aged out at the past edge are history and stay.
    """
    leftovers = [row for row in held if not row.key]
    held = [row for row in held if row.key]
    rows = {row.key: row for row in held}
    actions: dict[str, Action] = {}
    for event in mapped:
        actions[event.key] = _event(event, rows.get(event.key), place, trust)
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
        if row.key in to_mask and row.is_readable:
            actions[row.key] = _cancel(row, "private", mask=True)
        elif row.is_cancelled or place.is_past(row):
            reason = "already_cancelled" if row.is_cancelled else "aged_out"
            actions[row.key] = _kept(row, reason, look=trust.is_first and not row.is_readable)
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
    return [*actions.values(), *swept, *discards(leftovers)]


def discards(leftovers: Iterable[Held]) -> list[Action]:
    """Rows without a key, which were being made anew when a process was killed, are deleted."""
    return [Discard(name=row.name) for row in leftovers]


def conceals(action: Action) -> bool:
    """Whether the action is about a row whose past may show what is private."""
    match action:
        case Update(event=event):
            return event.masked
        case Cancel(mask=mask):
            return mask
        case Keep(private_row=name):
            return bool(name)
    return False


def _kept(row: Held, reason: str, *, look: bool) -> Keep:
    """A row that stays as it is. ``look``: earlier versions may have masked it and left its past
    readable, and Google does not list it any more."""
    private_row = row.name if look else ""
    return Keep(key=row.key, event_id=row.event_id, reason=reason, private_row=private_row)


def _series(row: Held) -> str:
    return row.recurring_event_id or row.key


def _is_most(vanished: Counter[str], inside: Counter[str]) -> bool:
    """More than half. A series counts as one event, by the share of it that vanished: one that a
    person deletes or splits is one change, however often it recurs."""
    there = [name for name, count in inside.items() if count]
    return sum(vanished[name] / inside[name] for name in there) * 2 > len(there)


def _event(event: Mapped, row: Held | None, place: Place, trust: Trust | None = None) -> Action:
    if isinstance(event, Skipped):
        return _gone(event.key, row, event.reason, event.event_id, mask=event.private)
    if row is None:
        return Create(event=event)
    hides = event.masked and row.is_readable
    if row.is_cancelled:
        return Update(name=row.name, event=event, revive=True, hides=hides, stamp=row.modified)
    reopen = _is_to_reopen(event, row, place)
    meddled = trust is not None and not trust.covers(row) and bool(_detail(event, row))
    if row.content_hash != event.content_hash or reopen or meddled:
        return Update(name=row.name, event=event, reopen=reopen, hides=hides, stamp=row.modified)
    private_row = row.name if event.masked else ""
    return Keep(key=event.key, event_id=event.event_id, reason="unchanged", private_row=private_row)


def _is_to_reopen(event: ErpEvent, row: Held, place: Place) -> bool:
    """ERPNext closes what ended before today; what is moved or prolonged into today or later is to
    be seen again. What a person completed, or closed without a change of times, stays."""
    return row.status == "Closed" and event.ends_on[:10] >= place.today and _is_moved(event, row)


def _is_moved(event: ErpEvent, row: Held) -> bool:
    """Whether the times differ beyond what earlier versions and ERPNext itself make of an end."""
    if (event.starts_on, event.all_day) != (row.starts_on, row.all_day):
        return True
    if row.ends_on is None:
        return event.ends_on[:10] != row.starts_on[:10]
    length = 10 if event.all_day else 19
    return event.ends_on[:length] != row.ends_on[:length]


def _outside(event: ErpEvent, row: Held | None, place: Place) -> Action:
    """An event beyond the window: cancelled when it was moved there, kept when it aged there."""
    stands = row is not None and not row.is_cancelled and not _is_moved(event, row)
    if row is not None and stands and place.is_past(row):
        if row.content_hash != event.content_hash:
            # Kept with what Google says now: it may just have been made private.
            hides = event.masked and row.is_readable
            return Update(name=row.name, event=event, hides=hides, stamp=row.modified)
        return Keep(
            key=event.key, event_id=event.event_id, reason="aged_out",
            private_row=row.name if event.masked else "",
        )  # fmt: skip
    tightened = row is not None and (event.event_type, row.event_type) == ("Private", "Public")
    mask = tightened or event.masked
    return _gone(event.key, row, "outside_window", event.event_id, mask=mask)


def _gone(
    key: str, row: Held | None, reason: str, event_id: str = "", *, mask: bool = False
) -> Action:
    if row is None:
        return Keep(key=key, event_id=event_id, reason=reason)
    if row.is_cancelled and not (mask and row.is_readable):
        return Keep(
            key=key, event_id=row.event_id, reason="already_cancelled",
            private_row=row.name if mask else "",
        )  # fmt: skip
    return _cancel(row, reason, mask)


def _cancel(row: Held, reason: str, mask: bool = False) -> Cancel:
    return Cancel(
        name=row.name, key=row.key, event_id=row.event_id, reason=reason, mask=mask,
        stamp=row.modified,
    )  # fmt: skip


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
    rows = {
        row.key: row for row in held if row.key and not row.is_cancelled and row.key not in spare
    }
    for event in mapped:
        row = rows.pop(event.key, None)
        if isinstance(event, Skipped):
            if row is not None:
                found.extra.append((event.key, event.event_id, event.reason))
        elif row is None:
            found.missing.append((event.key, event.event_id, event.starts_on))
        elif detail := _detail_of(event, row, place):
            found.different.append((event.key, event.event_id, detail))
    for row in rows.values():
        if place.holds(row):
            found.extra.append((row.key, row.event_id, "not in Google"))
    return found


def _detail_of(event: ErpEvent, row: Held, place: Place) -> str:
    status = "status" if _is_to_reopen(event, row, place) else ""
    return ", ".join(filter(None, (_detail(event, row), status)))


def _detail(event: ErpEvent, row: Held) -> str:
    """The mirrored fields in which a row differs from its event, as words."""
    wrong = [
        word
        for word, differs in (
            ("time", not _same_times(event, row)),
            ("subject", _plain(row.subject) != _plain(event.subject)),
            ("event_type", row.event_type != event.event_type),
            ("description", _plain(row.description) != _plain(event.description)),
            ("location", _other_text(event.location, row.location)),
            ("meet_link", _other_text(event.meet_link, row.meet_link)),
            ("employee", (event.employee or "") != (row.employee or "")),
        )
        if differs
    ]
    return ", ".join(wrong)


def _other_text(wanted: str | None, held: str | None) -> bool:
    """None: the site has no such field."""
    return wanted is not None and held is not None and _plain(wanted) != _plain(held)
