"""Watch channels in the ledger. A row is written before events.watch is called, and a renewal
makes a new row: the old one is needed to stop the old channel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from watcher.ledger.models import Account, Calendar, Channel
from watcher.ledger.opening import SHORT_LIVED
from watcher.ledger.states import ACCEPTED, ChannelState
from watcher.ledger.when import LONGEST_RETRY, is_ahead, still_to_come

LONGEST_UNSUPPORTED = timedelta(days=8)


def look_next(session: Session, calendar_id: int, at: datetime | None) -> None:
    """Note when somebody has to look whether the calendar is watched; None: at once. To be called
    before the channel is changed: who changes both locks the calendar first."""
    session.execute(update(Calendar).where(Calendar.id == calendar_id).values(watch_due_at=at))


def stopped(session: Session, channel_id: str, now: datetime, error: str = "") -> None:
    """Nothing comes by this channel any more, or it ends by itself since it could not be stopped
    (``error``)."""
    _close(session, channel_id, now, {"state": ChannelState.STOPPED, "error": error})


def failed(session: Session, channel_id: str, now: datetime, error: str) -> None:
    """Google has not opened this channel."""
    _close(session, channel_id, now, {"state": ChannelState.FAILED, "error": error})


def _close(session: Session, channel_id: str, now: datetime, values: dict[str, str]) -> None:
    live = Channel.id == channel_id, Channel.state == ChannelState.LIVE
    calendar_id = session.scalar(select(Channel.calendar_id).where(*live))
    if calendar_id is not None:
        look_next(session, calendar_id, None)
    session.execute(update(Channel).where(Channel.id == channel_id).values(closed_at=now, **values))


def live(session: Session, calendar_id: int, now: datetime) -> Channel | None:
    return session.scalars(
        select(Channel)
        .where(
            Channel.calendar_id == calendar_id,
            Channel.state == ChannelState.LIVE,
            Channel.expires_at > now,
        )
        .order_by(Channel.expires_at.desc())
        .limit(1)
    ).first()


def waits(now: datetime) -> ColumnElement[bool]:
    """No channel is asked for yet: the last one was refused, or cannot be had at all."""
    pushless = func.coalesce(Calendar.push_supported.is_(False), False)
    return or_(
        still_to_come(Calendar.watch_retry_at, now, LONGEST_RETRY),
        and_(pushless, still_to_come(Calendar.watch_retry_at, now, LONGEST_UNSUPPORTED)),
    )


def is_waiting(found: Row[Any], now: datetime) -> bool:
    """As ``waits``, of a row that was read."""
    longest = LONGEST_UNSUPPORTED if found.push_supported is False else LONGEST_RETRY
    return is_ahead(found.watch_retry_at, now, longest)


def short_lived(session: Session) -> dict[int, tuple[Calendar, Account, datetime, timedelta]]:
    """Calendars of active accounts whose newest channel Google lets live for minutes only: by
    calendar id, with since when it has been so, and how long the newest of them lives."""
    newer = aliased(Channel)
    found = session.execute(
        select(Channel, Calendar, Account)
        .join(Calendar, Channel.calendar_id == Calendar.id)
        .join(Account, Calendar.account_id == Account.id)
        .where(
            Channel.error == SHORT_LIVED,
            Channel.opened_at.is_not(None),
            Account.is_active,
            Calendar.removed.is_(False),
            ~exists().where(
                newer.calendar_id == Channel.calendar_id,
                newer.requested_at > Channel.requested_at,
            ),
        )
        .order_by(Account.email, Calendar.id)
    )
    return {
        calendar.id: (
            calendar,
            account,
            _first_short(session, calendar.id) or channel.opened_at,
            channel.expires_at - channel.opened_at,
        )
        for channel, calendar, account in found
        if channel.expires_at and channel.opened_at
    }


def _first_short(session: Session, calendar_id: int) -> datetime | None:
    """When the first short-lived channel was opened that no longer-lived one has followed."""
    opened = Channel.calendar_id == calendar_id, Channel.opened_at.is_not(None)
    long = select(func.max(Channel.opened_at)).where(*opened, Channel.error != SHORT_LIVED)
    last_long = session.scalar(long)
    short = select(func.min(Channel.opened_at)).where(*opened, Channel.error == SHORT_LIVED)
    return session.scalar(
        short if last_long is None else short.where(Channel.opened_at > last_long)
    )


def replace_if_deaf(session: Session, calendar_id: int, change: datetime, now: datetime) -> bool:
    """A poll has brought ``change`` (see ``doubts.untold``), and the live channel never told of it:
    Google may have dropped the channel without a word. It is made due for renewal; True when it
    was.

    A channel that has not even delivered its ``sync`` message is left: most likely it is our
    address that cannot be reached (``renewals.try_silent`` sees to it).
    """
    channel = live(session, calendar_id, now)
    if channel is None or channel.heard_at is None:
        return False
    if max(channel.heard_at, channel.last_message_at or channel.heard_at) >= change:
        return False
    replace(session, channel, now)
    return True


def replace(session: Session, channel: Channel, now: datetime) -> None:
    """Have a live channel replaced by whoever renews next."""
    look_next(session, channel.calendar_id, None)
    channel.renew_at = now


def open_of_calendar(session: Session, calendar_id: int) -> Sequence[Channel]:
    """Channels that Google may still deliver to."""
    return session.scalars(
        select(Channel).where(Channel.calendar_id == calendar_id, Channel.state.in_(ACCEPTED))
    ).all()


def retire_all(session: Session, calendar_id: int, now: datetime) -> list[str]:
    """Have every open channel of a calendar stopped, by whoever comes first; returns their ids."""
    found = open_of_calendar(session, calendar_id)
    look_next(session, calendar_id, None)
    for channel in found:
        if channel.state == ChannelState.LIVE:
            channel.state, channel.retired_at = ChannelState.RETIRING, now
    return [channel.id for channel in found]


def everything(session: Session, account_ids: Sequence[int] = ()) -> list[tuple[Channel, Calendar]]:
    """Channels that are open now with their calendars, soonest expiry first."""
    query = (
        select(Channel, Calendar)
        .join(Calendar, Channel.calendar_id == Calendar.id)
        .where(Channel.state.in_(ACCEPTED))
        .order_by(Channel.expires_at)
    )
    if account_ids:
        query = query.where(Calendar.account_id.in_(account_ids))
    return [(row[0], row[1]) for row in session.execute(query)]


def unstopped(session: Session, now: datetime) -> list[tuple[Channel, str]]:
    """Channels that Google refused to stop and that live on there, with the account's address."""
    query = (
        select(Channel, Account.email)
        .join(Calendar, Channel.calendar_id == Calendar.id)
        .join(Account, Calendar.account_id == Account.id)
        .where(
            Channel.state == ChannelState.STOPPED,
            Channel.error.not_in(("", SHORT_LIVED)),
            Channel.expires_at > now,
        )
        .order_by(Account.email, Channel.expires_at)
    )
    return [(row[0], row[1]) for row in session.execute(query)]
