"""What can be wrong, as ``watcher status`` tells it: one value for each trouble."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ProblemState(StrEnum):
    """The first word of a problem. Those of accounts and calendars are the states of these."""

    NEEDS_RECONNECT = "needs_reconnect"
    DISCONNECTING = "disconnecting"
    PAUSED = "paused"
    FAILING = "failing"
    DELAYED = "delayed"
    NO_CHANNEL = "no_channel"
    SHORT_CHANNEL = "short_channel"
    NOT_MASKED = "not_masked"
    NOT_CANCELLED = "not_cancelled"
    ERPNEXT_ANSWERS_LATE = "erpnext_answers_late"
    KEY_NOT_UNIQUE = "key_not_unique"
    QUEUE_DOWN = "queue_down"
    NO_SWEEP_RUN = "no_sweep_run"
    NO_RENEW_RUN = "no_renew_run"
    SWEEP_FAILS = "sweep_fails"
    RENEW_FAILS = "renew_fails"
    NOTICES_UNDELIVERED = "notices_undelivered"


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Something that needs a person, or soon will. ``account`` is an address, ``calendar`` Google's
    id of one; both are None for what concerns the whole installation. ``since`` is None where the
    ledger does not know it, ``message`` where there is nothing to add to state and cause."""

    account: str | None = None
    calendar: str | None = None
    state: ProblemState
    cause: str
    since: datetime | None = None
    next_step: str
    message: str | None = None
