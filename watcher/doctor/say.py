"""What a check has found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from watcher.errors import ExitCode
from watcher.errors import why_unreached as why_unreached


class Verdict(StrEnum):
    """``skip``: the check does not apply here, or what it needs has failed already."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence, and what to do about it: a command or a setting where there is one. ``code``
    is the exit code of a command that ends for this reason alone. ``because`` names the check for
    whose sake this one was not tried."""

    verdict: Verdict
    message: str
    do: str = ""
    code: int = ExitCode.OK
    because: str = ""


def ok(message: str) -> Finding:
    return Finding(Verdict.OK, message)


def warn(message: str, do: str) -> Finding:
    return Finding(Verdict.WARN, message, do)


def fail(message: str, do: str, code: int = ExitCode.ERROR) -> Finding:
    return Finding(Verdict.FAIL, message, do, code)


def away(message: str, do: str) -> Finding:
    """A failure: the other side does not answer."""
    return fail(message, do, ExitCode.UNAVAILABLE)


def denied(message: str, do: str) -> Finding:
    """A failure: the other side, or the system, does not allow it."""
    return fail(message, do, ExitCode.PERMISSION)


def missing(message: str, do: str) -> Finding:
    """A failure: something is not there."""
    return fail(message, do, ExitCode.NOT_FOUND)


def skip(message: str, because: str = "") -> Finding:
    return Finding(Verdict.SKIP, message, because=because)


def listed(words: Iterable[str], most: int = 3) -> str:
    """The first few, and how many more there are."""
    every = list(words)
    more = len(every) - most
    return ", ".join(every[:most]) + (f" and {more} more" if more > 0 else "")
