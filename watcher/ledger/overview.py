"""The state of everything in one document: ``watcher status --json``, dashboard and metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from watcher import __version__
from watcher.ledger import alarms, aside, budget, erpnext, fleet
from watcher.ledger.db import Database
from watcher.ledger.document import (
    AccountCounts,
    CalendarCounts,
    ChannelCounts,
    Freshness,
    GoogleCalls,
    QueueCounts,
    Status,
)
from watcher.ledger.models import Account, Run
from watcher.ledger.states import AccountState, CalendarStatus

FRESHNESS_OVER = timedelta(hours=24)


def status(
    db: Database, session: Session, now: datetime, waiting: Mapping[str, int] | None
) -> Status:
    """How everything is. ``waiting`` maps lanes to queue lengths; None: Redis does not answer."""
    calendars = fleet.look(db, session, now)
    stand_aside = [row for row, _, _ in aside.everything(session)]
    problems = alarms.find(session, calendars)
    if waiting is None:
        problems.append(alarms.queue_down())
    return Status(
        version=__version__,
        healthy=not problems,
        accounts=_accounts(session),
        calendars=_calendars(calendars),
        channels=_channels(calendars),
        queue=_queue(calendars, waiting or {}),
        freshness_seconds=freshness(session, now),
        google_calls=_google_calls(session, now),
        quarantined=len(stand_aside),
        set_aside=erpnext.set_aside(stand_aside),
        erpnext=erpnext.site(session),
        problems=tuple(problems),
    )


def _accounts(session: Session) -> AccountCounts:
    rows = session.execute(select(Account.state, func.count()).group_by(Account.state))
    counts: dict[str, int] = {row[0]: row[1] for row in rows}
    return AccountCounts(
        active=counts.get(AccountState.ACTIVE, 0),
        needs_reconnect=counts.get(AccountState.NEEDS_RECONNECT, 0),
        paused=counts.get(AccountState.PAUSED, 0),
        invited=counts.get(AccountState.INVITED, 0),
    )


def _calendars(calendars: fleet.Fleet) -> CalendarCounts:
    return CalendarCounts(
        up_to_date=calendars.count(CalendarStatus.UP_TO_DATE),
        syncing=calendars.count(CalendarStatus.SYNCING),
        delayed=calendars.count(CalendarStatus.DELAYED),
        failing=calendars.count(CalendarStatus.FAILING),
        paused=calendars.count(CalendarStatus.PAUSED),
        poll_only=sum(1 for c, _ in calendars.active() if c.push_supported is False),
    )


def _channels(calendars: fleet.Fleet) -> ChannelCounts:
    return ChannelCounts(
        live=len(calendars.live),
        missing=len(calendars.unwatched()),
        next_expiry=min(calendars.live.values(), default=None),
    )


def _queue(calendars: fleet.Fleet, waiting: Mapping[str, int]) -> QueueCounts:
    return QueueCounts(
        live=waiting.get("live", 0),
        backfill=waiting.get("backfill", 0),
        oldest_seconds=round(calendars.longest_wait(), 1),
    )


def _google_calls(session: Session, now: datetime) -> GoogleCalls:
    return GoogleCalls(
        today=budget.today(session, now),
        forecast_day=budget.forecast(session, now),
        day_line=budget.DAY_LINE,
    )


def freshness(session: Session, now: datetime) -> Freshness:
    """From Google's ``updated`` to ERPNext, over the passes that a push began in the last day."""
    lags = session.scalars(
        select(Run.lag_google).where(
            Run.lag_google.is_not(None),
            Run.started_at > now - FRESHNESS_OVER,
            Run.reason == "push",
        )
    )
    values = sorted(float(lag) for lag in lags if lag is not None)
    return Freshness(
        p50=percentile(values, 0.50),
        p95=percentile(values, 0.95),
        p99=percentile(values, 0.99),
        count=len(values),
    )


def percentile(values: Sequence[float], share: float) -> float | None:
    """Nearest-rank percentile of sorted values; None when there are none."""
    if not values:
        return None
    return round(values[math.ceil(len(values) * share) - 1], 3)
