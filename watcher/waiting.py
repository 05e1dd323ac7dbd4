"""How long to wait: what the other side asked for, and the pause before the next try. No I/O."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_ASKED = 3_600.0
"""Seconds: a longer wish is cut to this, so that no answer stops work for days."""

_random = random.SystemRandom()


def asked_seconds(retry_after: str | None, now: datetime | None = None) -> float | None:
    """The seconds that a ``Retry-After`` header asks for, from 0 to ``LONGEST_ASKED``.

    The header holds a number of seconds or an HTTP date, which is compared with ``now`` (aware; by
    default the clock's). None where there is no header, or none that can be read.
    """
    if not retry_after:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        seconds = _seconds_until(retry_after, now or datetime.now(UTC))
    return None if math.isnan(seconds) else min(max(seconds, 0.0), LONGEST_ASKED)


def _seconds_until(http_date: str, now: datetime) -> float:
    try:
        moment = parsedate_to_datetime(http_date)
    except ValueError:
        return math.nan
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - now).total_seconds()


@dataclass(frozen=True, slots=True)
class Backoff:
    """Truncated exponential backoff with jitter: ``first`` seconds before the first new try, twice
    as many before each following one, and never more than ``longest``.

    Each wait is shortened by a random part of up to a quarter of it, so that what failed together
    is not tried again together.
    """

    first: float
    longest: float

    def seconds(
        self, failures: int, asked: float | None = None, rng: random.Random = _random
    ) -> float:
        """The seconds to wait after so many failures before this one.

        ``asked`` is what the other side asked for (``asked_seconds``). It is waited for in full,
        and for a little longer, so that not everybody comes at that moment.
        """
        wait = rng.uniform(0.75, 1.0) * min(self.longest, self.first * 2.0 ** min(failures, 20))
        return wait if asked is None else min(asked, LONGEST_ASKED) + wait / 8
