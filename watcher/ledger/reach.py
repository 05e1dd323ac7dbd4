"""Whether the public address leads to this installation, as cron finds it from its own machine.

An address at which this machine has never got an answer says nothing: in many networks the public
address is out of reach from within. One that has answered and does so no more is a problem, unless
Google has been heard meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from watcher.errors import Cause
from watcher.languages.sentence import Sentence, sentence
from watcher.ledger import watched
from watcher.ledger.models import Fact
from watcher.ledger.problems import Problem, ProblemState
from watcher.ledger.when import is_ahead

NAME = "public_address"
EVERY, SOONER = timedelta(minutes=2), timedelta(seconds=30)
"""How often it is tried, and how often while it does not answer."""
SURE_AFTER = 3
"""So many tries without an answer, one after the other, are no hiccup."""
STALE = timedelta(minutes=10)
"""What was found so long ago is no longer told: nobody tries."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """What is known of ``url`` from the machine ``host``, last tried ``at``: whether it has ever
    ``answered``, and how many ``tries`` in a row have failed ``since``, with the last one's
    ``message`` and what to do about it."""

    url: str
    host: str
    at: datetime
    answered: bool = False
    tries: int = 0
    since: datetime | None = None
    message: str = ""
    step: str = ""

    @property
    def is_lost(self) -> bool:
        return self.answered and self.tries >= SURE_AFTER

    @property
    def next_try(self) -> datetime:
        return self.at + (SOONER if self.answered and self.tries else EVERY)

    def is_due(self, now: datetime) -> bool:
        return not is_ahead(self.next_try, now, EVERY)

    def after(self, now: datetime, message: str, step: str) -> Reach:
        """As it is known after one more try; ``message`` is empty where it has answered."""
        if not message:
            return Reach(url=self.url, host=self.host, at=now, answered=True)
        return replace(
            self,
            at=now,
            tries=self.tries + 1,
            since=self.since or now,
            message=message,
            step=step,
        )


def known(session: Session, url: str, host: str) -> Reach | None:
    """None where this address was never tried from this machine, or another one was since."""
    found = _read(session)
    return found if found is not None and (found.url, found.host) == (url, host) else None


def note(session: Session, reach: Reach) -> None:
    value = {
        "url": reach.url,
        "host": reach.host,
        "answered": reach.answered,
        "tries": reach.tries,
        "since": reach.since.isoformat() if reach.since else None,
        "message": _kept(reach.message),
        "step": _kept(reach.step),
    }
    session.merge(Fact(name=NAME, value=json.dumps(value), learned_at=reach.at))


def lost(session: Session, url: str, now: datetime) -> Reach | None:
    """What is known of ``url`` where it has answered and does so no more, by whatever machine
    tries it, as far as Google has not been heard meanwhile."""
    found = _read(session)
    if found is None or found.url != url or not found.is_lost or now - found.at > STALE:
        return None
    since = max(found.since or found.at, now - STALE)
    return None if watched.speaks(session, since) else found


def problems(session: Session, url: str, channels: int, now: datetime) -> Iterator[Problem]:
    """``channels``: how many calendars have a watch channel, which all lead to the address."""
    found = lost(session, url, now)
    if found is not None:
        yield Problem(
            state=ProblemState.ADDRESS_UNREACHABLE,
            cause=Cause.ADDRESS_UNREACHABLE,
            since=found.since,
            host=urlsplit(url).netloc,
            calendars=channels or None,
            last_try=found.at,
            next_try=found.next_try,
            message=sentence(
                "%(what)s. Nothing is lost: changes are found by polling meanwhile, some minutes "
                "later; connect links do not open",
                what=found.message,
            ),
            next_step=found.step,
        )


def _read(session: Session) -> Reach | None:
    fact = session.get(Fact, NAME)
    if fact is None:
        return None
    value = json.loads(fact.value)
    return Reach(
        url=value["url"],
        host=value["host"],
        at=fact.learned_at,
        answered=value["answered"],
        tries=value["tries"],
        since=datetime.fromisoformat(value["since"]) if value["since"] else None,
        message=_said(value["message"]),
        step=_said(value["step"]),
    )


def _kept(text: str) -> Any:
    return text.as_kept() if isinstance(text, Sentence) else text


def _said(kept: Any) -> str:
    return Sentence.from_kept(kept) if isinstance(kept, list) else kept
