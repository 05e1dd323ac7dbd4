"""What a delta and a snapshot decide, event by event; the brake; the comparison."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.events.build import API, NOW, Rows, event, held, on, place, rules
from watcher.errors import SweepHeld
from watcher.events.compare import difference
from watcher.events.mapping import to_erpnext
from watcher.events.model import (
    Action,
    Cancel,
    Create,
    Discard,
    ErpEvent,
    EventTime,
    GoogleEvent,
    Keep,
    MappedEvent,
    Rewrite,
    Row,
    Skipped,
    Told,
    Update,
)
from watcher.events.plan import (
    ChangedSeries,
    Situation,
    Trust,
    Veil,
    newest_by_id,
    plan_delta,
    plan_snapshot,
)

PERSON = "person@example.com"


def sent(event_id: str = "e1", **changes: Any) -> ErpEvent:
    result = to_erpnext(event(event_id, **changes), rules())
    assert isinstance(result, ErpEvent)
    return result


def days(count: float, hours: int = 1) -> dict[str, Any]:
    start = NOW + timedelta(days=count)
    return {
        "start": EventTime(instant=start),
        "end": EventTime(instant=start + timedelta(hours=hours)),
    }


def skip(event_id: str = "e1", reason: str = "declined") -> Skipped:
    return Skipped(key=sent(event_id).key, event_id=event_id, reason=reason)


def by_key(*rows: Row) -> dict[str, Row]:
    return {row.key: row for row in rows}


def delta(*mapped: ErpEvent | Skipped, rows: tuple[Row, ...] = (), **more: Any) -> list[Action]:
    return plan_delta(Told(live=mapped, **more), by_key(*rows), ChangedSeries(), place())


def snapshot(*mapped: ErpEvent | Skipped, rows: tuple[Row, ...] = (), **more: Any) -> list[Action]:
    force = more.pop("force", False)
    veil = more.pop("veil", Veil())
    situation = Situation(place=place(), trust=Trust(api_user=API), veil=veil)
    return plan_snapshot(Told(live=mapped, **more), rows, situation, force=force)


def only(actions: list[Action]) -> Action:
    assert len(actions) == 1
    return actions[0]


def reason(actions: list[Action]) -> str:
    action = only(actions)
    assert isinstance(action, Keep | Cancel)
    return action.reason


BOTH = pytest.mark.parametrize("plan", [delta, snapshot])


# --- one event ----------------------------------------------------------------------------------


@BOTH
def test_new_is_created(plan: Any) -> None:
    assert only(plan(sent())) == Create(event=sent())


@BOTH
def test_the_same_is_kept(plan: Any) -> None:
    assert reason(plan(sent(), rows=(held(sent()),))) == "unchanged"


def test_a_days_end_that_erpnext_emptied_is_put_right() -> None:
    """Earlier versions wrote an end that equals the start, which Frappe empties: two days."""
    day = sent(start=on("2026-11-24"), end=on("2026-11-25"))
    row = held(day, ends_on=None, modified_by=PERSON)
    assert isinstance(only(snapshot(day, rows=(row,))), Update)


@BOTH
def test_another_hash_is_an_update(plan: Any) -> None:
    row = held(sent())
    assert only(plan(sent(summary="New"), rows=(row,))) == Update(
        name=row.name, event=sent(summary="New")
    )


@BOTH
def test_what_comes_back_revives_its_row(plan: Any) -> None:
    row = held(sent(), status="Cancelled")
    assert only(plan(sent(), rows=(row,))) == Update(name=row.name, event=sent(), revive=True)


@BOTH
@pytest.mark.parametrize("status", ["Open", "Closed", "Completed"])
def test_other_states_are_nobodys_business(plan: Any, status: str) -> None:
    assert reason(plan(sent(), rows=(held(sent(), status=status),))) == "unchanged"


@BOTH
def test_what_is_skipped_is_counted_and_its_row_goes(plan: Any) -> None:
    live, gone = held(sent()), held(sent(), status="Cancelled")
    assert only(plan(skip())) == Keep(key=live.key, event_id="e1", reason="declined")
    cancel = only(plan(skip(), rows=(live,)))
    assert isinstance(cancel, Cancel)
    assert (cancel.name, cancel.reason) == (live.name, "declined")
    assert reason(plan(skip(), rows=(gone,))) == "already_cancelled"


# --- the window's edges -------------------------------------------------------------------------


@BOTH
def test_moved_out_of_the_window_is_cancelled(plan: Any) -> None:
    row = held(sent())
    for away in (days(40), days(-40)):
        assert reason(plan(outside=[sent(**away)], rows=(row,))) == "outside_window"
    assert isinstance(only(plan(outside=[sent(**days(40))], rows=(row,))), Cancel)


@BOTH
def test_aged_out_of_the_window_is_history(plan: Any) -> None:
    old = sent(**days(-10))
    kept = only(plan(outside=[old], rows=(held(old),)))
    assert kept == Keep(key=old.key, event_id="e1", reason="aged_out")


@BOTH
def test_never_seen_and_outside_is_counted(plan: Any) -> None:
    assert reason(plan(outside=[sent(**days(40))])) == "outside_window"


@BOTH
def test_history_that_became_private_is_masked(plan: Any) -> None:
    """The title of a past appointment goes as soon as its owner hides it."""
    row = held(sent(summary="Doctor", **days(-10)))
    masked = sent(summary="Doctor", visibility="private", **days(-10))
    action = only(plan(outside=[masked], rows=(row,)))
    assert action == Update(name=row.name, event=masked, hides=True)
    assert "Doctor" not in repr(action)


# --- cancelled in Google ------------------------------------------------------------------------


def test_cancelled_in_google() -> None:
    row = held(sent())
    cancel = only(delta(gone=[row.key], rows=(row,)))
    assert isinstance(cancel, Cancel)
    assert cancel.name == row.name
    assert isinstance(only(delta(gone=[row.key])), Keep)
    assert reason(delta(gone=[row.key], rows=(held(sent(), status="Cancelled"),))) == (
        "already_cancelled"
    )


def test_google_may_cancel_as_many_as_it_likes() -> None:
    rows = tuple(held(sent(f"e{n}")) for n in range(100))
    actions = delta(gone=[row.key for row in rows], rows=rows)
    assert sum(isinstance(action, Cancel) for action in actions) == 100


def test_a_past_event_that_google_cancels_is_cancelled() -> None:
    row = held(sent(**days(-20)))
    assert isinstance(only(delta(gone=[row.key], rows=(row,))), Cancel)


# --- series -------------------------------------------------------------------------------------


def instance(number: int, count: float, **changes: Any) -> ErpEvent:
    return sent(f"m_{number}", recurring_event_id="m", **days(count), **changes)


def series(*mapped: ErpEvent, rows: list[Row], became: str, **more: Any) -> dict[str, Action]:
    own = [row for row in rows if row.recurring_event_id is None]
    listed = {event.key for event in mapped}
    actions = plan_delta(
        Told(live=mapped, **more),
        by_key(*own, *(row for row in rows if row.key in listed)),
        ChangedSeries(rows=[row for row in rows if row.recurring_event_id], became={"m": became}),
        place(),
    )
    found = {getattr(a, "event_id", "") or a.event.event_id: a for a in actions}  # type: ignore[union-attr]
    assert len(found) == len(actions)
    return found


def test_an_expansion_cancels_what_it_lacks_and_leaves_history() -> None:
    rows = [held(instance(n, day)) for n, day in enumerate((-10, 1, 8))]
    found = series(instance(1, 1), instance(3, 9), rows=rows, became="expanded")
    kinds = {name: type(action) for name, action in found.items()}
    assert kinds == {"m_0": Keep, "m_1": Keep, "m_2": Cancel, "m_3": Create}


def test_a_single_event_that_became_a_series() -> None:
    found = series(instance(1, 1), rows=[held(sent("m"))], became="expanded")
    assert isinstance(found["m"], Cancel)
    assert isinstance(found["m_1"], Create)


def test_a_series_that_became_a_single_event() -> None:
    rows = [held(instance(n, n)) for n in (1, 2)]
    found = series(sent("m"), rows=rows, became="single")
    kinds = {name: type(action) for name, action in found.items()}
    assert kinds == {"m": Create, "m_1": Cancel, "m_2": Cancel}


def test_a_cancelled_series_cancels_all_its_instances() -> None:
    rows = [held(instance(1, -10)), held(instance(2, 2)), held(instance(3, 3), status="Cancelled")]
    found = series(rows=rows, became="cancelled")
    kinds = {name: type(action) for name, action in found.items()}
    assert kinds == {"m_1": Cancel, "m_2": Cancel, "m_3": Keep}


def test_what_was_set_aside_is_not_cancelled_for_that() -> None:
    row = held(instance(1, 1))
    assert series(rows=[row], became="expanded", aside={row.key}) == {}
    assert series(rows=[held(sent("m"))], became="expanded", aside={sent("m").key}) == {}
    assert snapshot(rows=(row,), aside={row.key}) == []


# --- a snapshot ---------------------------------------------------------------------------------


def test_the_sweep_takes_what_vanished_and_leaves_history() -> None:
    rows = [held(sent("now")), held(sent("late", **days(50))), held(sent("old", **days(-9)))]
    rows += [held(sent("gone"), status="Cancelled")]
    found = {action.event_id: action for action in snapshot(rows=tuple(rows))}  # type: ignore[union-attr]
    reasons = {name: (type(a), a.reason) for name, a in found.items()}  # type: ignore[union-attr]
    assert reasons == {
        "now": (Cancel, "vanished"),
        "late": (Cancel, "vanished"),
        "old": (Keep, "aged_out"),
        "gone": (Keep, "already_cancelled"),
    }


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "Mine"},
        {"starts_on": "2026-11-23 18:30:00"},
        {"ends_on": None},
        {"all_day": True},
        {"event_type": "Private"},
        {"description": "Mine"},
    ],
    ids=str,
)
def test_what_a_person_changed_is_put_right(change: dict[str, Any]) -> None:
    row = held(sent(description="x"), modified_by=PERSON, **change)
    update = only(snapshot(sent(description="x"), rows=(row,)))
    assert update == Update(name=row.name, event=sent(description="x"))


@pytest.mark.parametrize("who", [API, API.upper()])
def test_our_own_writing_is_not_compared(who: str) -> None:
    row = held(sent(), subject="as the server made it", modified_by=who)
    assert reason(snapshot(sent(), rows=(row,))) == "unchanged"


@pytest.mark.parametrize(
    ("ours", "servers"),
    [
        ("<script>x</script>hi", "&lt;script&gt;x&lt;/script&gt;hi"),
        ("a & b < c", "a &amp; b &lt; c"),
        ("<p>one</p>\n<p>two</p>", "<div><p>one</p><p>two</p></div>"),
        ('<a href="javascript:x">go</a>', "<a>go</a>"),
    ],
)
def test_the_servers_cleaning_is_no_difference(ours: str, servers: str) -> None:
    event_sent = replace(sent(), subject=ours, description=ours)
    row = held(event_sent, subject=servers, description=servers, modified_by=PERSON)
    assert reason(snapshot(event_sent, rows=(row,))) == "unchanged"
    assert difference(Told(live=[event_sent]), [row], place()).count == 0


def test_a_person_cannot_stop_a_worker_with_brackets() -> None:
    row = held(sent(), description="<" * 400_000, modified_by=PERSON)
    began = time.monotonic()
    assert isinstance(only(snapshot(sent(), rows=(row,))), Update)
    assert time.monotonic() - began < 5


# --- the brake ----------------------------------------------------------------------------------


def calendar(count: int, prefix: str = "e", **when: Any) -> tuple[Row, ...]:
    return tuple(held(sent(f"{prefix}{n}", **when)) for n in range(count))


@pytest.mark.parametrize(
    ("live", "listed", "stopped"),
    [
        (20, 0, False),
        (21, 0, True),
        (21, 10, True),
        (21, 11, False),
        (40, 20, False),
        (40, 19, True),
    ],
)
def test_more_than_half_of_more_than_twenty_is_held(live: int, listed: int, stopped: bool) -> None:
    rows, found = calendar(live), [sent(f"e{n}") for n in range(listed)]
    if stopped:
        with pytest.raises(SweepHeld) as caught:
            snapshot(*found, rows=rows)
        assert f"{live - listed} of {live}" in caught.value.message
        assert "--force" in caught.value.next_step
    actions = snapshot(*found, rows=rows, force=stopped)
    assert sum(isinstance(action, Cancel) for action in actions) == live - listed


def roster(count: int) -> tuple[Row, ...]:
    return tuple(held(sent(f"m_{n}", recurring_event_id="m")) for n in range(count))


def test_a_series_that_goes_is_one_event_to_the_brake() -> None:
    """A person deletes or splits a daily series while the sync token has expired: that is one event
    to the brake, however many instances go."""
    rows = calendar(3) + roster(37)
    actions = snapshot(*(sent(f"e{n}") for n in range(3)), rows=rows)
    assert sum(isinstance(action, Cancel) for action in actions) == 37
    with pytest.raises(SweepHeld, match="39 of 40"):
        snapshot(sent("e0"), rows=rows)
    half = [sent(f"m_{n}", recurring_event_id="m") for n in range(10)]
    with pytest.raises(SweepHeld, match="28 of 38"):  # a listing that was cut short
        snapshot(*half, rows=rows[2:])


def test_cancelled_and_past_rows_neither_press_nor_ease_the_brake() -> None:
    rows = calendar(21) + calendar(50, "old", **days(-20))
    rows += tuple(replace(row, status="Cancelled") for row in calendar(50, "gone"))
    with pytest.raises(SweepHeld, match="21 of 21"):
        snapshot(rows=rows)


def test_a_window_made_shorter_is_no_alarm() -> None:
    """Rows beyond the window's end are swept, since no listing of the window can hold them."""
    rows = calendar(30) + calendar(100, "late", **days(50))
    actions = snapshot(*(sent(f"e{n}") for n in range(30)), rows=rows)
    assert sum(isinstance(action, Cancel) for action in actions) == 100


