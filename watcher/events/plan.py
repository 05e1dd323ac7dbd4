"""Decide first, act second: from what Google says and what ERPNext holds to a list of actions.

Every event ends in exactly one action; what is not written is a ``Keep`` with its reason, so that
nothing is dropped uncounted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from watcher.errors import SweepHeld
from watcher.events.compare import Mapped, Place, detail, is_moved, is_to_reopen
from watcher.events.model import (
    Action,
    Cancel,
    Create,
    Discard,
    ErpEvent,
    GoogleEvent,
    Held,
    Keep,
    Rewrite,
    Skipped,
    Update,
)
from watcher.events.text import line, rich

BRAKE_ABOVE = 20
"""A sweep may always cancel in a calendar with this many mirrored events or fewer."""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Veil:
    """Which rows must not be readable although the listing says nothing of their events: rows that
    could not be masked so far (``keys``), and, where private events are not mirrored readably
    (``private_rows``), rows of the type Private from before that was decided."""

    keys: frozenset[str] = frozenset()
    private_rows: bool = False

    def covers(self, row: Held, private_series: Collection[str]) -> bool:
        return row.is_readable and (
            row.key in self.keys
            or (self.private_rows and row.event_type == "Private")
            or row.recurring_event_id in private_series
        )


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
            mask = row.event_id in private_series
            actions[key] = _gone(key, row, "became_series", mask=mask)
    return list(actions.values())


def plan_snapshot(
    mapped: Collection[Mapped],
    *,
    outside: Iterable[ErpEvent] = (),
    held: Sequence[Held],
    place: Place,
    trust: Trust,
    spare: Collection[str] = frozenset(),
    veil: Veil | None = None,
    force: bool = False,
) -> list[Action]:
    """Mark and sweep: the finished listing against all rows of the calendar.

    A row that ``trust`` does not take for ours as it stands is compared field by field. What
    ``veil`` covers is masked, and what the listing shows as a private series.

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
    private_series = _private_series(mapped)
    for row in held:
        counts = not row.is_cancelled and place.holds(row)
        inside[_series(row)] += counts
        if row.key in actions or row.key in spare:
            continue
        mask = veil is not None and veil.covers(row, private_series)
        if row.is_cancelled or place.is_past(row):
            actions[row.key] = _history(row, look=trust.is_first, mask=mask)
        else:
            # Rows beyond the window's end go as well, but a window made shorter is no alarm.
            vanished[_series(row)] += counts
            swept.append(_cancel(row, "vanished", mask=mask))
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
        case Cancel(mask=mask) | Rewrite(mask=mask):
            return mask
        case Keep(private_row=name):
            return bool(name)
    return False


def _private_series(mapped: Collection[Mapped]) -> set[str]:
    """Recurring ids of which every listed instance is private: Google makes a whole series private
    with any of its instances, and those that it does not list any more are private too."""
    private: dict[str, list[bool]] = defaultdict(list)
    for event in mapped:
        if event.recurring_event_id:
            is_private = event.private if isinstance(event, Skipped) else event.masked
            private[event.recurring_event_id].append(is_private)
    return {series for series, each in private.items() if all(each)}


def _history(row: Held, *, look: bool, mask: bool) -> Action:
    """A row that the listing lacks and that stays. ``look``: it may be of an earlier version, which
    masked rows and left their past readable, and wrote texts as they came."""
    if mask:
        return _mask(row)
    reason = "already_cancelled" if row.is_cancelled else "aged_out"
    if look and row.is_readable:
        subject, description = line(row.subject, len(row.subject.encode())), row.description
        description = rich(description) if description else ""
        if (subject, description) != (row.subject, row.description):
            return Rewrite(
                name=row.name,
                key=row.key,
                event_id=row.event_id,
                stamp=row.modified,
                subject=subject or row.subject,
                description=description,
            )
    private_row = row.name if look and not row.is_readable else ""
    return Keep(key=row.key, event_id=row.event_id, reason=reason, private_row=private_row)


def _mask(row: Held) -> Rewrite:
    return Rewrite(name=row.name, key=row.key, event_id=row.event_id, mask=True, stamp=row.modified)


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
    reopen = is_to_reopen(event, row, place)
    meddled = trust is not None and not trust.covers(row) and bool(detail(event, row))
    if row.content_hash != event.content_hash or reopen or meddled:
        return Update(name=row.name, event=event, reopen=reopen, hides=hides, stamp=row.modified)
    private_row = row.name if event.masked else ""
    return Keep(key=event.key, event_id=event.event_id, reason="unchanged", private_row=private_row)


def _outside(event: ErpEvent, row: Held | None, place: Place) -> Action:
    """An event beyond the window: cancelled when it was moved there, kept when it aged there."""
    stands = row is not None and not row.is_cancelled and not is_moved(event, row)
    if row is not None and stands and place.is_past(row):
        if row.content_hash != event.content_hash:
            # Kept with what Google says now: it may just have been made private.
            hides = event.masked and row.is_readable
            return Update(name=row.name, event=event, hides=hides, stamp=row.modified)
        return Keep(
            key=event.key,
            event_id=event.event_id,
            reason="aged_out",
            private_row=row.name if event.masked else "",
        )
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
            key=key,
            event_id=row.event_id,
            reason="already_cancelled",
            private_row=row.name if mask else "",
        )
    return _cancel(row, reason, mask)


def _cancel(row: Held, reason: str, mask: bool = False) -> Cancel:
    return Cancel(
        name=row.name,
        key=row.key,
        event_id=row.event_id,
        reason=reason,
        mask=mask,
        stamp=row.modified,
    )


def _series_row(row: Held, became: str | None, place: Place, *, mask: bool) -> Action:
    """A row of a changed series that the series' expansion does not contain."""
    if became == "expanded" and not row.is_cancelled and place.is_past(row):
        if mask and row.is_readable:  # of a former rule of the series, which Google forgot
            return _mask(row)
        private_row = row.name if mask else ""
        return Keep(key=row.key, event_id=row.event_id, reason="aged_out", private_row=private_row)
    return _gone(row.key, row, f"series_{became or 'changed'}", mask=mask)
