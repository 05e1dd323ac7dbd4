"""Watch channels in the ledger. A row is written before events.watch is called, and a renewal
makes a new row: the old one is needed to stop the old channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from watcher.errors import CapReached
from watcher.ledger.calendars import is_wanted
from watcher.ledger.db import LOCKED
from watcher.ledger.models import Account, Calendar, Channel, Usage
from watcher.ledger.states import ACCEPTED, ChannelState
from watcher.ledger.upsert import Change, upsert
from watcher.ledger.when import LONGEST_RETRY, is_ahead, still_to_come

LONGEST_UNSUPPORTED = timedelta(days=8)
OPENING_PATIENCE = timedelta(minutes=2)
SHORT_LIVED = "short_lived"
"""``error`` of a channel that Google lets live for minutes only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A channel that is about to be asked for. ``instead_of`` is the id of the live one as the
    caller has seen it (None: there was none)."""

    channel_id: str
    calendar_id: int
    token_hash: str
    instead_of: str | None


def add_requesting(session: Session, request: Request, most: int, now: datetime) -> bool:
    """Write the row of a channel before it is asked for. False while another process is opening
    one for the same calendar, when the live channel is no longer ``instead_of``, or when the
    calendar is no longer to be watched.

    Raises ``CapReached`` when all processes together have asked for ``most`` channels within a
    minute.
    """
    calendar_id = request.calendar_id
    calendar = select(Calendar.id).where(Calendar.id == calendar_id)
    session.execute(calendar.with_for_update(**LOCKED))
    if not is_wanted(session, calendar_id):
        return False
    under_way = session.scalars(
        select(Channel.id).where(
            Channel.calendar_id == calendar_id,
            Channel.state == ChannelState.REQUESTING,
            Channel.requested_at.between(now - OPENING_PATIENCE, now),
        )
    ).first()
    here = live(session, calendar_id, now)
    if under_way is not None or (here.id if here else None) != request.instead_of:
        return False
    _keep_cap(session, most, now)
    session.add(
        Channel(
            id=request.channel_id,
            calendar_id=calendar_id,
            token_hash=request.token_hash,
            state=ChannelState.REQUESTING,
            requested_at=now,
            error="",
        )
    )
    session.flush()
    return True


def _keep_cap(session: Session, most: int, now: datetime) -> None:
    """One process at a time counts, from here to the end of its transaction: on PostgreSQL several
    would else each find the last place free."""
    row = {"bucket": "watches", "calls": 1, "expires_at": now + timedelta(hours=1)}
    upsert(session, Usage, row, Change({"expires_at": row["expires_at"]}))
    if opened_within_a_minute(session, now) >= most:
        raise CapReached(f"{most} channels were asked for within a minute", retry_after=60.0)


def opened_within_a_minute(session: Session, now: datetime) -> int:
    """How many channels were asked for in the last minute, for the cap. One that is dated ahead by
    more than a process may have waited for its turn does not count: a wrong clock has dated it, and
    it would block all others until that date."""
    minute = timedelta(minutes=1)
    last_minute = Channel.requested_at.between(now - minute, now + minute)
    found = select(func.count(Channel.id)).where(last_minute)
    return session.scalar(found) or 0


@dataclass(frozen=True, slots=True)
class Granted:
    """What Google has answered to the request for a channel, and when the channel is renewed."""

    resource_id: str
    expires_at: datetime
    renew_at: datetime


def confirm(session: Session, channel_id: str, granted: Granted, now: datetime) -> list[str]:
    """Make a requested channel live and retire the calendar's other ones; returns their ids."""
    channel = session.get_one(Channel, channel_id)
    look_next(session, channel.calendar_id, min(granted.renew_at, granted.expires_at))
    channel.state, channel.opened_at = ChannelState.LIVE, now
    channel.resource_id, channel.expires_at = granted.resource_id, granted.expires_at
    channel.renew_at = granted.renew_at
    retired = session.scalars(
        update(Channel)
        .where(
            Channel.calendar_id == channel.calendar_id,
            Channel.id != channel_id,
            Channel.state == ChannelState.LIVE,
        )
        .values(state=ChannelState.RETIRING, retired_at=now)
        .returning(Channel.id)
    )
    return list(retired)


def look_next(session: Session, calendar_id: int, at: datetime | None) -> None:
    """Note when somebody has to look whether the calendar is watched; None: at once. To be called
    before the channel is changed: who changes both locks the calendar first."""
    session.execute(update(Calendar).where(Calendar.id == calendar_id).values(watch_due_at=at))


def is_awaited(session: Session, channel_id: str) -> bool:
    """Whether Google's answer is still of use: nobody has closed the row meanwhile, and the
    calendar is still to be watched."""
    channel = session.get_one(Channel, channel_id)
    return channel.state == ChannelState.REQUESTING and is_wanted(session, channel.calendar_id)


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


def rest(session: Session, calendar: Calendar, channel_id: str, until: datetime) -> None:
    """Google lets this channel live for minutes only: no other one is asked for before ``until``,
    of which ``watcher status`` tells."""
    session.get_one(Channel, channel_id).error = SHORT_LIVED
    calendar.watch_retry_at = until


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
