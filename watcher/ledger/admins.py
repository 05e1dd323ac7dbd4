"""How often an admin has signed out of the dashboard: a cookie from before a sign-out is void."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from watcher.ledger.models import Fact
from watcher.ledger.secrets import digest


def sign_outs(session: Session, email: str) -> int:
    """Of all browsers of this admin together."""
    fact = session.get(Fact, _name(email))
    return int(fact.value) if fact else 0


def sign_out(session: Session, email: str, now: datetime) -> None:
    """End every session of this admin."""
    count = sign_outs(session, email) + 1
    session.merge(Fact(name=_name(email), value=str(count), learned_at=now))


def _name(email: str) -> str:
    return f"sign_outs:{digest(email)[:40]}"
