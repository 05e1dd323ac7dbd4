"""Full listings: mark and sweep, the brake, what a change of policy owes, what is set aside."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.company import ANN, BOB, Company
from watcher.ledger import aside as stand_aside


@pytest.fixture(autouse=True)
def connected(company: Company) -> None:
    company.connect()


def put(company: Company, number: int = 1) -> list[str]:
    bodies = [company.timed(hours=n + 2, summary=f"Shift {n}") for n in range(number)]
    return [company.google.insert_event(ANN, body) for body in bodies]


def equal(company: Company) -> bool:
    keys = [row["custom_google_sync_key"] for row in company.site.events()]
    return company.mirrored() == company.expected() and len(keys) == len(set(keys))


def aside(company: Company) -> list[str]:
    with company.services.db.session() as session:
        return [row.message for row, _, _ in stand_aside.everything(session)]


@pytest.mark.parametrize("status", [400, 410])
def test_an_expired_sync_token_doubles_nothing(company: Company, status: int) -> None:
    company.google.behaviour.bad_token_status = status
    kept, gone = put(company, 2)
    assert company.sync() == "done"
    names = {row["name"] for row in company.rows()}
    company.google.delete_event(ANN, gone)
    company.google.expire_sync_tokens()
    put(company)
    assert company.sync() == "done"
    assert equal(company)
    assert {r["name"] for r in company.rows() if r["custom_google_event_id"] == kept} <= names


def test_rows_changed_or_deleted_by_hand_are_put_right(company: Company) -> None:
    put(company, 3)
    assert company.sync() == "done"
    row = company.rows()[0]
    company.site.remove("Event", row["name"])
    changed = company.site.row("Event", company.rows()[0]["name"])
    assert changed is not None
    by_hand = {"subject": "Mine now", "modified_by": "ann@scoopjoy.test"}
    company.site.put("Event", changed | by_hand)
    assert company.sync(snapshot=True) == "done"
    assert equal(company)


def test_the_brake(company: Company) -> None:
    ids = put(company, 30)
    assert company.sync() == "done"
    for event in ids[:20]:
        company.google.delete_event(ANN, event)
    company.google.expire_sync_tokens()
    company.google.patch_event(ANN, ids[25], {"summary": "Still written"})
    assert company.sync() == "done"
    assert company.calendar().state == "held"
    assert len(company.rows()) == 30
    assert "Still written" in company.subjects()
    put(company)
    assert company.sync() == "done"
    assert company.calendar().state == "held", "a delta must not lift what a person has to confirm"
    assert company.sync(force=True) == "done"
    assert company.calendar().state == "ok"
    assert equal(company)


def test_a_consent_is_for_what_was_shown_and_for_one_pass(company: Company) -> None:
    """Twenty cancellations were confirmed. The pass fails, and later Google lists nothing at all
    for a moment: that nobody has confirmed."""
    ids = put(company, 30)
    assert company.sync() == "done"
    assert company.sync(force=True) == "done", "there is nothing to confirm, and nothing is loaded"
    assert company.calendar().sweep_allowed is None
    for event in ids[:20]:
        company.google.delete_event(ANN, event)
    company.google.expire_sync_tokens()
    assert company.sync() == "done"
    assert (company.calendar().state, company.calendar().sweep_shown) == ("held", 20)
    company.google.add_fault(match="singleEvents=true", status=500, reason="backendError")
    assert company.sync(force=True) == "failed"
    company.google.clear_faults()
    empty = {"kind": "calendar#events", "items": [], "timeZone": "Asia/Kolkata"}
    company.google.add_fault(match="singleEvents=true", status=200, body=empty, count=2)
    assert company.sync() == "done", "what cron does after the failure"
    assert (len(company.rows()), company.calendar().sweep_shown) == (30, 30)
    assert "30 rows would be cancelled" in company.calendar().message


def test_more_than_was_confirmed_is_held_again(company: Company) -> None:
    ids = put(company, 30)
    assert company.sync() == "done"
    for event in ids[:20]:
        company.google.delete_event(ANN, event)
    company.google.expire_sync_tokens()
    assert company.sync() == "done"
    for event in ids[20:22]:
        company.google.delete_event(ANN, event)
    company.google.expire_sync_tokens()
    assert company.sync(force=True) == "done"
    assert (len(company.rows()), company.calendar().sweep_shown) == (30, 22)
    assert company.sync(force=True) == "done"
    assert company.calendar().state == "ok"
    assert equal(company)


def test_a_clock_set_back_sweeps_nothing(company: Company) -> None:
    put(company, 5)
    company.google.insert_event(ANN, company.timed(hours=24 * 29))
    assert company.sync() == "done"
    real = company.services.clock
    object.__setattr__(company.services, "clock", lambda: real() - timedelta(days=20))
    for _ in range(2):
        assert company.sync(snapshot=True) == "done"
        assert company.calendar().state == "held"
        assert len(company.rows()) == 6
    object.__setattr__(company.services, "clock", real)
    assert company.sync(snapshot=True) == "done"
    assert company.calendar().state == "ok"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("private_events", "skip", ["Open day"]),
        ("private_events", "private", ["Open day", "Doctor"]),
        ("window_future_days", "1", []),
        ("declined_events", "mirror", ["Open day", "Busy", "Declined"]),
    ],
)
def test_a_change_of_policy_owes_a_listing(
    company: Company, name: str, value: str, expected: list[str]
) -> None:
    me = {"email": ANN, "self": True, "responseStatus": "declined"}
    for hours, body in (
        (50, {"summary": "Open day"}),
        (51, {"summary": "Doctor", "visibility": "private"}),
        (52, {"summary": "Declined", "attendees": [me]}),
    ):
        company.google.insert_event(ANN, company.timed(hours=hours, **body))
    assert company.sync() == "done"
    assert company.subjects() == ["Open day", "Busy"]
    company.rebuild()
    company.set(name, value)
    assert company.sync() == "done"
    assert company.subjects() == expected


def test_delete_instead_of_cancel(company: Company) -> None:
    company.rebuild()
    company.set("cancelled_events", "delete")
    ids = put(company, 2)
    assert company.sync() == "done"
    company.google.delete_event(ANN, ids[0])
    assert company.sync() == "done"
    assert len(company.rows(live=False)) == 1
    assert equal(company)


def test_what_cannot_be_mapped_is_set_aside_and_the_rest_goes_on(company: Company) -> None:
    broken = company.timed(summary="Broken")
    del broken["start"]
    bad = company.google.insert_event(ANN, broken, raw=True)
    put(company, 2)
    assert company.sync() == "done"
    assert len(company.rows()) == 2
    assert len(aside(company)) == 1
    good = company.timed(summary="Mended")
    company.google.patch_event(ANN, bad, good)
    assert company.sync() == "done"
    assert "Mended" in company.subjects()
    assert aside(company) == []


def test_what_erpnext_refuses_is_set_aside_with_its_words(company: Company) -> None:
    company.site.add_fault(
        match="insert|resource/Event",
        status=417,
        exc_type="ValidationError",
        message="Not on holidays",
        count=None,
    )
    company.google.insert_event(ANN, company.timed(summary="Refused"))
    assert company.sync() == "done"
    assert aside(company) == ["Not on holidays"]
    company.site.clear_faults()
    assert company.sync(snapshot=True) == "done"
    assert "Refused" in company.subjects()
    assert aside(company) == []


def test_the_window_rolls_on_between_snapshots(company: Company) -> None:
    master = company.timed(hours=-1)
    company.google.insert_event(ANN, {**master, "recurrence": ["RRULE:FREQ=DAILY"]})
    assert company.sync() == "done"
    before = {row["starts_on"] for row in company.rows()}
    real = company.services.clock
    object.__setattr__(company.services, "clock", lambda: real() + timedelta(days=3))
    assert company.sync() == "done"
    added = {row["starts_on"] for row in company.rows()} - before
    assert len(added) == 3


def test_what_comes_within_reach_is_read_four_times_a_day(company: Company) -> None:
    """Counted, since every look at a calendar would else cost two calls of Google's."""
    company.google.log.clear()
    for _ in range(24):
        company.later(hours=1)
        assert company.sync() == "done"
    listed = [r.query for r in company.google.log.entries() if r.route == "events.list"]
    assert sum("syncToken" in query for query in listed) == 24
    assert sum("timeMin" in query for query in listed) == 4
    assert len(listed) == 28


