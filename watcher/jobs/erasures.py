"""Cron looks after what ERPNext logs late of rows that have become private."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial

from watcher import errors
from watcher.ledger import erased
from watcher.services import Services

log = logging.getLogger(__name__)


def look_after_erased(services: Services) -> int:
    """Look through what ERPNext has logged of rows since their history was erased."""
    with services.db.reading() as session:
        rows = {e.id: (e.row_name, e.sync_key) for e in erased.due(session, services.clock(), 100)}
    if not rows:
        return 0
    try:
        return _look_again(services, rows)
    except errors.WatcherError:
        raise
    except Exception:
        log.exception("looking after erased rows failed unexpectedly: now row by row")
    alone = ({number: row} for number, row in rows.items())
    return sum(
        errors.contained(partial(_look_again, services, each), lambda _: 0) for each in alone
    )


def _look_again(services: Services, rows: Mapping[int, tuple[str, str]]) -> int:
    services.mirror().look_again(dict(rows.values()))
    with services.db.session() as session:
        erased.looked(session, list(rows), services.clock())
    return len(rows)
