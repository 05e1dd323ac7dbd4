"""What a person's list of calendars at Google says of one of them. Pure.

https://developers.google.com/workspace/calendar/api/v3/reference/calendarList. Names are other
people's words and are kept nowhere: they are shown to who has asked for them, as one line of
characters that can be printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from watcher.google.errors import clean

LIST_FIELDS: Final = (
    "nextPageToken,items(id,summary,summaryOverride,accessRole,timeZone,primary,hidden,deleted)"
)
LONGEST_NAME: Final = 120
_GENERATED: Final = "@group.v.calendar.google.com"
_KINDS: Final = (
    (f"#holiday{_GENERATED}", "holidays"),
    (f"#contacts{_GENERATED}", "birthdays"),
    (f"#weeknum{_GENERATED}", "week_numbers"),
    (_GENERATED, "generated"),
    ("@import.calendar.google.com", "imported"),
    ("@resource.calendar.google.com", "room"),
    ("@group.calendar.google.com", "calendar"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """A calendar on somebody's list: the id, the name as its reader has it, what the reader may
    (``role``, as Google names it) and its zone. ``is_main``: it is the reader's own one."""

    google_id: str
    name: str
    role: str
    time_zone: str
    is_main: bool = False
    is_hidden: bool = False

    @property
    def kind(self) -> str:
        """What is known of it by its id: ``main``, ``calendar`` (made beside a main one),
        ``person`` (the main calendar of somebody else), ``room``, ``imported`` (from another
        service), or one that Google makes by itself: ``holidays``, ``birthdays``,
        ``week_numbers``, ``generated``."""
        if self.is_main:
            return "main"
        low = self.google_id.lower()
        return next((kind for end, kind in _KINDS if low.endswith(end)), "person")

    @property
    def can_be_read(self) -> bool:
        """Of one with ``freeBusyReader`` Google tells when its owner is busy, and no event."""
        return self.role != "freeBusyReader"


def read_listed(item: dict[str, Any]) -> Listed | None:
    """None for an entry that was deleted or has no id."""
    google_id = item.get("id")
    if not isinstance(google_id, str) or not google_id or item.get("deleted") is True:
        return None
    name = _line(item.get("summaryOverride")) or _line(item.get("summary"))
    return Listed(
        google_id=google_id,
        name=name or google_id,
        role=_line(item.get("accessRole")),
        time_zone=_line(item.get("timeZone")),
        is_main=item.get("primary") is True,
        is_hidden=item.get("hidden") is True,
    )


def _line(value: object) -> str:
    text = value if isinstance(value, str) else ""
    return clean("".join(c if c.isprintable() else " " for c in text), LONGEST_NAME)
