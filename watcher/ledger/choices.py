"""Pure: how an account's events are to be kept from others, by the admin and by the employee.

The stricter of both counts, so that an employee can ask for more privacy and never for less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from watcher.languages.seeing import Seen
from watcher.ledger.models import Account
from watcher.settings import Settings

EventType = Literal["Public", "Private"]
PrivateEvents = Literal["private", "busy", "skip"]
TYPES = ("Public", "Private")
PRIVATE = ("private", "busy", "skip")
"""From what shows most to what shows least. Of a *private* event the text is in ERPNext, for the
employee alone; of a *busy* one only its time is."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What ordinary events are in ERPNext, and what becomes of private ones."""

    event_type: EventType
    private_events: PrivateEvents


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was chosen for one account: the type by the admin, type and handling of private events
    by the employee. None: as the settings say."""

    by_admin: str | None = None
    event_type: str | None = None
    private_events: str | None = None

    @classmethod
    def of(cls, account: Account) -> Wishes:
        return cls(
            account.default_event_type, account.chosen_event_type, account.chosen_private_events
        )


def by_admin(settings: Settings, wishes: Wishes) -> Choice:
    """What holds without the employee's choice."""
    chosen = wishes.by_admin or settings.default_event_type
    return Choice("Private" if chosen == "Private" else "Public", settings.private_events)


def effective(settings: Settings, wishes: Wishes) -> Choice:
    """What holds: the stricter of what the admin and the employee have chosen."""
    basis = by_admin(settings, wishes)
    return Choice(
        cast(EventType, _stricter(TYPES, basis.event_type, wishes.event_type)),
        cast(PrivateEvents, _stricter(PRIVATE, basis.private_events, wishes.private_events)),
    )


def seen(settings: Settings, account: Account) -> Seen:
    """What decides who sees this account's events, for the sentences that tell it."""
    chosen = effective(settings, Wishes.of(account))
    return Seen(
        event_type=chosen.event_type,
        private_events=chosen.private_events,
        declined_too=settings.declined_events == "mirror",
        past_days=settings.window_past_days,
        future_days=settings.window_future_days,
        has_user=account.erpnext_user is not None,
        finders=settings.find_calendars,
        busy_title=settings.busy_title,
    )


def at_least(scale: tuple[str, ...], basis: str) -> tuple[str, ...]:
    """What of a scale is as strict as ``basis`` or stricter."""
    return scale[scale.index(basis) :]


def _stricter(scale: tuple[str, ...], basis: str, wish: str | None) -> str:
    return wish if wish in at_least(scale, basis) and wish is not None else basis
