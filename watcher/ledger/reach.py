"""Whether the public address leads to this installation, and whether ERPNext would take what there
is to write, as cron finds it by trying: also while nothing is to be written."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from watcher.errors import Cause
from watcher.languages.sentence import sentence
from watcher.ledger import steps, tries, watched
from watcher.ledger.causes import Place
from watcher.ledger.models import Run
from watcher.ledger.problems import Problem, ProblemState
from watcher.ledger.tries import Tried

ADDRESS, ERPNEXT = "public_address", "erpnext_tried"
SURE_AFTER = 3
"""So many tries without an answer, one after the other, are no hiccup."""
SURE_OF_REFUSAL = 2
"""So many tries that were refused: a key or a right does not come back by itself."""


def is_lost(address: Tried) -> bool:
    """One at which this machine has never got an answer says nothing: in many networks the public
    address is out of reach from within."""
    return address.answered and address.times >= SURE_AFTER


def lost(session: Session, url: str, now: datetime) -> Tried | None:
    """The tries of the public address where it has answered and does so no more, as far as Google
    has not been heard meanwhile."""
    found = tries.last(session, ADDRESS, url)
    if found is None or not is_lost(found) or now - found.at > tries.STALE:
        return None
    since = max(found.since or found.at, now - tries.STALE)
    return None if watched.speaks(session, since) else found


def of_address(session: Session, url: str, channels: int, now: datetime) -> Iterator[Problem]:
    """``channels``: how many calendars have a watch channel, which all lead to the address."""
    found = lost(session, url, now)
    if found is not None and found.failure is not None:
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
                what=found.failure.message,
            ),
            next_step=found.failure.step,
        )


def has_written(session: Session, since: datetime, now: datetime) -> bool:
    """Whether a pass that began ``since`` then went through and wrote to ERPNext: it has answered
    at that moment or later."""
    wrote = or_(Run.created > 0, Run.updated > 0, Run.cancelled > 0)
    passes = Run.started_at > since, Run.started_at <= now, Run.kind != "failed"
    return session.scalar(select(Run.id).where(*passes, wrote).limit(1)) is not None


def of_erpnext(session: Session, place: Place, now: datetime) -> Iterator[Problem]:
    """It does not answer, or refuses the key or a right, whatever the calendars show so far."""
    found = tries.last(session, ERPNEXT, place.erpnext_host)
    if found is None or found.failure is None or now - found.at > tries.STALE:
        return
    is_away = found.failure.cause == Cause.ERPNEXT_UNAVAILABLE
    if found.times >= (SURE_AFTER if is_away else SURE_OF_REFUSAL):
        yield Problem(
            state=ProblemState.DELAYED if is_away else ProblemState.FAILING,
            cause=found.failure.cause,
            since=found.since,
            host=place.erpnext_host,
            last_try=found.at,
            next_try=found.next_try,
            message=found.failure.message,
            next_step=found.failure.step or steps.of_cause(found.failure.cause),
        )
