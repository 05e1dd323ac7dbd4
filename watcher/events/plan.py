"""From what Google says and what ERPNext holds to a list of actions; nothing is written here.

Every event ends in exactly one action; what is not written is a ``Keep`` with its reason, so that
nothing is dropped uncounted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from watcher.errors import SweepHeld
from watcher.events.compare import Place, detail, is_moved, is_to_reopen
from watcher.events.fields import is_readable
from watcher.events.model import (
    Action,
    Cancel,
    Create,
    Discard,
    ErpEvent,
    GoogleEvent,
    Keep,
    MappedEvent,
    Rewrite,
    Row,
    Skipped,
    Told,
    Update,
)
from watcher.events.text import line, rich
from watcher.languages.sentence import sentence

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

    def covers(self, row: Row) -> bool:
        ours = row.modified_by.lower() == self.api_user.lower()
        return ours and (not self.seen or row.modified <= self.seen)


@dataclass(frozen=True, kw_only=True, slots=True)
class Veil:
    """Which rows must not be readable although the listing says nothing of their events: rows that
    could not be masked so far (``keys``), and, where private events are not mirrored readably
    (``private_rows``), rows of the type Private from before that was decided."""

    keys: frozenset[str] = frozenset()
    private_rows: bool = False

    def covers(self, row: Row, private_series: Collection[str]) -> bool:
        return is_readable(row) and (
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


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangedSeries:
    """The recurring series that a delta told of, by their ids as ERPNext holds them.

    ``rows`` are the rows of their instances. ``became`` says what each series is now:
    ``expanded`` (all its instances in the window are among what Google told), ``single`` (an event
    that does not recur any more) or ``cancelled``. ``private`` are the series that were made
    private: nothing readable of them may stay.
    """

    rows: Collection[Row] = ()
    became: Mapping[str, str] = field(default_factory=dict)
    private: Collection[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """Under which circumstances a full listing is compared with the rows of the calendar."""

    place: Place
    trust: Trust
    veil: Veil = Veil()


def plan_delta(
    told: Told, rows: Mapping[str, Row], series: ChangedSeries, place: Place
) -> list[Action]:
    """The actions of one delta. ``rows`` are, by key, those of the events that it told of."""
    actions: dict[str, Action] = {}
    for event in told.live:
        actions[event.key] = _event(event, rows.get(event.key), place)
    for outer in told.outside:
        actions[outer.key] = _outside(outer, rows.get(outer.key), place)
    for key in told.gone:
        if key not in actions:
            gone = Skipped(key=key, event_id="", reason="cancelled_in_google")
            actions[key] = _gone(gone, rows.get(key))
    for row in series.rows:
        if row.key not in actions and row.key not in told.aside:
            actions[row.key] = _series_row(row, series, place)
    for key, row in rows.items():
        # The row of the id itself, when a single event has become a series.
        became = series.became.get(row.event_id)
        if key not in actions and key not in told.aside and became == "expanded":
            private = row.event_id in series.private
            actions[key] = _gone(_as_skipped(row, "became_series", private), row)
    return list(actions.values())


def plan_snapshot(
    told: Told, rows: Collection[Row], situation: Situation, *, force: bool = False
) -> list[Action]:
    """The actions of one full listing against all rows of the calendar.

    A row that ``situation.trust`` does not cover is compared field by field. A row that
    ``situation.veil`` covers is masked, and so are rows of series that the listing shows as
    private.

    Raises ``SweepHeld`` when of more than 20 live rows in the window more than half of the events
    would be cancelled because the listing lacks them, unless ``force``. Rows that have left the
    window at its past end are history and stay.
    """
    place = situation.place
    keyed = {row.key: row for row in rows if row.key}
    actions: dict[str, Action] = {}
    for event in told.live:
        actions[event.key] = _event(event, keyed.get(event.key), place, situation.trust)
    for outer in told.outside:
        actions[outer.key] = _outside(outer, keyed.get(outer.key), place)
    swept: list[Action] = []
    inside: Counter[str] = Counter()
    vanished: Counter[str] = Counter()
    private_series = _private_series(told.live)
    for row in keyed.values():
        counts = not row.is_cancelled and place.holds(row)
        inside[_series(row)] += counts
        if row.key in actions or row.key in told.aside:
            continue
        mask = situation.veil.covers(row, private_series)
        if row.is_cancelled or place.is_past(row):
            actions[row.key] = _history(row, look=situation.trust.is_first, mask=mask)
        else:
            # Rows beyond the window's end go as well, but a window made shorter is no alarm.
            vanished[_series(row)] += counts
            swept.append(_cancel(row, "vanished", mask=mask))
    if not force:
        _brake(vanished, inside)
    return [*actions.values(), *swept, *discards(row for row in rows if not row.key)]


def _brake(vanished: Counter[str], inside: Counter[str]) -> None:
    """Raises ``SweepHeld``; both count the live rows in the window by series."""
    if inside.total() > BRAKE_ABOVE and _is_most(vanished, inside):
        raise SweepHeld(
            sentence(
                "the listing lacks %(lacking)s of %(all)s mirrored events",
                lacking=vanished.total(),
                all=inside.total(),
            ),
            cause="sweep_held",
            side="google",
            next_step=sentence("look at Google's calendar, then `watcher resync EMAIL --force`"),
        )


def discards(leftovers: Iterable[Row]) -> list[Action]:
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


def _private_series(mapped: Collection[MappedEvent]) -> set[str]:
    """Recurring ids of which every listed instance is private: Google makes a whole series private
    with any of its instances, and those that it does not list any more are private too."""
    private: dict[str, list[bool]] = defaultdict(list)
    for event in mapped:
        if event.recurring_event_id:
            is_private = event.private if isinstance(event, Skipped) else event.masked
            private[event.recurring_event_id].append(is_private)
    return {series for series, each in private.items() if all(each)}


def _history(row: Row, *, look: bool, mask: bool) -> Action:
    """A row that the listing lacks and that stays. ``look``: an earlier version of Watcher may have
    written it. Such a version left the past of masked rows readable, and wrote texts uncleaned."""
    if mask:
        return _mask(row)
    reason = "already_cancelled" if row.is_cancelled else "aged_out"
    if look and is_readable(row):
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
    private_row = row.name if look and not is_readable(row) else ""
    return Keep(key=row.key, event_id=row.event_id, reason=reason, private_row=private_row)


def _mask(row: Row) -> Rewrite:
    return Rewrite(name=row.name, key=row.key, event_id=row.event_id, mask=True, stamp=row.modified)


def _series(row: Row) -> str:
    return row.recurring_event_id or row.key


def _is_most(vanished: Counter[str], inside: Counter[str]) -> bool:
    """Whether more than half of the events vanished. A series counts as one event, by the share of
    its instances that vanished: a person who deletes or splits it makes one change, however often
    it recurs."""
    there = [name for name, count in inside.items() if count]
    return sum(vanished[name] / inside[name] for name in there) * 2 > len(there)


def _event(event: MappedEvent, row: Row | None, place: Place, trust: Trust | None = None) -> Action:
    if isinstance(event, Skipped):
        return _gone(event, row)
    if row is None:
        return Create(event=event)
    hides = event.masked and is_readable(row)
    if row.is_cancelled:
        return Update(name=row.name, event=event, revive=True, hides=hides, stamp=row.modified)
    reopen = is_to_reopen(event, row, place)
    meddled = trust is not None and not trust.covers(row) and bool(detail(event, row))
    if row.content_hash != event.content_hash or reopen or meddled:
        return Update(name=row.name, event=event, reopen=reopen, hides=hides, stamp=row.modified)
    private_row = row.name if event.masked else ""
    return Keep(key=event.key, event_id=event.event_id, reason="unchanged", private_row=private_row)


def _outside(event: ErpEvent, row: Row | None, place: Place) -> Action:
    """An event beyond the window: cancelled when it was moved there, kept when it aged there."""
    stands = row is not None and not row.is_cancelled and not is_moved(event, row)
    if row is not None and stands and place.is_past(row):
        if row.content_hash != event.content_hash:
            # Kept with what Google says now: it may just have been made private.
            hides = event.masked and is_readable(row)
            return Update(name=row.name, event=event, hides=hides, stamp=row.modified)
        return Keep(
            key=event.key,
            event_id=event.event_id,
            reason="aged_out",
            private_row=row.name if event.masked else "",
        )
    tightened = row is not None and (event.event_type, row.event_type) == ("Private", "Public")
    moved = Skipped(
        key=event.key,
        event_id=event.event_id,
        reason="outside_window",
        private=tightened or event.masked,
    )
    return _gone(moved, row)


def _gone(event: Skipped, row: Row | None) -> Action:
    """An event that is not, or no longer, to be mirrored: its row is cancelled."""
    if row is None:
        return Keep(key=event.key, event_id=event.event_id, reason=event.reason)
    if row.is_cancelled and not (event.private and is_readable(row)):
        return Keep(
            key=event.key,
            event_id=row.event_id,
            reason="already_cancelled",
            private_row=row.name if event.private else "",
        )
    return _cancel(row, event.reason, event.private)


def _as_skipped(row: Row, reason: str, private: bool) -> Skipped:
    """An event of which Google told nothing but what became of its series."""
    return Skipped(key=row.key, event_id=row.event_id, reason=reason, private=private)


def _cancel(row: Row, reason: str, mask: bool = False) -> Cancel:
    return Cancel(
        name=row.name,
        key=row.key,
        event_id=row.event_id,
        reason=reason,
        mask=mask,
        stamp=row.modified,
    )


def _series_row(row: Row, series: ChangedSeries, place: Place) -> Action:
    """A row of a changed series that the series' expansion does not contain."""
    root = row.recurring_event_id or ""
    became, mask = series.became.get(root), root in series.private
    if became == "expanded" and not row.is_cancelled and place.is_past(row):
        if mask and is_readable(row):  # Google lists no instance of a rule that the series had once
            return _mask(row)
        private_row = row.name if mask else ""
        return Keep(key=row.key, event_id=row.event_id, reason="aged_out", private_row=private_row)
    return _gone(_as_skipped(row, f"series_{became or 'changed'}", mask), row)
