"""Which calendars are watched, and since when one that should be is not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from watcher.ledger.models import Account, Calendar, Channel
from watcher.ledger.states import CalendarState, ChannelState

CHANNEL_GRACE = timedelta(minutes=15)
"""A calendar may be without a channel for a while: connecting, or waiting for a retry."""
SURE_AFTER = 3


@dataclass(frozen=True, slots=True)
class Gap:
    """A calendar without a live channel. ``refusal`` is what the last try was answered, empty
    where there was none since."""

    since: datetime
    refusal: str


def live_channels(session: Session, now: datetime) -> dict[int, datetime]:
    """Calendar id -> latest expiry of its live channels."""
    rows = session.execute(
        select(Channel.calendar_id, func.max(Channel.expires_at))
        .join(Calendar, Channel.calendar_id == Calendar.id)
        .join(Account, Calendar.account_id == Account.id)
        .where(
            Channel.state == ChannelState.LIVE,
            Channel.expires_at > now,
            Account.is_active,
        )
        .group_by(Channel.calendar_id)
    )
    return {row[0]: row[1] for row in rows if row[1] is not None}


def is_overdue(calendar: Calendar, gap: Gap, now: datetime) -> bool:
    return calendar.watch_failures >= SURE_AFTER or now - gap.since > CHANNEL_GRACE


def gaps(session: Session, missing: Collection[tuple[Calendar, Account]]) -> dict[int, Gap]:
    """Calendar id -> since when it has been without a channel that it should have."""
    kept: dict[int, list[Channel]] = defaultdict(list)
    ids = sorted(calendar.id for calendar, _ in missing)
    for start in range(0, len(ids), 500):
        chosen = Channel.calendar_id.in_(ids[start : start + 500])
        for channel in session.scalars(select(Channel).where(chosen)):
            kept[channel.calendar_id].append(channel)
    return {c.id: _judged(c, a, kept[c.id]) for c, a in missing}


def _judged(calendar: Calendar, account: Account, kept: Collection[Channel]) -> Gap:
    """Before the account was active, or the calendar was taken up, no channel is missed."""
    taken_up = (
        max(account.since, calendar.since)
        if calendar.state == CalendarState.WAITING
        else account.since
    )
    ends = [end for channel in kept if (end := _end(channel)) is not None]
    tries = [channel for channel in kept if channel.requested_at >= taken_up]
    if ends:
        since = max(max(ends), taken_up)
    else:
        since = min((channel.requested_at for channel in tries), default=calendar.since)
    last = max(tries, key=lambda channel: channel.requested_at, default=None)
    return Gap(since, last.error if last is not None and last.state == ChannelState.FAILED else "")


def _end(channel: Channel) -> datetime | None:
    """When a channel stopped telling of changes; None for one that never began."""
    if channel.opened_at is None:
        return None
    ends = (channel.expires_at, channel.retired_at, channel.closed_at)
    return min((end for end in ends if end is not None), default=channel.opened_at)
