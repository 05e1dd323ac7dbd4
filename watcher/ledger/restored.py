"""What a ledger has to do after a backup was put in its place."""

from __future__ import annotations

import fcntl
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError

from watcher.errors import UserError, WatcherError
from watcher.ledger import owing, presence, renewals
from watcher.ledger.db import Database
from watcher.ledger.models import Account, Calendar, Process
from watcher.ledger.states import AccountState
from watcher.settings import Settings

ENDED = (AccountState.PAUSED, AccountState.DISCONNECTING, AccountState.DISCONNECTED)


@dataclass(frozen=True, slots=True)
class Restored:
    """``again`` are addresses whose account an admin had paused or disconnected after the backup
    was taken, and which are active again by it."""

    accounts: int
    calendars: int
    again: tuple[str, ...]


def running(settings: Settings, now: datetime) -> list[str]:
    """Which processes use the ledger that is there now, as far as that can be told: a ledger that
    is gone or damaged tells nothing but whether ``watcher up`` has its lock."""
    found = ["up"] if _is_locked(settings) else []
    db = Database(settings.ledger_url)
    try:
        with db.reading() as session:
            counts = presence.counts(session, now)
    except (SQLAlchemyError, WatcherError):
        return found
    finally:
        db.dispose()
    each = {"web": counts.web, "live": counts.live, "backfill": counts.backfill}
    return [*found, *(kind for kind, n in {**each, "cron": counts.cron}.items() if n)]


def _is_locked(settings: Settings) -> bool:
    path = settings.data_dir / "up.lock"
    if not path.exists():
        return False
    with path.open("r") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def ended_since(settings: Settings) -> frozenset[str]:
    """Addresses of accounts that are paused or disconnected in the ledger that is there now; none
    where it cannot be read."""
    db = Database(settings.ledger_url)
    try:
        with db.reading() as session:
            return frozenset(session.scalars(select(Account.email).where(Account.state.in_(ENDED))))
    except (SQLAlchemyError, WatcherError):
        return frozenset()
    finally:
        db.dispose()


def begin_anew(db: Database, ended: frozenset[str], now: datetime) -> Restored:
    """Have every calendar read in full once and watched anew: what was heard and written after the
    backup is in neither the sync tokens nor the channels of the ledger."""
    with db.session() as session:
        session.execute(
            update(Process).where(Process.ended_at.is_(None)).values(ended_at=Process.seen_at)
        )
        active = session.execute(
            select(Account.email, Calendar.id)
            .join(Calendar, Calendar.account_id == Account.id)
            .where(Account.is_active, Calendar.removed.is_(False))
        ).all()
        renewals.make_due(session, now)
        owing.owe_listings(session, [number for _, number in active], "resync", now)
    emails = {email for email, _ in active}
    return Restored(len(emails), len(active), tuple(sorted(emails & ended)))


def refuse_running(settings: Settings, now: datetime) -> None:
    """Raises ``UserError`` while a process may write to the ledger that is to be replaced."""
    found = running(settings, now)
    if found:
        raise UserError(
            f"Watcher is running ({', '.join(found)})",
            next_step="stop it first, e.g. `systemctl stop watcher.socket watcher` or `docker "
            "compose stop`; what was killed counts as running for 90 seconds more",
        )
