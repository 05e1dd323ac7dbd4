"""Which calendars are watched, and since when one that should be is not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVarTuple

from sqlalchemy import ColumnElement, Select, exists, func, or_, select, true
from sqlalchemy.orm import Session

from watcher.ledger.models import Account, Calendar, Channel
from watcher.ledger.states import CalendarState, ChannelState

_Columns = TypeVarTuple("_Columns")

CHANNEL_GRACE = timedelta(minutes=15)
"""A calendar may be without a channel for a while: connecting, or waiting for a retry."""
SURE_AFTER = 3
HEARD_WITHIN = timedelta(minutes=2)
"""Google sends ``sync`` when it opens a channel: so long its first message may take."""
TRY_EVERY = timedelta(minutes=5)
"""How often a channel is opened to find out whether pushes arrive again."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A calendar without a live channel. ``refusal`` is what the last try was answered, empty
    where there was none since."""

    since: datetime
    refusal: str


@dataclass(frozen=True, slots=True)
class Watch:
    """The live channel of a calendar: its life, and whether it was ever heard."""

    opened_at: datetime
    expires_at: datetime
    heard: bool

    def left(self, now: datetime) -> int:
        """Percent of its life that is left."""
        life = (self.expires_at - self.opened_at).total_seconds()
        share = (self.expires_at - now).total_seconds() / max(life, 1)
        return max(0, min(100, round(100 * share)))


def has_channel(now: datetime) -> ColumnElement[bool]:
    """Whether a calendar has a live channel, in a query."""
    return exists().where(
        Channel.calendar_id == Calendar.id,
        Channel.state == ChannelState.LIVE,
        Channel.expires_at > now,
    )


def of_open(asked: Select[*_Columns], now: datetime) -> Select[*_Columns]:
    """What is asked, of the live channels of calendars that are mirrored."""
    return (
        asked.join(Calendar, Channel.calendar_id == Calendar.id)
        .join(Account, Calendar.account_id == Account.id)
        .where(
            Channel.state == ChannelState.LIVE,
            Channel.expires_at > now,
            Account.is_active,
            Calendar.removed.is_(False),
        )
    )


def live_channels(session: Session, now: datetime, calendar_ids: Sequence[int]) -> dict[int, Watch]:
    """Of some calendars: id -> live channel."""
    asked = select(Channel).where(Channel.calendar_id.in_(calendar_ids))
    rows = session.scalars(of_open(asked, now).order_by(Channel.expires_at))
    return {
        row.calendar_id: Watch(row.opened_at, row.expires_at, row.heard_at is not None)
        for row in rows
        if row.opened_at and row.expires_at
    }


def quiet(session: Session, now: datetime) -> list[datetime]:
    """When those live channels were opened that should have been heard by now and were not."""
    return [channel.opened_at for channel in _silent(session, now, None) if channel.opened_at]


@dataclass(frozen=True, slots=True)
class Silence:
    """Google's messages do not arrive: of no channel that was opened ``since`` then."""

    since: datetime
    channels: int


def silence(session: Session, now: datetime) -> Silence | None:
    """Whether the newest channels are silent although Google has had the time to say ``sync``. None
    where pushes arrive, as far as the ledger can tell. Google loses a message now and then, so that
    a single silent channel says nothing while others are heard."""
    found = _silent(session, now, _last_heard(session, now))
    if not found:
        return None
    since = min(channel.opened_at for channel in found if channel.opened_at)
    return None if len(found) == 1 and speaks(session, since) else Silence(since, len(found))


def speaks(session: Session, since: datetime) -> bool:
    """Whether any channel was heard later."""
    spoken = or_(Channel.heard_at > since, Channel.last_message_at > since)
    return session.scalar(select(Channel.id).where(spoken).limit(1)) is not None


def silent_to_replace(session: Session, now: datetime) -> list[Channel]:
    """Silent channels that are to be replaced: each of them once pushes arrive again, which a
    channel that was opened later has shown, and before that a single one now and then, to find it
    out."""
    heard = _last_heard(session, now)
    still = _silent(session, now, heard)
    later = {channel.id for channel in still}
    due = [channel for channel in _silent(session, now, None) if channel.id not in later]
    newest = max(still, key=lambda channel: channel.opened_at or now, default=None)
    if newest is not None and newest.opened_at and now - newest.opened_at >= TRY_EVERY:
        due.append(newest)
    return due


def _last_heard(session: Session, now: datetime) -> datetime | None:
    """When the newest channel that was heard was opened."""
    heard = Channel.heard_at.is_not(None), Channel.opened_at <= now
    return session.scalar(select(func.max(Channel.opened_at)).where(*heard))


def _silent(session: Session, now: datetime, since: datetime | None) -> Sequence[Channel]:
    """Live channels that should have been heard and were not; with ``since`` those opened later."""
    late = Channel.opened_at > since if since is not None else true()
    return session.scalars(
        of_open(select(Channel), now).where(
            Channel.heard_at.is_(None), Channel.opened_at <= now - HEARD_WITHIN, late
        )
    ).all()


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
