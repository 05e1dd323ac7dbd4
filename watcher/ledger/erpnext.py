"""What the ledger knows of ERPNext: its versions, what it refuses, whether it answers late."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from watcher.ledger import aside
from watcher.ledger.models import Fact, Quarantined
from watcher.ledger.problems import iso, problem

LATE_ANSWERS_FOR = timedelta(minutes=10)
CAUSES_SHOWN = 5


def set_aside(rows: Sequence[Quarantined]) -> dict[str, Any]:
    """Events that are not in ERPNext as they should be: how many, since when, why."""
    counts = Counter((row.cause or "unmappable", row.message) for row in rows)
    return {
        "count": len(rows),
        "oldest": iso(min((row.first_at for row in rows), default=None)),
        "next_try": iso(min((r.next_try_at for r in rows if r.next_try_at), default=None)),
        "causes": [
            {"cause": cause, "message": message, "count": count}
            for (cause, message), count in counts.most_common(CAUSES_SHOWN)
        ],
    }


def remember_site(
    session: Session, versions: Mapping[str, str], warnings: Sequence[str], now: datetime
) -> None:
    """What ERPNext's site said of its versions, and what is known of them."""
    value = json.dumps({"versions": dict(versions), "warnings": list(warnings)})
    session.merge(Fact(name="erpnext_site", value=value, learned_at=now))


def remember_desk(session: Session, link: str, now: datetime) -> None:
    """The page where employees authorise the Connected App, for the steps that name it."""
    session.merge(Fact(name="desk_link", value=link, learned_at=now))


def remember_late_answers(session: Session, count: int, now: datetime) -> None:
    """Writes were answered with an error and had been done all the same."""
    session.merge(Fact(name="erpnext_late_answers", value=str(count), learned_at=now))


def site(session: Session) -> dict[str, Any]:
    """Versions of ERPNext's apps as last read, and what is known of them; empty before the first
    contact."""
    fact = session.get(Fact, "erpnext_site")
    if fact is None:
        return {"versions": {}, "warnings": [], "read_at": None}
    return {**json.loads(fact.value), "read_at": iso(fact.learned_at)}


def erpnext_problems(session: Session, now: datetime) -> list[dict[str, Any]]:
    found = []
    fact = session.get(Fact, "erpnext_late_answers")
    if fact is not None and now - fact.learned_at < LATE_ANSWERS_FOR:
        found.append(
            problem(
                None,
                None,
                "erpnext_answers_late",
                "erpnext_queue_full",
                fact.learned_at,
                "see that ERPNext's background workers run, and what fills their queue: it writes "
                "what it is sent, and then answers with an error (nothing is lost)",
            )
        )
    urgent: dict[tuple[str, str, str], list[Quarantined]] = defaultdict(list)
    for row, calendar, account in aside.everything(session):
        if row.kind in aside.URGENT:
            urgent[account.email, calendar.google_id, row.kind].append(row)
    for (email, google_id, kind), rows in urgent.items():
        oldest = min(rows, key=lambda row: row.first_at)
        what = "masked" if kind == "masking" else "cancelled"
        found_one = problem(
            email,
            google_id,
            f"not_{what}",
            oldest.cause,
            oldest.first_at,
            oldest.step or "watcher queue show",
        )
        message = f"{len(rows)} could not be {what} in ERPNext: {oldest.message}"
        found.append(found_one | {"message": message})
    return found
