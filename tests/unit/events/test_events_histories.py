"""Random histories: whatever happens in Google and to the rows, ERPNext follows.

The machine keeps its own idea of what the window must show; it shares the predicate of the
window with the code (tested by itself), but neither the mapping of texts nor of times.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.unit.events.build import API, KOLKATA, NOW, Rows, rules, spans
from watcher.events.compare import Place, difference
from watcher.events.mapping import sync_key, to_erpnext
from watcher.events.model import (
    Action,
    ErpEvent,
    EventTime,
    GoogleEvent,
    Keep,
    Skipped,
    Told,
)
from watcher.events.plan import (
    ChangedSeries,
    Situation,
    Trust,
    newest_by_id,
    plan_delta,
    plan_snapshot,
)
from watcher.events.window import in_window, make_window

ROOTS = ("a", "b", "c", "d")
roots = st.sampled_from(ROOTS)
summaries = st.sampled_from(["Tasting", "Roster", "3 < 5", "", "<x>"])
visibilities = st.sampled_from(["default", "default", "private"])
responses = st.sampled_from([None, "accepted", "declined"])
Shown = tuple[str, str, str, bool]


def shown(event: GoogleEvent) -> Shown:
    """What ERPNext must show of a live event, by rules written down once more."""
    title = event.summary or "(No title)"
    subject = "Busy" if event.visibility == "private" else title.replace("<x>", "‹x›")
    assert event.start is not None
    assert event.end is not None
    if event.start.day is not None and event.end.day is not None:
        last = max(event.start.day, event.end.day - timedelta(days=1))
        clock = "00:00:00" if last > event.start.day else "23:59:59"
        return subject, f"{event.start.day} 00:00:00", f"{last} {clock}", True
    begins, ends = event.start.instant, event.end.instant
    assert begins is not None
    assert ends is not None
    ends = max(begins + timedelta(minutes=1), ends)
    walls = [m.astimezone(KOLKATA).strftime("%Y-%m-%d %H:%M:%S") for m in (begins, ends)]
    return subject, walls[0], walls[1], False


class History(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.mapping = rules()
        self.singles: dict[str, GoogleEvent] = {}
        self.series: dict[str, list[GoogleEvent]] = {}
        self.changed: set[str] = set()
        self.rows = Rows()
        self.whole = True  # nothing has happened that only a snapshot can see

    # --- Google ---------------------------------------------------------------------------------

    @rule(root=roots, span=spans(), summary=summaries, seen=visibilities, answer=responses)
    def put_single(
        self, root: str, span: tuple[EventTime, EventTime], summary: str, seen: str, answer: Any
    ) -> None:
        self.series.pop(root, None)
        self.singles[root] = GoogleEvent(
            id=root,
            summary=summary,
            start=span[0],
            end=span[1],
            visibility=seen,
            own_response=answer,
        )
        self.changed.add(root)

    @rule(
        root=roots,
        summary=summaries,
        seen=visibilities,
        hours=st.integers(-600, 900),
        every=st.integers(1, 9),
        skipped=st.sets(st.integers(0, 5)),
    )
    def put_series(
        self, root: str, summary: str, seen: str, hours: int, every: int, skipped: set[int]
    ) -> None:
        self.singles.pop(root, None)
        first = NOW + timedelta(hours=hours)
        self.series[root] = []
        for n in set(range(6)) - skipped:
            begins = first + timedelta(days=every * n)
            self.series[root].append(
                GoogleEvent(
                    id=f"{root}_{n}",
                    recurring_event_id=root,
                    summary=summary,
                    visibility=seen,
                    start=EventTime(instant=begins),
                    end=EventTime(instant=begins + timedelta(hours=2)),
                )
            )
        self.changed.add(root)

    @precondition(lambda self: self.singles or self.series)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        root = data.draw(st.sampled_from(sorted([*self.singles, *self.series])))
        self.singles.pop(root, None)
        self.series.pop(root, None)
        self.changed.add(root)

    # --- time and people ------------------------------------------------------------------------

    @rule(hours=st.integers(1, 300))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        self.whole = False

    @precondition(lambda self: self.rows.by_key)
    @rule(data=st.data(), deed=st.sampled_from(["title", "move", "cancel", "delete"]))
    def a_person_meddles(self, data: st.DataObject, deed: str) -> None:
        key = data.draw(st.sampled_from(sorted(self.rows.by_key)))
        row = replace(self.rows.by_key[key], modified_by="person@example.com")
        changes: dict[str, dict[str, Any]] = {
            "title": {"subject": "Mine"},
            "move": {"starts_on": "2026-11-25 10:00:00", "ends_on": "2026-11-25 11:00:00"},
            "cancel": {"status": "Cancelled"},
        }
        if deed == "delete":
            del self.rows.by_key[key]
        else:
            self.rows.by_key[key] = replace(row, **changes[deed])
        self.whole = False

    # --- Watcher --------------------------------------------------------------------------------

    @rule(doubled=st.booleans())
    def delta(self, doubled: bool) -> None:
        self._apply(self._plan_delta, doubled=doubled)
        self.changed.clear()
        if self.whole:
            self._check()

    @rule()
    def snapshot(self) -> None:
        self._apply(self._plan_snapshot)
        self.whole = not self.changed
        self._check()

    def _apply(self, plan: Any, **given: Any) -> None:
        actions = plan(**given)
        keys = [a.event.key if hasattr(a, "event") else a.key for a in actions]
        assert len(keys) == len(set(keys)), "a key twice"
        self.rows.apply(actions)
        again = plan(**given)
        assert all(isinstance(action, Keep) for action in again), again

    def _plan_delta(self, doubled: bool) -> list[Action]:
        items = [self._item(root) for root in sorted(self.changed)]
        events = newest_by_id(items * 2 if doubled else items)
        masters = {event.id for event in events if event.is_master}
        expanded = [e for m in sorted(masters) for e in self.series[m] if self._inside(e)]
        direct = [e for e in events if e.id not in masters]
        live, outside = self._mapped([e for e in [*direct, *expanded] if not e.is_cancelled])
        keys = {self._key(e.id) for e in [*events, *expanded]}
        became = {
            e.id: "expanded" if e.is_master else "cancelled" if e.is_cancelled else "single"
            for e in events
        }
        gone = [self._key(e.id) for e in direct if e.is_cancelled]
        of_series = [r for r in self.rows.by_key.values() if r.recurring_event_id in became]
        return plan_delta(
            Told(live=live, outside=outside, gone=gone),
            {key: row for key, row in self.rows.by_key.items() if key in keys},
            ChangedSeries(rows=of_series, became=became),
            self._place(),
        )

    def _plan_snapshot(self) -> list[Action]:
        live, outside = self._mapped([e for e in self._events() if self._inside(e)])
        situation = Situation(place=self._place(), trust=Trust(api_user=API))
        told = Told(live=live, outside=outside)
        return plan_snapshot(told, list(self.rows.by_key.values()), situation)

    def _item(self, root: str) -> GoogleEvent:
        if root in self.singles:
            return self.singles[root]
        if root in self.series:
            return GoogleEvent(id=root, is_master=True, start=EventTime(instant=NOW))
        return GoogleEvent(id=root, status="cancelled")

    def _mapped(self, events: list[GoogleEvent]) -> tuple[list[ErpEvent | Skipped], list[ErpEvent]]:
        live: list[ErpEvent | Skipped] = []
        outside: list[ErpEvent] = []
        for event in events:
            result = to_erpnext(event, self.mapping)
            if isinstance(result, Skipped) or self._inside(event):
                live.append(result)
            else:
                outside.append(result)
        return live, outside

    def _events(self) -> list[GoogleEvent]:
        return [*self.singles.values(), *(e for all_of in self.series.values() for e in all_of)]

    def _key(self, event_id: str) -> str:
        return sync_key(self.mapping.account, self.mapping.calendar_id, event_id)

    def _place(self) -> Place:
        window = make_window(self.now, 7, 30)
        return Place(window=window, site_zone=KOLKATA, calendar_zone=KOLKATA, now=self.now)

    def _inside(self, event: GoogleEvent) -> bool:
        assert event.start is not None
        assert event.end is not None
        return in_window(event.start, event.end, self._place().window, KOLKATA)

    # --- what must be true ----------------------------------------------------------------------

    def _check(self) -> None:
        wanted = {
            e.id: shown(e)
            for e in self._events()
            if self._inside(e) and e.own_response != "declined"
        }
        seen = {
            name: (row.subject, row.starts_on, row.ends_on or row.starts_on, row.all_day)
            for name, row in self.rows.live().items()
            if not self._place().is_past(row)
        }
        assert seen == wanted
        live, _ = self._mapped([e for e in self._events() if self._inside(e)])
        assert (
            difference(Told(live=live), list(self.rows.by_key.values()), self._place()).count == 0
        )

    @invariant()
    def no_event_has_two_rows(self) -> None:
        names = [row.event_id for row in self.rows.by_key.values()]
        assert len(names) == len(set(names))


History.TestCase.settings = settings(max_examples=80, stateful_step_count=25)
TestHistory = History.TestCase
