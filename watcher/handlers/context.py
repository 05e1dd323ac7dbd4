"""What a request finds in its app: the services, the tally of strangers, the readiness."""

from __future__ import annotations

from typing import cast

from flask import current_app

from watcher.handlers.readiness import Readiness
from watcher.handlers.tally import Tally
from watcher.services import Services

EXTENSION = "watcher"
TALLY = "watcher.tally"
READINESS = "watcher.readiness"


def services() -> Services:
    return cast(Services, current_app.extensions[EXTENSION])


def tally() -> Tally:
    return cast(Tally, current_app.extensions[TALLY])


def readiness() -> Readiness:
    return cast(Readiness, current_app.extensions[READINESS])
