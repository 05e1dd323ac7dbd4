"""The last 24 hours, hour by hour, from the diary of passes; and when channels end."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Integer, cast, extract, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from watcher.ledger import freshness, runs
from watcher.ledger.models import Channel, Run
from watcher.ledger.states import ChannelState

HOURS = 24
_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Hour:
    """``begins`` is a full hour. ``p50`` and ``p95`` are seconds from a change in Google, of which
    a push told, to ERPNext, None without one. ``pushes`` counts the passes that a push began,
    ``by_poll`` the polls that found a change: each shows a push that was lost or late."""

    begins: datetime
    p50: float | None = None
    p95: float | None = None
    created: int = 0
    updated: int = 0
    cancelled: int = 0
    pushes: int = 0
    by_poll: int = 0


def last(session: Session, now: datetime) -> list[Hour]:
    """The oldest first; the last one is under way."""
    current = now.replace(minute=0, second=0, microsecond=0)
    begins = [current - timedelta(hours=back) for back in range(HOURS - 1, -1, -1)]
    written, lags = _written(session, begins[0]), _lags(session, now)
    return [
        Hour(
            begin,
            freshness.percentile(lags[_number(begin)], 0.50),
            freshness.percentile(lags[_number(begin)], 0.95),
            *written.get(_number(begin), (0, 0, 0, 0, 0)),
        )
        for begin in begins
    ]


def _number(moment: datetime) -> int:
    return int(moment.timestamp()) // _SECONDS


def _written(session: Session, since: datetime) -> dict[int, tuple[int, ...]]:
    number = _hour_of(Run.started_at)
    found = Run.created + Run.updated + Run.cancelled > 0
    sums = (
        func.sum(Run.created),
        func.sum(Run.updated),
        func.sum(Run.cancelled),
        func.count().filter(Run.reason == "push"),
        func.count().filter(found, Run.reason == "poll"),
    )
    rows = session.execute(select(number, *sums).where(Run.started_at >= since).group_by(number))
    return {row[0]: tuple(int(each or 0) for each in row[1:]) for row in rows}


def failures(session: Session, now: datetime) -> dict[str, list[int]]:
    """Cause -> how many passes failed for it in each of the hours; the most frequent first."""
    first = _number(now) - HOURS + 1
    number, cause = _hour_of(Run.started_at), runs.cause_of(Run.error)
    since = datetime.fromtimestamp(first * _SECONDS, UTC)
    found: defaultdict[str, list[int]] = defaultdict(lambda: [0] * HOURS)
    rows = session.execute(
        select(number, cause, func.count())
        .where(Run.kind == "failed", Run.started_at >= since)
        .group_by(number, cause)
    )
    for hour, name, count in rows:
        if first <= hour < first + HOURS:
            found[name][hour - first] = count
    return dict(sorted(found.items(), key=lambda item: -sum(item[1])))


SLOT_HOURS, SLOTS = 6, 29
SOON = timedelta(days=7)


def channel_ends(session: Session, now: datetime) -> list[int]:
    """How many channels end in each six hours of the next seven days; the first ones are under
    way, the last are a part. A channel is replaced before its end, so that the ends move on."""
    length = SLOT_HOURS * _SECONDS
    first = int(now.timestamp()) // length
    number = cast(extract("epoch", Channel.expires_at), Integer) // length
    rows = session.execute(
        select(number, func.count())
        .where(Channel.state == ChannelState.LIVE, Channel.expires_at.between(now, now + SOON))
        .group_by(number)
    )
    counts: dict[int, int] = {row[0]: row[1] for row in rows}
    return [counts.get(first + slot, 0) for slot in range(SLOTS)]


def _hour_of(column: InstrumentedAttribute[datetime]) -> ColumnElement[int]:
    return cast(extract("epoch", column), Integer) // _SECONDS


def _lags(session: Session, now: datetime) -> defaultdict[int, list[float]]:
    found: defaultdict[int, list[float]] = defaultdict(list)
    for started, lag in freshness.newest(session, now):
        found[_number(started)].append(lag)
    for lags in found.values():
        lags.sort()
    return found
