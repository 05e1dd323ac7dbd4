"""How long a change takes from Google to ERPNext."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from watcher.ledger.document import Freshness
from watcher.ledger.models import Run

FRESHNESS_OVER = timedelta(hours=24)
MOST = 5_000


def newest(session: Session, now: datetime) -> list[tuple[datetime, float]]:
    """Of the passes that a push began in the last day, ``MOST`` at the most, the newest first: when
    each began, and the seconds from Google's ``updated`` to ERPNext."""
    rows = session.execute(_newest(now))
    return [(started, lag) for started, lag in rows if lag is not None]


def _newest(now: datetime) -> Select[datetime, float | None]:
    return (
        select(Run.started_at, Run.lag_google)
        .where(
            Run.lag_google.is_not(None),
            Run.started_at > now - FRESHNESS_OVER,
            Run.reason == "push",
        )
        .order_by(Run.started_at.desc())
        .limit(MOST)
    )


def measured(session: Session, now: datetime) -> Freshness:
    """How long the changes of the last day took, of more than ``MOST`` the newest. The database
    sorts them, and names three of them."""
    lags = _newest(now).subquery()
    nth = func.row_number().over(order_by=lags.c.lag_google).label("nth")
    ranked = select(lags.c.lag_google, nth, func.count().over().label("many")).subquery()
    lag, many = ranked.c.lag_google, ranked.c.many
    three = (func.min(lag).filter(ranked.c.nth == _rank(each, many)) for each in (50, 95, 99))
    row = session.execute(select(*three, func.count(lag))).one()
    p50, p95, p99 = (None if each is None else round(each, 3) for each in row[:3])
    return Freshness(p50=p50, p95=p95, p99=p99, count=row[3])


def _rank(percent: int, many: ColumnElement[int]) -> ColumnElement[int]:
    """The nearest rank of a percentile among so many."""
    return (many * percent + 99) // 100


def percentile(values: Sequence[float], share: float) -> float | None:
    """Nearest-rank percentile of sorted values; None when there are none."""
    if not values:
        return None
    return round(values[math.ceil(len(values) * share) - 1], 3)
