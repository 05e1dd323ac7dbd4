"""The audit trail: who did what, when, from where, and how it ended.

Three ways to write into it; each takes a word of ``acts.What``, which is ``audit.What``, too.

- Where the act has a transaction, ``record(session, Act(What.ACCOUNT_PAUSE, email), now)`` in it:
  the act and its row are there together, or neither is.
- Around the whole of what a person asked for stands an ``attempt``. ``watcher/cli/recording.py``
  opens it for every command and ``watcher/handlers/acting.py`` for every view that changes
  something; a row is written when it ends: as ``failed`` with the cause when an error leaves it,
  and as ``done`` when nothing within has called ``record``. So nothing is forgotten.
- Code within an attempt tells more of it: ``about(subject)``, ``figures(calendars=3)``,
  ``failed(cause)`` where the error is shown and not raised, ``nothing()`` where nothing was done,
  and, once it is known who asks, ``by(email)``.

Who acts is kept in a context variable, so that no function has to hand it on. Outside of an
attempt it is Watcher itself (cron, a worker): ``record`` is enough there.

A row holds no secret and no title: a subject is an address, an id of a calendar, event or key, and
figures are numbers and words of ours.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import String, Text, event
from sqlalchemy.orm import Mapped, Session, mapped_column

from watcher import errors
from watcher.ledger.acts import What as What
from watcher.ledger.batches import delete_all
from watcher.ledger.columns import BigId, SentenceText, UtcDateTime
from watcher.ledger.db import Database
from watcher.ledger.models import Base

DONE, FAILED = "done", "failed"
ITSELF = "watcher"
"""Who acts when nobody has asked for it."""
MOST_LETTERS = 1_024
"""So much of a cause and of a subject is kept: an id of a calendar may be that long."""

Figures = Mapping[str, int | str]


class Audit(Base):
    """One act. ``origin`` is the client's address of a request, ``cli HOST PID`` of a command,
    ``self HOST PID`` of Watcher itself; ``figures`` is JSON; ``cause`` says why it failed."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    who: Mapped[str] = mapped_column(String(320))
    what: Mapped[str] = mapped_column(String(60))
    subject: Mapped[str] = mapped_column(Text, default="")
    origin: Mapped[str] = mapped_column(String(200), default="")
    outcome: Mapped[str] = mapped_column(String(10))
    cause: Mapped[str] = mapped_column(SentenceText, default="")
    figures: Mapped[str] = mapped_column(Text, default="")


@dataclass(frozen=True, slots=True)
class Actor:
    """``who`` is an admin's or an employee's address, or ``os:NAME`` at the command line; empty
    while nobody knows."""

    who: str
    origin: str


@dataclass(frozen=True, slots=True)
class Act:
    """One row to be written; with a ``cause`` it failed."""

    what: What
    subject: str = ""
    figures: Figures = field(default_factory=dict)
    cause: str = ""


@dataclass(slots=True)
class _Attempt:
    """``told``: a row of it, or of what belongs to it, is in the ledger; ``void``: nothing was
    done."""

    act: Act
    told: bool = False
    void: bool = False

    def wants_row(self) -> bool:
        is_more = bool(self.act.figures or self.act.cause)
        return (is_more or not self.told) and not self.void and _who().who != ""


_actor: ContextVar[Actor | None] = ContextVar("actor", default=None)
_attempt: ContextVar[_Attempt | None] = ContextVar("attempt", default=None)


def calendar(email: str, google_id: str) -> str:
    """A calendar as a subject: an employee's own one is not named twice."""
    return email if google_id == email else f"{email} {google_id}"


