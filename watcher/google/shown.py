"""What one small read of a calendar tells, and whether two reads were of the same one. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

PROOF_FIELDS: Final = (
    "summary,timeZone,accessRole,items(id,organizer(email,self),creator(email,self))"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A calendar that Google shows: its title, its zone, the caller's ``role`` (empty where Google
    does not say) and the ids of its first events.

    ``names`` are the addresses of those organisers and creators of the events that Google marks
    with ``self``. It marks the calendar that is read, and not the account that reads it.
    """

    title: str
    time_zone: str
    role: str
    event_ids: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def is_own(self) -> bool:
        """Everybody is the owner of their main calendar, and of few others."""
        return self.role in ("", "owner")

    def is_the_same_as(self, other: Shown) -> bool:
        """Whether both are one calendar under two ids: two calendars never agree in all of it."""
        return (self.title, self.time_zone, self.role, self.event_ids) == (
            other.title,
            other.time_zone,
            other.role,
            other.event_ids,
        )


def read_shown(answer: dict[str, Any]) -> Shown:
    """Values of an unexpected type are left out: only the search for a calendar's id uses them."""
    found = answer.get("items")
    items = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    people = [each.get(role) for role in ("organizer", "creator") for each in items]
    names = [
        str(person["email"])
        for person in people
        if isinstance(person, dict) and person.get("self") is True and person.get("email")
    ]
    return Shown(
        title=_text(answer, "summary"),
        time_zone=_text(answer, "timeZone"),
        role=_text(answer, "accessRole"),
        event_ids=tuple(str(each.get("id")) for each in items),
        names=tuple(dict.fromkeys(names)),
    )


def _text(answer: dict[str, Any], name: str) -> str:
    value = answer.get(name)
    return value if isinstance(value, str) else ""
