"""What an admin may be shown of an event. Pure.

An admin learns no title of a private event, whatever becomes of it in ERPNext, and no word finds
it: that a title holds a word would tell it.
"""

from __future__ import annotations

from watcher.events import model
from watcher.events.mapping import PRIVATE
from watcher.events.text import line

UNTITLED = "(No title)"
MAX_TITLE = 200
"""Bytes of a title that is shown."""


def is_private(event: model.GoogleEvent) -> bool:
    return event.visibility in PRIVATE


def may_show_title(event: model.GoogleEvent, ordinary: str) -> bool:
    """Whether an admin may learn the title. Ordinary events are kept from admins, too, where they
    are of the type Private in ERPNext, for the employee's own eyes: ``ordinary`` is that type
    (``Public`` or ``Private``)."""
    return not is_private(event) and ordinary == "Public"


def title_of(event: model.GoogleEvent, ordinary: str) -> str | None:
    """The title, None where it may not be shown."""
    if not may_show_title(event, ordinary):
        return None
    return line(event.summary or "", MAX_TITLE) or UNTITLED


def may_show_times(event: model.GoogleEvent, rules: model.MappingRules) -> bool:
    """Nothing at all of a private event reaches ERPNext where such events are left out: then its
    times are not shown to an admin either."""
    return not (is_private(event) and rules.private_events == "skip")
