"""One budget of Google calls for the whole project, shared by all processes through the ledger.

Google allows 10,000 calls a minute per project and 600 per user, in a sliding window
(https://developers.google.com/workspace/calendar/api/guides/quota), and bills beyond 1,000,000
a day. Pushes may use nearly all of it, polls less, backfill least, so that bulk work can never
starve a push.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Row, bindparam, func, select, text
from sqlalchemy.orm import Session

from watcher.errors import BudgetSpent, Transient
from watcher.ledger import sizes
from watcher.ledger.batches import delete_all
from watcher.ledger.columns import UtcDateTime
from watcher.ledger.db import Database
from watcher.ledger.document import GoogleCalls
from watcher.ledger.models import Calendar, Fact, Usage
from watcher.ledger.often import run, table
from watcher.ledger.when import is_ahead

Purpose = Literal["push", "poll", "backfill"]

PROJECT_PER_MINUTE: dict[Purpose, int] = {
    "push": 9_000,
    "poll": 6_500,
    "backfill": 4_500,
}
ACCOUNT_PER_MINUTE: dict[Purpose, int] = {"push": 540, "poll": 450, "backfill": 400}
DAY_LINE = 1_000_000
"""Calls a day beyond which Google bills, where ``google_calls_per_day`` says nothing else."""
STRETCH_FROM = 0.6
NEAR = 0.9
COUNTED, COUNT_EVERY, COUNTED_FOR = "calendars", timedelta(minutes=1), timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Share:
    """From which share of the budget calls are paid. ``paid`` of them are counted already;
    ``at_once`` are counted with the first one that is not, where so many are sure to be made: one
    transaction for all of them. Should a failure end the work before, too many are counted."""

    purpose: Purpose
    paid: int = 0
    at_once: int = 1


class Purse:
    """Pays for the calls of one account, one after the other."""

    def __init__(
        self, db: Database, account_id: int, share: Share, clock: Callable[[], datetime]
    ) -> None:
        self._db, self._account_id, self._clock = db, account_id, clock
        self._purpose, self._paid, self._at_once = share.purpose, share.paid, share.at_once

    def pay(self) -> None:
        """To be called before each call. Raises as ``count`` does."""
        if self._paid == 0:
            with self._db.session() as session:
                count(session, self._account_id, self._purpose, self._clock(), self._at_once)
            self._paid, self._at_once = self._at_once, 1
        self._paid -= 1


def purpose_of(reason: str) -> Purpose:
    """Whose share pays for reading changes that are owed for this reason."""
    return "push" if reason in ("push", "asked") else "poll"


def spend(db: Database, account_id: int, purpose: Purpose, now: datetime) -> None:
    """Count one call. Raises as ``count`` does."""
    with db.session() as session:
        count(session, account_id, purpose, now)


def count(
    session: Session, account_id: int, purpose: Purpose, now: datetime, calls: int = 1
) -> None:
    """Count so many calls, as the last thing that the transaction does, since all processes have to
    pass here. Raises ``BudgetSpent`` with the seconds to wait when the share is used up; then the
    transaction is to be rolled back, so that a call that is refused is counted nowhere and takes
    nothing from those that may go on."""
    minute = int(now.timestamp()) // 60
    project, own = f"minute:{minute}", f"minute:{minute}:{account_id}"
    values = {
        "project": project,
        "own": own,
        "day": day_of(now),
        "calls": calls,
        "soon": now + timedelta(minutes=10),
        "later": now + timedelta(days=40),
        "of_project": PROJECT_PER_MINUTE[purpose],
        "of_account": ACCOUNT_PER_MINUTE[purpose],
    }
    counted = set(run(session, _COUNT, values).scalars())
    for bucket, whose in ((project, "project's"), (own, "account's")):
        if bucket not in counted:
            raise _used_up(whose, purpose, now)


_COUNT = text(
    """
    INSERT INTO usage (bucket, calls, expires_at)
    VALUES (:project, :calls, :soon), (:own, :calls, :soon), (:day, :calls, :later)
    ON CONFLICT (bucket) DO UPDATE SET calls = usage.calls + excluded.calls
    WHERE usage.bucket NOT LIKE 'minute:%' OR usage.calls + excluded.calls <= CASE
        WHEN usage.bucket = :project THEN :of_project ELSE :of_account END
    RETURNING bucket
    """
).bindparams(bindparam("soon", type_=UtcDateTime()), bindparam("later", type_=UtcDateTime()))
"""One statement for the three buckets, which all processes take in this order, since every call of
Google's begins with it. It names the buckets that had room."""


