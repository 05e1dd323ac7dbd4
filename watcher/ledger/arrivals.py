"""Whether notifications arrive on the watch channels that are open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from watcher.ledger.models import Account, Calendar, Channel
from watcher.ledger.states import ChannelState

PATIENCE = timedelta(minutes=2)
"""Google tells of a new channel at once; so long is waited before its silence means anything."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Of ``open`` channels ``heard`` have told something, the last time at ``last``. ``settled``:
    one of them is old enough that it should have."""

    open: int
    heard: int
    last: datetime | None
    settled: bool


def heard(session: Session, now: datetime) -> Heard:
    """Of the live channels of active accounts."""
    rows = session.execute(
        select(Channel.opened_at, Channel.last_message_at)
        .join(Calendar, Channel.calendar_id == Calendar.id)
        .join(Account, Calendar.account_id == Account.id)
        .where(Account.is_active, Channel.state == ChannelState.LIVE, Channel.expires_at > now)
    ).all()
    told = [row[1] for row in rows if row[1] is not None]
    settled = any(row[0] is not None and now - row[0] > PATIENCE for row in rows)
    return Heard(len(rows), len(told), max(told, default=None), settled)
