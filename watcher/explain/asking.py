"""How the two sides are asked: only read, a bounded number of times, and not again once a side is
away. What a side did not answer is kept as a ``Silence``, so that the rest can still be told."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from watcher import errors
from watcher.explain import gathered
from watcher.google import client
from watcher.ledger.told import CalendarTold
from watcher.services import Services

T = TypeVar("T")
PATIENCE: Final = client.Patience(timeout=5.0, retries=0)


@dataclass(slots=True)
class Asking:
    """One explanation's dealings with both sides. ``seconds`` is how long it may take in all: after
    that nobody is asked any more."""

    services: Services
    seconds: float
    silent: dict[gathered.Side, gathered.Silence] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)

    def google(
        self, calendar: CalendarTold, call: Callable[[client.CalendarClient], T]
    ) -> T | gathered.Silence:
        """As ``ask``, of Google on behalf of the calendar's account."""
        account, google = calendar.account, self.services.google
        return self.ask("google", lambda: call(google(account.id, account.email, "poll", PATIENCE)))

    def ask(self, side: gathered.Side, call: Callable[[], T]) -> T | gathered.Silence:
        """What ``call`` returns, or why there is no answer. Raises ``LedgerAway``."""
        if side in self.silent:
            return self.silent[side]
        if time.monotonic() - self._began > self.seconds:
            return gathered.Silence(
                message=errors.counted(
                    "it was not asked: the others took more than %(n)s second",
                    "it was not asked: the others took more than %(n)s seconds",
                    round(self.seconds),
                ),
                step=errors.LATER[""],
                code=errors.ExitCode.UNAVAILABLE,
            )

        def failed(error: errors.WatcherError) -> T | gathered.Silence:
            return self._note(side, error)

        return errors.contained(call, failed)

    def _note(self, side: gathered.Side, error: errors.WatcherError) -> gathered.Silence:
        """An outage, or a setting that is wrong, is the same for every call to that side; what
        Google refuses to one account is not."""
        away = isinstance(error, errors.Transient)
        found = _other_side(error, side)
        silence = gathered.Silence(
            message=errors.unended(error.message),
            step=error.next_step or (errors.LATER[found] if away else ""),
            code=error.exit_code,
        )
        if away or side == "erpnext" or isinstance(error, errors.UserError | errors.AppDead):
            self.silent[found] = silence
            self.silent[side] = silence
        return silence


def _other_side(error: errors.WatcherError, side: gathered.Side) -> gathered.Side:
    """Google's access tokens may be kept by ERPNext: then an outage is not Google's."""
    return "erpnext" if getattr(error, "side", "") == "erpnext" else side
