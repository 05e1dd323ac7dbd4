"""Moments that are kept in the ledger, and a clock that once ran ahead.

While a clock is wrong by a day, due times are written that lie a day too far ahead, and they stay
when the clock is put right. Nobody waits for such a one: what lies further ahead than the longest
wait that is ever written counts as come.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_
from sqlalchemy.orm import InstrumentedAttribute

from watcher.waiting import LONGEST_ASKED

Column = InstrumentedAttribute[Any]
LONGEST_RETRY = timedelta(seconds=LONGEST_ASKED, minutes=10)
"""The longest wait after a failure, with its jitter."""


def still_to_come(column: Column, now: datetime, longest: timedelta) -> ColumnElement[bool]:
    """Whether the moment is ahead, by no more than ``longest``. False where there is none."""
    return lies_between(column, now, now + longest)


def lies_between(column: Column, now: Any, latest: Any) -> ColumnElement[bool]:
    """As ``still_to_come``, with the moment from which on a wait is too long to be true: for a
    statement that is kept, both are parameters."""
    return func.coalesce(and_(column > now, column <= latest), False)


def is_ahead(moment: datetime | None, now: datetime, longest: timedelta) -> bool:
    """As ``still_to_come``, of a row that was read."""
    return moment is not None and now < moment <= now + longest


def has_come(column: Column, now: datetime, longest: timedelta) -> ColumnElement[bool]:
    """Whether there is a moment and it is no longer waited for. As a condition only, and not to be
    negated: where there is no moment it is null, so that an index can serve it."""
    return or_(*come(column, now, longest))


def come(
    column: Column, now: datetime, longest: timedelta
) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """As ``has_come``, in two parts: those that are over, and those that are too far ahead."""
    return column <= now, column > now + longest
