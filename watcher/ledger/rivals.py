"""Another Watcher that mirrors the same calendar into the same ERPNext site, by other settings.

Both would put right without end what the other has written. So each tells of it, and for a day
leaves such rows to the daily full sync.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from watcher.errors import Cause
from watcher.languages.sentence import sentence
from watcher.ledger.models import Account, Calendar, Fact
from watcher.ledger.problems import Problem, ProblemState

NAME = "rival:"
LASTS = timedelta(hours=26)
"""A bit longer than from one daily full sync to the next, which looks again."""


def note(session: Session, calendar_id: int, rows: int, now: datetime) -> None:
    """A full sync has found so many rows that another Watcher has written since this one did."""
    known = session.get(Fact, f"{NAME}{calendar_id}")
    if not rows:
        if known is not None:
            session.delete(known)
        return
    since = json.loads(known.value)["since"] if known else now.isoformat()
    value = json.dumps({"rows": rows, "since": since})
    session.merge(Fact(name=f"{NAME}{calendar_id}", value=value, learned_at=now))


def is_known(session: Session, calendar_id: int, now: datetime) -> bool:
    known = session.get(Fact, f"{NAME}{calendar_id}")
    return known is not None and now - known.learned_at < LASTS


def problems(session: Session, now: datetime) -> Iterator[Problem]:
    """One for all calendars."""
    recent = Fact.name.startswith(NAME), Fact.learned_at > now - LASTS
    found = {
        int(fact.name.removeprefix(NAME)): json.loads(fact.value)
        for fact in session.scalars(select(Fact).where(*recent))
    }
    if not found:
        return
    email = session.scalar(
        select(Account.email).join(Calendar).where(Calendar.id.in_(list(found)[:1]))
    )
    yield Problem(
        state=ProblemState.ANOTHER_WATCHER,
        cause=Cause.ANOTHER_WATCHER,
        since=min(datetime.fromisoformat(each["since"]) for each in found.values()),
        calendars=len(found),
        next_step=sentence(
            "let one of the two mirror %(email)s: `watcher accounts disconnect` in the other one, "
            "or stop it; this goes with the next full sync (`watcher resync`)",
            email=email or "",
        ),
        message=sentence(
            "another Watcher writes the same events into this ERPNext, by other settings: what was "
            "written last stands there"
        ),
    )
