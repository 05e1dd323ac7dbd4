"""The diary of one calendar: its passes, and what became of its channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from watcher.ledger.models import Account, Calendar, Channel, Run


@dataclass(frozen=True, kw_only=True, slots=True)
class Passed:
    """One pass. ``kind`` is ``delta``, ``snapshot`` or ``failed``, ``reason`` why it was made,
    ``items`` what Google's answers held, ``written`` the rows changed in ERPNext by what was done
    to them, ``held`` how many cancellations wait to be confirmed, ``lag`` the seconds from the
    change in Google to ERPNext. ``error`` begins with the cause; ``trace`` is
    the id of the pass in the log."""

    at: datetime
    kind: str
    reason: str
    seconds: float
    items: int
    created: int
    updated: int
    cancelled: int
    refused: int
    held: int
    lag: float | None
    error: str
    trace: str

    @property
    def written(self) -> int:
        return self.created + self.updated + self.cancelled

    @property
    def has_failed(self) -> bool:
        return self.kind == "failed"

    @property
    def was_missed(self) -> bool:
        """A poll found a change, which no push had told of."""
        return self.reason == "poll" and self.written > 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelSaid:
    """One moment in the life of a channel: ``opened``, ``heard`` (Google's first message),
    ``message`` (the last one noted), ``ended`` or ``refused`` (``text`` says why)."""

    at: datetime
    what: str
    text: str = ""


def count(session: Session, calendar_id: int) -> int:
    return session.scalar(select(func.count()).where(Run.calendar_id == calendar_id)) or 0


def passes(session: Session, calendar_id: int, limit: int, offset: int = 0) -> list[Passed]:
    """The newest first."""
    rows = session.scalars(
        select(Run)
        .where(Run.calendar_id == calendar_id)
        .order_by(Run.id.desc())
        .offset(offset)
        .limit(limit)
    )
    return [_passed(row) for row in rows]


@dataclass(frozen=True, slots=True)
class PassedOf:
    """A pass, and the calendar's number, account and id in Google."""

    passed: Passed
    number: int
    email: str
    google_id: str


def newest(session: Session, most: int) -> list[PassedOf]:
    """The last passes of whichever calendars, the newest first."""
    rows = session.execute(
        select(Run, Account.email, Calendar.google_id)
        .join(Calendar, Run.calendar_id == Calendar.id)
        .join(Account, Calendar.account_id == Account.id)
        .order_by(Run.id.desc())
        .limit(most)
    )
    return [PassedOf(_passed(run), run.calendar_id, email, name) for run, email, name in rows]


def _passed(row: Run) -> Passed:
    return Passed(
        at=row.started_at,
        kind=row.kind,
        reason=row.reason,
        seconds=row.seconds,
        items=row.items,
        created=row.created,
        updated=row.updated,
        cancelled=row.cancelled,
        refused=row.refused,
        held=row.held,
        lag=row.lag_google,
        error=row.error,
        trace=row.trace,
    )


MOST_CHANNELS = 50


def channel_moments(
    session: Session, calendar_id: int, since: datetime | None
) -> list[ChannelSaid]:
    """What became of the calendar's channels, of ``MOST_CHANNELS`` at the most; with ``since`` no
    older."""
    rows = session.scalars(
        select(Channel)
        .where(Channel.calendar_id == calendar_id)
        .order_by(Channel.requested_at.desc())
        .limit(MOST_CHANNELS)
    )
    found = [moment for row in rows for moment in _moments(row)]
    return [each for each in found if since is None or each.at >= since]


def _moments(row: Channel) -> Sequence[ChannelSaid]:
    if row.opened_at is None:
        return [ChannelSaid(at=row.requested_at, what="refused", text=row.error)] * bool(row.error)
    said = [ChannelSaid(at=row.opened_at, what="opened")]
    if row.heard_at is not None:
        said.append(ChannelSaid(at=row.heard_at, what="heard"))
    if row.last_message_at is not None and row.last_message_at != row.heard_at:
        said.append(ChannelSaid(at=row.last_message_at, what="message"))
    if row.closed_at is not None:
        said.append(ChannelSaid(at=row.closed_at, what="ended", text=row.error))
    return said
