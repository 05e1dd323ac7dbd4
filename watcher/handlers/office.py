"""Where the buttons of *Employees* are carried out, for one person or for many."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import cast

from flask import current_app, request
from flask.sansio.app import App

from watcher.accounts import deeds, inviting
from watcher.accounts.rounds import Act, Answer, Guest, Round
from watcher.errors import UserError
from watcher.handlers import acting, parts, turns
from watcher.handlers.context import EXTENSION, services
from watcher.handlers.endings import Endings
from watcher.languages.catalogs import N_
from watcher.ledger import audit

OFFICE = __name__
SECONDS = 20.0
"""So long one request works for many people; who is left is told so, and asked for again."""
BY_MAIL = frozenset({"mail", "invite_by_mail"})
EVENTS = ("keep", "cancel", "delete")
BUSY = N_("Another action of this kind is under way")
LATER = N_("try again in a minute")


@dataclass(slots=True)
class Office:
    """One round at a time: each holds a thread of the web server while Google, ERPNext or a mail
    server is asked, and notifications need theirs."""

    endings: Endings
    lock: threading.Lock = field(default_factory=threading.Lock)


def open_in(app: App) -> None:
    app.extensions[OFFICE] = Office(Endings(app.extensions[EXTENSION]))


def run(deed: str, what: audit.What, guests: Sequence[Guest]) -> list[Answer]:
    """What became of each. Raises ``UserError``, also when another round is under way."""
    office = _office()
    try:
        with turns.alone(office.lock):
            postman = inviting.postman(services()) if deed in BY_MAIL else None
            with postman or nullcontext():
                ends = time.monotonic() + SECONDS
                round_ = Round(_act(deed, postman), lambda: time.monotonic() < ends)
                if len(guests) == 1:
                    audit.about(guests[0].email)
                    return [round_.answer(guests[0])]
                answers = [_recorded(round_, what, guest) for guest in guests]
    except turns.TooMany:
        raise UserError(BUSY, next_step=LATER) from None
    audit.figures(people=len(answers), done=sum(answer.code == 0 for answer in answers))
    return answers


def _recorded(round_: Round, what: audit.What, guest: Guest) -> Answer:
    with acting.attempt(what, guest.email):
        return round_.answer(guest)


def _office() -> Office:
    return cast(Office, current_app.extensions[OFFICE])


def _act(deed: str, postman: inviting.Postman | None) -> Act:
    app, asker = services(), parts.signed_in_as()
    if deed == "disconnect":
        return partial(_disconnect, _office().endings, _events())
    if deed in ("mail", "invite", "invite_by_mail"):
        return inviting.act(app, inviting.How(asker, postman, reminds=deed == "mail"))
    plain = {"pause": deeds.pausing, "resume": deeds.resuming, "link": deeds.linking}
    return plain[deed](app)


def _events() -> str:
    """Raises ``UserError`` for a choice that there is not."""
    events = request.form.get("events", "")
    if events not in EVENTS:
        raise UserError(N_("Nothing was chosen for their events"))
    return events


def _disconnect(endings: Endings, events: str, guest: Guest) -> Answer:
    endings.add(guest.email, events)
    return Answer(guest.email, N_("is being disconnected now, which may take some minutes"))
