"""Record a notification: who sent it, and one conditional write that makes the calendar dirty."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from watcher.ledger.calendars import RUNG_PATIENCE
from watcher.ledger.columns import UtcDateTime
from watcher.ledger.db import Database
from watcher.ledger.due import pauses
from watcher.ledger.models import Account, Calendar, Channel
from watcher.ledger.secrets import digest, same
from watcher.ledger.states import ACCEPTED, AccountState, ChannelState

_NOBODY = digest("nobody")
MOST_TOLD_BY = 200
"""Letters of ids that are kept of one calendar."""
_LONGEST_LIFE = timedelta(days=31)
Word = Literal["recorded", "coalesced", "parked", "retired", "unknown"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a notification.

    ``due``: it changes the ledger, see ``record``. ``recorded``: the debt is written, ring for
    ``calendar_id`` now. ``coalesced``: a job that has not begun to read will serve it. ``parked``:
    written, but nobody is woken: the account is paused or broken, or the last pass failed and its
    pause lasts (the sweep rings after it).
    ``retired``: a channel of ours that is closed. ``unknown``: not ours, a wrong token, or another
    resource; the caller must not tell these apart.
    """

    word: Word | Literal["due"]
    calendar_id: int = 0
    seq: int = 0
    served_with: str = ""
    """Of a coalesced one: the id of the last request whose job will serve it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """What a notification says of itself, by Google's headers."""

    channel_id: str
    token: str = field(repr=False)
    resource_id: str
    number: int | None
    paced_until: datetime | None = None
    """No pass is to begin before, and the caller rings then."""
    request: str = ""
    """The id of the request that it came with."""


def look(db: Database, message: Message, now: datetime) -> Verdict:
    """What becomes of a message that changes nothing in the ledger: nearly all of a burst, and
    whatever strangers send. ``due`` when it has to be recorded.

    ``record`` comes to the same for these, but waits for its turn to write. That a waiting job will
    read Google is true of the moment at which the ledger is read here, which is after the message
    came in: the job takes the mark away in a transaction that ends before it reads.
    """
    values = {"channel_id": message.channel_id, "since": now - RUNG_PATIENCE, "now": now}
    row = db.glance(_known(), values, key=message.channel_id)
    found = None if row is None else _Known(*row)
    genuine = same(found.token_hash if found else _NOBODY, digest(message.token))
    if found is None or not genuine or found.resource_id not in (None, message.resource_id):
        return Verdict("unknown")
    if found.state not in ACCEPTED:
        word: Word | Literal["due"] = "retired" if found.resource_id is not None else "due"
    else:
        word = "due" if found.is_due else "coalesced"
    return Verdict(word, found.calendar_id, served_with=found.told_by.rpartition(" ")[2])


class _Known(NamedTuple):
    """A channel and its calendar, as ``_known`` selects them. ``is_due``: a genuine message by it
    has to be recorded."""

    token_hash: str
    resource_id: str | None
    state: str
    calendar_id: int
    is_due: bool
    told_by: str


@functools.cache
def _known() -> Select[*tuple[Any, ...]]:
    """Built once: to put a statement together takes longer than to carry it out."""
    since, now = (bindparam(name, type_=UtcDateTime()) for name in ("since", "now"))
    return (
        select(
            Channel.token_hash,
            Channel.resource_id,
            Channel.state,
            Channel.calendar_id,
            or_(_unawaited(since, now), Channel.heard_at.is_(None)).label("is_due"),
            Calendar.told_by,
        )
        .join(Calendar, Channel.calendar_id == Calendar.id)
        .where(Channel.id == bindparam("channel_id"))
    )


