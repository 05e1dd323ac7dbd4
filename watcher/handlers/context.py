"""What a request finds in its app: the services, the tally, and the browser's own cookie."""

from __future__ import annotations

import secrets
from typing import cast

from flask import current_app, session

from watcher.handlers.tally import Tally
from watcher.services import Services

EXTENSION = "watcher"
TALLY = "watcher.tally"
_BROWSER = "browser"


def services() -> Services:
    return cast(Services, current_app.extensions[EXTENSION])


def tally() -> Tally:
    return cast(Tally, current_app.extensions[TALLY])


def browser() -> str:
    """A random name for this browser, kept in its signed cookie; consents are bound to it."""
    if _BROWSER not in session:
        session[_BROWSER] = secrets.token_urlsafe(32)
    return str(session[_BROWSER])
