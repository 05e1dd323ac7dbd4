"""The diary of a calendar in sentences, and as a strip of bars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from watcher.handlers import speech
from watcher.languages.catalogs import N_
from watcher.ledger import runs
from watcher.ledger.diary import ChannelSaid, Passed

_ = speech.gettext

WHY = {
    "added": N_("the calendar was added"),
    "again": N_("changed during the last pass"),
    "asked": N_("asked for"),
    "channel": N_("new channel"),
    "connect": N_("the employee connected"),
    "left": N_("handed on to a worker for bulk work"),
    "moved": N_("the calendar has another id in Google"),
    "poll": N_("poll"),
    "policy": N_("a setting changed"),
    "push": N_("push from Google"),
    "reconcile": N_("daily full sync"),
    "refused": N_("events set aside tried again"),
    "restart": N_("Watcher was restarted"),
    "resync": N_("full sync asked for"),
    "retry": N_("retry asked for"),
    "sweep": N_("tried again"),
    "touched": N_("rows were changed in ERPNext"),
    "unanswered": N_("a write was not answered"),
    "unreached": N_("pushes that could not reach Watcher"),
    "unrecorded": N_("pushes that could not be recorded"),
}
_CHANNEL = {
    "opened": N_("A channel was opened at Google"),
    "heard": N_("Google's first message came through it: pushes arrive"),
    "message": N_("The last push that was noted came through it"),
    "ended": N_("A channel ended"),
    "refused": N_("Google refused a channel"),
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
    found += [Line(m.at, _("channel"), _channel(m)) for m in moments]
    return sorted(found, key=lambda line: line.at, reverse=True)


def line(p: Passed) -> Line:
    return Line(
        p.at, _(WHY.get(p.reason, p.reason)), sentence(p), colour(p), p.trace * p.has_failed
    )


def _channel(moment: ChannelSaid) -> str:
    text = speech.say(moment.text.strip())
    said = _(_CHANNEL[moment.what])
    return speech.ended(f"{said}: {text}" if text else said)


def sentence(p: Passed) -> str:
    """What a pass did. A failure has the words of the side that refused."""
    if p.has_failed:
        cause = p.error.partition(": ")[0]
        reason = speech.say(runs.why(p.error)) or _("no reason is known")
        return _("Failed (%(cause)s): %(reason)s", cause=speech.in_words(cause), reason=reason)
    did = ", ".join(_did(p))
    read = {"did": did, "many": speech.number(p.items), "seconds": speech.number(p.seconds, 1)}
    if p.kind == "snapshot":
        text = _("%(did)s (full sync: %(many)s read in %(seconds)s s).", **read)
    else:
        text = _("%(did)s (change sync: %(many)s read in %(seconds)s s).", **read)
    return f"{text} {_('No push had told of it.')}" if p.was_missed else text


def _did(p: Passed) -> Iterator[str]:
    written = [
        _(words, many=speech.number(many))
        for words, many in (
            (N_("%(many)s new"), p.created),
            (N_("%(many)s changed"), p.updated),
            (N_("%(many)s cancelled"), p.cancelled),
        )
        if many
    ]
    yield (
        _("In ERPNext %(written)s", written=", ".join(written))
        if written
        else _("Nothing else to write")
        if p.held
        else _("Nothing to write")
    )
    if p.lag is not None:
        yield _("%(seconds)s s after the change in Google", seconds=speech.number(p.lag, 1))
    if p.refused:
        yield _("%(many)s set aside", many=speech.number(p.refused))
    if p.held:
        yield speech.ngettext(
            "%(many)s cancellation left to be confirmed",
            "%(many)s cancellations left to be confirmed",
            p.held,
            many=speech.number(p.held),
        )


def colour(p: Passed) -> str:
    if p.has_failed:
        return BAD
    return WARN if p.refused or p.held or p.was_missed else GOOD


def strip(newest_first: Sequence[Passed]) -> Strip:
    shown = list(reversed(newest_first[:STRIP]))
    left = STRIP - len(shown)
    bars = [
        Bar((left + n) * (BAR + GAP), colour(p), f"{p.at:%Y-%m-%d %H:%M:%S} UTC: {sentence(p)}")
        for n, p in enumerate(shown)
    ]
    counted = Counter(bar.colour for bar in bars)
    said = speech.ngettext(
        "The last pass: %(good)s went well, %(warn)s set an event aside, left cancellations to be "
        "confirmed or found what no push had told of, %(bad)s failed.",
        "The last %(many)s passes: %(good)s went well, %(warn)s set an event aside, left "
        "cancellations to be confirmed or found what no push had told of, %(bad)s failed.",
        len(bars),
        many=len(bars),
        good=counted[GOOD],
        warn=counted[WARN],
        bad=counted[BAD],
    )
    return Strip(bars, [n * (BAR + GAP) for n in range(left)], said)