def test_what_google_says_itself_is_no_sweep() -> None:
    rows = calendar(60)
    actions = snapshot(*(skip(f"e{n}") for n in range(60)), rows=rows)
    assert all(isinstance(action, Cancel) for action in actions)


# --- duplicates, comparison ---------------------------------------------------------------------


def test_the_newest_of_one_id_wins() -> None:
    old, new = event(summary="old", updated=NOW), event(summary="new", updated=NOW.replace(hour=13))
    unstamped = event(summary="?")
    assert newest_by_id([new, old]) == newest_by_id([old, new]) == [new]
    assert newest_by_id([unstamped, old]) == newest_by_id([old, unstamped]) == [old]


def test_a_tombstone_without_a_stamp_ends_what_came_before_it() -> None:
    """An event is deleted while the pages of a delta are read: it comes twice."""
    live, tombstone = event(updated=NOW), GoogleEvent(id="e1", status="cancelled")
    restored = event(updated=NOW.replace(hour=13))
    assert newest_by_id([live, tombstone]) == [tombstone]
    assert newest_by_id([live, tombstone, restored]) == [restored]


def test_the_last_of_equals_wins() -> None:
    one, two = event(summary="one", updated=NOW), event(summary="two", updated=NOW)
    other = GoogleEvent(id="other")
    assert newest_by_id([one, other, two]) == [two, other]


