"""What fails again and again within one process, such as a try every few seconds while the ledger
is away: it is logged once, and once when it is over."""

from __future__ import annotations

import logging


class Spell:
    """Tries of one kind."""

    def __init__(self) -> None:
        self._failed = 0

    def failed(self) -> int:
        """One more has failed; the level at which to log it."""
        self._failed += 1
        return logging.WARNING if self._failed == 1 else logging.DEBUG

    def over(self, log: logging.Logger, what: str) -> None:
        """One went through: say so if others had failed."""
        if self._failed:
            log.warning("%s again, after %s tries that failed", what, self._failed)
        self._failed = 0
