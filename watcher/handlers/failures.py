"""The admins' page *Failures*: one entry for each cause, with how much it holds up, what to do, and
a button for all that it concerns."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from watcher.errors import WatcherError
from watcher.handlers import acting, needs, speech
from watcher.handlers import parts as shared
from watcher.handlers.admin import for_admins
from watcher.handlers.context import looking, services
from watcher.ledger import audit, failing, leaving
from watcher.ledger.leaving import Which
from watcher.ledger.problems import ProblemState
from watcher.sync import asked

_, ngettext = speech.gettext, speech.ngettext

bp = Blueprint("failures", __name__)


@bp.get("/failures")
@for_admins
def show() -> ResponseReturnValue:
    """The installation's causes come first. Everything is counted by the ledger."""
    app = services()
    status = looking().now().status
    waits = [each for each in status.warnings if each.state != ProblemState.SET_ASIDE]
    with app.db.reading() as session:
        counts = {each.cause: each for each in failing.causes(session)}
        aside = failing.aside_causes(session)
        problems = needs.lines(session, needs.grouped(status.problems))
        warnings = needs.lines(session, needs.grouped(waits))
        held = failing.to_confirm(session, needs.MOST_FIGURES)
        left = leaving.count(session)
        last_tries = failing.last_tries(session, app.clock())
    told = {each.problem.cause for each in problems}
    return render_template(
        "failures.html",
        problems=problems,
        warnings=warnings,
        counts=counts,
        others=[each for cause, each in counts.items() if cause not in told],
        aside=aside,
        held=held,
        left=left,
        last_tries=last_tries,
        calendars_of=needs.calendars_of,
    )


@bp.post("/failures/retry")
@for_admins
@acting.records(audit.What.QUEUE_RETRY)
def retry() -> ResponseReturnValue:
    """``watcher queue retry``, for one cause where the form names one."""
    try:
        many = asked.try_again(services(), request.form.get("cause") or None)
        if many:
            shared.done(
                ngettext(
                    "%(many)s calendar is tried again now.",
                    "%(many)s calendars are tried again now.",
                    many,
                    many=speech.number(many),
                )
            )
        else:
            shared.done(_("Nothing is left to try again."))
    except WatcherError as error:
        shared.refused(error)
    return redirect(url_for("failures.show"), 303)


@bp.post("/failures/leave")
@for_admins
@acting.records(audit.What.EVENT_LEAVE)
def leave() -> ResponseReturnValue:
    """``watcher queue leave``."""
    which = _which()
    count = asked.leave_aside(services(), which) if str(which) else 0
    shared.done(
        ngettext(
            "%(many)s event is left aside: nobody is told of it, and it is not tried again.",
            "%(many)s events are left aside: nobody is told of them, and they are not tried again.",
            count,
            many=speech.number(count),
        )
    )
    return redirect(_back(), 303)


@bp.post("/failures/take-up")
@for_admins
@acting.records(audit.What.EVENT_TAKE_UP)
def take_up() -> ResponseReturnValue:
    """``watcher queue take-up``."""
    count = asked.take_up(services(), _which())
    shared.done(_("They are tried again now.") if count else _("Nothing was left aside."))
    return redirect(_back(), 303)


def _which() -> Which:
    given = request.form.get
    return Which(cause=given("cause", ""), email=given("email", ""), event_id=given("event", ""))


def _back() -> str:
    """To the page with the button: of a calendar, or this one."""
    number = request.form.get("calendar", type=int)
    return url_for("failures.show") if number is None else url_for("calendars.one", number=number)
