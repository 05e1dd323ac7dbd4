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


def measured(session: Session, now: datetime) -> Freshness:
    """From Google's ``updated`` to ERPNext, over the passes that a push began in the last day; of
    more than ``MOST`` over the newest."""
    lags = session.scalars(
        select(Run.lag_google)
        .where(
            Run.lag_google.is_not(None),
            Run.started_at > now - FRESHNESS_OVER,
            Run.reason == "push",
        )
        .order_by(Run.started_at.desc())
        .limit(MOST)
    )
    values = sorted(float(lag) for lag in lags if lag is not None)
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
