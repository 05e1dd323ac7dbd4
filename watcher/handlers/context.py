"""What a request finds in its app: the services, and what the process keeps in its memory."""

from __future__ import annotations

from typing import cast

from flask import Flask, current_app

from watcher.handlers.looking import Looking
from watcher.handlers.missed import Missed
from watcher.handlers.pace import Pace
from watcher.handlers.readiness import Readiness
from watcher.handlers.tally import Tally
from watcher.handlers.turns import Turns, by_purpose
from watcher.services import Services

EXTENSION = "watcher"
TALLY = "watcher.tally"
READINESS = "watcher.readiness"
LOOKING = "watcher.looking"
MISSED = "watcher.missed"
PACE = "watcher.pace"
TURNS = "watcher.turns"


def equip(app: Flask, services: Services) -> None:
    """Give an app all of it. What only one page needs is kept by that page's module."""
    app.extensions[EXTENSION] = services
    app.extensions[TALLY] = Tally(services)
    app.extensions[READINESS] = looks = Readiness(services)
    app.extensions[LOOKING] = Looking(services, looks)
    app.extensions[TURNS] = by_purpose()
    app.extensions[PACE] = Pace(services)
    app.extensions[MISSED] = Missed(services)


def services() -> Services:
    return cast(Services, current_app.extensions[EXTENSION])


def tally() -> Tally:
    return cast(Tally, current_app.extensions[TALLY])


def readiness() -> Readiness:
    return cast(Readiness, current_app.extensions[READINESS])


def looking() -> Looking:
    return cast(Looking, current_app.extensions[LOOKING])


def pace() -> Pace:
    return cast(Pace, current_app.extensions[PACE])


def turns(purpose: str) -> Turns:
    return cast(dict[str, Turns], current_app.extensions[TURNS])[purpose]


def missed() -> Missed:
    return missed_of(current_app)


def missed_of(app: Flask) -> Missed:
    return cast(Missed, app.extensions[MISSED])
