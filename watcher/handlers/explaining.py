"""The admin's page *Event*: why an event is, or is not, in ERPNext.

The question comes by POST and is encrypted in the address of the answer, so that no word of a title
stands in a log or in the browser's history.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import cast

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask.sansio.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from watcher.errors import UserError
from watcher.explain import search
from watcher.explain.answers import Report
from watcher.handlers import acting, answered, speech
from watcher.handlers.admin import lead_to_sign_in, signed_in
from watcher.handlers.context import EXTENSION, services
from watcher.handlers.turns import TooMany, alone
from watcher.languages.catalogs import N_
from watcher.ledger import aside
from watcher.services import Services, impatient

_ = speech.gettext

bp = Blueprint("explaining", __name__)

SECONDS = 15.0
MOST_SHOWN = 20
MOST_ASKED = 500
"""Characters of a question: so many are sealed in an address."""
ASKED = "search"
DESK = __name__
BUSY = N_("Another search is still running here: try again in a few seconds.")
HOW = N_(
    "Give an event's id, its link in Google Calendar, ERPNext's name such as EV00001, or an "
    "employee's address with words of the title or a date."
)


@dataclass(slots=True)
class Desk:
    """Where searches are made: one at a time, since each holds a thread of the web server while
    Google and ERPNext are asked, and notifications need theirs."""

    services: Services
    lock: threading.Lock = field(default_factory=threading.Lock)


@bp.record_once
def _prepare(state: BlueprintSetupState) -> None:
    state.app.extensions[DESK] = Desk(impatient(state.app.extensions[EXTENSION]))


@bp.get("/event")
def ask() -> ResponseReturnValue:
    """The search box, and what is found of what was asked, in the same sentences as those of
    ``watcher explain``. For WATCHER_ADMIN_EMAILS."""
    if signed_in() is None:
        return lead_to_sign_in()
    asked = answered.question(ASKED)
    return _standing_aside() if asked is None else _answer(asked)


@bp.post("/event")
@acting.looks
def answer() -> ResponseReturnValue:
    """To the answer, by an address that can be loaded again and tells nobody what was asked."""
    if signed_in() is None:
        return lead_to_sign_in()
    asked = request.form.get("what", "").strip()[:MOST_ASKED]
    return redirect(url_for("explaining.ask", asked=answered.pressed(ASKED, asked)), 303)


def _standing_aside() -> ResponseReturnValue:
    """The events that stand aside, by their ids: nobody is asked for their names before one of
    them is chosen."""
    with services().db.reading() as session:
        shown, count = aside.latest(session, MOST_SHOWN)
    more = count - len(shown)
    return render_template("event.html", asked="", aside=shown, more_aside=more)


def _answer(asked: str) -> ResponseReturnValue:
    report, problem = None, ""
    try:
        report = answered.to(ASKED, asked, lambda: _explained(asked))
    except TooMany:
        problem = _(BUSY)
    except UserError as error:
        said = speech.ended(speech.capital(speech.say(error.message)))
        problem = f"{said} {_(HOW)}"
    return render_template(
        "event.html",
        asked=asked,
        report=report.value if report else None,
        asked_at=report.at if report else None,
        problem=problem,
    )


def _explained(asked: str) -> Report:
    desk = cast(Desk, current_app.extensions[DESK])
    with alone(desk.lock):
        return search.explain(desk.services, asked, SECONDS)
