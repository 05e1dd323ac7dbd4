"""Google or ERPNext is away: the log says so once, and once when it is over, with the number of
tries that failed meanwhile. All processes count together: it is said once for the installation.

A single try that fails says little, since both have their hiccups: a side is away when several have
failed with no good run between them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Integer, Text, bindparam, cast, delete, exists
from sqlalchemy.orm import Session

from watcher import errors
from watcher.ledger import often
from watcher.ledger.models import Fact
from watcher.ledger.upsert import insert_into

log = logging.getLogger(__name__)

NAMES = {"google": "Google", "erpnext": "ERPNext"}
SURE_AFTER = 3
"""So many failed tries in a row are no hiccup."""
_NOTED = "away:"


def level_of(session: Session, error: errors.WatcherError, now: datetime) -> int:
    """Count a try that failed, in the transaction that notes it; returns the level at which the try
    itself is to be logged."""
    if not isinstance(error, errors.Transient) or error.side not in NAMES:
        return logging.WARNING
    if isinstance(error, errors.BudgetSpent):
        return logging.INFO
    tries, since = _count(session, error.side, now)
    name = NAMES[error.side]
    if tries < SURE_AFTER:
        return logging.INFO
    if tries == SURE_AFTER:
        log.warning("%s is not available: %s; tries are counted now", name, error.message)
    elif str(tries).strip("0") == "1":
        day = f"{since:%Y-%m-%d %H:%M:%SZ}"
        log.info("%s has not been available since %s: %s tries failed", name, day, tries)
    return logging.DEBUG


_F = often.table(Fact).c
_OVER = (
    delete(often.table(Fact))
    .where(_F.name.in_(bindparam("names", expanding=True)))
    .returning(_F.name, _F.value, _F.learned_at)
)


IS_AWAY = exists().where(_F.name.in_([f"{_NOTED}{side}" for side in NAMES])).label("is_away")
"""A column: whether tries of either side have failed since ``answered``."""


def answered(session: Session, sides: Iterable[str], now: datetime) -> None:
    """A run went through in which these sides answered."""
    names = [f"{_NOTED}{side}" for side in sides]
    for row in often.run(session, _OVER, {"names": names}).all():
        if int(row.value) >= SURE_AFTER:
            seconds = (now - row.learned_at).total_seconds()
            log.warning(
                "%s is available again after %.0f s: %s tries failed",
                NAMES[row.name.removeprefix(_NOTED)],
                seconds,
                row.value,
            )


def _count(session: Session, side: str, now: datetime) -> tuple[int, datetime]:
    """How many have failed since the last good run, and since when; in one statement, so that two
    processes do not count the same try."""
    row = {"name": f"{_NOTED}{side}", "value": "1", "learned_at": now}
    more = cast(cast(Fact.value, Integer) + 1, Text)
    tries, since = session.execute(
        insert_into(session, Fact)
        .values(row)
        .on_conflict_do_update(index_elements=["name"], set_={"value": more})
        .returning(Fact.value, Fact.learned_at)
    ).one()
    return int(tries), since
