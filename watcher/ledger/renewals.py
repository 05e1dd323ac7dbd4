"""Which calendars are to be watched anew, and which channels have ended or are to be stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from watcher.ledger import watched
from watcher.ledger.batches import BATCH
from watcher.ledger.channels import look_next, replace, waits
from watcher.ledger.db import LOCKED, Database
from watcher.ledger.models import Account, Calendar, Channel
from watcher.ledger.states import ChannelState

WORKERS_TURN = timedelta(minutes=10)


def expire(session: Session, now: datetime) -> int:
    """Note channels whose life has run out, and requests that never got an answer."""
    lived = Channel.state.in_((ChannelState.LIVE, ChannelState.RETIRING))
    asked = Channel.state == ChannelState.REQUESTING
    unanswered = asked, Channel.requested_at <= now - timedelta(minutes=10)
    return _expire(session, and_(lived, Channel.expires_at <= now), Channel.expires_at, now) + (
        _expire(session, and_(*unanswered), Channel.requested_at, now)
    )


def _expire(
    session: Session,
    which: ColumnElement[bool],
    by: InstrumentedAttribute[Any],
    now: datetime,
) -> int:
    """In the order of ``by``, some at a time: so PostgreSQL begins where the longest ended are, and
    reads no others. Its statistics, which are of all channels there ever were, would have it expect
    most of the live ones to be among them."""
    gone = 0
    while True:
        ids = session.scalars(select(Channel.id).where(which).order_by(by).limit(BATCH)).all()
        ended = update(Channel).where(Channel.id.in_(ids), which)
        session.execute(ended.values(state=ChannelState.EXPIRED, closed_at=now))
        gone += len(ids)
        if len(ids) < BATCH:
            return gone


def try_silent(session: Session, now: datetime) -> None:
    """Have silent channels replaced: see ``watched.silent_to_replace``."""
    due = watched.silent_to_replace(session, now)
    for channel in sorted(due, key=lambda channel: channel.calendar_id):  # the order of all locks
        replace(session, channel, now)


def to_stop(session: Session, now: datetime) -> Sequence[Channel]:
    """Retiring channels whose calendar has synced since the new one opened (or after 10 min). Of
    an account that is not active they wait for its return, or for their expiry."""
    return session.scalars(
        select(Channel)
        .join(Calendar)
        .join(Account)
        .where(
            Account.is_active,
            Channel.state == ChannelState.RETIRING,
            or_(
                Calendar.last_success_at > Channel.retired_at,
                Channel.retired_at <= now - timedelta(minutes=10),
            ),
        )
    ).all()


def make_due(
    session: Session,
    now: datetime,
    account_ids: Sequence[int] = (),
    calendar_id: int | None = None,
) -> None:
    """Have every calendar watched anew, or those of some accounts, or one: what is beyond the cap
    of a minute is due in the next."""
    query = select(Calendar.id).join(Account).where(Account.is_active)
    if account_ids:
        query = query.where(Account.id.in_(account_ids))
    if calendar_id is not None:
        query = query.where(Calendar.id == calendar_id)
    # The order in which all change several calendars: see calendars.in_lock_order.
    chosen = session.scalars(
        query.order_by(Calendar.id).with_for_update(of=Calendar, **LOCKED)
    ).all()
    soon = {"watch_retry_at": None, "watch_due_at": None}
    for first in range(0, len(chosen), BATCH):
        some = chosen[first : first + BATCH]
        session.execute(update(Calendar).where(Calendar.id.in_(some)).values(soon))
        live = Channel.calendar_id.in_(some), Channel.state == ChannelState.LIVE
        session.execute(update(Channel).where(*live).values(renew_at=now))


def may_be_unwatched(now: datetime) -> ColumnElement[bool]:
    """Whether a calendar may be without a channel, or with one that is due for renewal: so much it
    says itself. All others are watched, and nobody has to look at their channels."""
    return or_(Calendar.watch_due_at.is_(None), Calendar.watch_due_at <= now)


def look_at_all(db: Database, now: datetime) -> int:
    """Have it noted of calendars without a live channel that they are without one, should that have
    been missed; returns how many there were."""
    of_calendar = Channel.calendar_id == Calendar.id, Channel.state == ChannelState.LIVE
    missed = select(Calendar.id).where(Calendar.watch_due_at > now, ~exists().where(*of_calendar))
    with db.reading() as session:
        found = session.scalars(missed.order_by(Calendar.id)).all()
    for calendar_id in found:
        with db.session() as session:
            look_next(session, calendar_id, None)
    return len(found)


@dataclass(frozen=True, slots=True)
class Due:
    """A calendar that is to be watched (anew), and the id of its live channel."""

    calendar_id: int
    account_id: int
    email: str
    google_id: str
    channel_id: str | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """Of which accounts (none named: of all), and whether those with ``is_new`` are among them."""

    account_ids: Sequence[int] = ()
    new: bool = True


def is_new(now: datetime) -> ColumnElement[bool]:
    """Whether a calendar waits for the first listing that was ever made of it. The worker who makes
    it opens the channel first, and nobody else has to: a change that is told of before could not be
    mirrored. No longer than ``WORKERS_TURN``, lest it be told as one without a channel."""
    return and_(
        Calendar.last_snapshot_at.is_(None),
        Calendar.failures == 0,
        Calendar.since.between(now - WORKERS_TURN, now),
    )


def calendars_due(session: Session, now: datetime, chosen: Chosen = Chosen()) -> list[Due]:
    """Calendars without a live channel, or whose live channel has reached its renewal point; the
    one that was watched anew the longest time ago comes first. One statement: while thousands of
    new calendars wait for the cap of a minute, cron asks every few seconds.

    Those known to be unwatchable come up again when their ``watch_retry_at`` has passed.
    """
    of_calendar = Channel.calendar_id == Calendar.id, Channel.state == ChannelState.LIVE
    here = (
        select(Channel.id)
        .where(*of_calendar, Channel.expires_at > now)
        .order_by(Channel.expires_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    opened = select(func.max(Channel.opened_at)).where(*of_calendar).scalar_subquery()
    fresh = exists().where(*of_calendar, Channel.expires_at > now, Channel.renew_at > now)
    query = (
        select(Calendar.id, Account.id, Account.email, Calendar.google_id, here)
        .join(Account)
        .where(
            may_be_unwatched(now),
            Account.is_active,
            Calendar.removed.is_(False),
            ~fresh,
            ~waits(now),
        )
        .order_by(opened.asc().nulls_first(), Calendar.id)
    )
    if chosen.account_ids:
        query = query.where(Account.id.in_(chosen.account_ids))
    if not chosen.new:
        query = query.where(~is_new(now))
    return [Due(*row) for row in session.execute(query)]
