"""Days and times within sentences. Pure, and imports nothing."""

from __future__ import annotations

from datetime import date
from typing import Final, Literal, Self

Shape = Literal["second", "minute", "day", "clock"]

_ENGLISH: Final = {
    "second": "%a %Y-%m-%d %H:%M:%S",
    "minute": "%a %Y-%m-%d %H:%M",
    "day": "%a %Y-%m-%d",
    "clock": "%H:%M",
}


class Moment(str):
    """A day or a time as an English text, which remembers what it was made of, so that a page can
    write it as its language does. An ``at`` with a time is in the zone in which it is told; the
    caller names that zone beside it."""

    at: date
    shape: Shape

    @classmethod
    def of(cls, at: date, shape: Shape) -> Self:
        """``Tue 2026-12-01 10:00:00`` (``second``), the same without seconds (``minute``), the
        ``day`` of it alone, or ``10:00`` (``clock``)."""
        made = cls(f"{at:{_ENGLISH[shape]}}")
        made.at, made.shape = at, shape
        return made
