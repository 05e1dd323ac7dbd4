"""The sandbox's clock: real time plus an offset that tests and the demo may set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """``now()`` is aware UTC. Everything that expires on the server asks this clock.

    Two things use real time instead, because the other side's real clock judges them: the times
    inside ID tokens, and the check of a service account's assertion.
    """

    def __init__(self) -> None:
        self._offset = timedelta()

    @property
    def offset(self) -> float:
        """Seconds ahead of real time (negative: behind)."""
        return self._offset.total_seconds()

    def set_offset(self, seconds: float) -> None:
        self._offset = timedelta(seconds=seconds)

    def advance(self, seconds: float) -> None:
        self._offset += timedelta(seconds=seconds)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def now_ms(self) -> int:
        return int(self.now().timestamp() * 1000)
