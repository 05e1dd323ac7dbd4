"""Google's own description of its answers, as google-api-python-client ships it: which fields a
``fields`` mask may name."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

from watcher_sandbox.google.fieldmask import Mask

_BY_KIND = {
    "calendar#events": "Events",
    "calendar#event": "Event",
    "calendar#calendarList": "CalendarList",
    "calendar#calendarListEntry": "CalendarListEntry",
    "calendar#calendar": "Calendar",
    "api#channel": "Channel",
}


@lru_cache(maxsize=1)
def _schemas() -> dict[str, Any]:
    documents = files("googleapiclient.discovery_cache.documents")
    found: dict[str, Any] = json.loads((documents / "calendar.v3.json").read_text())["schemas"]
    return found


def names_no_field(mask: Mask, kind: object) -> str:
    """The first name of the mask that an answer of this kind has no field for, or ""."""
    schema = _BY_KIND.get(str(kind))
    return _unknown(mask, {"$ref": schema}) if schema else ""


def _unknown(mask: Mask, schema: dict[str, Any]) -> str:
    schema = schema.get("items", schema)
    if "$ref" in schema:
        schema = _schemas()[schema["$ref"]]
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name, below in mask.items():
        if name == "*":
            continue
        if name not in known and others is None:
            return name
        wrong = _unknown(below, known.get(name, others or {}))
        if wrong:
            return wrong
    return ""
