"""What waits or stands aside and needs nobody so far: it makes the light amber, not red."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from watcher.errors import Cause
from watcher.languages.sentence import sentence
from watcher.ledger import causes, standing
from watcher.ledger.document import SetAside
from watcher.ledger.fleet import Fleet
from watcher.ledger.problems import Problem, ProblemState
from watcher.ledger.states import CalendarStatus


def find(fleet: Fleet, aside: SetAside, problems: Sequence[Problem]) -> list[Problem]:
    """``problems`` are told already, and not told again as a warning."""
    found = [*_set_aside(aside), *_waiting(fleet), *_unanswered(fleet)]
    if not any(problem.cause in causes.UNHEARD for problem in problems):
        found += _silent(fleet)
    return found


def _set_aside(aside: SetAside) -> Iterator[Problem]:
    if aside.count:
        first = aside.causes[0]
        yield Problem(
            state=ProblemState.SET_ASIDE,
            cause=first.cause,
            since=aside.oldest,
            count=aside.count,
            next_try=aside.next_try,
            next_step="watcher queue show",
            message=sentence(
                "%(number)s of them: %(message)s", number=first.count, message=first.message
            )
            if first.message
            else None,
        )


def _waiting(fleet: Fleet) -> Iterator[Problem]:
    """Changes that have waited for longer than a change that Google tells of may, where no problem
    says so."""
    late = [
        (calendar, since)
        for (calendar, _), since in fleet.waits()
        if fleet.statuses[calendar.id] == CalendarStatus.SYNCING
        and fleet.seen.now - since > standing.DELAYED_AFTER
        and standing.unanswered_since(calendar, fleet.seen) is None
    ]
    if late:
        words = Counter(calendar.cause or Cause.WAITING_FOR_TURN for calendar, _ in late)
        yield Problem(
            state=ProblemState.CHANGES_WAIT,
            cause=words.most_common(1)[0][0],
            since=min(since for _, since in late),
            calendars=len(late),
            next_step=sentence(
                "nothing yet: they are read one after the other; `watcher queue show` says how "
                "many jobs wait"
            ),
        )


def _unanswered(fleet: Fleet) -> Iterator[Problem]:
    """Workers that wait for one answer of Google's or ERPNext's for longer than either takes. When
    they give up it is a problem, with the side that did not answer."""
    hang = [
        since
        for calendar, _ in fleet.pairs
        if fleet.statuses[calendar.id] == CalendarStatus.SYNCING
        if (since := standing.unanswered_since(calendar, fleet.seen)) is not None
    ]
    if hang:
        yield Problem(
            state=ProblemState.CHANGES_WAIT,
            cause=Cause.WAITING_FOR_ANSWER,
            since=min(hang),
            calendars=len(hang),
            next_step=sentence(
                "nothing yet: within a minute it answers or is told as away; `watcher doctor` "
                "tries both sides now"
            ),
        )


def _silent(fleet: Fleet) -> Iterator[Problem]:
    """Single channels without a word, while others are heard."""
    quiet = fleet.watching.quiet
    if quiet:
        yield Problem(
            state=ProblemState.CHANNEL_SILENT,
            cause=Cause.CHANNEL_SILENT,
            since=min(quiet),
            calendars=len(quiet),
            next_step=sentence(
                "nothing yet: they are polled every few minutes, and watched anew by themselves"
            ),
        )
