"""What cron tries from time to time by itself, and how often it has failed in a row: so that an
outage is seen although nobody has anything to write, or no push to lose."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from watcher.languages.sentence import kept, read_text
from watcher.ledger import presence
from watcher.ledger.db import Database
from watcher.ledger.models import Fact
from watcher.ledger.when import is_ahead

EVERY, SOONER = timedelta(minutes=2), timedelta(seconds=30)
"""How often something is tried, and how often while it fails."""
SOON = 5
"""So many times something that has never answered is tried that often: it may never do so."""
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
STALE = timedelta(minutes=10)
"""What was found so long ago is no longer told: nobody tries."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why a try has failed: ``cause`` is a word, the others are sentences."""

    cause: str
    message: str
    step: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """What is known of ``name``: ``what`` was tried, last ``at``, from the machine ``host``;
    whether that has ever ``answered``, and how many ``times`` in a row it has failed ``since``, the
    last time by ``failure``."""

    name: str
    what: str
    host: str
    at: datetime
    answered: bool = False
    times: int = 0
    since: datetime | None = None
    failure: Failure | None = None

    @property
    def next_try(self) -> datetime:
        soon = self.times and (self.answered or self.times <= SOON)
        return self.at + (SOONER if soon else EVERY)

    def is_due(self, now: datetime) -> bool:
        return not is_ahead(self.next_try, now, EVERY)

    def after(self, now: datetime, failure: Failure | None) -> Tried:
        """As it is known after one more try."""
        if failure is None:
            return replace(self, at=now, answered=True, times=0, since=None, failure=None)
        times, since = self.times + 1, self.since or now
        return replace(self, at=now, times=times, since=since, failure=failure)


def due(db: Database, name: str, what: str, now: datetime) -> Tried | None:
    """What the last tries from this machine have come to; as never tried where they were of
    something else, or from another machine. None while the next one is not due."""
    host = presence.this_host()
    with db.reading() as session:
        found = last(session, name, what)
    if found is None or found.host != host:
        found = Tried(name=name, what=what, host=host, at=NEVER)
    return found if found.is_due(now) else None


def last(session: Session, name: str, what: str) -> Tried | None:
    """From whichever machine."""
    fact = session.get(Fact, name)
    if fact is None:
        return None
    value = json.loads(fact.value)
    if value["what"] != what:
        return None
    return Tried(
        name=name,
        what=what,
        host=value["host"],
        at=fact.learned_at,
        answered=value["answered"],
        times=value["times"],
        since=datetime.fromisoformat(value["since"]) if value["since"] else None,
        failure=_failure(value["failure"]),
    )


def _failure(found: dict[str, Any] | None) -> Failure | None:
    if found is None:
        return None
    message, step = read_text(found["message"]), read_text(found["step"])
    return Failure(cause=found["cause"], message=message, step=step)


def note(session: Session, tried: Tried) -> None:
    failure = tried.failure
    value = {
        "what": tried.what,
        "host": tried.host,
        "answered": tried.answered,
        "times": tried.times,
        "since": tried.since.isoformat() if tried.since else None,
        "failure": failure
        and {
            "cause": failure.cause,
            "message": kept(failure.message),
            "step": kept(failure.step),
        },
    }
    session.merge(Fact(name=tried.name, value=json.dumps(value), learned_at=tried.at))
