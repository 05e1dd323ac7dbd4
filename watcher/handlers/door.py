"""The id and the headers of every answer, and the way in for Google's notifications.

These come in bursts, and are taken in front of Flask, which makes objects of request, session,
language and answer for pages: that took longer than to look into the ledger. Everything else goes
on to Flask.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from http import HTTPStatus
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask

from watcher.handlers import guarding, tracing
from watcher.handlers.notifications import DOOR, Answer, Reception
from watcher.services import Services
from watcher.telemetry import traces

log = logging.getLogger(__name__)

PATH = "/webhooks/google"


def set_up(app: Flask, services: Services) -> None:
    """All of the app's answers have the id of their request and the headers of ``guarding``."""
    app.before_request(tracing.begin)
    app.after_request(guarding.guard)
    app.after_request(tracing.tell)
    is_https = app.config["SESSION_COOKIE_SECURE"]
    app.extensions[DOOR] = made = Door(app.wsgi_app, Reception.of(services, app), is_https)
    app.wsgi_app = made  # type: ignore[method-assign]


class Door:
    """A WSGI app in front of ``rest``."""

    def __init__(self, rest: WSGIApplication, reception: Reception, is_https: bool) -> None:
        self._rest, self._reception = rest, reception
        self._headers = list(guarding.headers(is_https).items())

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != PATH or environ["REQUEST_METHOD"] != "POST":
            return self._rest(environ, start_response)
        return self.notified(environ, start_response)

    def notified(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The answer to a notification, with the id of the request in it."""
        proxies = self._reception.services.settings.trusted_proxies
        given = environ.get("HTTP_X_REQUEST_ID", "")
        traces.begin_request(tracing.chosen(given, environ.get("REMOTE_ADDR", ""), proxies))
        answer = self._answered(environ)
        headers = [*self._headers, (traces.HEADER, traces.current()), *answer.headers]
        body = answer.text.encode()
        if answer.status != 204:
            headers.append(("Content-Type", "text/plain; charset=utf-8"))
            headers.append(("Content-Length", str(len(body))))
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
        return [body] if body else []

    def _answered(self, environ: WSGIEnvironment) -> Answer:
        try:
            return self._reception.receive(environ)
        except Exception:
            # Google tries again after a 500.
            log.exception("a notification met a defect of Watcher's own")
            return Answer(500, "defect\n")
