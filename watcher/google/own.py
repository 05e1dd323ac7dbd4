"""Which calendar is an account's own, and under which id Google shows it.

The id is the address for nearly everybody. For a renamed mailbox or an alias Google may answer 404
to the address, while it shows the same calendar as ``primary``. Every account has a ``primary``,
so that word does not tell one calendar from another, and the real id is looked for. Where it
cannot be found yet, ``primary`` is kept until a channel is opened: the ``resourceUri`` of Google's
answer may name the id (``channels.registry``).
"""

from __future__ import annotations

import logging
from typing import Final

from watcher import errors
from watcher.google.client import CalendarClient
from watcher.google.errors import SIDE
from watcher.google.shown import Shown

log = logging.getLogger(__name__)

PRIMARY: Final = "primary"
NO_OWN_CALENDAR: Final = "no_own_calendar"
SAMPLE: Final = 50
"""Events looked at for the calendar's name; the first page of anything is as cheap as one event."""
MOST_NAMES: Final = 3


def own_calendar(google: CalendarClient, address: str) -> str:
    """The id of the account's own calendar, proved by a read with the account's own access.

    Raises ``CalendarGone`` (``no_own_calendar``) when Google shows it under neither name, and what
    ``CalendarClient.prove`` raises for the account or the installation as a whole.
    """
    shown = look(google, address)
    if isinstance(shown, Shown) and shown.is_own:
        return address
    main = look(google, PRIMARY, SAMPLE)
    if isinstance(main, Shown):
        return _name_of(google, main, shown, address) or PRIMARY
    if isinstance(shown, Shown):
        return address
    raise errors.CalendarGone(
        errors.sentence(
            "Google shows no calendar of %(address)s, neither by the "
            "address nor as its main calendar (%(why)s)",
            address=address,
            why=main.message,
        ),
        cause=NO_OWN_CALENDAR,
        side=SIDE,
        next_step=errors.sentence(
            "check the address, and that Google Calendar is on for this "
            "person (Admin console > Apps > Google Workspace > Calendar)"
        ),
    )


def look(google: CalendarClient, calendar_id: str, most: int = 1) -> Shown | errors.Permanent:
    """The calendar, or the error that says why Google does not show it to this account. Raises
    the errors that concern the account or the installation as a whole."""
    try:
        return google.prove(calendar_id, most)
    except errors.CalendarGone as error:
        return error
    except errors.AccessLost as error:
        if error.cause != "forbidden":
            raise
        return error


def is_main(google: CalendarClient, calendar_id: str) -> bool:
    """Whether a calendar is the account's main one under another id."""
    main, other = look(google, PRIMARY, SAMPLE), look(google, calendar_id, SAMPLE)
    return isinstance(main, Shown) and isinstance(other, Shown) and main.is_the_same_as(other)


def _name_of(
    google: CalendarClient, main: Shown, shown: Shown | errors.Permanent, address: str
) -> str | None:
    """The id of the main calendar, or None. Addresses in its events and its title are guesses: one
    is taken only when Google shows the same calendar under it."""
    guesses = dict.fromkeys(name for name in (*main.names, main.title) if "@" in name)
    if not isinstance(shown, Shown):
        guesses.pop(address, None)
    for guess in list(guesses)[:MOST_NAMES]:
        found = look(google, guess, SAMPLE)
        if isinstance(found, Shown) and found.is_the_same_as(main):
            log.info("the calendar of %s has another id", address)
            return guess
    return None
