"""The Flask app: all routes, the session cookie, and the headers of every answer."""

from __future__ import annotations

import logging
from datetime import timedelta
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, render_template, request
from flask.sessions import SecureCookieSessionInterface

from watcher.errors import Transient
from watcher.handlers import (
    auditing,
    calendars,
    context,
    dashboard,
    employees,
    explaining,
    health,
    notifications,
    oauth,
    parts,
    system,
)
from watcher.services import Services

log = logging.getLogger(__name__)


def create_app(services: Services) -> Flask:
    """The whole HTTP side, on the given services."""
    app = Flask("watcher.handlers")
    context.equip(app, services)
    # werkzeug answers a path that is nearly one of ours by a redirect to whatever host the client
    # has named.
    app.url_map.merge_slashes = app.url_map.strict_slashes = False
    is_https = urlsplit(services.settings.public_url).scheme == "https"
    keys = [key.hex() for key in services.keyring.signing_keys("cookie")]
    app.config.update(
        SECRET_KEY=keys[-1],
        SECRET_KEY_FALLBACKS=keys[:-1],
        # With this prefix no other host of the company's domain can set it for ours.
        SESSION_COOKIE_NAME="__Host-watcher" if is_https else "watcher",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=is_https,
        SESSION_COOKIE_PATH="/",
        PERMANENT_SESSION_LIFETIME=timedelta(hours=12),
        # Else whatever is still being fetched when an admin signs out would sign him in again.
        SESSION_REFRESH_EACH_REQUEST=False,
    )
    app.session_interface = SecureCookieSessionInterface()
    pages = (dashboard, employees, calendars, explaining, auditing, system)
    for part in (notifications, oauth, parts, *pages, health):
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
    # The one page with a script fetches itself again.
    live = " script-src 'self'; connect-src 'self';" if request.endpoint == "dashboard.home" else ""
    if current_app.config["SESSION_COOKIE_SECURE"]:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'self'; img-src 'self';{live} form-action 'self'{google}; "
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
