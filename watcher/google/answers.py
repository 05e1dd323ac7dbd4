"""Answers of Google's as plain values. Pure; what is not as the API promises is ``Transient``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from watcher.google.errors import CallKind, malformed


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """One page: raw items, the new sync token (last page of a delta only), the calendar's zone."""

    items: list[dict[str, Any]]
    next_sync_token: str | None
    time_zone: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchAnswer:
    """What Google made of a watch request; ``expiration`` is Google's own, aware UTC."""

    resource_id: str
    resource_uri: str
    expiration: datetime


def calendar_id_of(resource_uri: str) -> str | None:
    """The calendar id in a channel's ``resourceUri`` (.../calendars/ID/events), unquoted."""
    try:
        parts = urlsplit(resource_uri).path.split("/")
    except ValueError:
        return None
    if "calendars" not in parts:
        return None
    following = parts[parts.index("calendars") + 1 :]
    return unquote(following[0]) or None if following else None


def text(answer: dict[str, Any], name: str) -> str | None:
    value = answer.get(name)
    return value if isinstance(value, str) and value else None


def page(answer: dict[str, Any], kind: CallKind) -> Page:
    items = answer.get("items")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise malformed("items is not a list of objects", kind)
    last = not text(answer, "nextPageToken")
    return Page(
        items=items,
        next_sync_token=text(answer, "nextSyncToken") if last else None,
        time_zone=text(answer, "timeZone"),
    )


def watch_answer(answer: dict[str, Any], channel_id: str) -> WatchAnswer:
    resource_id = text(answer, "resourceId")
    if resource_id is None:
        raise malformed("no resourceId", "watch")
    if answer.get("id", channel_id) != channel_id:
        raise malformed("the id of another channel", "watch")
    try:
        expiration = datetime.fromtimestamp(int(answer["expiration"]) / 1000, UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        raise malformed("no expiration", "watch") from None
    return WatchAnswer(
        resource_id=resource_id,
        resource_uri=text(answer, "resourceUri") or "",
        expiration=expiration,
    )
