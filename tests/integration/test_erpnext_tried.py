"""Cron tries ERPNext by itself: an outage, a key or a right that was taken away turn the light
within minutes, also at night, when nobody has anything to write."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.company import ANN, Company
from watcher.ledger import overview, reach, tries
from watcher.ledger.problems import Problem
from watcher.notices.tell import observe
from watcher.sync.readiness import try_erpnext

pytestmark = pytest.mark.one_shape("sqlite")


@pytest.fixture
def later(company: Company) -> Callable[[int], None]:
    """Cron comes by so many times, each when the next try is due."""
    real, ahead = company.services.clock, [timedelta(0)]
    object.__setattr__(company.services, "clock", lambda: real() + ahead[0])

    def come_by(times: int) -> None:
        for _ in range(times):
            assert try_erpnext(company.services) == 1
            assert try_erpnext(company.services) == 0, "it is not due yet"
            with company.services.db.reading() as session:
                host = company.services.settings.erpnext_url.partition("//")[2]
                known = tries.last(session, reach.ERPNEXT, host)
            assert known is not None
            ahead[0] += known.next_try - company.services.clock()

    return come_by


def passes(company: Company, name: str) -> None:
    """A pass writes one event to ERPNext."""
    company.google.insert_event(ANN, company.timed(summary=name))
    assert company.sync() == "done"
    assert name in company.subjects()


def comes_by(company: Company) -> bool:
    """Cron comes by, half a minute later; returns whether ERPNext was asked anything."""
    company.later(seconds=30)
    company.site.requests.clear()
    tried = try_erpnext(company.services)
    assert bool(company.site.requests) == bool(tried)
    return bool(tried)


def told(company: Company) -> list[Problem]:
    return [p for p in overview.look(company.services).problems if p.host]


def no_role(company: Company) -> None:
    company.give_role()
    user = company.services.erpnext.whoami()
    row = company.site.row("User", user)
    assert row is not None
    company.site.put("User", row | {"roles": []})


def away(company: Company) -> None:
    company.site.add_fault(status=502, html=True, count=None)


def refuses_the_key(company: Company) -> None:
    company.site.add_fault(status=401, exc_type="AuthenticationError", count=None)


def migrates(company: Company) -> None:
    company.site.add_fault(status=503, exc_type="SessionStopped", count=None)


@pytest.mark.parametrize(
    ("breaks", "after", "state", "cause", "says", "step"),
    [
        (away, 3, "delayed", "erpnext_unavailable", "502", "WATCHER_ERPNEXT_URL"),
        (
            migrates,
            3,
            "delayed",
            "erpnext_unavailable",
            "maintenance mode",
            "tried again by itself",
        ),
        (refuses_the_key, 2, "failing", "auth", "refused the API key", "restart Watcher"),
        (no_role, 2, "failing", "permission", "may not delete Event", "--role yes"),
    ],
)
def test_what_no_pass_has_met_so_far_is_told(
    company: Company,
    later: Any,
    breaks: Any,
    after: int,
    state: str,
    cause: str,
    says: str,
    step: str,
) -> None:
    company.connect_at_rest()
    later(1)
    assert told(company) == []
    breaks(company)
    later(after - 1)
    assert told(company) == [], "it may be a hiccup"
    later(1)
    (problem,) = told(company)
    assert (problem.state, problem.cause, problem.account) == (state, cause, None)
    assert says in (problem.message or "")
    assert step in problem.next_step
    assert None not in (problem.since, problem.last_try, problem.next_try)
    assert problem.calendars is None, "none has met it"
    assert [trouble.key for trouble in observe(company.services) if trouble.cause == cause] == [
        f"cause:{cause}"
    ]
    company.site.clear_faults()
    if breaks is not no_role:
        later(1)
        assert told(company) == [], "it closes by itself"


def test_it_is_one_line_with_the_calendars_that_meet_it(company: Company, later: Any) -> None:
    company.connect_at_rest()
    later(1)
    away(company)
    company.google.insert_event(ANN, company.timed())
    assert company.sync(snapshot=True) == "failed"
    (problem,) = told(company)
    assert problem.account == ANN
    later(3)
    (both,) = told(company)
    assert (both.cause, both.calendars, both.account) == (
        "erpnext_unavailable",
        1,
        ANN,
    )
    assert max(filter(None, (both.last_try, problem.last_try))) != problem.last_try


def test_where_a_pass_has_just_written_nothing_is_asked(company: Company) -> None:
    company.connect_at_rest()
    assert comes_by(company), "it was never tried"
    for minute in range(9):
        passes(company, f"event {minute}")
        assert not comes_by(company), "a pass has shown more than a try does"
        assert not comes_by(company)


def test_one_that_dies_after_the_last_write_is_told_as_soon_as_ever(company: Company) -> None:
    company.connect_at_rest()
    assert comes_by(company)
    company.later(minutes=2)
    passes(company, "the last one")
    away(company)
    seconds = 0
    while not told(company):
        comes_by(company)
        seconds += 30
    assert 120 <= seconds <= 240, "two to four minutes, as documented"


def test_what_no_write_shows_is_told_although_passes_write(company: Company) -> None:
    """A role is taken away with the right to delete, which a pass needs only for what has become
    private."""
    company.connect_at_rest()
    assert comes_by(company)
    no_role(company)
    minutes = 0
    while not told(company):
        passes(company, f"event {minutes}")
        comes_by(company)
        comes_by(company)
        minutes += 1
    assert minutes <= 12
    passes(company, "one more")
    assert told(company), "a pass does not close it"


def test_a_pass_that_has_written_nothing_shows_nothing(company: Company) -> None:
    company.connect_at_rest()
    assert comes_by(company)
    company.later(minutes=2)
    assert company.sync() == "done"
    assert comes_by(company)
