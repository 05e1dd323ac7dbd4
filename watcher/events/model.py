"""Values that cross the rooms: a Google event, its ERPNext form, what ERPNext holds, actions.

All values are frozen. Datetimes are aware and in UTC unless a name says ``naive``; naive
strings are in the ERPNext site's time zone (``YYYY-MM-DD HH:MM:SS``), since that is what a
Frappe ``Datetime`` field stores.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

BUSY, FREE = "Busy", "Private"


@dataclass(frozen=True, slots=True)
class Masks:
    """The subjects that stand for a title which nobody may read: ``busy``, and ``free`` for what
    leaves its owner free in Google. ``former`` are those that stood for it before the settings
    named these: a row with one of them is masked, too."""

    busy: str = BUSY
    free: str = FREE
    former: frozenset[str] = frozenset()

    def __contains__(self, subject: object) -> bool:
        return subject in (self.busy, self.free, BUSY, FREE) or subject in self.former

    @property
    def are_usual(self) -> bool:
        return (self.busy, self.free) == (BUSY, FREE)


USUAL = Masks()
"""Where the settings name no others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EventTime:
    """Start or end of a Google event: either a ``day`` (all-day) or an aware ``instant``."""

    day: date | None = None
    instant: datetime | None = None

    def __post_init__(self) -> None:
        if (self.day is None) == (self.instant is None):
            raise ValueError("an event time is either a day or an instant")
        if self.instant is not None and self.instant.tzinfo is None:
            raise ValueError("an instant must carry its offset")


@dataclass(frozen=True, kw_only=True, slots=True)
class GoogleEvent:
    """One item of ``events.list`` or ``events.instances``; everything but ``id`` may be absent.

    ``is_master`` is true for the parent of a recurring series. ``end`` is exclusive, as Google
    gives it. ``own_response`` is the responseStatus of the attendee with ``self=true``.
    ``meeting_link`` is where to join: Google Meet, or what an add-on of another provider left.
    ``is_free`` is true when the event does not block its time (``transparency``).
    """

    id: str
    status: str = "confirmed"
    summary: str | None = None
    description: str | None = None
    location: str | None = None
    meeting_link: str | None = None
    visibility: str = "default"
    is_free: bool = False
    event_type: str = "default"
    start: EventTime | None = None
    end: EventTime | None = None
    recurring_event_id: str | None = None
    is_master: bool = False
    own_response: str | None = None
    updated: datetime | None = None

    @property
    def is_cancelled(self) -> bool:
        return self.status == "cancelled"


