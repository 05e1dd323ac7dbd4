"""A calendar is proved before anybody is told that it is mirrored: one read with the account's own
access, and Google's own reason where it is refused."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from watcher.errors import (
    AccessLost,
    CalendarGone,
    NotFound,
    Permanent,
    UserError,
    WatcherError,
)
from watcher.google.client import CalendarClient
from watcher.google.own import PRIMARY, is_main, own_calendar
from watcher.languages.sentence import sentence
from watcher.ledger import budget
from watcher.services import Services

log = logging.getLogger(__name__)

WHERE = "Google Calendar > Settings > the calendar > Integrate calendar > Calendar ID"


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found of an account's own calendar: the id under which Google shows it, or why it
    does not. Neither: Google was away, and the first sync will tell."""

    own_id: str = ""
    refusal: Permanent | None = None

    def other_id(self, address: str) -> str:
        """The id, where a person has to be told that it is not the address; else empty."""
        return "" if self.own_id in ("", address) else self.own_id


def client_of(services: Services, address: str, access_token: str) -> CalendarClient:
    """Calls with a token of a grant that is not in the ledger (yet)."""
    stranger = -zlib.crc32(address.encode())  # its calls count, too, and for nobody else

    def spend(_kind: str) -> None:
        budget.spend(services.db, stranger, "poll", services.clock())

    return CalendarClient(
        services.settings.google_api_url,
        lambda _refused: access_token,
        quota_user=address,
        on_call=spend,
    )


def try_own(google: CalendarClient, address: str) -> Proof:
    """For an account that is kept whatever comes of it: nothing is raised."""
    try:
        return Proof(own_id=own_calendar(google, address))
    except Permanent as error:
        log.warning("the calendar of %s is not shown: %s", address, error.message)
        return Proof(refusal=error)
    except WatcherError as error:
        log.warning("the calendar of %s is not proved: %s", address, error.message)
        return Proof()


@dataclass(frozen=True, slots=True)
class Proved:
    """The id to keep; ``is_own``: it is the account's own (main) calendar."""

    google_id: str
    is_own: bool


def clean(google_id: str) -> str:
    """An id as it was typed, without blanks around it. Raises ``UserError`` on what is none."""
    wanted = google_id.strip()
    if not wanted:
        raise UserError(
            sentence("a calendar id is missing"),
            next_step=sentence("copy it from %(where)s", where=WHERE),
        )
    return wanted


def prove(
    google: CalendarClient, address: str, google_id: str, own: Collection[str] = ()
) -> Proved:
    """The id to keep for a calendar that somebody has named. ``own``: ids that stand for the
    account's own calendar besides its address.

    Raises ``UserError`` (no id), ``NotFound`` and ``AccessLost`` (Google does not show it to this
    account), ``Transient`` and what concerns the account or the installation as a whole.
    """
    wanted = clean(google_id)
    if wanted.lower() in {address, PRIMARY, *(each.lower() for each in own)}:
        return Proved(own_calendar(google, address), True)
    try:
        shown = google.prove(wanted)
    except CalendarGone as error:
        raise NotFound(_words(address, wanted, error), next_step=_step(address)) from None
    except AccessLost as error:
        if error.cause == "forbidden":
            error.message, error.next_step = _words(address, wanted, error), _step(address)
        raise
    if PRIMARY in own and shown.is_own and is_main(google, wanted):
        return Proved(PRIMARY, True)
    return Proved(wanted, False)


def prove_all(google: CalendarClient, address: str, wanted: Iterable[str]) -> list[Proved]:
    """Those that were named, or else the account's own; each of them once."""
    proved = [prove(google, address, each) for each in wanted]
    if not proved:
        return [Proved(own_calendar(google, address), True)]
    return list({each.google_id.lower(): each for each in reversed(proved)}.values())[::-1]


def _words(address: str, google_id: str, error: WatcherError) -> str:
    return f"Google does not show {address} the calendar {google_id}: {error.message}"


def _step(address: str) -> str:
    return f"share it with {address}, or check the id ({WHERE})"
