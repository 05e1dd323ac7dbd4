"""One thing is done for many people, one after the other, and what became of each is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from watcher import errors
from watcher.languages.catalogs import N_
from watcher.languages.sentence import sentence
from watcher.ledger import audit
from watcher.notices import media

ENOUGH = 3
"""So many in a row that a side did not answer for: the others are not tried."""
NOT_YET = N_("not yet: the time for one request was up")
NOT_TRIED = N_("not tried: what failed for those before would fail again")


@dataclass(frozen=True, slots=True)
class Guest:
    """Who it is about, as somebody wrote it."""

    email: str
    erpnext_user: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one; ``code`` is an exit code. ``link`` is a secret; there is none where
    nothing was made, and none to be shown where it went out by mail. ``waits``: nothing was tried,
    and it can be asked for again."""

    email: str
    text: str
    code: int = 0
    link: str = field(default="", repr=False)
    ends_at: datetime | None = None
    waits: bool = False


Act = Callable[[Guest], Answer]


class Round:
    """``act`` is done for each, as long as ``goes_on`` says so: who comes later is answered that
    nothing was tried, and so is everybody after a side has not answered ``ENOUGH`` times in a
    row."""

    def __init__(self, act: Act, goes_on: Callable[[], bool] = lambda: True) -> None:
        self._act, self._goes_on = act, goes_on
        self._in_a_row = 0

    def answer(self, guest: Guest) -> Answer:
        """What becomes of this one; raises nothing of ``watcher.errors``."""
        if self._in_a_row >= ENOUGH:
            audit.nothing()
            return Answer(guest.email, NOT_TRIED, errors.ExitCode.UNAVAILABLE, waits=True)
        if not self._goes_on():
            audit.nothing()
            return Answer(guest.email, NOT_YET, errors.ExitCode.PARTLY, waits=True)
        return errors.contained(partial(self._done, guest), partial(self._refused, guest))

    def _done(self, guest: Guest) -> Answer:
        answer = self._act(guest)
        self._in_a_row = 0
        return answer

    def _refused(self, guest: Guest, error: errors.WatcherError) -> Answer:
        audit.failed(audit.why(error))
        text = error.message
        if error.next_step:
            text = sentence("%(message)s (%(step)s)", message=text, step=error.next_step)
        away = isinstance(error, errors.Transient) and not isinstance(error, media.NotTaken)
        self._in_a_row = self._in_a_row + 1 if away else 0
        return Answer(guest.email, text, error.exit_code)
