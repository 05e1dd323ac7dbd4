"""What the ledger knows of one calendar and of one event in it, as plain values: for the
explanation of a single event. Nothing here is read by a pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from watcher.ledger import channels, models, standing, states, steps


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountTold:
    """An account. ``step`` is what mends one that does not work, ``event_type`` what it asked for
    its ordinary events to be, instead of the setting."""

    id: int
    email: str
    event_type: str | None
    state: states.AccountState
    cause: str
    since: datetime
    step: str

    @property
    def is_active(self) -> bool:
        return self.state == states.AccountState.ACTIVE


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelTold:
    """A live channel: since when, and when Google last sent something through it that was noted
    (None: never, not even its first message). What comes while a change waits is not noted. It
    ends at ``expires_at``, and is replaced at ``renew_at``."""

    opened_at: datetime | None
    last_message_at: datetime | None
    expires_at: datetime | None = None
    renew_at: datetime | None = None

    @property
    def is_silent(self) -> bool:
        return self.last_message_at is None


@dataclass(frozen=True, kw_only=True, slots=True)
class CalendarTold:
    """A calendar and whose it is. ``state`` and ``cause`` are those of its last pass, ``since``
    when these began. ``owes``: a change is known that is not applied, since ``waits_since`` where
    that is known. ``is_read_now``: a worker is at it."""

    id: int
    account: AccountTold
    google_id: str
    time_zone: str
    removed: bool
    status: states.CalendarStatus
    state: states.CalendarState
    cause: str
    message: str
    step: str
    since: datetime
    failures: int
    retry_at: datetime | None
    owes: bool
    waits_since: datetime | None
    is_read_now: bool
    last_success_at: datetime | None
    next_poll_at: datetime | None
    next_reconcile_at: datetime | None
    push_supported: bool | None
    channel: ChannelTold | None


@dataclass(frozen=True, kw_only=True, slots=True)
class AsideTold:
    """Why an event stands aside, since when, and when it is tried again (None: not by itself)."""

    key: str
    event_id: str
    message: str
    cause: str
    kind: str
    first_at: datetime
    last_at: datetime
    attempts: int
    next_try_at: datetime | None
    step: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadTold:
    """One pass over the calendar that went through. ``kind`` is ``delta`` or ``snapshot``,
    ``reason`` why it was made."""

    at: datetime
    kind: str
    reason: str
    created: int
    updated: int
    cancelled: int


# --- which calendars ------------------------------------------------------------------------


def of_address(session: Session, google_id: str) -> list[tuple[models.Calendar, models.Account]]:
    """Calendars of this id in whosever account, those that were let go among them; where there is
    none, those of the account of this address, whose own one may be known under another id."""
    wanted = google_id.strip().lower()
    by_id = _pairs(session, func.lower(models.Calendar.google_id) == wanted)
    return by_id or of_account(session, wanted)


def of_account(session: Session, email: str) -> list[tuple[models.Calendar, models.Account]]:
    return _pairs(session, and_(models.Account.email == email, models.Calendar.removed.is_(False)))


def of_calendars(
    session: Session, numbers: Sequence[int]
) -> list[tuple[models.Calendar, models.Account]]:
    return _pairs(session, models.Calendar.id.in_(numbers))


def mirrored(
    session: Session, most: int
) -> tuple[list[tuple[models.Calendar, models.Account]], int]:
    """The first ``most`` calendars of active accounts, and how many there are."""
    found = _pairs(session, and_(models.Calendar.removed.is_(False), models.Account.is_active))
    return found[:most], len(found)


def setting_aside(session: Session, event_id: str) -> list[int]:
    """Ids of the calendars in which this event, or an instance of this series, stands aside."""
    wanted = or_(models.Quarantined.event_id == event_id, models.Quarantined.series == event_id)
    return sorted(set(session.scalars(select(models.Quarantined.calendar_id).where(wanted))))


def everything(session: Session) -> list[tuple[int, str, str]]:
    """Of all calendars their number, the account's address and Google's id."""
    rows = session.execute(
        select(models.Calendar.id, models.Account.email, models.Calendar.google_id)
        .join(models.Account)
        .order_by(models.Account.email, models.Calendar.id)
    )
    return [(row[0], row[1], row[2]) for row in rows]


@dataclass(frozen=True, slots=True)
class Named:
    """A calendar by its number, with the way by which its account was connected."""

    number: int
    google_id: str
    source: str


def named(session: Session, emails: Sequence[str]) -> dict[str, list[Named]]:
    """The calendars of some accounts, by address."""
    rows = session.execute(
        select(models.Account.email, models.Account.source, models.Calendar)
        .outerjoin(models.Calendar)
        .where(models.Account.email.in_(emails))
        .order_by(models.Calendar.id)
    )
    found: dict[str, list[Named]] = {}
    for email, source, calendar in rows:
        number, google_id = (calendar.id, calendar.google_id) if calendar else (0, "")
        found.setdefault(email, []).append(Named(number, google_id, source))
    return found


def _pairs(
    session: Session, condition: ColumnElement[bool]
) -> list[tuple[models.Calendar, models.Account]]:
    rows = session.execute(
        select(models.Calendar, models.Account)
        .join(models.Account)
        .where(condition)
        .order_by(models.Account.email, models.Calendar.id)
    )
    return [(row[0], row[1]) for row in rows]


# --- what is known of one -------------------------------------------------------------------


def account(session: Session, row: models.Account) -> AccountTold:
    return AccountTold(
        id=row.id,
        email=row.email,
        event_type=row.default_event_type,
        state=row.state,
        cause=row.cause,
        since=row.since,
        step=steps.for_account(session, row),
    )


def calendar(
    session: Session, pair: tuple[models.Calendar, models.Account], seen: standing.Moment
) -> CalendarTold:
    row, owner = pair
    live = channels.live(session, row.id, seen.now)
    return CalendarTold(
        id=row.id,
        account=account(session, owner),
        google_id=row.google_id,
        time_zone=row.time_zone,
        removed=row.removed,
        status=standing.calendar_status(row, owner, seen),
        state=row.state,
        cause=row.cause,
        message=row.message,
        step=steps.for_calendar(row, owner),
        since=row.since,
        failures=row.failures,
        retry_at=row.retry_at,
        owes=row.owes,
        waits_since=standing.waiting_since(row, seen),
        is_read_now=row.lease_owner is not None and row.lease_until > seen.epoch,
        last_success_at=row.last_success_at,
        next_poll_at=row.next_poll_at,
        next_reconcile_at=row.next_reconcile_at,
        push_supported=row.push_supported,
        channel=_channel(live) if live else None,
    )


def _channel(live: models.Channel) -> ChannelTold:
    return ChannelTold(
        opened_at=live.opened_at,
        last_message_at=live.last_message_at or live.heard_at,
        expires_at=live.expires_at,
        renew_at=live.renew_at,
    )


def set_aside(session: Session, calendar_id: int, keys: Sequence[str]) -> dict[str, AsideTold]:
    """By key, what stands aside of these."""
    rows = session.scalars(
        select(models.Quarantined).where(
            models.Quarantined.calendar_id == calendar_id, models.Quarantined.sync_key.in_(keys)
        )
    )
    return {
        row.sync_key: AsideTold(
            key=row.sync_key,
            event_id=row.event_id,
            message=row.message,
            cause=row.cause,
            kind=row.kind,
            first_at=row.first_at,
            last_at=row.last_at,
            attempts=row.attempts,
            next_try_at=row.next_try_at,
            step=row.step,
        )
        for row in rows
    }


def first_read_since(session: Session, calendar_id: int, since: datetime) -> ReadTold | None:
    """The first pass that began after ``since`` and went through, as far as the diary goes back."""
    run = session.scalars(
        select(models.Run)
        .where(
            models.Run.calendar_id == calendar_id,
            models.Run.started_at >= since,
            models.Run.kind != "failed",
        )
        .order_by(models.Run.id)
        .limit(1)
    ).first()
    if run is None:
        return None
    return ReadTold(
        at=run.started_at,
        kind=run.kind,
        reason=run.reason,
        created=run.created,
        updated=run.updated,
        cancelled=run.cancelled,
    )
