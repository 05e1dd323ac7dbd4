"""Passes over several calendars at once: each calendar ends as it would alone."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from tests.company import DOMAIN, Company
from watcher.errors import Transient
from watcher.google.client import Patience
from watcher.ledger import accounts, budget, debts, leases, owing
from watcher.ledger.models import Calendar, Quarantined, Run
from watcher.ledger.states import AccountState
from watcher.sync import at_once, outcome, passes, side_by_side, together, touched
from watcher.sync.together import work_off_together
from watcher_sandbox.erpnext.faults import Fault

PEOPLE = [f"person{n}@{DOMAIN}" for n in range(5)]


class Crowd:
    """Five people, each with a shift that is mirrored."""

    def __init__(self, company: Company) -> None:
        self.company = company
        company.setup_erpnext()
        self.shifts: dict[str, str] = {}
        for email in PEOPLE:
            company.google.add_user(email, time_zone="Asia/Kolkata")
            company.site.add_user(email)
            self.shifts[email] = company.google.insert_event(email, company.timed(summary="Shift"))
            company.add(email)
            assert company.sync(email) == "done"
        company.services.doorbell.client.flushall()
        with company.services.db.session() as session:
            session.query(Run).delete()

    def calendar(self, email: str) -> Calendar:
        return self.company.calendar(email)

    def edit(self, email: str, **changes: Any) -> None:
        self.company.google.patch_event(email, self.shifts[email], changes or {"summary": "Late"})

    def edit_all(self, title: str = "Late") -> None:
        for email in PEOPLE:
            self.edit(email, summary=title)

    def told(self, reason: str = "push") -> dict[int, str]:
        """A push has told of each of them; the jobs that it left."""
        numbers = [self.calendar(email).id for email in PEOPLE]
        with self.company.services.db.session() as session:
            owing.owe_looks(session, numbers, reason, self.company.services.clock())
        return dict.fromkeys(numbers, reason)

    def work(self) -> Counter[str]:
        """All of them at once; returns the requests to ERPNext by their method."""
        before = self.company.site.requests.copy()
        work_off_together(self.company.services, self.told())
        found = self.company.site.requests - before
        return Counter({each.rpartition(".")[2]: number for each, number in found.items()})

    @property
    def runs(self) -> list[Run]:
        with self.company.services.db.reading() as session:
            return session.query(Run).order_by(Run.calendar_id).all()

    def check(self, *but: str) -> None:
        """Everybody's mirror is right, nothing is owed, and nobody works on a calendar."""
        for email in PEOPLE:
            row = self.calendar(email)
            assert row.lease_owner is None, email
            if email not in but:
                assert self.company.mirrored(email) == self.company.expected(email), email
                assert row.synced_seq == row.dirty_seq, email


@pytest.fixture
def crowd(company: Company) -> Crowd:
    return Crowd(company)


def test_erpnext_is_asked_once_for_all(crowd: Crowd) -> None:
    crowd.edit_all()
    assert crowd.work() == {"get_list": 2, "bulk_update": 1}
    crowd.check()
    assert [(run.kind, run.reason, run.updated) for run in crowd.runs] == [("delta", "push", 1)] * 5
    assert len({run.trace for run in crowd.runs}) == 1, "it is one pass in the log and for ERPNext"
    assert all(run.lag_google is not None for run in crowd.runs)
    assert crowd.work() == {}, "each token is kept, and Google tells of nothing more"
    assert [run.kind for run in crowd.runs] == ["delta"] * 10


def test_new_events_changed_ones_and_calendars_without_news(crowd: Crowd) -> None:
    first, second, third = PEOPLE[:3]
    crowd.edit(first)
    new = crowd.company.timed(hours=30, summary="New")
    crowd.company.google.insert_event(second, new)
    crowd.company.google.insert_event(third, new)
    crowd.edit(third)
    assert crowd.work() == {"get_list": 2, "bulk_update": 1, "insert_many": 1}
    crowd.check()
    assert [(run.created, run.updated) for run in crowd.runs] == [
        *((0, 1), (1, 0), (1, 1), (0, 0), (0, 0))
    ]


