"""The last 24 hours, hour by hour, from the diary of passes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Integer, cast, extract, func, select
from sqlalchemy.orm import Session

from watcher.ledger.freshness import newest, percentile
from watcher.ledger.models import Run

HOURS = 24
_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Hour:
    """``begins`` is a full hour. ``p50`` and ``p95`` are seconds from a change in Google, of which
    a push told, to ERPNext, None without one. ``by_push`` and ``by_poll`` count the passes that
    found a change: a poll that did shows a push that was lost or late."""

    begins: datetime
    p50: float | None = None
    p95: float | None = None
    created: int = 0
    updated: int = 0
    cancelled: int = 0
    by_push: int = 0
    by_poll: int = 0


def last(session: Session, now: datetime) -> list[Hour]:
    """The oldest first; the last one is under way."""
    current = now.replace(minute=0, second=0, microsecond=0)
    begins = [current - timedelta(hours=back) for back in range(HOURS - 1, -1, -1)]
    written, lags = _written(session, begins[0]), _lags(session, now)
    return [
        Hour(
            begin,
            percentile(lags[_number(begin)], 0.50),
            percentile(lags[_number(begin)], 0.95),
            *written.get(_number(begin), (0, 0, 0, 0, 0)),
        )
        for begin in begins
    ]


def _number(moment: datetime) -> int:
    return int(moment.timestamp()) // _SECONDS


def _written(session: Session, since: datetime) -> dict[int, tuple[int, ...]]:
    number = cast(extract("epoch", Run.started_at), Integer) // _SECONDS
    found = Run.created + Run.updated + Run.cancelled > 0
    sums = (
        func.sum(Run.created),
        func.sum(Run.updated),
        func.sum(Run.cancelled),
        func.count().filter(found, Run.reason == "push"),
        func.count().filter(found, Run.reason == "poll"),
    )
    rows = session.execute(select(number, *sums).where(Run.started_at >= since).group_by(number))
    return {row[0]: tuple(int(each or 0) for each in row[1:]) for row in rows}


def _lags(session: Session, now: datetime) -> defaultdict[int, list[float]]:
    found: defaultdict[int, list[float]] = defaultdict(list)
    for started, lag in newest(session, now):
        found[_number(started)].append(lag)
    for lags in found.values():
        lags.sort()
    return found
