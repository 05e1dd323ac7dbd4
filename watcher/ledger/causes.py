"""Pure: which causes concern the whole installation, and what only follows from another cause."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from watcher.errors import Cause
from watcher.ledger.problems import Problem, ProblemState


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """What the installation looks like from the process that asks, besides the ledger.

    ``day_line``: calls of Google's API that the project may make a day. ``own_queue``: the queue
    comes and goes with ``watcher up``. ``refusal``: why the ledger takes no write;
    ``queue_refusal``: why the queue takes no job, though it answers; ``silence``: why the web
    process of this machine does not answer. They are empty where all is well, or where nobody has
    tried.
    """

    public_url: str = ""
    erpnext_host: str = ""
    google_host: str = ""
    own_queue: bool = False
    day_line: int = 1_000_000
    refusal: str = ""
    queue_refusal: str = ""
    silence: str = ""


NOWHERE = Place()
ERPNEXT = frozenset(
    {
        Cause.ERPNEXT_UNAVAILABLE,
        Cause.AUTH,
        Cause.PERMISSION,
        Cause.NO_SITE,
        Cause.REDIRECTED,
        Cause.API_USER_ADMINISTRATOR,
    }
)
"""Causes for which no ToDo can be written either."""
GOOGLE = frozenset(
    {
        # Google refuses the program, whoever it acts for.
        "deleted_client",
        "invalid_client",
        "disabled_client",
        "access_not_configured",
        "service_disabled",
        "project_suspended",
        Cause.SERVICE_ACCOUNT_KEY,
        Cause.NO_SERVICE_ACCOUNT,
        Cause.GOOGLE_QUOTA,
        Cause.GOOGLE_UNAVAILABLE,
    }
)
WIDE = (
    ERPNEXT
    | GOOGLE
    | frozenset(
        {
            Cause.MISSING_FIELDS,
            Cause.NO_CONNECTED_APP,
            Cause.LEDGER_UNAVAILABLE,
            # The settings and the workers are there for all calendars.
            Cause.SETTINGS,
            Cause.WAITING_FOR_WORKER,
            # ERPNext refuses whatever it is sent, or answers everybody late.
            Cause.REFUSED_BY_ERPNEXT,
            Cause.ERPNEXT_QUEUE_FULL,
        }
    )
)
"""Causes that concern the whole installation, even while only one calendar shows them."""
AT_ERPNEXT = ERPNEXT | {Cause.MISSING_FIELDS, Cause.REFUSED_BY_ERPNEXT, Cause.ERPNEXT_QUEUE_FULL}

_STOPPED = frozenset({Cause.WATCHER_NOT_RUNNING})
_NO_QUEUE = frozenset({Cause.REDIS_UNREACHABLE, Cause.REDIS_REFUSES_JOBS})
_NO_WEB = _STOPPED | {Cause.WEB_NOT_RUNNING, Cause.WEB_NOT_ANSWERING, Cause.LEDGER_REFUSES_WRITES}
UNHEARD = _NO_WEB | {Cause.NO_PUSH_ARRIVES, Cause.ADDRESS_UNREACHABLE}
"""While one of these lasts no channel can be heard."""
FOLLOWS: Mapping[str, frozenset[str]] = {
    Cause.WAITING_FOR_WORKER: _STOPPED | _NO_QUEUE | {Cause.WORKER_NOT_RUNNING},
    Cause.WAITING_FOR_TURN: _STOPPED | _NO_QUEUE | {Cause.WORKER_NOT_RUNNING},
    Cause.CRON_NOT_RUNNING: _STOPPED,
    Cause.WORKER_NOT_RUNNING: _STOPPED,
    Cause.WEB_NOT_RUNNING: _STOPPED,
    Cause.WEB_NOT_ANSWERING: _STOPPED | {Cause.WEB_NOT_RUNNING},
    Cause.ADDRESS_UNREACHABLE: _NO_WEB,
    Cause.NO_PUSH_ARRIVES: _NO_WEB | {Cause.ADDRESS_UNREACHABLE},
    Cause.NO_CHANNEL: _STOPPED | GOOGLE,
}
"""What is no trouble of its own while one of these lasts."""
_CRON = "cron does not run"
_TICKS = (ProblemState.NO_SWEEP_RUN, ProblemState.NO_RENEW_RUN)


def settled(problems: Sequence[Problem], place: Place) -> list[Problem]:
    """One problem for one cause: without what only follows from another, and those of the whole
    installation first."""
    followers: dict[int, list[Problem]] = defaultdict(list)
    roots: dict[int, Problem] = {}
    first = _first_of_each(problems)
    for problem in problems:
        root = _root(problem, first, place)
        if root is None:
            roots[id(problem)] = problem
        else:
            followers[id(root)].append(problem)
    found = [_holding(root, followers[key]) for key, root in roots.items()]
    return sorted(found, key=lambda problem: problem.account is not None)


_Firsts = Mapping[str, tuple[int, Problem]]


def _first_of_each(problems: Sequence[Problem]) -> _Firsts:
    """The first problem of each cause, with its place among all: there may be thousands, of a few
    causes. ``_CRON`` has the first one that says of cron that it does not run."""
    found: dict[str, tuple[int, Problem]] = {}
    for place, each in enumerate(problems):
        found.setdefault(each.cause, (place, each))
        if (each.state, each.cause) == (ProblemState.NOT_RUNNING, Cause.CRON_NOT_RUNNING):
            found.setdefault(_CRON, (place, each))
    return found


def _root(problem: Problem, first: _Firsts, place: Place) -> Problem | None:
    """The trouble that this one follows from."""
    causes = FOLLOWS.get(problem.cause, frozenset())
    if place.own_queue and problem.cause == Cause.REDIS_UNREACHABLE:
        causes = _STOPPED
    if problem.state in _TICKS:
        causes |= {_CRON}
    found = [first[cause] for cause in causes if cause in first]
    return min(found, key=itemgetter(0))[1] if found else None


def _holding(root: Problem, followers: Sequence[Problem]) -> Problem:
    """The cause holds up as many calendars as the widest of what follows from it."""
    counted: Counter[str] = Counter()
    for each in followers:
        counted[each.cause] += each.calendars or (1 if each.calendar is not None else 0)
    held = max([root.calendars or 0, *counted.values()])
    return replace(root, calendars=held or None)
