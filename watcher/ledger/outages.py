"""Outages: since when the queue has been away, and many calendars that fail for one cause of the
whole installation, which are one problem."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from operator import itemgetter

from sqlalchemy import select
from sqlalchemy.orm import Session

from watcher.ledger import runs
from watcher.ledger.causes import AT_ERPNEXT, GOOGLE, WIDE, Place
from watcher.ledger.models import Fact, Run
from watcher.ledger.problems import Problem, ProblemState

QUEUE = "queue_away"


def note_queue(session: Session, now: datetime, *, answers: bool) -> bool:
    """Cron has asked the queue. Written when that changes, not each time; returns whether it has
    changed."""
    known = session.get(Fact, QUEUE)
    if answers and known is not None:
        session.delete(known)
    elif not answers and known is None:
        session.add(Fact(name=QUEUE, value="", learned_at=now))
    return answers == (known is not None)


def queue_away_since(session: Session) -> datetime | None:
    """When cron first found that the queue does not answer, or takes no job; None while it does,
    as far as cron knows."""
    known = session.get(Fact, QUEUE)
    return known.learned_at if known is not None else None


def merged(session: Session, found: Iterable[Problem], place: Place) -> list[Problem]:
    """Those of one cause made one, with the host, the last try in its words, the next one, and how
    many calendars it holds up."""
    own: list[Problem] = []
    wide: dict[str, list[Problem]] = defaultdict(list)
    for problem in found:
        if problem.cause in WIDE:
            wide[problem.cause].append(problem)
        else:
            own.append(problem)
    return [*(_one(session, alike, place) for alike in wide.values()), *own]


def _one(session: Session, alike: Sequence[Problem], place: Place) -> Problem:
    """Cron's own tries are of no calendar."""
    cause, calendars = alike[0].cause, [p for p in alike if p.calendar is not None]
    tried = [(p.last_try, p.message or "") for p in alike if p.last_try is not None]
    failed = _last_failure(session, cause) if calendars else None
    last = max([*tried, *([failed] if failed else [])], key=itemgetter(0), default=None)
    worst = next((p for p in alike if p.state == ProblemState.FAILING), alike[0])
    # Who is the only one it holds up is named.
    alone = calendars[0] if len(calendars) == 1 else None
    return replace(
        worst,
        account=alone.account if alone else None,
        calendar=alone.calendar if alone else None,
        since=min((p.since for p in alike if p.since is not None), default=None),
        host=_host(cause, place),
        calendars=len(calendars) or None,
        last_try=last[0] if last else None,
        next_try=min((p.next_try for p in alike if p.next_try is not None), default=None),
        message=last[1] if last else worst.message,
    )


def _host(cause: str, place: Place) -> str | None:
    host = place.erpnext_host if cause in AT_ERPNEXT else place.google_host
    return host or None if cause in AT_ERPNEXT | GOOGLE else None


def _last_failure(session: Session, cause: str) -> tuple[datetime, str] | None:
    """When a pass last failed for this cause, and in whose words: those that a calendar keeps may
    be of an older try."""
    row = session.execute(
        select(Run.started_at, Run.error)
        .where(Run.kind == "failed", Run.error.startswith(f"{cause}: ", autoescape=True))
        .order_by(Run.id.desc())
        .limit(1)
    ).first()
    return (row[0], runs.why(row[1])) if row is not None else None
