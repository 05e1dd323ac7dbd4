"""What a page shows again when it is loaded once more, too long for its address: sealed, for an
hour."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from watcher.ledger.models import Fact

LIFE = timedelta(hours=1)
_PREFIX = "page:"


def keep(session: Session, name: str, sealed: str, now: datetime) -> None:
    """``name``: up to 50 characters that nobody can guess."""
    forget(session, now)
    session.add(Fact(name=f"{_PREFIX}{name}", value=sealed, learned_at=now))


def find(session: Session, name: str, now: datetime) -> str | None:
    """None for what was not kept, or longer ago than ``LIFE``."""
    fact = session.get(Fact, f"{_PREFIX}{name}")
    return fact.value if fact is not None and now - fact.learned_at < LIFE else None


def forget(session: Session, now: datetime) -> None:
    """What is older than ``LIFE``."""
    old = Fact.name.startswith(_PREFIX), Fact.learned_at <= now - LIFE
    session.execute(delete(Fact).where(*old))
