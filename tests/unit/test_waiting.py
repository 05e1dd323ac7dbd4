"""What ``Retry-After`` asks for, and pauses that grow."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from watcher.waiting import LONGEST_ASKED, Backoff, asked_seconds

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("²", None),
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("inf", LONGEST_ASKED),
        ("9" * 30, LONGEST_ASKED),
        ("Tue, 24 Nov 2026 12:01:30 GMT", 90.0),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0.0),
        ("Wed, 25 Nov 2026 12:00:00 GMT", LONGEST_ASKED),
        ("Tue, 99 Nov 2026 11:00:00 GMT", None),
    ],
)
def test_retry_after_is_a_number_or_a_date_and_bounded(
    value: str | None, seconds: float | None
) -> None:
    assert asked_seconds(value, NOW) == seconds


def test_pauses_double_up_to_the_longest_and_differ() -> None:
    pause, rng = Backoff(first=2.0, longest=60.0), random.Random(1)
    for failures in range(40):
        whole = min(60.0, 2.0 * 2.0**failures)
        found = [pause.seconds(failures, rng=rng) for _ in range(50)]
        assert whole * 0.75 <= min(found) <= max(found) <= whole
        assert len(set(found)) > 40


def test_what_was_asked_for_is_waited_for_in_full() -> None:
    pause = Backoff(first=2.0, longest=60.0)
    assert all(90 <= pause.seconds(failures, 90.0) <= 97.5 for failures in range(40))
    assert pause.seconds(0, 1e9) <= LONGEST_ASKED + 7.5
