"""The Flask app: all routes, the session cookie, and the headers of every answer."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from types import ModuleType
from urllib.parse import urlsplit

from flask import Flask
from flask.sessions import SecureCookieSessionInterface

from watcher.handlers import (
    auditing,
    broken,
    calendars,
    context,
    dashboard,
    door,
    employees,
    explaining,
    failures,
    found,
    further,
    health,
    links,
    me,
    messages,
    notifications,
    oauth,
    speech,
    stopwatch,
    system,
    typed,
)
from watcher.services import Services


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
    admins = (dashboard, employees, found, calendars, failures, explaining, auditing, system)
    own = (links, oauth, me, further)
    for part in (notifications, *own, typed, *admins, stopwatch, health):
        app.register_blueprint(part.bp)
    door.set_up(app, services)
    speech.set_up(app, _names((*admins, stopwatch)), _names(own))
    messages.set_up(app)
    broken.set_up(app)
    return app


def _names(parts: Iterable[ModuleType]) -> frozenset[str]:
    return frozenset(part.bp.name for part in parts)