@dataclass(frozen=True, kw_only=True, slots=True)
class MappingRules:
    """Policy of one calendar: everything ``to_erpnext`` needs besides the event.

    ``employee`` is the name of the ERPNext Employee whose user the account's is. ``site_fields``
    names those of ``fields.OPTIONAL`` that Event has on this site, and that are to be written.
    ``colour`` is that of each event, as Frappe writes it; empty for none. ``masks`` are the
    subjects of private events.
    """

    account: str
    calendar_id: str
    erpnext_user: str | None
    site_zone: ZoneInfo
    default_event_type: Literal["Public", "Private"] = "Public"
    private_events: Literal["busy", "private", "skip"] = "busy"
    declined_events: Literal["skip", "mirror"] = "skip"
    employee: str | None = None
    site_fields: frozenset[str] = frozenset()
    colour: str = ""
    masks: Masks = USUAL

    @property
    def hides_private(self) -> bool:
        """What is private is not to be readable in ERPNext, not even for the employee."""
        return self.private_events != "private"

    @property
    def hides_private_rows(self) -> bool:
        """Rows of the type Private are of private events, and these are not to be readable."""
        return self.hides_private and self.default_event_type == "Public"


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """The mirror's window [start, end): aware UTC datetimes."""

    start: datetime
    end: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class ErpEvent:
    """What Watcher writes into one ERPNext Event. ``ends_on`` of an all-day event names its last
    day: at 23:59:59 for a single day, at midnight for several.

    ``content_hash`` is the SHA-256 of every other written field and of the mapping version.
    ``share_with`` is the ERPNext user who must be able to read a Private event, or None.
    ``masked`` is true when the subject stands for a title that nobody may read. ``extras`` are the
    fields of ``fields.OPTIONAL`` by their names in ERPNext, as far as the site's Event has them.
    ``updated`` is Google's own stamp of the last change (for the freshness measure, not hashed).
    """

    key: str
    event_id: str
    recurring_event_id: str | None
    calendar_id: str
    account: str
    erpnext_user: str | None
    subject: str
    starts_on: str
    ends_on: str
    all_day: bool
    event_type: str
    description: str
    content_hash: str
    share_with: str | None = None
    masked: bool = False
    extras: Mapping[str, str] = field(default_factory=dict)
    updated: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row that ERPNext holds for a calendar, as read back (naive strings of the site).

    ``modified`` is the site's own stamp of the last write. ``repeats``: a person has ticked
    Frappe's own repetition. ``owner_ids`` are the account and the calendar that it names.
    ``extras`` are as in ``ErpEvent``. ``masks`` are the subjects of which nothing can be read.
    """

    name: str
    key: str
    event_id: str
    recurring_event_id: str | None
    content_hash: str
    status: str
    subject: str
    starts_on: str
    ends_on: str | None
    all_day: bool
    event_type: str
    description: str
    modified_by: str
    modified: str = ""
    repeats: bool = False
    owner_ids: tuple[str, str] | None = None
    extras: Mapping[str, str] = field(default_factory=dict)
    masks: Masks = field(default=USUAL, compare=False)

    @property
    def is_cancelled(self) -> bool:
        return self.status == "Cancelled"


@dataclass(frozen=True, kw_only=True, slots=True)
class Skipped:
    """An event that is not ours to carry, and why (``declined``, ``event_type`` ...). ``private``:
    nothing readable of it may stay in ERPNext either."""

    key: str
    event_id: str
    reason: str
    private: bool = False
    recurring_event_id: str | None = None


MappedEvent = ErpEvent | Skipped
"""What the mapping makes of one event of Google's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What Google told in one answer, in ERPNext's form.

    ``live`` are the events in the window, ``outside`` those beyond it, ``gone`` the keys of the
    events that Google cancelled. ``aside`` are the keys of what could not be mapped: their rows are
    left as they are.
    """

    live: Collection[MappedEvent] = ()
    outside: Collection[ErpEvent] = ()
    gone: Collection[str] = ()
    aside: Collection[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Create:
    event: ErpEvent

    @property
    def key(self) -> str:
        return self.event.key


@dataclass(frozen=True, kw_only=True, slots=True)
class Update:
    """Rewrite all mirrored fields of row ``name``.

    ``revive``: a cancelled row comes back. ``reopen``: a row that ERPNext has closed is moved or
    prolonged into today or later. Both also set the status back to Open. ``hides``: the row is
    readable now, and the event is private. ``stamp``: see ``Row.modified``; ERPNext refuses a
    write that it carries out late, after the row was written by somebody else.
    """

    name: str
    event: ErpEvent
    revive: bool = False
    reopen: bool = False
    hides: bool = False
    stamp: str = ""

    @property
    def key(self) -> str:
        return self.event.key


@dataclass(frozen=True, kw_only=True, slots=True)
class Cancel:
    """Cancel (or delete, by setting) row ``name``; ``reason`` is for the run's report. ``mask``:
    the event has become private, so its title and text go as well. ``stamp``: as in ``Update``."""

    name: str
    key: str
    event_id: str
    reason: str
    mask: bool = False
    stamp: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rewrite:
    """Write title and text of row ``name`` anew, and nothing else: Google does not list the event
    any more, and the row stays as history. ``mask``: its event has become private; else the texts
    are those of the row, made safe."""

    name: str
    key: str
    event_id: str
    subject: str = ""
    description: str = ""
    mask: bool = False
    stamp: str = ""

    @property
    def reason(self) -> str:
        return "private" if self.mask else "made_safe"


@dataclass(frozen=True, kw_only=True, slots=True)
class Keep:
    """Nothing to write, and why (``unchanged``, ``declined``, ``outside_window`` ...).

    ``private_row`` names the row of a private event: what ERPNext has kept of its past must not
    be readable either.
    """

    key: str
    event_id: str
    reason: str
    private_row: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Discard:
    """Finish and delete row ``name``, which has no key any more: what is left of a row that was
    being made anew when a process was killed."""

    name: str
    key: str = ""
    event_id: str = ""
    reason: str = "leftover"


Action = Create | Update | Cancel | Rewrite | Discard | Keep
