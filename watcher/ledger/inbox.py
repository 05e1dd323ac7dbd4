"""Record a notification: who sent it, and one conditional write that makes the calendar dirty."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    bindparam,
    case,
    func,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from watcher.ledger import often
from watcher.ledger.calendars import RUNG_PATIENCE
from watcher.ledger.columns import UtcDateTime
from watcher.ledger.db import Database
from watcher.ledger.models import Account, Calendar, Channel
from watcher.ledger.quick import Ask
from watcher.ledger.secrets import digest, same
from watcher.ledger.states import ACCEPTED, AccountState, ChannelState
from watcher.ledger.when import LONGEST_RETRY, lies_between

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


def record(db: Database, message: Message, now: datetime) -> Verdict:
    """Authenticate by the channel's token (constant time) and resource id, then record.

    While ``rung_at`` is set, a job waits that has not begun to read Google: it clears
    ``rung_at`` in one transaction before it reads, so the change told of here is read by it and
    nothing needs to be written. Once it has been cleared the next notification counts and rings.
    A row in state ``requesting`` has no resource id yet: the ``sync`` message can overtake the
    answer of events.watch. Message numbers are kept, never decided by (they have gaps).
    """
    return db.at_once(functools.partial(_record, message, now))


def _record(message: Message, now: datetime, ask: Ask) -> Verdict:
    row = ask(_SENDER, {"channel": message.channel_id})
    found = None if row is None else _Sender(*row)
    genuine = same(found.token_hash if found else _NOBODY, digest(message.token))
    known_as = (None, message.resource_id)
    if found is None or not genuine or found.resource_id not in known_as:
        return Verdict("unknown")
    active = not found.removed and found.account_state == AccountState.ACTIVE
    if found.state not in ACCEPTED:
        if found.resource_id is None and message.resource_id and active:
            _stop_once(message, now, ask)
        return Verdict("retired", found.calendar_id)
    made = _make_dirty(found.calendar_id, active, message, now, ask)
    heard = {"channel": message.channel_id, "now": now}
    if made is None:
        if found.heard_at is None:  # once for each channel, also where nothing else is written
            ask(_HEARD, heard)
        return Verdict("coalesced", found.calendar_id)
    ask(_HEARD_OF_CHANGE, heard | {"number": message.number})
    return Verdict("recorded" if made.wakes else "parked", found.calendar_id, made.seq)


class _Sender(NamedTuple):
    """A channel, its calendar and its account, as ``_SENDER`` selects them."""

    token_hash: str
    resource_id: str | None
    state: str
    heard_at: Any
    calendar_id: int
    removed: bool
    account_state: str


_CH, _CA = often.table(Channel), often.table(Calendar)
_NOW = bindparam("now", type_=UtcDateTime())
_SENDER = (
    select(
        *(_CH.c.token_hash, _CH.c.resource_id, _CH.c.state, _CH.c.heard_at, _CH.c.calendar_id),
        *(_CA.c.removed, often.table(Account).c.state.label("account_state")),
    )
    .join_from(_CH, _CA, _CH.c.calendar_id == _CA.c.id)
    .join(often.table(Account), _CA.c.account_id == often.table(Account).c.id)
    .where(_CH.c.id == bindparam("channel"))
)
_HEARD = (
    update(_CH)
    .where(_CH.c.id == bindparam("channel"))
    .values(heard_at=func.coalesce(_CH.c.heard_at, _NOW))
    .returning(_CH.c.id)
)
_HEARD_OF_CHANGE = _HEARD.values(last_message_at=_NOW, last_message_number=bindparam("number"))


_STOPPED = (
    update(_CH)
    .where(_CH.c.id == bindparam("channel"))
    .values(
        resource_id=bindparam("resource"),
        state=ChannelState.RETIRING,
        retired_at=_NOW,
        closed_at=None,
        expires_at=bindparam("latest", type_=UtcDateTime()),
    )
    .returning(_CH.c.id)
)


def _stop_once(message: Message, now: datetime, ask: Ask) -> None:
    """Have a channel stopped whose opening we took for failed: events.watch timed out, but Google
    had made it. Its resource id, needed to stop it, is learnt from the message. When it ends is
    not known; a moment is kept only so that the row ends some day.

    All other closed channels have been stopped already; Google's late notices of those are let
    pass. Since the resource id is set from then on, this happens once.
    """
    values = {
        "channel": message.channel_id,
        "resource": message.resource_id[:255],
        "now": now,
        "latest": now + _LONGEST_LIFE,
    }
    ask(_STOPPED, values)


@dataclass(frozen=True, slots=True)
class _Dirty:
    """The new ``dirty_seq``, and whether a worker is to be woken now."""

    seq: int
    wakes: bool


def _make_dirty(
    calendar_id: int, active: bool, message: Message, now: datetime, ask: Ask
) -> _Dirty | None:
    """One conditional UPDATE; None while a waiting job will read anyway."""
    values = {
        "calendar": calendar_id,
        "rung_since": now - RUNG_PATIENCE,
        "now": now,
        "latest_retry": now + LONGEST_RETRY,
        "paced": message.paced_until,
        "request": message.request,
        "also": f" {message.request}",
    }
    made = ask(_dirtying(active), values)
    return None if made is None else _Dirty(seq=made[0], wakes=made[1] is not None)


@functools.cache
def _dirtying(active: bool) -> ReturningUpdate[Any]:
    pausing = lies_between(Calendar.retry_at, _NOW, bindparam("latest_retry", type_=UtcDateTime()))
    return (
        update(_CA)
        .where(
            _CA.c.id == bindparam("calendar"),
            _unawaited(bindparam("rung_since", type_=UtcDateTime()), _NOW),
        )
        .values(
            dirty_at=case(
                # Bulk work that has waited for longer is no wait of this change.
                (_CA.c.dirty_seq <= _CA.c.synced_seq, _NOW),
                (_CA.c.dirty_reason != "push", _NOW),
                else_=func.coalesce(_CA.c.dirty_at, _NOW),
            ),
            dirty_seq=_CA.c.dirty_seq + 1,
            dirty_reason="push",
            rung_at=case((pausing, null()), else_=_NOW) if active else null(),
            paced_until=bindparam("paced", type_=UtcDateTime()),
            told_by=_told_by(),
        )
        .returning(_CA.c.dirty_seq, _CA.c.rung_at)
    )


def _told_by() -> ColumnElement[Any]:
    """The requests that have told of what is owed. Where they are many, because nobody could read
    for long, the first ones are named."""
    return case(
        (_CA.c.dirty_seq <= _CA.c.synced_seq, bindparam("request", type_=Text())),
        (
            func.length(_CA.c.told_by) < MOST_TOLD_BY,
            _CA.c.told_by + bindparam("also", type_=Text()),
        ),
        else_=_CA.c.told_by,
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