def test_whatever_is_no_plain_change_is_gone_on_with_alone(crowd: Crowd) -> None:
    google = crowd.company.google
    private, gone, series = PEOPLE[:3]
    crowd.edit_all()
    crowd.edit(private, summary="Doctor", visibility="private")
    google.delete_event(gone, crowd.shifts[gone])
    item = crowd.company.timed(hours=26, summary="Daily")
    google.insert_event(series, {**item, "recurrence": ["RRULE:FREQ=DAILY;COUNT=3"]})
    crowd.work()
    crowd.check(private)
    assert "Doctor" not in crowd.company.subjects(private)
    assert [run.kind for run in crowd.runs] == ["delta"] * 5
    assert crowd.runs[1].cancelled == 1


def test_a_refused_event_stands_aside_and_the_others_are_written(crowd: Crowd) -> None:
    site, odd = crowd.company.site, PEOPLE[2]
    [row] = crowd.company.rows(odd)
    site.add_fault("bulk_update", status=500, count=2)
    its = f"PUT /api/resource/Event/{row['name']}"
    site.add_fault(its, status=417, exc_type="ValidationError", message="no", count=None)
    crowd.edit_all()
    crowd.work()
    crowd.check(odd)
    with crowd.company.services.db.reading() as session:
        [aside] = session.query(Quarantined)
        assert aside.calendar_id == crowd.calendar(odd).id


def test_what_erpnext_chokes_on_in_one_calendar_is_that_ones_matter(crowd: Crowd) -> None:
    """Its answer is the same as that of a site without the fields, which concerns all."""
    site, odd = crowd.company.site, PEOPLE[2]
    [row] = crowd.company.rows(odd)
    site.add_fault("bulk_update", status=500, count=None)
    its = f"PUT /api/resource/Event/{row['name']}"
    site.add_fault(its, status=417, exc_type="DataError", message="no", count=None)
    crowd.edit_all()
    crowd.work()
    crowd.check(odd)
    assert {e: crowd.calendar(e).state for e in PEOPLE if crowd.calendar(e).failures} == {
        odd: "failing"
    }