def test_the_comparison_names_what_differs() -> None:
    same, moved, titled = sent("same"), sent("moved"), sent("titled")
    rows = [
        held(same),
        held(moved, starts_on="2026-11-23 17:00:00"),
        held(titled, subject="Other", event_type="Private"),
        held(sent("extra")),
        held(sent("declined")),
        held(sent("old", **days(-20))),
        held(sent("gone"), status="Cancelled"),
    ]
    mapped: list[MappedEvent] = [same, moved, titled, sent("missing"), sent("gone")]
    mapped += [skip("declined"), skip("never")]
    found = difference(Told(live=mapped), rows, place())
    assert {(item[1], item[2]) for item in found.different} == {
        ("moved", "time"),
        ("titled", "subject, event_type"),
    }
    assert {item[1] for item in found.missing} == {"missing", "gone"}
    assert {item[1] for item in found.extra} == {"extra", "declined"}
    assert found.count == 6


def test_after_the_plan_there_is_nothing_to_do() -> None:
    rows = Rows()
    days_long = sent("b", start=on("2026-11-24"), end=on("2026-11-25"))
    mapped: list[MappedEvent] = [sent("a"), days_long, skip("c")]
    rows.apply(snapshot(*mapped))
    again = snapshot(*mapped, rows=tuple(rows.by_key.values()))
    assert all(isinstance(action, Keep) for action in again)
    assert difference(Told(live=mapped), list(rows.by_key.values()), place()).count == 0


