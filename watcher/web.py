"""The web process: the Flask app, and gunicorn to serve it."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, render_template, request
from flask.sessions import SecureCookieSessionInterface
from gunicorn.app.base import BaseApplication

from watcher.errors import Transient
from watcher.handlers import context, dashboard, health, notifications, oauth
from watcher.handlers.context import EXTENSION, READINESS, TALLY
from watcher.handlers.readiness import Readiness
from watcher.handlers.tally import Tally
from watcher.services import Services, build, ledger_url
from watcher.settings import Settings
from watcher.state import calendars
from watcher.telemetry import log as logs
from watcher.up import die_with_parent

log = logging.getLogger(__name__)

THREADS = 8


def create_app(services: Services) -> Flask:
    """The whole HTTP side, on the given services."""
    app = Flask("watcher.handlers")
    app.extensions[EXTENSION] = services
    app.extensions[TALLY] = Tally(services)
    app.extensions[READINESS] = Readiness(services)
    keys = [key.hex() for key in services.keyring.signing_keys("cookie")]
    app.config.update(
        SECRET_KEY=keys[-1],
        SECRET_KEY_FALLBACKS=keys[:-1],
        SESSION_COOKIE_NAME="watcher",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=urlsplit(services.settings.public_url).scheme == "https",
        PERMANENT_SESSION_LIFETIME=timedelta(hours=12),
        # Else whatever is still being fetched when an admin signs out would sign him in again.
        SESSION_REFRESH_EACH_REQUEST=False,
    )
    app.session_interface = SecureCookieSessionInterface()
    for part in (notifications, oauth, dashboard, health):
        app.register_blueprint(part.bp)
    app.after_request(_secure)
    app.register_error_handler(404, _not_found)
    app.register_error_handler(Transient, _unavailable)
    return app


def _secure(response: Response) -> Response:
    """Browsers apply ``form-action`` to the redirect that answers a form too: the page whose button
    leads to Google names Google's address, no other page names any."""
    google = ""
    if request.endpoint == "oauth.invitation":
        parts = urlsplit(context.services().settings.google_auth_url)
        google = f" {parts.scheme}://{parts.netloc}"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'{google}; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    if response.mimetype == "text/html":
        response.headers["Cache-Control"] = "no-store"
    return response


def _not_found(_error: Exception) -> tuple[str, int]:
    return render_template("message.html", title="Not found", text="There is no such page."), 404


def _unavailable(error: Transient) -> tuple[str, int]:
    log.error("request failed: %s", error.message)
    text = "Watcher cannot reach its ledger. Try again in a minute."
    return render_template("message.html", title="Unavailable", text=text), 503


def _catch_up(services: Services) -> None:
    """Nobody says whether Google repeats what met a closed port while we were down: look at every
    calendar once. Our port is open by now (gunicorn binds before it loads), so that nothing falls
    between."""
    try:
        with services.db.session() as session:
            owed = calendars.owe_all(session, "restart", services.clock())
    except Transient as error:
        log.warning("calendars not looked at after the start: %s", error.message)
        return
    log.info("%s calendars are looked at after the start", owed)


class _Server(BaseApplication):  # type: ignore[misc]
    """gunicorn without its command line. Services are made after its fork."""

    def __init__(self, settings: Settings, options: dict[str, Any]) -> None:
        self._settings = settings
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        die_with_parent()
        logs.configure(self._settings.log_format)
        services = build(self._settings, migrate=False)
        _catch_up(services)
        return create_app(services)


def serve(settings: Settings, host: str, port: int) -> int:
    """Serve until SIGTERM. One process with threads: the load is a few notifications a second."""
    logs.configure(settings.log_format)
    # A PostgreSQL is made by its admin, so that an empty one is a new one; an SQLite file that is
    # not there may have been deleted.
    is_file = ledger_url(settings).startswith("sqlite")
    build(settings, make=not is_file).db.dispose()
    listen = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    _Server(
        settings,
        {
            "bind": listen,
            "workers": 1,
            "worker_class": "gthread",
            "threads": THREADS,
            "timeout": 60,
            "graceful_timeout": 10,
            "keepalive": 75,
            "limit_request_line": 4094,
            "limit_request_field_size": 8190,
            "limit_request_fields": 100,
            "loglevel": "warning",
            "proc_name": "watcher-web",
            "control_socket_disable": True,
        },
    ).run()
    return 0
