"""Periodic work: what runs, how often, why. The ticker and the CLI call these same functions.

Each is safe to run twice: what it decides on is in the ledger, and a calendar that is already
being worked on is leased.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import redis
from sqlalchemy.orm import Session

from watcher import errors
from watcher.accounts import users
from watcher.accounts.letting_go import finish
from watcher.accounts.revive import look_in_desk
from watcher.accounts.tokens import refresh
from watcher.channels import reaching, renewal
from watcher.jobs import cleaning, erasures
from watcher.ledger import (
    aside,
    budget,
    due,
    late,
    outages,
    owing,
    rings,
)
from watcher.ledger.standing import is_bulk
from watcher.notices import employees
from watcher.notices.tell import tell
from watcher.services import Services
from watcher.sync import readiness
from watcher.sync.marking import mark_calendars

log = logging.getLogger(__name__)

MAX_RINGS = 500


@dataclass(frozen=True, slots=True)
class Periodic:
    """One line of the timetable; ``seconds`` between the ends of two runs."""

    name: str
    seconds: float
    run: Callable[[Services], object]


def sweep(services: Services) -> int:
    """Ring again for calendars that owe work while nobody is at it: lost rings, killed workers,
    retries that are due. Returns how many rings were made."""
    now = services.clock()
    try:
        waiting = services.doorbell.waiting()
        refusal = services.doorbell.tried()
    except redis.RedisError as error:
        refusal = f"it does not answer: {errors.why_unreached(error)}"
    if refusal:
        with services.db.session() as session:
            began = outages.note_queue(session, now, answers=False)
        level = logging.WARNING if began else logging.DEBUG
        log.log(level, "the queue takes no job: %s", refusal)
        return 0
    queued = {_calendar_of(job) for lane in waiting.values() for job in lane}
    with services.db.reading() as session:
        # Where the work waits best as far as the ledger shows; the worker who begins the pass
        # decides what is to be read, and hands on what is not for its lane.
        owing_now = due.to_ring(services.db, session, now, queued)
        todo: list[tuple[int, rings.Lane]] = [
            (each.id, "backfill" if is_bulk(each) else "live") for each in owing_now
        ]
        was_away = outages.queue_away_since(session) is not None
    if was_away:
        with services.db.session() as session:
            outages.note_queue(session, now, answers=True)
        log.warning("the queue takes jobs again")
    first = todo[:MAX_RINGS]
    return sum(
        services.ring_all([n for n, wanted in first if wanted == lane], lane, "sweep")
        for lane in rings.LANES
    )


def _calendar_of(job_id: str) -> int:
    parts = job_id.split("-")
    return int(parts[1]) if len(parts) > 2 and parts[1].isdigit() else 0


def poll(services: Services) -> int:
    """Ask calendars whose last success is a poll interval ago, in case a push was lost."""
    now = services.clock()
    settings = services.settings
    wanted = max(settings.poll_minutes, settings.unwatched_poll_minutes)
    with services.db.session() as session:
        budget.count_calendars(session, settings.google_calls_per_day, now)
        minutes = budget.poll_minutes(session, wanted, settings.google_calls_per_day, now)
        found = due.due_for_poll(session, now, MAX_RINGS, minutes)
        numbers = owing.owe_looks(session, found, "poll", now)
    return services.ring_all(numbers, "backfill", "poll")


def reconcile(services: Services) -> int:
    """Once a day a snapshot of each calendar: rolls the window on and heals every drift."""
    return _list_anew(services, "reconcile", due.due_for_reconcile)


def retry_aside(services: Services) -> int:
    """List calendars anew in which an event was refused and is due to be tried again."""
    return _list_anew(services, "refused", aside.due)


def look_after_writes(services: Services) -> int:
    """List calendars anew of which a write was not answered, now that ERPNext is done with it."""
    return _list_anew(services, "unanswered", late.due)


def _list_anew(
    services: Services, reason: rings.Reason, find: Callable[[Session, datetime, int], list[int]]
) -> int:
    """Owe a full listing to the calendars that ``find`` names, ``MAX_RINGS`` at the most, and ring
    for each. Returns how many rings were made."""
    now = services.clock()
    with services.db.session() as session:
        found = find(session, now, MAX_RINGS)
        numbers = owing.owe_listings(session, found, reason, now)
    return services.ring_all(numbers, "backfill", reason)


def renew(services: Services) -> int:
    """Open missing channels, replace those that are due, stop the old ones. The first channel of a
    calendar is opened by the worker who lists it: were it opened here, a second pass would be owed
    for the time between."""
    if not services.settings.public_url:
        return 0
    try:
        return len(renewal.renew_due(services, renewal.Wanted(new=False)))
    except errors.Elsewhere:
        return 0  # another process is renewing


Rows = dict[str, tuple[Periodic, ...]]


def timetable(services: Services) -> Rows:
    """Rows of work by the name of their lease; each row has a thread of its own. Ringing must
    never wait, neither for Google nor for a mail server."""
    seconds = services.settings.sweep_seconds
    return {
        "cron": (
            Periodic("sweep", seconds, sweep),
            Periodic("poll", min(15.0, seconds), poll),
            Periodic("reconcile", 60.0, reconcile),
            Periodic("aside", min(15.0, seconds), retry_aside),
            Periodic("late", min(15.0, seconds), look_after_writes),
            Periodic("prune", 3_600.0, cleaning.prune),
        ),
        "cron-google": (
            Periodic("renew", min(15.0, seconds), renew),
            Periodic("refresh", 30.0, refresh),
            Periodic("desk", 60.0, look_in_desk),
            Periodic("disconnect", 30.0, finish),
            Periodic("erased", 60.0, erasures.look_after_erased),
            Periodic("marks", 60.0, mark_calendars),
        ),
        "cron-people": (
            Periodic("tell", min(15.0, seconds), tell),
            Periodic("inform", 60.0, employees.inform),
            Periodic("address", 30.0, reaching.look_back),
            Periodic("erpnext", 30.0, readiness.try_erpnext),
            Periodic("users", 300.0, users.look_at_users),
            Periodic("names", 900.0, users.look_at_names),
        ),
    }
