"""How long a change takes from Google to ERPNext."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from watcher.ledger.document import Freshness
from watcher.ledger.models import Run

FRESHNESS_OVER = timedelta(hours=24)
MOST = 5_000


def newest(session: Session, now: datetime) -> list[tuple[datetime, float]]:
    """Of the passes that a push began in the last day, ``MOST`` at the most, the newest first: when
    each began, and the seconds from Google's ``updated`` to ERPNext."""
    rows = session.execute(
        select(Run.started_at, Run.lag_google)
        .where(
            Run.lag_google.is_not(None),
            Run.started_at > now - FRESHNESS_OVER,
            Run.reason == "push",
        )
        .order_by(Run.started_at.desc())
        .limit(MOST)
    )
    return [(started, lag) for started, lag in rows if lag is not None]


def measured(session: Session, now: datetime) -> Freshness:
    """How long the changes of the last day took, of more than ``MOST`` the newest."""
    values = sorted(lag for _, lag in newest(session, now))
    return Freshness(
        p50=percentile(values, 0.50),
        p95=percentile(values, 0.95),
        p99=percentile(values, 0.99),
        count=len(values),
    )


def percentile(values: Sequence[float], share: float) -> float | None:
    """Nearest-rank percentile of sorted values; None when there are none."""
    if not values:
        return None
    return round(values[math.ceil(len(values) * share) - 1], 3)
