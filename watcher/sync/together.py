"""Passes over several calendars at once, where more is told of than is worked off pass by pass.

One edit of a meeting, or a schedule that is published, rings hundreds of calendars in a moment.
What costs a call or a transaction each time is done once for several of them: they are leased in
one transaction, Google is read side by side (``side_by_side``), and ERPNext is asked and written,
and what they owe is settled, at once (``at_once``). A calendar in which anything else has happened
(a series, a private event, a cancellation, a refusal, an error) is gone on with alone, from what
Google has told on. If its turn does not come soon, it is given back for whichever worker has time.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import TypeVar

import structlog

from watcher import errors
from watcher.ledger import debts, leases
from watcher.services import Services
from watcher.sync.at_once import ends
from watcher.sync.attempt import Attempt, End, begin_together
from watcher.sync.outcome import commit
from watcher.sync.side_by_side import Reading, read_side_by_side
from watcher.sync.story import sync
from watcher.sync.work import Story, end_pass, leave_listing, work_off

T = TypeVar("T")
TURN_SECONDS = 5.0
"""So long passes are made one after the other while the calendars behind them wait."""


def work_off_together(services: Services, jobs: Mapping[int, str]) -> None:
    """As ``work_off`` in the lane for pushes, for several calendars; the reasons by their numbers.

    Of ``watcher.errors`` it raises ``Transient`` alone, when the ledger does not answer.
    """
    with structlog.contextvars.bound_contextvars(why="push"):
        left = {each.lease.calendar_id: each for each in _begin(services, jobs)}
        others = {number: reason for number, reason in jobs.items() if number not in left}
        try:
            readings = read_side_by_side(services, left)
            for number, story in _stories(services, left, readings):
                errors.contained(partial(end_pass, services, left.pop(number), story), _failed)
            for number in left:
                readings[number].cancel()
        finally:
            _give_back(services, left.values())
    services.ring_all(left, "live", "again")
    for number in _in_time(list(others)):
        errors.contained(partial(work_off, services, number, others.pop(number), "live"), _failed)
    services.ring_noted(others, "live", "again")


def _begin(services: Services, calendar_ids: Collection[int]) -> list[Attempt]:
    try:
        return begin_together(services, calendar_ids)
    except errors.BudgetSpent:
        return []  # some of them may be served, one by one


def _failed(_error: errors.WatcherError) -> End:
    """It is logged, and the sweep brings the calendar back."""
    return End.FAILED


def _give_back(services: Services, attempts: Collection[Attempt]) -> None:
    """Each owes what it owed before, and is free for others."""
    if attempts:
        with services.db.session() as session:
            for attempt in attempts:
                with suppress(errors.LeaseLost):
                    debts.hand_on(session, attempt.lease, attempt.work)
                leases.release_calendar(session, attempt.lease)


def _stories(
    services: Services, attempts: Mapping[int, Attempt], readings: Mapping[int, Reading]
) -> Iterator[tuple[int, Story]]:
    """How each pass ends, by calendar: those first that have ended together."""
    told = [each.result() for each in readings.values() if each.done() and not each.exception()]
    ended = ends(services, [begun for begun in told if begun])
    alone = [
        (number, partial(_alone, services, attempts[number], reading))
        for number, reading in readings.items()
        if number not in ended
    ]
    return chain(ended.items(), _in_time(alone))


def _in_time(each: Iterable[T]) -> Iterator[T]:
    """The first of them in any case, the others as long as their turn comes soon."""
    ends_at = time.monotonic() + TURN_SECONDS
    for one in each:
        yield one
        if time.monotonic() > ends_at:
            return


def _alone(services: Services, attempt: Attempt, reading: Reading) -> End:
    """The rest of a pass that differs from the others, or that could not end with them. Raises what
    its reading met with."""
    begun = reading.result()
    if begun is None:
        return leave_listing(services, attempt)
    [end] = commit(services, begun.made(sync(begun.p, begun.heard)))
    return end
