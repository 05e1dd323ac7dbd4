"""How a channel comes to be, in the ledger: it is noted before Google is asked for it, and it is
live with Google's answer. Kept statements (see ``often``): an import has thousands opened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, exists, func, insert, literal, select, text, update
from sqlalchemy.orm import Session

from watcher.errors import CapReached
from watcher.ledger.columns import UtcDateTime
from watcher.ledger.db import LOCKED
from watcher.ledger.models import Account, Calendar, Channel
from watcher.ledger.often import run, table
from watcher.ledger.states import LEAVING, ChannelState

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


@dataclass(frozen=True, slots=True)
class Granted:
    """What Google has answered to the request for a channel, and when the channel is renewed.
    ``rests_until``: it lives for minutes only, and until then no other one is asked for."""

    resource_id: str
    expires_at: datetime
    renew_at: datetime
    rests_until: datetime | None = None


_A, _C, _H = table(Account).c, table(Calendar).c, table(Channel).c
_NOW = bindparam("now", type_=UtcDateTime())
_OF_CALENDAR = _H.calendar_id == _C.id
_IS_WANTED = _C.removed.is_(False), _A.state.not_in(LEAVING)
_LOCK = select(_C.id).where(_C.id == bindparam("calendar")).with_for_update(**LOCKED)
_WANTED = (
    select(
        *(_C.google_id, _C.account_id, _A.email),
        exists()
        .where(
            _OF_CALENDAR,
            _H.state == ChannelState.REQUESTING,
            _H.requested_at.between(bindparam("since", type_=UtcDateTime()), _NOW),
        )
        .label("under_way"),
        select(_H.id)
        .where(_OF_CALENDAR, _H.state == ChannelState.LIVE, _H.expires_at > _NOW)
        .order_by(_H.expires_at.desc())
        .limit(1)
        .scalar_subquery()
        .label("here"),
    )
    .join_from(table(Calendar), table(Account), _C.account_id == _A.id)
    .where(_C.id == bindparam("calendar"), *_IS_WANTED)
)
_TAKE_TURN = text(
    "INSERT INTO usage (bucket, calls, expires_at) VALUES ('watches', 1, :soon)"
    " ON CONFLICT (bucket) DO UPDATE SET expires_at = excluded.expires_at"
).bindparams(bindparam("soon", type_=UtcDateTime()))
_ADD = insert(table(Channel))
_WITHIN_A_MINUTE = select(func.count(_H.id)).where(
    _H.requested_at.between(
        bindparam("since", type_=UtcDateTime()), bindparam("until", type_=UtcDateTime())
    )
)


def add_requesting(session: Session, request: Request, most: int, now: datetime) -> Row[Any] | None:
    """Write the row of a channel before it is asked for; returns ``account_id``, ``email`` and
    ``google_id``. None while another process is opening one for the same calendar, when the live
    channel is no longer ``instead_of``, or when the calendar is no longer to be watched.

    Raises ``CapReached`` when all processes together have asked for ``most`` channels within a
    minute.
    """
    of = {"calendar": request.calendar_id}
    run(session, _LOCK, of)
    moments = {"now": now, "since": now - OPENING_PATIENCE}
    found = run(session, _WANTED, of | moments).one_or_none()
    if found is None or found.under_way or found.here != request.instead_of:
        return None
    # One process at a time counts, from here to the end of its transaction: on PostgreSQL several
    # would else each find the last place free.
    run(session, _TAKE_TURN, {"soon": now + timedelta(hours=1)})
    if asked_within_a_minute(session, now) >= most:
        raise CapReached(f"{most} channels were asked for within a minute", retry_after=60.0)
    row = {
        "id": request.channel_id,
        "calendar_id": request.calendar_id,
        "token_hash": request.token_hash,
        "state": ChannelState.REQUESTING,
        "requested_at": now,
        "error": "",
    }
    run(session, _ADD, row)
    return found


def asked_within_a_minute(session: Session, now: datetime) -> int:
    """How many channels were asked for in the last minute, for the cap. One that is dated ahead by
    more than a process may have waited for its turn does not count: a wrong clock has dated it, and
    it would block all others until that date."""
    minute = timedelta(minutes=1)
    between = {"since": now - minute, "until": now + minute}
    return int(run(session, _WITHIN_A_MINUTE, between).scalar_one())


_LOCK_ITS_CALENDAR = (
    select(_C.id)
    .where(_C.id == select(_H.calendar_id).where(_H.id == bindparam("channel")).scalar_subquery())
    .with_for_update(**LOCKED)
)
_ASKED_FOR = (
    select(_H.id.label("channel_id"), _C.id, _C.google_id, _C.watch_failures)
    .join_from(table(Channel), table(Calendar), _OF_CALENDAR)
    .join(table(Account), _C.account_id == _A.id)
    .where(_H.id == bindparam("channel"), _H.state == ChannelState.REQUESTING, *_IS_WANTED)
)


def asked_for(session: Session, channel_id: str) -> Row[Any] | None:
    """A requested channel and its calendar, which is kept from others until the transaction ends:
    before the channel, as a notification does it, or the two could wait for each other. None where
    Google's answer is of no use any more: somebody has closed the row meanwhile, or the calendar is
    no longer to be watched."""
    run(session, _LOCK_ITS_CALENDAR, {"channel": channel_id})
    return run(session, _ASKED_FOR, {"channel": channel_id}).one_or_none()


_WATCHED = (
    update(table(Calendar))
    .where(_C.id == bindparam("calendar"))
    .values(
        watch_due_at=bindparam("due"),
        push_supported=True,
        watch_retry_at=bindparam("rests_until"),
        watch_failures=bindparam("refusals"),
        dirty_seq=_C.dirty_seq + literal(1),
        dirty_reason="channel",
        dirty_at=func.coalesce(_C.dirty_at, _NOW),
    )
)
_OPENED = (
    update(table(Channel))
    .where(_H.id == bindparam("channel"))
    .values(
        state=ChannelState.LIVE,
        opened_at=_NOW,
        resource_id=bindparam("resource"),
        expires_at=bindparam("expires"),
        renew_at=bindparam("renewed"),
        error=bindparam("said"),
    )
)
_RETIRED = (
    update(table(Channel))
    .where(
        _H.calendar_id == bindparam("calendar"),
        _H.id != bindparam("channel"),
        _H.state == ChannelState.LIVE,
    )
    .values(state=ChannelState.RETIRING, retired_at=_NOW)
    .returning(_H.id)
)


def confirm(session: Session, found: Row[Any], granted: Granted, now: datetime) -> list[str]:
    """Make a channel live that ``asked_for`` has found, and retire the calendar's other ones, whose
    ids are returned. The calendar owes a look: a change between the old and the new channel could
    have been told to neither."""
    rests = granted.rests_until is not None
    watched = {
        "calendar": found.id,
        "due": min(granted.renew_at, granted.expires_at),
        "rests_until": granted.rests_until,
        "refusals": found.watch_failures + 1 if rests else 0,
        "now": now,
    }
    run(session, _WATCHED, watched)
    opened = {
        "channel": found.channel_id,
        "now": now,
        "resource": granted.resource_id,
        "expires": granted.expires_at,
        "renewed": granted.renew_at,
        "said": SHORT_LIVED if rests else "",
    }
    run(session, _OPENED, opened)
    of = {"calendar": found.id, "channel": found.channel_id, "now": now}
    return list(run(session, _RETIRED, of).scalars())
