"""Ring for a calendar and note it in the ledger."""

from __future__ import annotations

from watcher.jobs.enqueue import Lane, Reason
from watcher.services import Services
from watcher.state import calendars


def ring(services: Services, calendar_id: int, seq: int, lane: Lane, reason: Reason) -> bool:
    """Ring and note it in the ledger; the note comes first, so that a job that starts at once
    finds it and clears it."""
    with services.db.session() as session:
        calendars.note_rung(session, calendar_id, services.clock())
    if services.doorbell.ring(calendar_id, seq, lane, reason):
        return True
    with services.db.session() as session:
        calendars.not_rung(session, calendar_id)
    return False
