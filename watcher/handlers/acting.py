"""What is done by a page is in the audit trail: every view that takes a form says which act it is.

    @bp.post("/employees/pause")
    @for_admins
    @acting.records(What.ACCOUNT_PAUSE)
    def pause() -> ResponseReturnValue:
        email = request.form["email"]
        audit.about(email)
        verbs.pause(services(), email)

It stands below ``for_admins``, so that a form which that refuses is no act. Who is signed in as an
admin is found here. A view for employees says ``audit.by(email)`` once it knows whom it has before
it. While nobody is known nothing is written. A view that shows an error in its page instead of
raising it says ``audit.failed(audit.why(error))``; ``parts.refused`` does.

A view that takes a form and changes nothing is marked by ``looks``.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from watcher.errors import WatcherError
from watcher.handlers import callers
from watcher.handlers.admin import signed_in
from watcher.handlers.context import services
from watcher.ledger import audit
from watcher.ledger.acts import What

log = logging.getLogger(__name__)

View = TypeVar("View", bound=Callable[..., Any])
MARK = "watcher_act"
LOOKS = "looks"


class Refused(Exception):
    """Raised by a view for a page that says why not; its text may be kept."""


def records(what: What) -> Callable[[View], View]:
    """The view does ``what``."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def run(*args: Any, **named: Any) -> Any:
            actor = audit.Actor(signed_in() or "", callers.address())
            with audit.acting(actor), attempt(what):
                return _viewed(view, args, named)

        setattr(run, MARK, what)
        return run  # type: ignore[return-value]

    return decorate


def looks(view: View) -> View:
    """The view changes nothing, although it takes a form."""
    setattr(view, MARK, LOOKS)
    return view


def attempt(what: What, subject: str = "") -> Any:
    """One of several acts that a view does, such as one employee of many."""
    return audit.attempt(what, _write, subject)


def _viewed(view: Callable[..., Any], args: Any, named: Any) -> Any:
    try:
        return view(*args, **named)
    except Refused as refusal:
        audit.failed(str(refusal))
        raise


def _write(act: audit.Act) -> None:
    """Raises nothing: the view has ended, and its answer is on the way."""
    try:
        with services().db.session() as session:
            audit.record(session, act, services().clock())
    except WatcherError as error:
        log.error("not in the audit trail: %s %s: %s", act.what, act.subject, error.message)
