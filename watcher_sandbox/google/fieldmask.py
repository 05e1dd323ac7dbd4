"""The ``fields`` parameter: which parts of an answer are wanted.

https://developers.google.com/workspace/calendar/api/guides/performance#partial-response
"""

from __future__ import annotations

import re
from typing import Any

from watcher_sandbox.google.errors import GoogleError

Mask = dict[str, "Mask"]
_PART = re.compile(r"[A-Za-z0-9_*\-]+|[(),/]")


def parse(text: str) -> Mask:
    """``a,b(c,d/e)`` as nested dicts; an empty dict means "all of it". 400 if malformed."""
    parts = _PART.findall(text)
    if "".join(parts) != text.replace(" ", ""):
        raise bad(text)
    mask, rest = _fields(parts, text)
    if rest:
        raise bad(text)
    return mask


def apply(mask: Mask, value: Any) -> Any:
    """The wanted part of a JSON value; a list is masked item by item."""
    if not mask or "*" in mask:
        return value
    if isinstance(value, list):
        return [apply(mask, each) for each in value]
    if not isinstance(value, dict):
        return value
    return {name: apply(mask[name], part) for name, part in value.items() if name in mask}


def _fields(parts: list[str], text: str) -> tuple[Mask, list[str]]:
    mask: Mask = {}
    while True:
        name, parts = _name(parts, text)
        below: Mask = mask.setdefault(name, {})
        while parts[:1] == ["/"]:
            name, parts = _name(parts[1:], text)
            below = below.setdefault(name, {})
        if parts[:1] == ["("]:
            inner, parts = _fields(parts[1:], text)
            if parts[:1] != [")"]:
                raise bad(text)
            below.update(inner)
            parts = parts[1:]
        if parts[:1] != [","]:
            return mask, parts
        parts = parts[1:]


def _name(parts: list[str], text: str) -> tuple[str, list[str]]:
    if not parts or parts[0] in "(),/":
        raise bad(text)
    return parts[0], parts[1:]


def bad(text: str) -> GoogleError:
    """The mask is malformed, or names a field that does not exist."""
    return GoogleError(
        400, "invalidParameter", f"Invalid field selection {text}", location="fields"
    )
