"""The answer to a question about one event: a verdict in one sentence, and the facts behind it,
each with its source. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal

Source = Literal["Google now", "ERPNext now", "ledger", "rules"]


class Verdict(StrEnum):
    """How an event stands, in one word."""

    IN_ERPNEXT = "in_erpnext"
    """As it should be."""
    LEFT_OUT = "left_out"
    """It is not in ERPNext, and is not meant to be."""
    GONE = "gone"
    """It is deleted in Google, and has no live row."""
    WAITING = "waiting"
    """Something is still to be written, and nothing is wrong."""
    DIFFERS = "differs"
    """ERPNext holds it otherwise than Watcher has written it."""
    SET_ASIDE = "set_aside"
    """ERPNext has refused it, or cannot hold it."""
    BLOCKED = "blocked"
    """The account or the calendar has a trouble, and nothing of it is written."""
    UNKNOWN = "unknown"
    """A side did not answer, and without it nothing can be said."""
    NOT_MIRRORED = "not_mirrored"
    """ERPNext's row is not Watcher's, or nobody's connected calendar holds the event."""


@dataclass(frozen=True, slots=True)
class Said:
    """One fact, and who says it. ``rules`` are the settings and what follows from them."""

    source: Source
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What is told of one event. ``title`` and ``day`` are None where they are not known or not to
    be shown; ``private``: because the event is private. ``what`` names the event for people."""

    verdict: Verdict
    headline: str
    what: str
    said: tuple[Said, ...] = ()
    steps: tuple[str, ...] = ()
    account: str | None = None
    calendar: str | None = None
    event: str | None = None
    erpnext: str | None = None
    title: str | None = None
    day: str | None = None
    private: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "verdict": str(self.verdict),
            "sentence": self.headline,
            "account": self.account,
            "calendar": self.calendar,
            "event": self.event,
            "title": self.title,
            "day": self.day,
            "private": self.private,
            "erpnext": self.erpnext,
            "facts": [{"source": said.source, "text": said.text} for said in self.said],
            "next_steps": list(self.steps),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The answers to one question; ``sentence`` is what is said where there is none. Of several
    ``answers`` only the headlines are needed to choose one. ``searched`` says what was looked
    through; ``unheard`` which side did not answer, and why. ``zone`` is the one in which times are
    told."""

    sentence: str = ""
    answers: tuple[Answer, ...] = ()
    searched: tuple[str, ...] = ()
    unheard: tuple[Said, ...] = ()
    steps: tuple[str, ...] = ()
    more: int = 0
    zone: str = "UTC"
    now: datetime
    code: int = 0

    def as_json(self) -> dict[str, Any]:
        return {
            "found": bool(self.answers),
            "sentence": self.sentence,
            "answers": [answer.as_json() for answer in self.answers],
            "more": self.more,
            "searched": list(self.searched),
            "unheard": [{"source": said.source, "text": said.text} for said in self.unheard],
            "next_steps": list(self.steps),
            "time_zone": self.zone,
            "at": f"{self.now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "code": self.code,
        }