# --- what ERPNext has closed, what others have written ------------------------------------------


def closed(mapped: ErpEvent, **changes: Any) -> Row:
    return held(mapped, status="Closed", modified_by="Administrator", **changes)


@BOTH
def test_a_closed_event_that_moves_into_the_future_is_opened(plan: Any) -> None:
    row = closed(sent(**days(-2)))
    for event_now in (sent(**days(1)), sent(**days(-2, hours=60)), sent(**days(0, hours=1))):
        assert only(plan(event_now, rows=(row,))) == Update(
            name=row.name, event=event_now, reopen=True
        )


@BOTH
def test_a_closed_event_that_stays_in_the_past_stays_closed(plan: Any) -> None:
    moved = only(plan(sent(**days(-3)), rows=(closed(sent(**days(-2))),)))
    assert isinstance(moved, Update)
    assert not moved.reopen


@BOTH
@pytest.mark.parametrize("status", ["Closed", "Completed"])
def test_what_a_person_closed_stays_without_a_change_of_times(plan: Any, status: str) -> None:
    row = held(sent(**days(1)), status=status)
    renamed = only(plan(sent(summary="Renamed", **days(1)), rows=(row,)))
    assert isinstance(renamed, Update)
    assert not renamed.reopen


@BOTH
def test_completed_stays_even_when_it_moves(plan: Any) -> None:
    row = held(sent(**days(-2)), status="Completed")
    moved = only(plan(sent(**days(1)), rows=(row,)))
    assert isinstance(moved, Update)
    assert not moved.reopen


