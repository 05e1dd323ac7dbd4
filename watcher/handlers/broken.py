"""What an admin's page says when it cannot be made: what is wrong, what that means, what to do. The
driver's own words, which may name machines, are in the log alone."""

from __future__ import annotations

import logging

from flask import Flask, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.wrappers import Response

from watcher.errors import LATER, Transient
from watcher.handlers import messages, speech
from watcher.telemetry import traces

_, N_ = speech.gettext, messages.N_

log = logging.getLogger(__name__)

LEDGER = "ledger"
SIDES = {
    LEDGER: N_("The ledger does not answer"),
    "google": N_("Google does not answer"),
    "erpnext": N_("ERPNext does not answer"),
    "queue": N_("The queue does not answer"),
}
MEANWHILE = {
    LEDGER: N_(
        "No page can be shown until it does. What Google tells of meanwhile is answered so that "
        "Google repeats it, and every calendar is looked at once afterwards: nothing is lost. "
        "Watcher goes on by itself."
    ),
}
STEPS = {
    LEDGER: (
        N_(
            "See that the database runs and is reached (WATCHER_DATABASE_URL), and that its disk "
            "is not full."
        ),
        N_("On Watcher's machine `watcher doctor` says what it finds, and the log has the reason."),
    ),
}
TOLD = {
    405: (
        N_("This is no page"),
        N_("This address takes the form of a page, and is no page itself. Go back to the page."),
    ),
    413: (N_("That is too much at once"), N_("Send less, in several parts. Nothing was done.")),
}
OTHER = (
    N_("This cannot be answered"),
    N_("The form or the address is not one of Watcher's. Nothing was done: go back to the page."),
)
SECONDS = 30


def set_up(app: Flask) -> None:
    app.register_error_handler(Transient, _away)
    app.register_error_handler(InternalServerError, _defect)
    app.register_error_handler(HTTPException, _other)


def _away(error: Transient) -> ResponseReturnValue:
    if speech.is_for_employees(request.blueprint):
        return messages.unavailable(error)
    log.error("request failed: %s", error.message)
    page = _page(
        _(SIDES.get(error.side, N_("It cannot be done at this moment"))),
        [_(MEANWHILE.get(error.side, N_("Nothing was changed.")))],
        [speech.capital(speech.say(step)) for step in STEPS.get(error.side, (LATER[error.side],))],
    )
    return page, 503, {"Retry-After": str(SECONDS)}


def _defect(_error: InternalServerError) -> ResponseReturnValue:
    """Flask has logged the traceback."""
    text = _("That is a defect of Watcher's own; nothing that was not said to be done was done.")
    step = _(
        "Report it with the traceback that the log has for this request (%(name)s).",
        name=traces.current(),
    )
    return _page(_("This page could not be made"), [text], [step]), 500


def _other(error: HTTPException) -> ResponseReturnValue:
    """Such as an address that only takes a form: as it would be answered, with our page."""
    answer = error.get_response()
    is_page = isinstance(answer, Response) and answer.mimetype == "text/html"
    if is_page and answer.status_code >= 400:
        title, text = TOLD.get(answer.status_code, OTHER)
        answer.set_data(_page(_(title), [_(text)], []))
    return answer


def _page(title: str, texts: list[str], steps: list[str]) -> str:
    return render_template(
        "broken.html",
        title=title,
        texts=texts,
        steps=steps,
        again=request.path if request.method == "GET" and request.endpoint else "",
        is_employees=request.path.startswith("/me/"),
    )