def test_calendars_whose_turn_does_not_come_soon_are_given_back(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are as they were, and the next ones in the queue, where any worker finds them."""
    monkeypatch.setattr(together, "TURN_SECONDS", 0.0)
    private, failed = PEOPLE[:3], PEOPLE[3:]
    for email in private:
        crowd.edit(email, summary="Doctor", visibility="private")
    for email in failed:
        crowd.edit(email)
        with crowd.company.services.db.session() as session:
            session.get_one(Calendar, crowd.calendar(email).id).failures = 1
    jobs = crowd.told()
    before = {email: crowd.calendar(email) for email in PEOPLE}
    work_off_together(crowd.company.services, jobs)
    late = private[1:] + failed[1:]
    crowd.check(*late)
    assert all(crowd.calendar(email).dirty_at == before[email].dirty_at for email in late)
    waiting = crowd.company.services.doorbell.waiting()["live"]
    assert _numbers(waiting) == {before[email].id for email in late}
    assert not any(crowd.calendar(email).lease_owner for email in late)
    monkeypatch.undo()
    crowd.work()
    crowd.check()
    assert "Doctor" not in crowd.company.site.dump()


def test_calendars_are_locked_in_the_order_of_all_processes(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two transactions that lock the same calendars in different orders wait for each other. Those
    without news are no exception."""
    locked, real = list[int](), debts.as_found

    def note(session: Any, calendar_id: int, now: Any) -> Any:
        locked.append(calendar_id)
        return real(session, calendar_id, now)

    monkeypatch.setattr(debts, "as_found", note)
    for email in PEOPLE[::2]:
        crowd.edit(email)
    crowd.work()
    assert len(locked) == len(PEOPLE)
    assert locked == sorted(locked)


def test_while_erpnext_is_away_all_wait_and_then_each_is_tried_alone(crowd: Crowd) -> None:
    crowd.edit_all()
    crowd.company.site.faults.add(Fault(status=503, count=None))
    crowd.work()
    assert [run.kind for run in crowd.runs] == ["failed"] * 5
    assert {crowd.calendar(email).state for email in PEOPLE} == {"retrying"}
    assert all(crowd.calendar(email).retry_at for email in PEOPLE)
    crowd.company.site.faults.clear()
    crowd.company.later(minutes=5)
    assert crowd.work()["bulk_update"] == 5, "one of them may have been the reason"
    crowd.check()
    crowd.edit_all("Later still")
    assert crowd.work()["bulk_update"] == 1


def test_what_google_answers_for_one_of_them_is_for_that_one(crowd: Crowd) -> None:
    google = crowd.company.google
    gone, expired = PEOPLE[1], PEOPLE[3]
    crowd.edit_all()
    google.add_fault(match=f"calendars/{gone}", status=503, count=None)
    google.add_fault(match=f"calendars/{expired}", status=410, count=1)
    crowd.work()
    crowd.check(gone, expired)
    waiting = crowd.company.services.doorbell.waiting()
    assert _numbers(waiting["backfill"]) == {crowd.calendar(gone).id}
    assert crowd.calendar(expired).sync_token is None


def test_a_calendar_that_google_hangs_with_keeps_no_other_waiting(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = PEOPLE[0]
    ended: list[str] = []
    monkeypatch.setattr(side_by_side, "PROMPT_SECONDS", 0.3)
    monkeypatch.setitem(passes.PATIENCE, "live", Patience(timeout=5.0, retries=0))
    crowd.edit_all()
    crowd.company.google.add_fault(match=f"calendars/{slow}", delay=1.5, count=1)
    real = outcome.commit

    def note(services: Any, *made: Any) -> Any:
        ended.extend(each.attempt.work.account for each in made)
        return real(services, *made)

    monkeypatch.setattr(at_once, "commit", note)
    crowd.work()
    assert ended == PEOPLE[1:]
    crowd.check()


def test_a_lost_lease_is_one_calendars_matter(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, real = crowd.calendar(PEOPLE[2]).id, at_once._made

    def overtaken(*given: Any) -> Any:
        with crowd.company.services.db.session() as session:
            row = session.get_one(Calendar, taken)
            row.lease_owner, row.fence = "other", row.fence + 1
        return real(*given)

    monkeypatch.setattr(at_once, "_made", overtaken)
    crowd.edit_all()
    work_off_together(crowd.company.services, crowd.told())
    assert crowd.calendar(PEOPLE[2]).lease_owner == "other"
    with crowd.company.services.db.session() as session:
        lease = leases.CalendarLease(taken, "other", crowd.calendar(PEOPLE[2]).fence)
        leases.release_calendar(session, lease)
    monkeypatch.undo()
    crowd.work()
    crowd.check()


def test_a_change_that_is_told_of_meanwhile_is_read_by_the_next_job(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, again = at_once._made, crowd.calendar(PEOPLE[4])

    def changed(services: Any, few: Any) -> Any:
        made = real(services, few)
        monkeypatch.undo()
        crowd.edit(PEOPLE[4], summary="Later still")
        with services.db.session() as session:
            owing.owe_looks(session, [again.id], "push", services.clock())
        return made

    monkeypatch.setattr(at_once, "_made", changed)
    crowd.edit_all()
    jobs = crowd.told()
    work_off_together(crowd.company.services, jobs)
    crowd.check(PEOPLE[4])
    assert _numbers(crowd.company.services.doorbell.waiting()["live"]) == {again.id}
    crowd.work()
    crowd.check()


def test_rows_that_somebody_else_writes_meanwhile_are_noticed_in_their_calendar(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a pass over one calendar: that one owes a full listing, the others do not."""
    google, desk, edited = crowd.company.google, crowd.company.services.erpnext, PEOPLE[3]
    google.insert_event(edited, crowd.company.timed(hours=50, summary="Other"))
    crowd.edit_all()
    crowd.work()
    [_, other] = crowd.company.rows(edited)
    real = at_once._plans

    def meanwhile(*given: Any) -> Any:
        plans = real(*given)
        desk.update({"doctype": "Event", "name": other["name"], "subject": "By hand"})
        return plans

    monkeypatch.setattr(at_once, "_plans", meanwhile)
    crowd.edit_all("Once more")
    crowd.work()
    owing_listing = [e for e in PEOPLE if crowd.calendar(e).snapshot_seq]
    assert owing_listing == [edited]


def test_when_one_row_is_saved_meanwhile_the_others_are_written_once(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ERPNext refuses that one, whose stamp has moved, and keeps what it was given of the others;
    what people have put into other fields of theirs, such as a colour, makes no difference."""
    desk = crowd.company.services.erpnext
    rows = [crowd.company.rows(email)[0]["name"] for email in PEOPLE]
    for name in rows[1:]:
        desk.update({"doctype": "Event", "name": name, "color": "#449CF0"})
    real = at_once._plans

    def meanwhile(*given: Any) -> Any:
        plans = real(*given)
        desk.update({"doctype": "Event", "name": rows[0], "subject": "By hand"})
        return plans

    monkeypatch.setattr(at_once, "_plans", meanwhile)
    crowd.edit_all()
    assert crowd.work()["PUT /api/resource/Event"] == 2, "by hand, and put right"
    crowd.check()
    assert [crowd.company.rows(email)[0]["color"] for email in PEOPLE[1:]] == ["#449CF0"] * 4


@pytest.mark.parametrize(("room", "alone"), [(0, 5), (1, 4), (9, 0)])
def test_rows_that_others_have_written_long_ago_are_not_read_again_and_again(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch, room: int, alone: int
) -> None:
    """Some calendars were written long ago, another one often since: where that is more than one
    answer has room for, it is enough for those of whose stamps nothing is cut off."""
    monkeypatch.setattr(touched, "FOREIGN", room)
    busy, still = PEOPLE[1], PEOPLE[0]
    for number in range(8):
        item = crowd.company.timed(hours=40 + number, summary=f"Shift {number}")
        crowd.company.google.insert_event(busy, item)
    crowd.work()
    seen = crowd.calendar(still).rows_seen
    crowd.edit_all("Once more")
    assert crowd.work() == {"get_list": 2 + alone, "bulk_update": 1}
    crowd.check()
    assert crowd.calendar(still).rows_seen > seen
    assert not any(crowd.calendar(email).snapshot_seq for email in PEOPLE)


def test_a_spent_budget_serves_as_many_as_it_can(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = crowd.company.services
    moment = services.clock() + timedelta(minutes=2)
    object.__setattr__(services, "clock", lambda: moment)
    monkeypatch.setitem(budget.PROJECT_PER_MINUTE, "push", 3)
    crowd.edit_all()
    crowd.work()
    assert Counter(run.kind for run in crowd.runs) == {"delta": 3, "failed": 2}
    monkeypatch.undo()
    object.__setattr__(services, "clock", lambda: moment + timedelta(minutes=5))
    crowd.work()
    crowd.check()


def test_a_defect_leaves_each_to_itself(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)

    def broken(*_: Any) -> Any:
        raise KeyError("a defect")

    monkeypatch.setattr(at_once, "_made", broken)
    crowd.edit_all()
    assert crowd.work()["bulk_update"] == 5
    crowd.check()
    assert "each calendar is gone on with alone" in caplog.text


def test_calendars_that_are_not_to_be_synced_are_left_alone(crowd: Crowd) -> None:
    services = crowd.company.services
    paused, leased, failing = PEOPLE[:3]
    numbers = {email: crowd.calendar(email).id for email in PEOPLE}
    crowd.edit_all()
    jobs = crowd.told()
    with services.db.session() as session:
        accounts.get(session, paused).state = AccountState.PAUSED
        assert leases.take_calendar(session, numbers[leased], "another")
        row = session.get_one(Calendar, numbers[failing])
        row.failures, row.retry_at = 1, services.clock() + timedelta(minutes=5)
    work_off_together(services, jobs)
    for email in (paused, leased, failing):
        assert crowd.company.mirrored(email) != crowd.company.expected(email)
        assert crowd.calendar(email).dirty_seq > crowd.calendar(email).synced_seq
    for email in PEOPLE[3:]:
        assert crowd.company.mirrored(email) == crowd.company.expected(email)


def test_the_ledger_goes_away_and_all_is_made_good(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> Any:
        raise Transient("the ledger did not answer", side="ledger")

    monkeypatch.setattr(at_once, "commit", away)
    crowd.edit_all()
    crowd.work()
    assert {run.kind for run in crowd.runs} == {"failed"}
    monkeypatch.undo()
    crowd.company.later(minutes=5)
    crowd.work()
    crowd.check()


def _numbers(jobs: list[str]) -> set[int]:
    return {int(job.split("-")[1]) for job in jobs}
