"""When Google's notifications last came on the watch channels that are open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from watcher.ledger.models import Account, Calendar, Channel
from watcher.ledger.states import ChannelState


@dataclass(frozen=True, slots=True)
class Heard:
    """Of ``open`` channels ``heard`` have told something, the last time at ``last``."""

    open: int
    heard: int
    last: datetime | None


def heard(session: Session, now: datetime) -> Heard:
    """Of the live channels of active accounts."""
    rows = session.execute(
        select(Channel.heard_at, Channel.last_message_at)
        .join(Calendar, Channel.calendar_id == Calendar.id)
        .join(Account, Calendar.account_id == Account.id)
        .where(
            Account.is_active,
            Calendar.removed.is_(False),
            Channel.state == ChannelState.LIVE,
            Channel.expires_at > now,
        )
    ).all()
    times = [[moment for moment in row if moment is not None] for row in rows]
    told = [max(each) for each in times if each]
    return Heard(len(rows), len(told), max(told, default=None))
