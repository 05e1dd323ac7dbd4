"""Pure: when a channel is to be renewed."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

EARLIEST, LATEST = 0.60, 0.90
REFUSED_CAP, OUTAGE_CAP = 3_600.0, 300.0
"""Seconds: what Google refuses is asked for once an hour at last; after an outage no calendar stays
without its channel for long."""
SHORT_LIFE = timedelta(minutes=15)
SHORT_PAUSE, SLACK = 300.0, timedelta(seconds=5)


def renewal_point(opened_at: datetime, expires_at: datetime, rng: random.Random) -> datetime:
    """A random point in the last 10 to 40 % of the life that Google returned.

    The spread keeps channels that were opened together from being renewed together.
    """
    life = expires_at - opened_at
    return opened_at + life * rng.uniform(EARLIEST, LATEST)


def backoff_seconds(failures: int, rng: random.Random, cap: float = REFUSED_CAP) -> float:
    """Truncated exponential with full jitter: up to 30 s, 60 s, 120 s ... ``cap``."""
    return rng.uniform(0.5, 1.0) * min(cap, 15.0 * 2.0 ** min(failures, 20))


def is_short_lived(life: timedelta, asked: timedelta) -> bool:
    """Whether Google lets a channel live so much shorter than asked that renewal never rests; a
    short life that was asked for is nobody's trouble."""
    return life < SHORT_LIFE and life + max(SLACK, asked * 0.1) < asked


def rest_seconds(times: int, rng: random.Random) -> float:
    """How long to go without a new channel after ``times`` short lives: 5 min, 10 min ... 1 h."""
    return rng.uniform(0.9, 1.1) * min(REFUSED_CAP, SHORT_PAUSE * 2.0 ** min(times - 1, 20))
