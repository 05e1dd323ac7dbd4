"""Whether a channel tells of a calendar's changes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Row, ScalarSelect, bindparam, select
from sqlalchemy.orm import Session

from watcher.ledger import often
from watcher.ledger.columns import UtcDateTime
from watcher.ledger.models import Channel
from watcher.ledger.states import ChannelState

_C = often.table(Channel).c


def _of_live(column: Column[Any]) -> ScalarSelect[Any]:
    """Of the calendar's live channel that ends last."""
    live = (
        _C.calendar_id == bindparam("calendar"),
        _C.state == ChannelState.LIVE,
        _C.expires_at > bindparam("now", type_=UtcDateTime()),
    )
    newest = select(column).where(*live).order_by(_C.expires_at.desc()).limit(1)
    return newest.scalar_subquery()


LIVE = _of_live(_C.expires_at).label("open_until"), _of_live(_C.heard_at).label("heard_at")
"""Columns of a statement that has ``calendar`` and ``now``: what ``tells`` goes by."""
_LIVE = select(*LIVE)


def is_open(session: Session, calendar_id: int, now: datetime) -> bool:
    """Whether the calendar has a live channel, heard or not."""
    return _live(session, calendar_id, now).open_until is not None


def is_watched(
    session: Session, calendar_id: int, watch_retry_at: datetime | None, now: datetime
) -> bool:
    """Whether a channel that was heard tells of changes, now and until another one is asked for."""
    return tells(_live(session, calendar_id, now), watch_retry_at)


def tells(found: Row[Any], watch_retry_at: datetime | None) -> bool:
    """As ``is_watched``, by the columns ``LIVE``."""
    if found.heard_at is None:
        return False
    return watch_retry_at is None or found.open_until > watch_retry_at


def _live(session: Session, calendar_id: int, now: datetime) -> Row[Any]:
    return often.run(session, _LIVE, {"calendar": calendar_id, "now": now}).one()
