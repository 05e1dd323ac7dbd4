"""What the admins' pages have in common: the menu, pages of a long table, how long ago it was.

Templates find it in ``admin_page.html`` and ``parts.html``, which say how they are used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, request, session, url_for
from markupsafe import Markup

from watcher.errors import LATER, Transient, WatcherError
from watcher.handlers import admin, back, leads, speech
from watcher.handlers.context import looking, services
from watcher.languages.catalogs import N_
from watcher.ledger import audit

_ = speech.gettext

bp = Blueprint("parts", __name__)

MENU = (
    ("dashboard.home", N_("Home")),
    ("employees.everybody", N_("Employees")),
    ("calendars.everything", N_("Calendars")),
    ("failures.show", N_("Failures")),
    ("explaining.ask", N_("Event search")),
    ("auditing.show", N_("Audit")),
    ("system.show", N_("System")),
)
"""Endpoint and title of what each page of an admin links to, in this order. A page is marked as the
current one by its blueprint, so that the pages below it are, too."""

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
    back.say(text, "done")


def refused(error: WatcherError, text: str = "") -> None:
    """Why an action did nothing, and what to do, told as ``done`` is: in this ``text``, or in the
    words of the error."""
    audit.failed(audit.why(error))
    back.say(text or sentences(error), "refused")


def sentences(error: WatcherError) -> str:
    """What went wrong, and what to do."""
    later = LATER[error.side] if isinstance(error, Transient) else ""
    message = speech.ended(speech.capital(speech.say(error.message)))
    step = error.next_step or later
    return f"{message} {_('Do: %(step)s', step=speech.say(step))}" if step else message


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
    kept = {**request.args.to_dict(), speech.CHOSEN: None, **changed}
    if "page" not in changed:
        kept.pop("page", None)
    assert request.endpoint is not None
    wanted = {name: value for name, value in kept.items() if value not in (None, "")}
    return url_for(request.endpoint, **(request.view_args or {}), **wanted)


@bp.app_template_global("in_language")
def in_language(code: str) -> str:
    """The address of this page in another language."""
    return here_with(**{speech.CHOSEN: code}, page=request.args.get("page"))


@bp.app_template_filter("leads")
def leading(text: str) -> Markup:
    """A step that is said: where it names a command, with the page that does the same."""
    return leads.leads(text, {endpoint: _(name) for endpoint, name in MENU})


@bp.app_template_filter("iso")
def iso(moment: datetime) -> str:
    """As in ``watcher status --json``."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


@bp.app_template_filter("ago")
def ago(moment: datetime) -> str:
    """``4 min ago``, ``in 3 h``; the macro ``when`` tells the exact time as well."""
    seconds = (services().clock() - moment).total_seconds()
    many, past, future = _span(abs(seconds))
    return _(past if seconds >= 0 else future, many=speech.number(many))


@bp.app_template_filter("has_come")
def has_come(moment: datetime) -> bool:
    return moment <= services().clock()


SPANS = (
    (86_400, N_("%(many)s d ago"), N_("in %(many)s d")),
    (3600, N_("%(many)s h ago"), N_("in %(many)s h")),
    (60, N_("%(many)s min ago"), N_("in %(many)s min")),
    (1, N_("%(many)s s ago"), N_("in %(many)s s")),
)
"""Seconds of a unit, and how so many of it are told. Days are at least two."""


def _span(seconds: float) -> tuple[int, str, str]:
    """One number, rounded down, and the words of its unit."""
    for length, past, future in SPANS:
        if seconds >= length * (2 if length == SPANS[0][0] else 1):
            return int(seconds // length), past, future
    return 0, *SPANS[-1][1:]
