"""Answers of the Calendar API against Google's discovery document, as google-api-python-client
ships it.

The sandbox reads the same document for ``fields`` masks. Nothing of that is used here, so that a
mistake in one of the two cannot hide in the other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from typing import Any

Json = dict[str, Any]

_VALUES = re.compile(r'^- "(\w+)"', re.MULTILINE)
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_NUMBER = re.compile(r"-?\d+")


def differences(method: str, answer: Any) -> list[str]:
    """Where an answer of this method ("calendar.events.list") is not as the document says: one
    line each, with the path of the value. The document calls no field of an answer required, so
    a missing one is no difference."""
    return list(_of_object(_schema(_responses()[method]), answer, ""))


def with_answer() -> set[str]:
    """The methods that answer with a resource: ``calendar.events.delete`` is none of them."""
    return set(_responses())


# --- the document -------------------------------------------------------------------------


@cache
def _document() -> Json:
    documents = files("googleapiclient.discovery_cache.documents")
    found: Json = json.loads((documents / "calendar.v3.json").read_text())
    return found


@cache
def _responses() -> dict[str, str]:
    """The name of the schema of each method's answer."""
    return {
        method["id"]: method["response"]["$ref"]
        for resource in _document()["resources"].values()
        for method in resource["methods"].values()
        if "response" in method
    }


def _schema(name: str) -> Json:
    found: Json = _document()["schemas"][name]
    return found


def _allowed(schema: Json) -> list[str]:
    """The values of an enumeration, which this document lists in the description. A list of which
    it says that it names "some" allows anything."""
    text = schema.get("description", "")
    closed = re.search(r"\bpossible values? (are|is):", text, re.IGNORECASE)
    listed = _VALUES.findall(text) if closed and "Some of the possible" not in text else []
    return [*schema.get("enum", []), *listed]


# --- one value ----------------------------------------------------------------------------


def _of_value(schema: Json, value: Any, path: str) -> Iterator[str]:
    if "$ref" in schema:
        schema = _schema(schema["$ref"])
    kind = schema["type"]
    if kind == "object":
        yield from _of_object(schema, value, path)
    elif kind == "array":
        yield from _of_array(schema, value, path)
    elif kind != "any" and not _FITS[kind, schema.get("format")](value):
        yield f"{path}: {value!r} is no {schema.get('format', kind)} ({kind})"
    elif (allowed := _allowed(schema)) and value not in allowed:
        yield f"{path}: {value!r} is none of {', '.join(allowed)}"


def _of_object(schema: Json, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is no object"
        return
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name, part in value.items():
        below = f"{path}.{name}" if path else name
        if name == "kind" and part != known.get(name, {}).get("default", part):
            yield f"{below}: {part!r} is the kind of another resource"
        elif name in known or others is not None:
            yield from _of_value(known.get(name, others), part, below)
        else:
            yield f"{below}: no such field"


def _of_array(schema: Json, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{path}: {value!r} is no array"
        return
    for number, each in enumerate(value):
        yield from _of_value(schema["items"], each, f"{path}[{number}]")


def _is_day(value: Any) -> bool:
    return _reads(_DAY, date.fromisoformat, value)


def _is_moment(value: Any) -> bool:
    return _reads(_MOMENT, datetime.fromisoformat, value)


def _reads(form: re.Pattern[str], read: Callable[[str], object], value: Any) -> bool:
    """Python reads more notations of ISO 8601 than RFC 3339 allows: the form is held too."""
    if not isinstance(value, str) or not form.fullmatch(value):
        return False
    try:
        read(value)
    except ValueError:
        return False
    return True


def _is_int32(value: Any) -> bool:
    return type(value) is int and -(2**31) <= value < 2**31


def _is_int64(value: Any) -> bool:
    """In JSON a string, since a number of JavaScript does not hold 64 bits."""
    written = isinstance(value, str) and _NUMBER.fullmatch(value)
    return bool(written) and -(2**63) <= int(value) < 2**63


_FITS: dict[tuple[str, str | None], Callable[[Any], bool]] = {
    ("string", None): lambda value: isinstance(value, str),
    ("string", "date"): _is_day,
    ("string", "date-time"): _is_moment,
    ("string", "int64"): _is_int64,
    ("integer", "int32"): _is_int32,
    ("boolean", None): lambda value: isinstance(value, bool),
}
"""By type and format. A pair that a later document brings fails loudly, with its name."""