def test_verify_judges_closed_rows_by_the_same_rule() -> None:
    moved = sent(**days(1))
    wrong = closed(sent(**days(-2)))
    assert "status" in difference(Told(live=[moved]), [wrong], place()).different[0][2]
    assert difference(Told(live=[moved]), [closed(moved)], place()).count == 0


def test_a_row_written_by_another_script_under_our_key_is_put_right() -> None:
    seen = "2026-11-23 10:00:00.000000"
    for stamp, put_right in (("2026-11-23 10:00:00.000001", True), (seen, False)):
        row = held(sent(), subject="Meddled", modified=stamp)
        situation = Situation(place=place(), trust=Trust(api_user=API, seen=seen))
        actions = plan_snapshot(Told(live=[sent()]), [row], situation)
        assert isinstance(only(actions), Update) is put_right


# --- rows of private events ---------------------------------------------------------------------


def private(event_id: str = "e1", **changes: Any) -> ErpEvent:
    return sent(event_id, summary="Doctor", visibility="private", **changes)


@BOTH
def test_a_private_row_that_stays_is_named_for_its_past(plan: Any) -> None:
    kept = only(plan(private(), rows=(held(private()),)))
    assert isinstance(kept, Keep)
    assert kept.private_row == held(private()).name


@BOTH
def test_a_cancelled_row_of_a_private_event_is_named_for_its_past(plan: Any) -> None:
    row = held(private(), status="Cancelled")
    hidden = Skipped(key=row.key, event_id="e1", reason="private", private=True)
    kept = only(plan(hidden, rows=(row,)))
    assert isinstance(kept, Keep)
    assert kept.private_row == row.name


def test_a_row_without_its_key_is_discarded() -> None:
    left = held(private(), key="", status="Cancelled")
    assert only(snapshot(rows=(left,))) == Discard(name=left.name)


def test_what_could_not_be_masked_is_masked_even_when_it_has_aged_out() -> None:
    row = held(sent(summary="Doctor", **days(-20)))
    action = only(snapshot(rows=(row,), veil=Veil(keys=frozenset({row.key}))))
    assert isinstance(action, Rewrite)
    assert action.mask