def _used_up(whose: str, purpose: Purpose, now: datetime) -> Transient:
    return BudgetSpent(
        f"the {whose} share of Google calls for {purpose} work is used up this minute",
        side="google",
        retry_after=60 - now.timestamp() % 60 + 0.5,
    )


SO_FAR = (
    # Of all calendars, whichever the statement is about.
    select(func.max(table(Calendar).c.id)).correlate(None).scalar_subquery().label("highest"),
    select(table(Usage).c.calls)
    .where(table(Usage).c.bucket == bindparam("day"))
    .scalar_subquery()
    .label("spent"),
)
"""Columns of a statement that has ``day``: what ``stretched`` goes by."""
_SO_FAR = select(*SO_FAR)


def day_of(now: datetime) -> str:
    """The bucket of a day's calls."""
    return f"day:{now:%Y-%m-%d}"


def today(session: Session, now: datetime) -> int:
    return run(session, _SO_FAR, {"day": day_of(now)}).one().spent or 0


def forecast(session: Session, now: datetime) -> int:
    """Calls that today will have cost by midnight UTC if the day goes on as it did so far."""
    return _by_midnight(today(session, now), now)


def _by_midnight(spent: int, now: datetime) -> int:
    passed = (now - now.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
    return int(spent * 86_400 / max(passed, 3_600))


def prune(db: Database, now: datetime) -> None:
    delete_all(db, Usage.bucket, Usage.expires_at < now)


def poll_minutes(session: Session, wanted: float, line: int, now: datetime) -> float:
    """The interval at which a calendar is polled: ``wanted``, stretched when polling all calendars
    would alone pass 60 % of the ``line`` of calls a day, or the forecast of today's calls passes
    90 % of it.

    Every pass asks, so that the calendars are counted only where it may matter: there are no more
    of them than the highest number given to one. Of many cron has counted them a moment ago.
    """
    found = run(session, _SO_FAR, {"day": day_of(now)}).one()
    return stretched(session, found, wanted, line, now)


def stretched(session: Session, found: Row[Any], wanted: float, line: int, now: datetime) -> float:
    """As ``poll_minutes``, by the columns ``SO_FAR``."""
    most = line * STRETCH_FROM * wanted / 1_440
    fleet = found.highest or 0
    if fleet > most:
        known = session.get(Fact, COUNTED)
        lately = known is not None and is_ahead(known.learned_at + COUNTED_FOR, now, COUNTED_FOR)
        fleet = int(known.value) if known is not None and lately else sizes.active(session)
    return wanted * max(1.0, fleet / most, _by_midnight(found.spent or 0, now) / (line * NEAR))


def count_calendars(session: Session, line: int, now: datetime) -> None:
    """Cron counts the calendars once a minute where they are so many that each pass would have to
    do so: a company of a hundred thousand makes 170 passes in a busy second."""
    known = session.get(Fact, COUNTED)
    if known is not None and is_ahead(known.learned_at + COUNT_EVERY, now, COUNT_EVERY):
        return
    if (session.scalar(select(func.max(Calendar.id))) or 0) > line * STRETCH_FROM / 1_440:
        fact = Fact(name=COUNTED, value=str(sizes.active(session)), learned_at=now)
        session.merge(fact)


def calls(session: Session, now: datetime, line: int = DAY_LINE) -> GoogleCalls:
    spent = today(session, now)
    return GoogleCalls(today=spent, forecast_day=_by_midnight(spent, now), day_line=line)
