"""Google's notifications may have been lost on their way: whether there was a time in which they
were, which calendars are looked at for it, and when that was last done."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.orm import Session

from watcher.ledger.models import Calendar, Channel, Fact
from watcher.ledger.tries import NEVER

NAME = "unreached"
QUIET = timedelta(minutes=1)
"""In a time without any message that is as long, one may have been lost. What comes in shorter ones
is not lost: Google repeats for a while what was not taken."""
ENDED = timedelta(hours=1)
"""A channel that has ended within the time was still to tell of changes."""


@dataclass(frozen=True, slots=True)
class Looks:
    """When the watched calendars were last looked at for this, whether they are ``owed`` another
    look, and until when Google was ``heard`` all the time."""

    at: datetime = NEVER
    owed: bool = False
    heard: datetime = NEVER

    def after(self, session: Session, answered: datetime, now: datetime, *, sure: bool) -> Looks:
        """As it is known after one more try of the public address, which had last ``answered``
        then. What was heard before the first try that failed shows as much as an answer. Not
        ``sure``: it may be a hiccup, and a time without a message is kept for the next try. Of a
        channel only the first and the last message are known: tries follow each other so closely
        that this is enough."""
        since = max(answered, self.heard)
        rows = session.execute(
            select(Channel.heard_at, Channel.last_message_at).where(
                or_(Channel.heard_at > since, Channel.last_message_at > since)
            )
        )
        heard = {each for row in rows for each in row if each is not None and since < each <= now}
        moments = [since, *sorted(heard)]
        if self.heard < answered:
            moments = moments[-1:]
        quiet = any(end - begin >= QUIET for begin, end in pairwise([*moments, now]))
        newest = moments[0] if quiet and not sure else moments[-1]
        return replace(self, owed=self.owed or (quiet and sure), heard=newest)


def looks(session: Session) -> Looks:
    fact = session.get(Fact, NAME)
    if fact is None:
        return Looks()
    value = json.loads(fact.value)
    return Looks(fact.learned_at, value["owed"], datetime.fromisoformat(value["heard"]))


def note(session: Session, looks: Looks) -> None:
    value = json.dumps({"owed": looks.owed, "heard": looks.heard.isoformat()})
    session.merge(Fact(name=NAME, value=value, learned_at=looks.at))


def is_watched(now: datetime) -> ColumnElement[bool]:
    """Whether a calendar has a channel that was heard, in a query. One that has none is polled all
    the time as often as those others are looked at."""
    return exists().where(
        Channel.calendar_id == Calendar.id,
        Channel.heard_at.is_not(None),
        Channel.expires_at > now - ENDED,
    )