def record(session: Session, act: Act, now: datetime) -> None:
    """Write a row in the transaction of the act itself. Without a subject it is about what the
    attempt at the same act is about."""
    actor, current = _who(), _attempt.get()
    subject = act.subject
    if not subject and current is not None and current.act.what == act.what:
        subject = current.act.subject
    session.add(
        Audit(
            at=now,
            who=actor.who[:320],
            what=act.what,
            subject=subject[:MOST_LETTERS],
            origin=actor.origin[:200],
            outcome=FAILED if act.cause else DONE,
            cause=_short(act.cause),
            figures=json.dumps(dict(act.figures)) if act.figures else "",
        )
    )
    if current is not None:
        # Only a transaction that ends well leaves a row.
        event.listen(session, "after_commit", lambda _: _tell(current), once=True)


def _short(cause: str) -> str:
    """A sentence is kept as one, so that the page says it in the language of who reads it."""
    return cause if len(cause) <= MOST_LETTERS else cause[:MOST_LETTERS]


def _tell(attempted: _Attempt) -> None:
    attempted.told = True


def _who() -> Actor:
    return _actor.get() or Actor(ITSELF, f"self {here()}")


def admin() -> str:
    """The address of the admin whose page it is that acts now; empty elsewhere."""
    who = _who().who
    return who if "@" in who else ""


def here() -> str:
    """This machine and this process."""
    return f"{socket.gethostname()[:80]} {os.getpid()}"


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """What is recorded within was done by ``actor``."""
    before = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(before)


@contextmanager
def attempt(what: What, write: Callable[[Act], None], subject: str = "") -> Iterator[None]:
    """What a person asks for, from its beginning to its end. ``write`` writes a row in a
    transaction of its own, and raises nothing; it is called when this ends, unless a row says so
    already. Of whom nobody knows no row is written, so that strangers do not fill the ledger."""
    this, outer = _Attempt(Act(what, subject)), _attempt.get()
    before = _attempt.set(this)
    try:
        yield
    except BaseException as error:
        this.act = replace(this.act, cause=this.act.cause or why(error))
        raise
    finally:
        _attempt.reset(before)
        if this.wants_row():
            write(this.act)
            this.told = True
        if outer is not None:
            outer.told |= this.told


def why(error: BaseException) -> str:
    """The cause as it is kept. What ERPNext says of a document may hold a title: its short word
    stands for that."""
    if isinstance(error, errors.ErpRefused):
        return error.cause
    if isinstance(error, errors.WatcherError):
        return error.message
    return (
        errors.sentence("interrupted")
        if isinstance(error, KeyboardInterrupt)
        else type(error).__name__
    )


def by(who: str) -> None:
    """Say who asks, where that becomes known only now. Outside of ``acting``, where nothing is
    done, it says nothing: it would be said of whatever this thread records next."""
    if _actor.get() is not None:
        _actor.set(replace(_who(), who=who))


def about(subject: str, what: What | None = None) -> None:
    """Say what the attempt is about, and, where that depends on what was asked, which act it is."""
    _change(lambda act: replace(act, subject=subject, what=what or act.what))


def figures(**counted: int | str) -> None:
    """Figures of the attempt: they are in a row of their own beside those that ``record`` made."""
    _change(lambda act: replace(act, figures={**act.figures, **counted}))


def failed(cause: str) -> None:
    """The attempt failed, and the person who asked is told so without an error that is raised."""
    _change(lambda act: replace(act, cause=cause))


def ended(code: object) -> None:
    """The exit code that a command ends with: another one than 0 is a failure, unless rows that
    were written meanwhile have told what failed and what did not."""
    current = _attempt.get()
    if isinstance(code, int) and code and current is not None and not current.told:
        failed(errors.sentence("ended with exit code %(code)s", code=code))


def nothing() -> None:
    """Nothing was done, for instance because the person said no: no row."""
    current = _attempt.get()
    if current is not None:
        current.void = True


def _change(change: Callable[[Act], Act]) -> None:
    current = _attempt.get()
    if current is not None:
        current.act = change(current.act)


def prune(db: Database, now: datetime, days: int) -> int:
    """Forget what is older than ``WATCHER_AUDIT_DAYS``; returns how many rows it was."""
    return delete_all(db, Audit.id, Audit.at < now - timedelta(days=days))
