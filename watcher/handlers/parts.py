"""What the admins' pages have in common: the menu, pages of a long table, how long ago it was.

Templates find it in ``admin_page.html`` and ``parts.html``, which say how they are used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, flash, request, session, url_for

from watcher.errors import LATER, Transient, WatcherError
from watcher.handlers import admin
from watcher.handlers.context import looking, services
from watcher.ledger import audit

bp = Blueprint("parts", __name__)

MENU = (
    ("dashboard.home", "Home"),
    ("employees.everybody", "Employees"),
    ("calendars.everything", "Calendars"),
    ("failures.show", "Failures"),
    ("explaining.ask", "Event search"),
    ("auditing.show", "Audit"),
    ("system.show", "System"),
)
"""Endpoint and title of what each page of an admin links to, in this order. A page is marked as the
current one by its blueprint, so that the pages below it are, too."""

MOST_SAID = 600
"""Characters of a result line, which travels in the cookie."""

PAGE = 50
"""So many rows a page of a table has."""


@dataclass(frozen=True, slots=True)
class Paging:
    """A page of a table of ``total`` rows: make it by ``paging``, ask the ledger for ``limit`` rows
    from ``offset`` on, and hand it to the macro ``paging`` of ``parts.html``."""

    number: int
    total: int
    limit: int = PAGE

    @property
    def pages(self) -> int:
        return max(1, math.ceil(self.total / self.limit))

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.limit

    @property
    def first(self) -> int:
        return min(self.offset + 1, self.total)

    @property
    def last(self) -> int:
        return min(self.offset + self.limit, self.total)


def paging(total: int, limit: int = PAGE) -> Paging:
    """The page that the request asks for by ``?page=``; one that is too far is the last one."""
    asked = request.args.get("page", 1, type=int)
    pages = Paging(1, total, limit).pages
    return Paging(min(max(asked, 1), pages), total, limit)


def done(text: str) -> None:
    """What an action came to, told on top of the page that it leads to, which is made anew."""
    looking().forget()
    flash(text[:MOST_SAID], "done")


def refused(error: WatcherError) -> None:
    """Why an action did nothing, and what to do, told as ``done`` is."""
    audit.failed(audit.why(error))
    flash(sentences(error)[:MOST_SAID], "refused")


def sentences(error: WatcherError) -> str:
    """What went wrong, and what to do."""
    later = LATER[error.side] if isinstance(error, Transient) else ""
    step = error.next_step or later
    message = error.message.rstrip(".")
    return f"{message[:1].upper()}{message[1:]}.{f' Do: {step}' if step else ''}"


@bp.app_context_processor
def _menu() -> dict[str, object]:
    return {"menu": MENU}


@bp.app_template_global("signed_in_as")
def signed_in_as() -> str:
    """The address of the admin whose page this is: views need not hand it over."""
    return str(session.get(admin.ADMIN, ""))


@bp.app_template_global("form_proof")
def form_proof() -> str:
    return admin.form_proof()


@bp.app_template_global("here_with")
def here_with(**changed: Any) -> str:
    """The address of this page with other values in its query; None takes one away. Another order
    or another search begins at the first page again."""
    kept = {**request.args.to_dict(), **changed}
    if "page" not in changed:
        kept.pop("page", None)
    assert request.endpoint is not None
    wanted = {name: value for name, value in kept.items() if value not in (None, "")}
    return url_for(request.endpoint, **(request.view_args or {}), **wanted)


@bp.app_template_filter("in_words")
def in_words(state: str) -> str:
    """A state or cause, which is a name in JSON, as readers are told it."""
    return state.replace("sweep_held", "mass cancellation").replace("_", " ")


@bp.app_template_filter("iso")
def iso(moment: datetime) -> str:
    """As in ``watcher status --json``."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


@bp.app_template_filter("ago")
def ago(moment: datetime) -> str:
    """``4 min ago``, ``in 3 h``; the macro ``when`` tells the exact time as well."""
    seconds = (services().clock() - moment).total_seconds()
    text = span(abs(seconds))
    return f"{text} ago" if seconds >= 0 else f"in {text}"


@bp.app_template_filter("has_come")
def has_come(moment: datetime) -> bool:
    return moment <= services().clock()


def span(seconds: float) -> str:
    """One number and its unit, rounded down."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length * (2 if unit == "d" else 1):
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"
