"""The hourly clean-up of the ledger: what need not be kept."""

from __future__ import annotations

from watcher.ledger import audit, budget, notices, runs
from watcher.services import Services


def prune(services: Services) -> int:
    """Returns how many passes the diary has forgotten."""
    now = services.clock()
    budget.prune(services.db, now)
    with services.db.session() as session:
        notices.prune(session, now)
    audit.prune(services.db, now, services.settings.audit_days)
    return runs.prune(services.db, now)
