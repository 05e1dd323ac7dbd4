"""What is wrong with a value, in our own words: those of the library are for programmers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_SAYS: Final = {
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number",
    "literal_error": "must be {expected}",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
}


def of(error: ErrorDetails) -> str:
    """The sentence about one value; never the value itself, which may be a secret."""
    context: dict[str, Any] = error.get("ctx", {})
    says = _SAYS.get(error["type"])
    if says is None:
        return error["msg"].removeprefix("Value error, ")
    return says.format(**{name: _plain(value) for name, value in context.items()})


def _plain(value: object) -> object:
    """A bound of 0.0 is written as 0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
