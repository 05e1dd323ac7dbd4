"""How many accounts and calendars there are of which kind.

All of a table are counted by the database in an index. The few that differ from the rest are then
looked for, by indexes of their own, and taken away: nobody reads the rows of those that are simply
up to date and watched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, func, select
from sqlalchemy.orm import Session

from watcher.ledger import standing, watched
from watcher.ledger.models import Account, Calendar, Channel
from watcher.ledger.renewals import may_be_unwatched
from watcher.ledger.states import NOT_ACTIVE, UNLISTED, AccountState

MIRRORED = Calendar.removed.is_(False)
ACTIVE = Account.state == AccountState.ACTIVE


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """Numbers of calendars that are mirrored. ``paused`` are those of accounts that had a
    grant and are not active; all others are of active ones. ``heard`` and ``silent`` have a live
    channel, the next of which ends at ``next_expiry``."""

    at_rest: int
    paused: int
    poll_only: int
    heard: int
    silent: int
    next_expiry: datetime | None


def accounts(session: Session) -> Mapping[AccountState, int]:
    """By state."""
    counted = select(Account.state, func.count()).where(Account.state.in_(NOT_ACTIVE))
    found = {row[0]: row[1] for row in session.execute(counted.group_by(Account.state))}
    every = session.scalar(select(func.count()).select_from(Account)) or 0
    return {**found, AccountState.ACTIVE: every - sum(found.values())}


def active(session: Session) -> int:
    """How many calendars of active accounts are mirrored."""
    return _active(_read(session, _whole()))


def calendars(session: Session, now: datetime) -> Sizes:
    """In one statement, so that the numbers go together."""
    silent = select(func.count(Channel.calendar_id.distinct())).where(Channel.heard_at.is_(None))
    ends = select(Channel.expires_at).order_by(Channel.expires_at).limit(1)
    listed = Account.state.not_in(UNLISTED)
    of_active = _of_accounts().where(ACTIVE)
    of_active_that = {
        "restless": (standing.is_restless(), ~standing.is_at_rest()),
        "poll_only": (Calendar.push_supported.is_(False),),
        "unwatched": (may_be_unwatched(now), ~watched.has_channel(now)),
    }
    found = _read(
        session,
        _whole()
        | {name: of_active.where(*which) for name, which in of_active_that.items()}
        | {
            "paused": _of_accounts().where(_others(), listed),
            "silent": watched.of_open(silent, now),
            "next_expiry": watched.of_open(ends, now),
        },
    )
    return Sizes(
        at_rest=_active(found) - found["restless"],
        paused=found["paused"],
        poll_only=found["poll_only"],
        heard=_active(found) - found["unwatched"] - found["silent"],
        silent=found["silent"],
        next_expiry=found["next_expiry"],
    )


def _read(session: Session, asked: Mapping[str, Select[Any]]) -> RowMapping:
    columns = (each.scalar_subquery().label(name) for name, each in asked.items())
    return session.execute(select(*columns)).mappings().one()


def _whole() -> dict[str, Select[Any]]:
    """All calendars, those that were removed, and those of accounts that are not active."""
    everything = select(func.count()).select_from(Calendar)
    return {
        "every": everything,
        "removed": everything.where(Calendar.removed.is_(True)),
        "of_others": _of_accounts().where(_others()),
    }


def _active(found: RowMapping) -> int:
    return int(found["every"] - found["removed"] - found["of_others"])


def _of_accounts() -> Select[int]:
    return select(func.count()).select_from(Calendar).join(Account).where(MIRRORED)


def _others() -> ColumnElement[bool]:
    return Account.state.in_(NOT_ACTIVE)
