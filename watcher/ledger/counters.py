"""Lifetime counters: what passes did, and how long changes took. They are kept in the ledger, so
that they outlive a restart and one web process tells for all workers."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping

from sqlalchemy import TextClause, select, text
from sqlalchemy.orm import Session

from watcher.ledger import models, often

BUCKETS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0)
"""Upper edges in seconds of the histogram of freshness."""
BEYOND = "+Inf"
PASSES, WRITES, FRESHNESS, FRESHNESS_MS = "passes/", "writes/", "freshness/", "freshness_ms"
_WRITTEN = ("created", "updated", "cancelled", "refused")


def of_run(run: models.Run) -> Counter[str]:
    """What one pass adds: ``passes/<kind>``, ``writes/<what>``, and, when Google has told of the
    change, ``freshness/<bucket>`` with its milliseconds."""
    counts = Counter({f"{PASSES}{run.kind}": 1})
    counts.update({f"{WRITES}{what}": getattr(run, what) or 0 for what in _WRITTEN})
    if run.lag_google is not None and run.reason == "push":
        lag = max(0.0, run.lag_google)
        edge = next((str(each) for each in BUCKETS if lag <= each), BEYOND)
        counts.update({f"{FRESHNESS}{edge}": 1, FRESHNESS_MS: round(lag * 1000)})
    return +counts


def add(session: Session, counts: Mapping[str, int]) -> None:
    """Add to counters, in one statement. All take the rows in the order of their names, so that no
    two transactions wait for each other in a ring."""
    if not counts:
        return
    names = sorted(counts)
    values: dict[str, object] = {f"name{n}": name for n, name in enumerate(names)}
    values |= {f"by{n}": counts[name] for n, name in enumerate(names)}
    often.run(session, _addition(len(names)), values)


@functools.cache
def _addition(rows: int) -> TextClause:
    """For so many counters. As text: SQLAlchemy builds an INSERT of several rows anew each time,
    which takes longer than to carry it out, and every pass makes one."""
    given = ", ".join(f"(:name{n}, :by{n})" for n in range(rows))
    return text(
        f"INSERT INTO counters (name, value) VALUES {given} "  # noqa: S608 (parameters alone)
        "ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value"
    )


def read(session: Session) -> dict[str, int]:
    """All counters by name."""
    return {row.name: row.value for row in session.scalars(select(models.Counter))}
