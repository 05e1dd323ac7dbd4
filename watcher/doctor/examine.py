"""Runs the checks at the same time, each for a limited time, and all of them for five seconds at
the most."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from watcher.doctor import say
from watcher.doctor.case import Case
from watcher.errors import WatcherError, contained

log = logging.getLogger(__name__)

ALL_SECONDS = 5.0
ONE_SECONDS = 3.0
"""A check may take so long, unless the time of all has run out."""
OTHERWISE = {
    "erpnext": say.sentence(
        "check WATCHER_ERPNEXT_URL and that the site runs, then `watcher doctor` again"
    ),
    "google": say.sentence("see that this machine reaches Google, then `watcher doctor` again"),
    "ledger": say.sentence(
        "check WATCHER_DATABASE_URL, that the database runs, and its disk: df -h"
    ),
}
"""What to do where an error names no way out, by the side of the check."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table. ``after`` names checks without which this one says nothing: it is
    skipped unless they are well."""

    name: str
    look: Callable[[Case], say.Finding]
    after: tuple[str, ...] = ()

    @property
    def side(self) -> str:
        """The part of the installation that it is about."""
        return self.name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Report:
    """What was found, by the names of the checks and in their order."""

    findings: dict[str, say.Finding]
    seconds: float

    @property
    def healthy(self) -> bool:
        return not self.of(say.Verdict.FAIL)

    def of(self, *verdicts: say.Verdict) -> dict[str, say.Finding]:
        return {name: each for name, each in self.findings.items() if each.verdict in verdicts}


@dataclass(slots=True)
class _Round:
    """Checks that are under way, with the moment at which each is given up."""

    case: Case
    found: dict[str, say.Finding] = field(default_factory=dict)
    until: dict[str, float] = field(default_factory=dict)
    answers: SimpleQueue[tuple[str, say.Finding]] = field(default_factory=SimpleQueue)

    def start(self, check: Check, until: float) -> None:
        self.until[check.name] = until
        # A thread that hangs in a call must not keep the command from ending.
        threading.Thread(
            target=lambda: self.answers.put((check.name, _looked(check, self.case))), daemon=True
        ).start()

    def await_one(self) -> None:
        """Take the next answer; what is over its time is given up."""
        patience = max(0.0, min(self.until.values()) - time.monotonic())
        try:
            name, finding = self.answers.get(timeout=patience)
        except Empty:
            now = time.monotonic()
            for name in [name for name, until in self.until.items() if until <= now]:
                del self.until[name]
                self.found[name] = _late()
            return
        if self.until.pop(name, None) is not None:
            self.found[name] = finding


def examine(case: Case, checks: Sequence[Check], seconds: float = ALL_SECONDS) -> Report:
    """Run these checks. Whatever one of them meets is its finding: nothing is raised."""
    began = time.monotonic()
    names = {check.name for check in checks}
    waiting, going = list(checks), _Round(case)
    while waiting or going.until:
        for check in [each for each in waiting if names & {*each.after} <= set(going.found)]:
            waiting.remove(check)
            broken = _broken(check, going.found)
            if broken:
                said = say.sentence("not tried, because of %(check)s", check=broken)
                going.found[check.name] = say.skip(said, broken)
            else:
                left = began + seconds - time.monotonic()
                going.start(check, time.monotonic() + max(0.1, min(ONE_SECONDS, left)))
        if going.until:
            going.await_one()
    found = {check.name: going.found[check.name] for check in checks}
    return Report(found, time.monotonic() - began)


def _broken(check: Check, found: dict[str, say.Finding]) -> str:
    """The first of the checks before it that has not gone well; empty when all have."""
    well = (say.Verdict.OK, say.Verdict.WARN)
    bad = (name for name in check.after if name in found and found[name].verdict not in well)
    return next(bad, "")


def _looked(check: Check, case: Case) -> say.Finding:
    def failed(error: WatcherError) -> say.Finding:
        return say.fail(
            error.message,
            error.next_step or OTHERWISE.get(check.side, "watcher -v doctor"),
            error.exit_code,
        )

    try:
        return contained(lambda: check.look(case), failed)
    except WatcherError as error:  # the ledger's are not contained
        return failed(error)


def _late() -> say.Finding:
    return say.away(
        say.sentence("no answer in time"),
        say.sentence("try again; if it stays so, look whether a firewall swallows the connection"),
    )
