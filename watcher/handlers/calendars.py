"""The admins' pages *Calendars* and *Calendar*: how one calendar stands, what its passes did, and
what a person can have done for it. The actions are those of the commands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from flask import Blueprint, abort, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from watcher import errors
from watcher.accounts import verbs
from watcher.explain import asking, differences
from watcher.handlers import acting, answered, diary, explaining, speech, turns
from watcher.handlers import parts as shared
from watcher.handlers.admin import for_admins
from watcher.handlers.context import services
from watcher.ledger import aside, audit, listing, renewals, standing, told
from watcher.ledger import diary as kept
from watcher.services import Services
from watcher.sync import asked

_, ngettext = speech.gettext, speech.ngettext

bp = Blueprint("calendars", __name__)

MOST_ASIDE = 20
MOST_DIFFERENT = 10
COMPARE_SECONDS = 20.0
COMPARED = "compared"


@dataclass(frozen=True, slots=True)
class Target:
    """The calendar that an action is for."""

    number: int
    email: str


@bp.get("/calendars")
@for_admins
def everything() -> ResponseReturnValue:
    """A page of the list, those in trouble first."""
    chosen = listing.Chosen(
        letters=request.args.get("q", "").strip(),
        cause=request.args.get("cause", ""),
        kind=request.args.get("kind", ""),
    )
    app = services()
    with app.db.reading() as session:
        page = shared.paging(listing.count(session, chosen))
        found = listing.page(
            app.db, session, app.clock(), chosen, limit=page.limit, offset=page.offset
        )
    return render_template("calendars.html", found=found, chosen=chosen, page=page)


@bp.get("/calendars/<int:number>")
@for_admins
def one(number: int) -> ResponseReturnValue:
    return _page(number)


@bp.post("/calendars/<int:number>/compare")
@for_admins
@acting.looks
def ask(number: int) -> ResponseReturnValue:
    word = answered.pressed(COMPARED, number)
    page = url_for("calendars.compare", number=number, asked=word, _anchor="differences")
    return redirect(page, 303)


@bp.get("/calendars/<int:number>/compare")
@for_admins
def compare(number: int) -> ResponseReturnValue:
    """What differed when the button was pressed. The answer names titles, so that it stands on this
    page alone: not in the ledger."""
    try:
        return _page(number, answered.to(COMPARED, number, lambda: _differences(number)))
    except turns.TooMany:
        busy = _("Another search or comparison is still running here: try again in a few seconds.")
        return _page(number, problem=busy)
    except errors.WatcherError as error:
        return _page(number, problem=shared.sentences(error))


def _differences(number: int) -> differences.Differences:
    """Asks both sides, one comparison or search at a time, for a bounded time."""
    desk = cast(explaining.Desk, current_app.extensions[explaining.DESK])
    with turns.alone(desk.lock):
        p = differences.pass_that_looks(desk.services, number, asking.PATIENCE, COMPARE_SECONDS)
        return differences.look(p, MOST_DIFFERENT)


def _page(
    number: int,
    compared: answered.Answer[differences.Differences] | None = None,
    problem: str = "",
) -> ResponseReturnValue:
    app = services()
    with app.db.reading() as session:
        pairs = told.of_calendars(session, [number])
        if not pairs:
            abort(404)
        calendar = told.calendar(session, pairs[0], standing.moment(app.db, session, app.clock()))
        page = shared.paging(kept.count(session, number))
        passes = kept.passes(session, number, page.limit + 1, page.offset)
        newest = passes if page.number == 1 else kept.passes(session, number, diary.STRIP)
        older = passes[page.limit].at if len(passes) > page.limit else None
        moments = [
            each
            for each in kept.channel_moments(session, number, older)
            if page.number == 1 or each.at <= passes[0].at
        ]
        stand_aside, many_aside = aside.newest(session, number, MOST_ASIDE)
        row, in_erpnext = pairs[0][0], pairs[0][1].erpnext_user
    return render_template(
        "calendar.html",
        calendar=calendar,
        name=name_of(calendar.account.email, calendar.google_id),
        erpnext=app.settings.erpnext_url,
        erpnext_user=in_erpnext,
        strip=diary.strip(newest),
        lines=diary.lines(passes[: page.limit], moments),
        page=page,
        aside=stand_aside,
        many_aside=many_aside,
        to_confirm=row.sweep_shown if calendar.state == "held" else None,
        confirmed=row.sweep_allowed is not None,
        found=compared.value if compared else None,
        compared_at=compared.at if compared else None,
        problem=problem,
    )


def name_of(email: str, google_id: str) -> str:
    """An employee's own calendar is not named twice."""
    if google_id.lower() in (email, "primary"):
        return email
    return _("%(calendar)s of %(email)s", calendar=google_id, email=email)


# --- what a person can have done ------------------------------------------------------------


def _sync(app: Services, target: Target) -> str:
    asked.look_now(app, [target.number])
    return _("Google is read now; the log below says what was found.")


def _resync(app: Services, target: Target) -> str:
    asked.read_again(app, [target.number])
    return _("The whole window is read again now, and ERPNext corrected.")


def _renew(app: Services, target: Target) -> str:
    with app.db.session() as session:
        renewals.make_due(session, app.clock(), calendar_id=target.number)
    return _("A new channel is opened within seconds; then the old one is stopped.")


def _pause(app: Services, target: Target) -> str:
    verbs.pause(app, target.email)
    return _(
        "%(email)s is paused: nothing of its calendars is copied until it is resumed.",
        email=target.email,
    )


def _resume(app: Services, target: Target) -> str:
    verbs.resume(app, target.email)
    return _("%(email)s is active again: all its calendars are read again now.", email=target.email)


def _confirm(app: Services, target: Target) -> str:
    rows = request.form.get("rows", -1, type=int)
    asked.confirm_sweep(app, target.number, rows)
    return ngettext(
        "Confirmed: the next pass, which begins now, may cancel %(many)s row.",
        "Confirmed: the next pass, which begins now, may cancel %(many)s rows.",
        rows,
        many=speech.number(rows),
    )


ACTS = {
    "sync": audit.What.CALENDAR_SYNC,
    "resync": audit.What.CALENDAR_RESYNC,
    "renew": audit.What.CHANNEL_RENEW,
    "pause": audit.What.ACCOUNT_PAUSE,
    "resume": audit.What.ACCOUNT_RESUME,
    "confirm": audit.What.CANCELLATION_CONFIRM,
}
ACTIONS: dict[str, Callable[[Services, Target], str]] = {
    "sync": _sync,
    "resync": _resync,
    "renew": _renew,
    "pause": _pause,
    "resume": _resume,
    "confirm": _confirm,
}


@bp.post("/calendars/<int:number>/<any(sync, resync, renew, pause, resume, confirm):what>")
@for_admins
@acting.records(audit.What.CALENDAR_SYNC)
def act(number: int, what: str) -> ResponseReturnValue:
    """Each may be pressed twice: what is owed already is owed once."""
    app = services()
    try:
        with app.db.reading() as session:
            pairs = told.of_calendars(session, [number])
        if not pairs:
            abort(404)
        calendar, target = pairs[0][0], Target(number, pairs[0][1].email)
        of_account = what in ("pause", "resume")
        about = target.email if of_account else audit.calendar(target.email, calendar.google_id)
        audit.about(about, ACTS[what])
        shared.done(ACTIONS[what](app, target))
    except errors.NotFound:
        abort(404)
    except errors.WatcherError as error:
        shared.refused(error)
    return redirect(url_for("calendars.one", number=number), 303)
