"""Pure: the diary of a calendar in sentences, and as a strip of bars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from watcher.handlers.parts import in_words
from watcher.ledger.diary import ChannelSaid, Passed

WHY = {
    "added": "the calendar was added",
    "again": "changed during the last pass",
    "asked": "asked for",
    "channel": "new channel",
    "connect": "the employee connected",
    "left": "handed on to a worker for bulk work",
    "moved": "the calendar has another id in Google",
    "poll": "poll",
    "policy": "a setting changed",
    "push": "push from Google",
    "reconcile": "daily full sync",
    "refused": "events set aside tried again",
    "restart": "Watcher was restarted",
    "resync": "full sync asked for",
    "retry": "retry asked for",
    "sweep": "tried again",
    "touched": "rows were changed in ERPNext",
    "unanswered": "a write was not answered",
    "unrecorded": "pushes that could not be recorded",
}
_CHANNEL = {
    "opened": "A channel was opened at Google",
    "heard": "Google's first message came through it: pushes arrive",
    "message": "The last push that was noted came through it",
    "ended": "A channel ended",
    "refused": "Google refused a channel",
}
STRIP, BAR, GAP, TALL = 60, 6, 2, 28
GOOD, WARN, BAD = "good", "warn", "bad"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log. ``colour`` is that of the strip, empty for a channel's; ``trace`` finds
    a pass that failed in Watcher's own log."""

    at: datetime
    why: str
    text: str
    colour: str = ""
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """``x`` is its left edge; ``said`` is its tooltip."""

    x: int
    colour: str
    said: str


@dataclass(frozen=True, slots=True)
class Strip:
    """The last passes, the newest at the right, and the left edges of what is empty before them;
    ``said`` is for who cannot see it."""

    bars: Sequence[Bar]
    empty: Sequence[int]
    said: str
    width: int = STRIP * (BAR + GAP)
    height: int = TALL
    bar: int = BAR


def lines(passes: Iterable[Passed], moments: Iterable[ChannelSaid]) -> list[Line]:
    """The newest first."""
    found = [line(p) for p in passes]
    found += [Line(m.at, "channel", _channel(m)) for m in moments]
    return sorted(found, key=lambda line: line.at, reverse=True)


def line(p: Passed) -> Line:
    return Line(p.at, WHY.get(p.reason, p.reason), sentence(p), colour(p), p.trace * p.has_failed)


def _channel(moment: ChannelSaid) -> str:
    text = moment.text.strip().rstrip(".")
    return f"{_CHANNEL[moment.what]}{f': {text}' if text else ''}."


def sentence(p: Passed) -> str:
    """What a pass did. A failure has the words of the side that refused."""
    if p.has_failed:
        cause, _, words = p.error.partition(": ")
        return f"Failed ({in_words(cause)}): {words or 'no reason is known'}"
    numbers = (("new", p.created), ("changed", p.updated), ("cancelled", p.cancelled))
    written = ", ".join(f"{number} {word}" for word, number in numbers if number)
    parts = [f"In ERPNext {written}" if written else "Nothing to write"]
    if p.lag is not None:
        parts.append(f"{p.lag:.1f} s after the change in Google")
    if p.refused:
        parts.append(f"{p.refused} set aside")
    read = "full sync" if p.kind == "snapshot" else "change sync"
    missed = " No push had told of it." if p.was_missed else ""
    return f"{', '.join(parts)} ({read}: {p.items:,} read in {p.seconds:.1f} s).{missed}"


def colour(p: Passed) -> str:
    if p.has_failed:
        return BAD
    return WARN if p.refused or p.was_missed else GOOD


def strip(newest_first: Sequence[Passed]) -> Strip:
    shown = list(reversed(newest_first[:STRIP]))
    left = STRIP - len(shown)
    bars = [
        Bar((left + n) * (BAR + GAP), colour(p), f"{p.at:%Y-%m-%d %H:%M:%S} UTC: {sentence(p)}")
        for n, p in enumerate(shown)
    ]
    counted = Counter(bar.colour for bar in bars)
    said = (
        f"The last {len(bars)} passes: {counted[GOOD]} went well, {counted[WARN]} set an event "
        f"aside or found what no push had told of, {counted[BAD]} failed"
    )
    return Strip(bars, [n * (BAR + GAP) for n in range(left)], said)
