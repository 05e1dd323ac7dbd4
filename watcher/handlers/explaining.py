"""The admin's page *Event*: why an event is, or is not, in ERPNext.

The question comes by POST, so that no address and no word of a title stands in an address or a log.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import cast

from flask import Blueprint, current_app, render_template, request
from flask.sansio.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from watcher.errors import UserError
from watcher.explain import search
from watcher.handlers import acting, speech
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
    """The search box, and the events that stand aside, by their ids: nobody is asked for their
    names before one of them is chosen. For WATCHER_ADMIN_EMAILS."""
    if signed_in() is None:
        return lead_to_sign_in()
    with services().db.reading() as session:
        shown, count = aside.latest(session, MOST_SHOWN)
    more = count - len(shown)
    return render_template("event.html", asked="", aside=shown, more_aside=more)


@bp.post("/event")
@acting.looks
def answer() -> ResponseReturnValue:
    """What is found, in the same sentences as those of ``watcher explain``."""
    if signed_in() is None:
        return lead_to_sign_in()
    asked, desk = request.form.get("what", "").strip(), cast(Desk, current_app.extensions[DESK])
    report, problem = None, ""
    try:
        with alone(desk.lock):
            report = search.explain(desk.services, asked, SECONDS)
    except TooMany:
        problem = _(BUSY)
    except UserError as error:
        said = speech.ended(speech.capital(speech.say(error.message)))
        problem = f"{said} {_(HOW)}"
    return render_template("event.html", asked=asked, report=report, problem=problem)
