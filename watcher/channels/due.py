"""Pure: when a channel is to be renewed."""

from __future__ import annotations

import random
from datetime import datetime

EARLIEST, LATEST = 0.60, 0.90
REFUSED_CAP, OUTAGE_CAP = 3_600.0, 300.0
"""Seconds: what Google refuses is asked for once an hour at last; after an outage no calendar stays
without its channel for long."""


def renewal_point(opened_at: datetime, expires_at: datetime, rng: random.Random) -> datetime:
    """A random point in the last 10 to 40 % of the life that Google returned.

    The spread keeps channels that were opened together from being renewed together.
    """
    life = expires_at - opened_at
    return opened_at + life * rng.uniform(EARLIEST, LATEST)


def backoff_seconds(failures: int, rng: random.Random, cap: float = REFUSED_CAP) -> float:
    """Truncated exponential with full jitter: up to 30 s, 60 s, 120 s ... ``cap``."""
    return rng.uniform(0.5, 1.0) * min(cap, 15.0 * 2.0 ** min(failures, 20))
