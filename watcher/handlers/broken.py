"""What an admin's page says when it cannot be made: what is wrong, what that means, what to do. The
driver's own words, which may name machines, are in the log alone."""

from __future__ import annotations

import logging

from flask import Flask, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.wrappers import Response

from watcher.errors import LATER, Transient
from watcher.handlers import messages
from watcher.telemetry import traces

log = logging.getLogger(__name__)

LEDGER = "ledger"
SIDES = {
    LEDGER: "The ledger does not answer",
    "google": "Google does not answer",
    "erpnext": "ERPNext does not answer",
    "queue": "The queue does not answer",
}
MEANWHILE = {
    LEDGER: "No page can be shown until it does. What Google tells of meanwhile is answered so "
    "that Google repeats it, and every calendar is looked at once afterwards: nothing is lost. "
    "Watcher goes on by itself.",
}
STEPS = {
    LEDGER: (
        "See that the database runs and is reached (WATCHER_DATABASE_URL), and that its disk is "
        "not full.",
        "On Watcher's machine `watcher doctor` says what it finds, and the log has the reason.",
    ),
}
SECONDS = 30


def set_up(app: Flask) -> None:
    app.register_error_handler(Transient, _away)
    app.register_error_handler(InternalServerError, _defect)
    app.register_error_handler(HTTPException, _other)


def _away(error: Transient) -> ResponseReturnValue:
    if messages.is_spoken(request.blueprint):
        return messages.unavailable(error)
    log.error("request failed: %s", error.message)
    title = SIDES.get(error.side, "It cannot be done at this moment")
    page = _page(
        title,
        [MEANWHILE.get(error.side, "Nothing was changed.")],
        STEPS.get(error.side, (LATER[error.side],)),
    )
    return page, 503, {"Retry-After": str(SECONDS)}


def _defect(_error: InternalServerError) -> ResponseReturnValue:
    """Flask has logged the traceback."""
    text = "That is a defect of Watcher's own; nothing that was not said to be done was done."
    name = traces.current()
    step = f"Report it with the traceback that the log has for this request ({name})."
    return _page("This page could not be made", [text], [step]), 500


def _other(error: HTTPException) -> ResponseReturnValue:
    """Such as an address that only takes a form: as it would be answered, with our page."""
    answer = error.get_response()
    is_page = isinstance(answer, Response) and answer.mimetype == "text/html"
    if is_page and answer.status_code >= 400:
        answer.set_data(_page(error.name, [_told(error)], []))
    return answer


def _told(error: HTTPException) -> str:
    if error.code == 405:
        return "This address takes the form of a page, and is no page itself. Go back to the page."
    return error.description or ""


def _page(title: str, texts: list[str], steps: tuple[str, ...] | list[str]) -> str:
    again = request.path if request.method == "GET" else ""
    return render_template("broken.html", title=title, texts=texts, steps=steps, again=again)