def test_a_failure_in_between_does_not_lift_the_brake(company: Company) -> None:
    ids = put(company, 24)
    assert company.sync() == "done"
    for event in ids[:14]:
        company.google.delete_event(ANN, event)
    company.google.expire_sync_tokens()
    assert company.sync() == "done"
    held = company.calendar()
    company.google.add_fault(match=r"/events\?", status=403, reason="forbidden")
    assert company.sync() == "failed"
    company.google.clear_faults()
    assert company.sync() == "done"
    after = company.calendar()
    assert (after.state, after.cause, after.since) == ("held", "sweep_held", held.since)
    assert "14 of 24" in after.message


def test_what_is_gone_stands_aside_no_longer(company: Company) -> None:
    """An event that never got to ERPNext leaves no row behind by which its end could be seen."""
    broken = company.timed(summary="Broken")
    del broken["start"]
    bad = company.google.insert_event(ANN, broken, raw=True)
    assert company.sync() == "done"
    assert len(aside(company)) == 1
    company.google.delete_event(ANN, bad)
    company.google.expire_sync_tokens()
    assert company.sync() == "done"
    assert aside(company) == []


def test_an_event_still_broken_stays_aside_and_counts_its_tries(company: Company) -> None:
    broken = company.timed(summary="Broken")
    broken["end"] = {"date": "2026-01-01"}
    company.google.insert_event(ANN, broken, raw=True)
    put(company)
    for _ in range(3):
        assert company.sync(snapshot=True) == "done"
    with company.services.db.session() as session:
        rows = [
            (row.attempts, row.first_at < row.last_at)
            for row, _, _ in stand_aside.everything(session)
        ]
    assert rows == [(3, True)]
    assert len(company.rows()) == 1


