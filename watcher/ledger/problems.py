"""What can be wrong, as ``watcher status`` tells it: one value for each trouble."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from watcher.languages.sentence import counted, joined, sentence


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
    ANOTHER_WATCHER = "another_watcher"
    QUEUE_DOWN = "queue_down"
    NO_SWEEP_RUN = "no_sweep_run"
    NO_RENEW_RUN = "no_renew_run"
    SWEEP_FAILS = "sweep_fails"
    RENEW_FAILS = "renew_fails"
    NOTICES_UNDELIVERED = "notices_undelivered"
    NO_PUSH_ARRIVES = "no_push_arrives"
    ADDRESS_UNREACHABLE = "address_unreachable"
    NOT_RUNNING = "not_running"
    NOT_ANSWERING = "not_answering"
    RESTARTS = "restarts"
    LEDGER_REFUSES_WRITES = "ledger_refuses_writes"
    # What waits and mends itself: warnings.
    SET_ASIDE = "set_aside"
    CHANGES_WAIT = "changes_wait"
    CHANNEL_SILENT = "channel_silent"
    PROCESS_SILENT = "process_silent"


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Something that needs a person, or soon will. ``account`` is an address, ``calendar`` Google's
    id of one; both are None for what concerns the whole installation. ``since`` is None where the
    ledger does not know it, ``message`` where there is nothing to add to state and cause.

    ``calendars`` is how many calendars one cause holds up, ``count`` how many events; ``host`` is
    the other side; ``last_try`` and ``next_try`` are set where something is tried again by itself.
    """

    account: str | None = None
    calendar: str | None = None
    state: ProblemState
    cause: str
    since: datetime | None = None
    next_step: str
    message: str | None = None
    calendars: int | None = None
    count: int | None = None
    host: str | None = None
    last_try: datetime | None = None
    next_try: datetime | None = None

    @property
    def title(self) -> str:
        """State and cause: for people."""
        return self.state if self.state == self.cause else f"{self.state} ({self.cause})"

    @property
    def holds(self) -> str:
        """What it holds up, and on which side: for people."""
        parts: list[str] = [sentence("at %(host)s", host=self.host)] if self.host else []
        if self.calendars is not None:
            parts.append(
                counted("holds up %(n)s calendar", "holds up %(n)s calendars", self.calendars)
            )
        if self.count is not None:
            parts.append(counted("%(n)s event", "%(n)s events", self.count))
        return joined(", ", *parts)

    @property
    def facts(self) -> str:
        """``holds``, with the tries: for people."""
        tries = [
            f"{word} try {moment:%Y-%m-%dT%H:%M:%SZ}"
            for word, moment in (("last", self.last_try), ("next", self.next_try))
            if moment is not None
        ]
        return ", ".join(part for part in (self.holds, *tries) if part)