def record(session: Session, message: Message, now: datetime) -> Verdict:
    """Authenticate by the channel's token (constant time) and resource id, then record.

    While ``rung_at`` is set, a job waits that has not begun to read Google: it clears
    ``rung_at`` in one transaction before it reads, so the change told of here is read by it and
    nothing needs to be written. Once it has been cleared the next notification counts and rings.
    A row in state ``requesting`` has no resource id yet: the ``sync`` message can overtake the
    answer of events.watch. Message numbers are kept, never decided by (they have gaps).
    """
    channel, known_as = session.get(Channel, message.channel_id), (None, message.resource_id)
    genuine = same(channel.token_hash if channel else _NOBODY, digest(message.token))
    if channel is None or not genuine or channel.resource_id not in known_as:
        return Verdict("unknown")
    active = _is_active(session, channel.calendar_id)
    if channel.state not in ACCEPTED:
        _stop_once(channel, message.resource_id, active, now)
        return Verdict("retired", channel.calendar_id)
    if channel.heard_at is None:
        channel.heard_at = now  # once for each channel, also where nothing else is written
    made = _make_dirty(session, channel.calendar_id, active, message, now)
    if made is None:
        return Verdict("coalesced", channel.calendar_id)
    channel.last_message_at, channel.last_message_number = now, message.number
    return Verdict("recorded" if made.wakes else "parked", channel.calendar_id, made.seq)


def _is_active(session: Session, calendar_id: int) -> bool:
    state = session.execute(
        select(Account.state)
        .join(Calendar, Calendar.account_id == Account.id)
        .where(Calendar.id == calendar_id, Calendar.removed.is_(False))
    ).scalar_one_or_none()
    return state == AccountState.ACTIVE


def _stop_once(channel: Channel, resource_id: str, active: bool, now: datetime) -> None:
    """Have a channel stopped whose opening we took for failed: events.watch timed out, but Google
    had made it. Its resource id, needed to stop it, is learnt from the message.

    All other closed channels have been stopped already; Google's late notices of those are let
    pass. Since the resource id is set from then on, this happens once.
    """
    if channel.resource_id is not None or not resource_id or not active:
        return
    channel.resource_id = resource_id[:255]
    channel.state, channel.retired_at, channel.closed_at = ChannelState.RETIRING, now, None
    channel.expires_at = now + _LONGEST_LIFE  # unknown; only so that the row ends some day


@dataclass(frozen=True, slots=True)
class _Dirty:
    """The new ``dirty_seq``, and whether a worker is to be woken now."""

    seq: int
    wakes: bool


def _make_dirty(
    session: Session, calendar_id: int, active: bool, message: Message, now: datetime
) -> _Dirty | None:
    """One conditional UPDATE; None while a waiting job will read anyway."""
    moment = literal(now, UtcDateTime())
    made = session.execute(
        update(Calendar)
        .where(
            Calendar.id == calendar_id,
            _unawaited(literal(now - RUNG_PATIENCE, UtcDateTime()), moment),
        )
        .values(
            dirty_at=case(
                # Bulk work that has waited for longer is no wait of this change.
                (Calendar.dirty_seq <= Calendar.synced_seq, moment),
                (Calendar.dirty_reason != "push", moment),
                else_=func.coalesce(Calendar.dirty_at, moment),
            ),
            dirty_seq=Calendar.dirty_seq + 1,
            dirty_reason="push",
            rung_at=case((pauses(now), null()), else_=moment) if active else None,
            paced_until=message.paced_until,
            told_by=_told_by(message.request),
        )
        .returning(Calendar.dirty_seq, Calendar.rung_at)
    ).one_or_none()
    return None if made is None else _Dirty(made[0], made[1] is not None)


def _told_by(request: str) -> ColumnElement[Any]:
    """The requests that have told of what is owed. Where they are many, because nobody could read
    for long, the first ones are named."""
    return case(
        (Calendar.dirty_seq <= Calendar.synced_seq, request),
        (func.length(Calendar.told_by) < MOST_TOLD_BY, Calendar.told_by + f" {request}"),
        else_=Calendar.told_by,
    )


def _unawaited(since: ColumnElement[Any], now: ColumnElement[Any]) -> ColumnElement[bool]:
    """No job waits that will serve a push; ``since``: an older mark is of a job that is lost."""
    return or_(
        Calendar.rung_at.is_(None),
        ~Calendar.rung_at.between(since, now),
        # A job that waits in the bulk lane is no reason to keep a push waiting, unless a full
        # listing is owed: that is made in the bulk lane whoever is rung.
        and_(
            Calendar.dirty_reason != "push",
            Calendar.snapshot_seq == 0,
            Calendar.sync_token.is_not(None),
        ),
    )