def test_an_event_moved_to_another_calendar_changes_hands(company: Company) -> None:
    """A bare stub stays behind, and the id is the same over there."""
    company.add(BOB)
    (event,) = put(company)
    assert (company.sync(), company.sync(BOB)) == ("done", "done")
    company.google.move_event(ANN, event, BOB)
    assert (company.sync(), company.sync(BOB)) == ("done", "done")
    assert company.mirrored() == {}
    assert company.mirrored(BOB) == company.expected(BOB)
    assert len(company.rows(BOB)) == 1


def test_what_people_add_in_erpnext_stays(company: Company) -> None:
    """Only mirrored fields are put right; the status of past events is Frappe's own business."""
    (event,) = put(company)
    past = company.google.insert_event(ANN, company.timed(hours=-30, summary="Yesterday"))
    assert company.sync() == "done"
    for row in company.rows():
        company.site.put("Event", row | {"color": "#ff0000", "modified_by": "ann@scoopjoy.test"})
    assert "Yesterday" in {r["subject"] for r in company.rows() if r["status"] == "Open"}
    closed = company.site.close_past_events()
    assert len(closed) == 1
    assert company.sync(snapshot=True) == "done"
    company.google.patch_event(ANN, event, {"summary": "Renamed"})
    assert company.sync() == "done"
    rows = {row["custom_google_event_id"]: row for row in company.rows()}
    assert {row["color"] for row in rows.values()} == {"#ff0000"}
    assert (rows[event]["subject"], rows[past]["status"]) == ("Renamed", "Closed")


def test_other_rows_of_the_site_are_never_touched(company: Company) -> None:
    mine = company.site.blank("Event", "EV90001", "bob@scoopjoy.test") | {
        "subject": "Bob's own",
        "starts_on": "2026-11-30 10:00:00",
        "event_type": "Public",
        "status": "Open",
    }
    company.site.put("Event", mine)
    before = company.site.row("Event", "EV90001")
    put(company, 2)
    assert company.sync(force=True) == "done"
    company.google.expire_sync_tokens()
    assert company.sync() == "done"
    assert company.site.row("Event", "EV90001") == before
