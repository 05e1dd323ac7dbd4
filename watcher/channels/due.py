"""Pure: when a channel is to be renewed."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from watcher.waiting import Backoff

EARLIEST, LATEST = 0.60, 0.90
AFTER_REFUSAL = Backoff(first=15.0, longest=3_600.0)
"""Before a channel that Google has refused is asked for again: in the end once an hour."""
AFTER_OUTAGE = Backoff(first=15.0, longest=300.0)
"""After an outage no calendar stays without its channel for long."""
SHORT_LIFE = timedelta(minutes=15)
SLACK = timedelta(seconds=5)
AFTER_SHORT_LIFE = Backoff(first=400.0, longest=4_200.0)
"""How long a calendar goes without a new channel after one that lived for minutes only: about 5
minutes, 10, 20 ... an hour."""


def renewal_point(opened_at: datetime, expires_at: datetime, rng: random.Random) -> datetime:
    """A random point in the last 10 to 40 % of the life that Google returned.

    The spread keeps channels that were opened together from being renewed together.
    """
    life = expires_at - opened_at
    return opened_at + life * rng.uniform(EARLIEST, LATEST)


def is_short_lived(life: timedelta, asked: timedelta) -> bool:
    """Whether Google lets a channel live so much shorter than asked that renewal never rests; a
    short life that was asked for is nobody's trouble."""
    return life < SHORT_LIFE and life + max(SLACK, asked * 0.1) < asked
