"""What needs a person, for the pages: one line for each cause, however many it concerns, each with
exactly one button. Which of them there are is the status document's matter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from flask import url_for
from sqlalchemy.orm import Session

from watcher.errors import Cause
from watcher.handlers import speech
from watcher.languages.sentence import Sentence
from watcher.ledger import failing, told
from watcher.ledger.problems import Problem, ProblemState

_, ngettext = speech.gettext, speech.ngettext

TRIED_AGAIN = frozenset(
    {
        ProblemState.FAILING,
        ProblemState.DELAYED,
        ProblemState.NOT_MASKED,
        ProblemState.NOT_CANCELLED,
    }
)
"""States of which a person can say that it is to be tried again at once."""
AT_ACCOUNT = frozenset({ProblemState.PAUSED, ProblemState.DISCONNECTING})


@dataclass(frozen=True, kw_only=True, slots=True)
class Button:
    """A form of one button, or a link where it changes nothing (``posts``)."""

    label: str
    path: str
    fields: Mapping[str, object] = field(default_factory=dict)
    posts: bool = True
    hurts: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Problems of the same state and cause: the ``first`` of them, how many there are, and of how
    many employees."""

    first: Problem
    count: int
    employees: int

    @property
    def is_single(self) -> bool:
        return self.count == 1 and self.first.account is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """``who`` is an address or how many there are; ``number`` is that of the one calendar that it
    is about. ``step`` names nobody where it is for several."""

    problem: Problem
    who: str
    number: int | None
    button: Button
    step: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What is looked up for the buttons: accounts and calendars by address, and the figures of the
    mass cancellations that wait, by calendar."""

    named: Mapping[str, Sequence[told.Named]]
    figures: Mapping[int, int]


def grouped(problems: Iterable[Problem]) -> list[Group]:
    """In the order of the first of each. Pure."""
    found: dict[object, list[Problem]] = {}
    for problem in problems:
        alike = (problem.state, problem.cause, problem.account is None)
        found.setdefault(alike, []).append(problem)
    return [_group(alike) for alike in found.values()]


def _group(alike: Sequence[Problem]) -> Group:
    oldest = min(alike, key=lambda p: (p.since is None, p.since or p.next_try or 0))
    employees = len({p.account for p in alike if p.account is not None})
    return Group(first=oldest, count=len(alike), employees=employees)


def lines(session: Session, groups: Sequence[Group]) -> list[Line]:
    """Two questions to the ledger, however many lines there are."""
    emails = {g.first.account for g in groups if g.is_single and g.first.account}
    held = any(g.first.cause == Cause.SWEEP_HELD for g in groups)
    sweeps = failing.to_confirm(session, MOST_FIGURES) if held else []
    known = Known(
        named=told.named(session, sorted(emails)) if emails else {},
        figures={c.id: c.sweep_shown for c, _ in sweeps if c.sweep_shown is not None},
    )
    return [_line(group, known) for group in groups]


MOST_FIGURES = 50
ANYBODY = {"email": "EMAIL", "user": "USER"}
"""What stands in a step for many, by the name of the value in a sentence."""


def _line(group: Group, known: Known) -> Line:
    problem = group.first
    mine = known.named.get(problem.account or "", ()) if group.is_single else ()
    calendar = next((each for each in mine if each.google_id == problem.calendar), None)
    return Line(
        problem=problem,
        who=_who(group),
        number=calendar.number if calendar else None,
        button=_button(group, calendar, mine, known),
        step=problem.next_step if group.is_single else _for_each(problem.next_step, problem),
    )


def _for_each(step: str, problem: Problem) -> str:
    """The step of one of many, with EMAIL, USER and ID for what is of that one."""
    if isinstance(step, Sentence):
        values = {
            name: ANYBODY.get(name)
            or (_for_each(value, problem) if isinstance(value, str) else value)
            for name, value in step.values.items()
        }
        return Sentence.of(step.template, values, step.plural)
    for mine, word in ((problem.account, "EMAIL"), (problem.calendar, "ID")):
        step = step.replace(mine, word) if mine else step
    return step


def _who(group: Group) -> str:
    problem = group.first
    if problem.account is None:
        return "Watcher"
    if group.is_single:
        return problem.account
    if problem.calendar is None or group.count == group.employees:
        return _employees(group.employees)
    return calendars_of(group.count, group.employees)


def _employees(many: int) -> str:
    return ngettext("%(many)s employee", "%(many)s employees", many, many=speech.number(many))


def calendars_of(calendars: int, employees: int) -> str:
    """How many calendars, of how many people."""
    calendars_ = ngettext(
        "%(many)s calendar", "%(many)s calendars", calendars, many=speech.number(calendars)
    )
    of = {"calendars": calendars_, "employees": _employees(employees)}
    return _("%(calendars)s (%(employees)s)", **of)


def _button(
    group: Group, calendar: told.Named | None, mine: Sequence[told.Named], known: Known
) -> Button:
    problem = group.first
    if problem.state == ProblemState.NEEDS_RECONNECT:
        return _reconnect(problem.account if group.is_single else None, mine)
    if problem.state in AT_ACCOUNT:
        wanted = {"q": problem.account} if group.is_single else {"state": str(problem.state)}
        return Button(label=_("Show"), path=url_for("employees.everybody", **wanted), posts=False)
    if problem.cause == Cause.SWEEP_HELD:
        return _confirm(calendar, known)
    if problem.state == ProblemState.NO_CHANNEL and calendar is not None:
        path = url_for("calendars.act", number=calendar.number, what="renew")
        return Button(label=_("Open a channel"), path=path)
    if problem.state == ProblemState.SET_ASIDE:
        if problem.next_try is None:  # no try can help: they are to be changed in Google
            fields = {"cause": problem.cause}
            return Button(label=_("Leave aside"), path=url_for("failures.leave"), fields=fields)
        return Button(label=_("Try again now"), path=url_for("failures.retry"))
    held = problem.account or problem.calendars  # else cron alone has found it
    if problem.state in TRIED_AGAIN and held and problem.cause != Cause.WAITING_FOR_WORKER:
        path = url_for("failures.retry")
        return Button(label=_("Try again now"), path=path, fields={"cause": problem.cause})
    return Button(label=_("Check the system"), path=url_for("system.show"), posts=False)


def _reconnect(email: str | None, mine: Sequence[told.Named]) -> Button:
    source = mine[0].source if mine else ""
    if email is None:
        path = url_for("employees.everybody", state="needs_reconnect")
        return Button(label=_("Show them"), path=path, posts=False)
    act = url_for("employees.act")
    if source == "oauth":
        return Button(label=_("Make a reconnect link"), path=act, fields={"one": f"link {email}"})
    if source == "service-account":
        return Button(label=_("Try it again"), path=act, fields={"one": f"resume {email}"})
    return Button(label=_("Show"), path=url_for("employees.everybody", q=email), posts=False)


def _confirm(calendar: told.Named | None, known: Known) -> Button:
    """By the figure that is in the label. Several calendars have a figure each, on the page."""
    rows = known.figures.get(calendar.number) if calendar else None
    if calendar is not None and rows is None:  # confirmed already
        path = url_for("calendars.one", number=calendar.number)
        return Button(label=_("Show"), path=path, posts=False)
    if calendar is None or rows is None:
        path = url_for("failures.show", _anchor="confirm")
        return Button(label=_("Look at the figures"), path=path, posts=False)
    return Button(
        label=ngettext(
            "Cancel %(many)s row in ERPNext",
            "Cancel %(many)s rows in ERPNext",
            rows,
            many=speech.number(rows),
        ),
        path=url_for("calendars.act", number=calendar.number, what="confirm"),
        fields={"rows": rows},
        hurts=True,
    )
