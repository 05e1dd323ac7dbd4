"""What a check has found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from watcher import errors
from watcher.languages import names
from watcher.languages.sentence import Given as Given

sentence, counted, joined, named = errors.sentence, errors.counted, errors.joined, names.named
why_unreached = errors.why_unreached
REACH = sentence("see that this machine may open connections to it, and the proxy settings")


class Verdict(StrEnum):
    """``skip``: the check does not apply here, or what it needs has failed already."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence, and what to do about it: a command or a setting where there is one. Both are
    said in the language of who reads them: a text that is no ``sentence`` is a line to paste, or
    came from outside. ``code`` is the exit code of a command that ends for this reason alone.
    ``because`` names the check for whose sake this one was not tried."""

    verdict: Verdict
    message: str
    do: str = ""
    code: int = errors.ExitCode.OK
    because: str = ""


def ok(message: str) -> Finding:
    return Finding(Verdict.OK, message)


def warn(message: str, do: str) -> Finding:
    return Finding(Verdict.WARN, message, do)


def fail(message: str, do: str, code: int = errors.ExitCode.ERROR) -> Finding:
    return Finding(Verdict.FAIL, message, do, code)


def away(message: str, do: str) -> Finding:
    """A failure: the other side does not answer."""
    return fail(message, do, errors.ExitCode.UNAVAILABLE)


def denied(message: str, do: str) -> Finding:
    """A failure: the other side, or the system, does not allow it."""
    return fail(message, do, errors.ExitCode.PERMISSION)


def missing(message: str, do: str) -> Finding:
    """A failure: something is not there."""
    return fail(message, do, errors.ExitCode.NOT_FOUND)


def skip(message: str, because: str = "") -> Finding:
    return Finding(Verdict.SKIP, message, because=because)


def listed(words: Iterable[str], most: int = 3) -> str:
    """The first few, and how many more there are."""
    every = list(words)
    some, more = joined(", ", *every[:most]), len(every) - most
    if more <= 0:
        return some
    return counted("%(some)s and %(n)s more", "%(some)s and %(n)s more", more, some=some)
