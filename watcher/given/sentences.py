"""What is wrong with a value, in our own words: those of the library are for programmers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from watcher.errors import UserError, joined, sentence
from watcher.languages.sentence import Sentence

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_WHOLE, _NUMBER = sentence("must be a whole number"), sentence("must be a number")
_SAYS: Final = {
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "literal_error": sentence("must be one of %(expected)s"),
    "greater_than": sentence("must be more than %(gt)s"),
    "greater_than_equal": sentence("must be %(ge)s or more"),
    "less_than_equal": sentence("must be %(le)s or less"),
}


class BadSettings(UserError):
    """``problems`` has a sentence for each thing that is wrong with the settings."""

    def __init__(self, problems: Sequence[str], next_step: str) -> None:
        said = joined("\n  - ", sentence("the settings have problems:"), *problems)
        super().__init__(said, next_step=next_step)
        self.problems = tuple(problems)


def of(error: ErrorDetails) -> str:
    """The sentence about one value; never the value itself, which may be a secret."""
    context: dict[str, Any] = error.get("ctx", {})
    says = _SAYS.get(error["type"])
    if says is None:
        own = context.get("error")  # of a validator of ours, with its words as a sentence
        return str(error["msg"]) if own is None else own.args[0]
    return Sentence.of(says, {name: _plain(value) for name, value in context.items()})


def _plain(value: object) -> str:
    """As it would be typed: a bound of 0.0 is 0; choices come as *'a', 'b' or 'c'*."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).replace(" or ", ", ")
