"""Whether a channel tells of a calendar's changes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, select
from sqlalchemy.orm import Session

from watcher.ledger import often
from watcher.ledger.columns import UtcDateTime
from watcher.ledger.models import Channel
from watcher.ledger.states import ChannelState

_C = often.table(Channel).c
_LIVE = (
    select(_C.expires_at, _C.heard_at)
    .where(
        _C.calendar_id == bindparam("calendar"),
        _C.state == ChannelState.LIVE,
        _C.expires_at > bindparam("now", type_=UtcDateTime()),
    )
    .order_by(_C.expires_at.desc())
    .limit(1)
)


def is_open(session: Session, calendar_id: int, now: datetime) -> bool:
    """Whether the calendar has a live channel, heard or not."""
    return _live(session, calendar_id, now) is not None


def is_watched(
    session: Session, calendar_id: int, watch_retry_at: datetime | None, now: datetime
) -> bool:
    """Whether a channel that was heard tells of changes, now and until another one is asked for."""
    found = _live(session, calendar_id, now)
    if found is None or found.heard_at is None:
        return False
    return watch_retry_at is None or found.expires_at > watch_retry_at


def _live(session: Session, calendar_id: int, now: datetime) -> Row[Any] | None:
    return often.run(session, _LIVE, {"calendar": calendar_id, "now": now}).one_or_none()
