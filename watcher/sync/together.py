"""Passes over several calendars at once, where more is told of than is worked off pass by pass.

One edit of a meeting, or a schedule that is published, rings hundreds of calendars in a moment.
What costs a call or a transaction each time is done once for several of them: they are leased in
one transaction, Google is read side by side (``side_by_side``), and ERPNext is asked and written,
and what they owe is settled, at once (``at_once``). A calendar in which anything else has happened
(a series, a private event, a cancellation, a refusal, an error) is gone on with alone, from what
Google has told on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

import structlog

from watcher import errors
from watcher.ledger import leases
from watcher.services import Services
from watcher.sync.at_once import ends
from watcher.sync.attempt import Attempt, End, begin_together
from watcher.sync.outcome import commit
from watcher.sync.side_by_side import Reading, read_side_by_side
from watcher.sync.story import sync
from watcher.sync.work import Story, end_pass, leave_listing, work_off


def work_off_together(services: Services, jobs: Mapping[int, str]) -> None:
    """As ``work_off`` in the lane for pushes, for several calendars; the reasons by their numbers.

    Of ``watcher.errors`` it raises ``Transient`` alone, when the ledger does not answer.
    """
    with structlog.contextvars.bound_contextvars(why="push"):
        left = {each.lease.calendar_id: each for each in _begin(services, jobs)}
        alone = {number: reason for number, reason in jobs.items() if number not in left}
        try:
            for number, story in _stories(services, dict(left)).items():
                errors.contained(partial(end_pass, services, left.pop(number), story), _failed)
        finally:
            _release(services, left.values())
    for number, reason in alone.items():
        errors.contained(partial(work_off, services, number, reason, "live"), _failed)


def _begin(services: Services, calendar_ids: Collection[int]) -> list[Attempt]:
    try:
        return begin_together(services, calendar_ids)
    except errors.BudgetSpent:
        return []  # some of them may be served, one by one


def _failed(_error: errors.WatcherError) -> End:
    """It is logged, and the sweep brings the calendar back."""
    return End.FAILED


def _release(services: Services, attempts: Collection[Attempt]) -> None:
    if attempts:
        with services.db.session() as session:
            for attempt in attempts:
                leases.release_calendar(session, attempt.lease)


def _stories(services: Services, attempts: Mapping[int, Attempt]) -> dict[int, Story]:
    """How each pass ends, by calendar: those first that have ended together."""
    readings = read_side_by_side(services, attempts)
    told = [each.result() for each in readings.values() if each.done() and not each.exception()]
    ended = ends(services, [begun for begun in told if begun])
    alone = {
        number: partial(_alone, services, attempts[number], reading)
        for number, reading in readings.items()
        if number not in ended
    }
    return {**ended, **alone}


def _alone(services: Services, attempt: Attempt, reading: Reading) -> End:
    """The rest of a pass that differs from the others, or that could not end with them. Raises what
    its reading met with."""
    begun = reading.result()
    if begun is None:
        return leave_listing(services, attempt)
    [end] = commit(services, begun.made(sync(begun.p, begun.heard)))
    return end
