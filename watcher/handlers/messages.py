"""Pages that say why not, and what to do."""

from __future__ import annotations

import logging
from typing import Any

from flask import Flask, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from watcher.errors import Permanent, Transient, WatcherError
from watcher.handlers import acting, back, speech
from watcher.languages.catalogs import N_ as N_

log = logging.getLogger(__name__)


class ErrorPage(acting.Refused):
    """A page that says why not and what to do, in English sentences that are marked with ``N_`` and
    the ``values`` in them. ``retry`` is a link to begin again, ``label`` what it is called. The
    error that it is raised from goes to the log. A form that is answered by it leads to the page
    above it, which says so."""

    def __init__(
        self,
        title: str,
        text: str,
        status: int = 400,
        *,
        retry: str = "",
        label: str = N_("Try again"),
        **values: str,
    ) -> None:
        super().__init__(title)
        self.title, self.text, self.status = title, text, status
        self.retry, self.label, self.values = retry, label, values

    def kept(self) -> list[Any]:
        """For the session, to be shown again."""
        return [self.title, self.text, self.status, self.retry, self.label, self.values]

    @classmethod
    def of(cls, kept: list[Any]) -> ErrorPage:
        title, text, status, retry, label, values = kept
        return cls(title, text, status, retry=retry, label=label, **values)


def set_up(app: Flask) -> None:
    app.register_error_handler(ErrorPage, _refused)
    app.register_error_handler(404, _not_found)


def show(refusal: ErrorPage) -> ResponseReturnValue:
    page = render_template(
        "message.html",
        title=gettext(refusal.title),
        text=gettext(refusal.text, **refusal.values),
        retry=refusal.retry,
        label=gettext(refusal.label),
    )
    return page, refusal.status


def _refused(refusal: ErrorPage) -> ResponseReturnValue:
    what = "consent" if request.blueprint in ("links", "oauth") else "page"
    log.info("%s refused: %s", what, _cause(refusal))
    if request.method != "POST":
        return show(refusal)
    if what == "page":  # the page of a link says by itself what is wrong with the link
        text = gettext(refusal.text, **refusal.values)
        back.say(f"{speech.ended(gettext(refusal.title))} {text}", "refused")
    return redirect(back.page_above(), 303)


def _cause(refusal: ErrorPage) -> str:
    """For the log: Google's code where it gave one, and our sentence. Neither holds a secret."""
    error = refusal.__cause__
    if not isinstance(error, WatcherError):
        return refusal.title
    code = f"{error.cause}: " if isinstance(error, Permanent) else ""
    return f"{code}{error.message}"


def _not_found(_error: Exception) -> ResponseReturnValue:
    home = url_for("dashboard.home")
    return show(
        ErrorPage(N_("Not found"), N_("There is no such page."), 404, retry=home, label=N_("Home"))
    )


def unavailable(error: Transient) -> ResponseReturnValue:
    """For employees."""
    log.error("request failed: %s", error.message)
    text = N_("Watcher cannot reach its ledger. Try again in a minute.")
    return show(ErrorPage(N_("Unavailable"), text, 503))
