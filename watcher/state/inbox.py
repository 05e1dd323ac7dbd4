"""Record a notification: who sent it, and one conditional write that makes the calendar dirty."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import case, or_, select, update
from sqlalchemy.orm import Session

from watcher.state.calendars import RUNG_PATIENCE
from watcher.state.channels import ACCEPTED
from watcher.state.models import Account, Calendar, Channel
from watcher.state.secrets import digest, same

_NOBODY = digest("nobody")
Word = Literal["recorded", "coalesced", "parked", "retired", "unknown"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a notification. ``recorded``: ring for ``calendar_id`` now."""

    word: Word
    calendar_id: int = 0
    seq: int = 0


def record(
    session: Session,
    *,
    channel_id: str,
    token: str,
    resource_id: str,
    message_number: int | None,
    now: datetime,
) -> Verdict:
    """Authenticate by the channel's token (constant time) and resource id, then record.

    While ``rung_at`` is set, a job waits that has not begun to read Google: it clears
    ``rung_at`` in one transaction before it reads, so the change told of here is read by it and
    nothing needs to be written. Once it has been cleared the next notification counts and rings.
    """
    channel = session.get(Channel, channel_id)
    genuine = same(channel.token_hash if channel else _NOBODY, digest(token))
    if channel is None or not genuine or channel.resource_id not in (None, resource_id):
        return Verdict("unknown")
    if channel.state not in ACCEPTED:
        return Verdict("retired", channel.calendar_id)
    active = session.execute(
        select(Account.state)
        .join(Calendar, Calendar.account_id == Account.id)
        .where(Calendar.id == channel.calendar_id, Calendar.removed.is_(False))
    ).scalar_one_or_none()
    seq = session.execute(
        update(Calendar)
        .where(
            Calendar.id == channel.calendar_id,
            or_(
                Calendar.rung_at.is_(None),
                Calendar.rung_at < now - RUNG_PATIENCE,
                # A job that waits in the bulk lane is no reason to keep a push waiting.
                Calendar.dirty_reason != "push",
            ),
        )
        .values(
            dirty_at=case(
                (Calendar.dirty_seq <= Calendar.synced_seq, now),
                else_=case((Calendar.dirty_at.is_(None), now), else_=Calendar.dirty_at),
            ),
            dirty_seq=Calendar.dirty_seq + 1,
            dirty_reason="push",
            rung_at=now if active == "active" else None,
        )
        .returning(Calendar.dirty_seq)
    ).scalar_one_or_none()
    if seq is None:
        return Verdict("coalesced", channel.calendar_id)
    channel.last_message_at, channel.last_message_number = now, message_number
    return Verdict("recorded" if active == "active" else "parked", channel.calendar_id, seq)
