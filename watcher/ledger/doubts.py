"""Whether a channel tells of changes. A poll that finds a change overtakes the notification now and
then: of a fresh one the channel is asked again with the next poll."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from watcher.ledger.models import Fact

DEAF_AFTER = timedelta(minutes=1)
"""So long Google may take to tell of a change; mostly it takes seconds."""


def untold(
    session: Session, calendar_id: int, changes: Iterable[datetime], started: datetime
) -> datetime | None:
    """The newest change that a poll has found, now or before, and of which the channel has had the
    time to tell; None when there is none. ``started``: when the poll began."""
    name = f"untold:{calendar_id}"
    fact = session.get(Fact, name)
    known = [*changes, *([datetime.fromisoformat(fact.value)] if fact else [])]
    fresh = [change for change in known if started - change < DEAF_AFTER]
    if fresh:
        session.merge(Fact(name=name, value=max(fresh).isoformat(), learned_at=started))
    elif fact is not None:
        session.delete(fact)
    return max((change for change in known if started - change >= DEAF_AFTER), default=None)
