"""Whether a channel tells of a calendar's changes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, select
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


def is_watched(
    session: Session, calendar_id: int, watch_retry_at: datetime | None, now: datetime
) -> bool:
    """Whether a channel that was heard tells of changes, now and until another one is asked for."""
    found = often.run(session, _LIVE, {"calendar": calendar_id, "now": now}).one_or_none()
    if found is None or found.heard_at is None:
        return False
    return watch_retry_at is None or found.expires_at > watch_retry_at
