"""What Google and ERPNext have answered to a page.

Only a button asks them. It leads to an address with a word for who has pressed it, and the page is
asked for there once; then the answer stands, with its time, in the memory of this process. So a
page that is opened without such a word, loaded again, fetched ahead by a browser or watched by a
monitor costs no call, and what it shows is true: it says when it was asked. Titles and names are
written nowhere.

    @bp.post("/calendars/<int:number>/compare")
    @for_admins
    @acting.looks
    def ask(number: int) -> ResponseReturnValue:
        word = answered.pressed("compare", number)
        return redirect(url_for("calendars.compare", number=number, asked=word), 303)
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar, cast

from flask import current_app, request

from watcher.handlers import sealed
from watcher.handlers.context import services
from watcher.ledger.when import is_ahead

T = TypeVar("T")

KEPT = timedelta(minutes=10)
"""So long an answer can be looked at again."""
PRESSED = timedelta(minutes=1)
"""So long after the button the page asks: the first time may have met an outage, or one of several
web servers, which know nothing of each other's memory."""
LATELY = timedelta(seconds=10)
MOST = 50
WORD = "asked"
BUTTONS, PAGES = "watcher.answered", "watcher.answered_lately"


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What was said when it was asked ``at`` that moment."""

    value: T
    at: datetime


class Answers:
    """The last answers of this process, by a key. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, Answer[Any]] = {}

    def find(self, key: str, now: datetime, life: timedelta) -> Answer[Any] | None:
        with self._lock:
            found = self._kept.get(key)
        return found if found is not None and is_ahead(found.at + life, now, life) else None

    def keep(self, key: str, answer: Answer[Any]) -> None:
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = answer
            ended = [k for k, each in self._kept.items() if answer.at - each.at >= KEPT]
            for old in ended or list(self._kept)[:-MOST]:
                del self._kept[old]


def pressed(purpose: str, about: Any) -> str:
    """A word for the address to which a button leads. ``about``: what is asked, of JSON."""
    return sealed.keep(purpose, [about, services().clock().timestamp()])


def question(purpose: str) -> Any:
    """What was asked, by the word in the address of this page; None where there is none."""
    about, _ = _opened(purpose)
    return about


def to(purpose: str, about: Any, ask: Callable[[], T]) -> Answer[T] | None:
    """The answer to the question in the address, if that is ``about``. None where nobody has
    pressed the button, or too long ago: then nobody is asked. Raises what ``ask`` raises."""
    asked, at = _opened(purpose)
    if asked is None or asked != about:
        return None
    word, now = request.args[WORD], services().clock()
    found = _answers(BUTTONS).find(word, now, KEPT)
    if found is None and is_ahead(at + PRESSED, now, PRESSED):
        found = Answer(ask(), now)
        _answers(BUTTONS).keep(word, found)
    return found


def lately(key: str, ask: Callable[[], T]) -> Answer[T]:
    """For a page that asks by itself whenever it is opened: an answer that is no older than
    ``LATELY`` serves again."""
    now = services().clock()
    found = _answers(PAGES).find(key, now, LATELY)
    if found is None:
        found = Answer(ask(), now)
        _answers(PAGES).keep(key, found)
    return found


def _opened(purpose: str) -> tuple[Any, datetime]:
    now = services().clock()
    about, at = sealed.opened(purpose, request.args.get(WORD, "")) or (None, 0.0)
    return about, datetime.fromtimestamp(at, now.tzinfo)


def _answers(place: str) -> Answers:
    return cast(Answers, current_app.extensions.setdefault(place, Answers()))
