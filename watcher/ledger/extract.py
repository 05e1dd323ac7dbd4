"""What of the ledger may be given away for a bug report: states, counts and times.

No address, id, title or text of another party is in it; accounts and calendars are numbered.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from watcher.ledger import models, notices

RUNS = 200
_WORD = re.compile(r"[A-Za-z0-9_.]{0,80}")

_RUN = (
    "calendar_id",
    "kind",
    "reason",
    "started_at",
    "seconds",
    "pages",
    "items",
    "created",
    "updated",
    "cancelled",
    "unchanged",
    "skipped",
    "refused",
    "lag_received",
    "lag_google",
)
_CALENDAR = (
    "id",
    "account_id",
    "state",
    "since",
    "failures",
    "retry_at",
    "dirty_seq",
    "synced_seq",
    "dirty_at",
    "dirty_reason",
    "rung_at",
    "snapshot_seq",
    "last_success_at",
    "last_snapshot_at",
    "next_poll_at",
    "push_supported",
    "watch_retry_at",
    "watch_failures",
    "removed",
)
_CHANNEL = (
    "calendar_id",
    "state",
    "requested_at",
    "opened_at",
    "expires_at",
    "renew_at",
    "closed_at",
    "heard_at",
    "last_message_at",
)
_ACCOUNT = ("id", "source", "state", "since", "granted_at", "access_expires_at")
_PROCESS = ("kind", "started_at", "seen_at", "ended_at", "restarts", "unwell_since")
_TICK = ("name", "last_run_at", "last_ok_at")


def extract(session: Session) -> dict[str, Any]:
    """By table: rows with the columns that are named here, or how many there are of each kind."""
    newest = select(models.Run).order_by(models.Run.id.desc()).limit(RUNS)
    return {
        "accounts": _rows(session.scalars(select(models.Account)).all(), _ACCOUNT),
        "calendars": _rows(session.scalars(select(models.Calendar)).all(), _CALENDAR),
        "channels": _rows(session.scalars(select(models.Channel)).all(), _CHANNEL),
        "runs": _rows(session.scalars(newest).all(), _RUN),
        "ticks": _rows(session.scalars(select(models.Tick)).all(), _TICK),
        "processes": _rows(session.scalars(select(models.Process)).all(), _PROCESS),
        "counters": _rows(session.scalars(select(models.Counter)).all(), ("name", "value")),
        "set_aside": _counted(session, models.Quarantined.kind, models.Quarantined.cause),
        "notices": _counted(session, notices.Notice.state, notices.Notice.cause),
    }


def _rows(found: Sequence[models.Base], columns: Sequence[str]) -> list[dict[str, Any]]:
    """``cause`` and ``failed`` besides, where the table has something of the kind."""
    return [{name: _plain(getattr(row, name)) for name in columns} | _ended(row) for row in found]


def _ended(row: models.Base) -> dict[str, Any]:
    """How it ended: the cause, and of a message, which may quote others, only that there is one."""
    told: dict[str, Any] = {}
    if hasattr(row, "cause"):
        told["cause"] = word(row.cause)
    if hasattr(row, "error"):
        told["failed"] = bool(row.error)
    return told


def _counted(
    session: Session, first: InstrumentedAttribute[str], second: InstrumentedAttribute[str]
) -> list[dict[str, Any]]:
    rows = session.execute(select(first, second, func.count()).group_by(first, second))
    return [{"kind": word(row[0]), "cause": word(row[1]), "count": row[2]} for row in rows]


def word(text: str) -> str:
    """A short word, as causes and states are; what is none is left out."""
    return text if _WORD.fullmatch(text) else "(a text)"


def _plain(value: object) -> object:
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else value
