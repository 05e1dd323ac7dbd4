"""The mirrored fields of ERPNext's Event: one row each in ``FIELDS``, and what follows from them.

A row says what stands in the field for a Google event, what stands there instead when nobody may
read the event, and how a row of ERPNext's is compared with it. The content hash, the document that
is written, the fields that are read, the texts that must not leak and the custom fields that the
setup makes follow from the rows.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from operator import ne
from typing import Any

from watcher.events.model import ErpEvent, GoogleEvent, MappingRules, Masks, Row
from watcher.events.text import anchor, line, link, paragraph, rich
from watcher.languages.sentence import coded, sentence

UNTITLED = "(No title)"
MAX_SUBJECT = 60_000
"""Bytes; Frappe's Small Text ends between 65,000 and 66,000."""
MAX_DATA = 140
"""Characters that a field of Frappe's type Data holds."""

Value = str | bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """What the fields of one row are made of. ``starts_on``, ``ends_on`` and ``all_day`` are in
    ERPNext's terms; ``masked``: nobody may read the event in ERPNext."""

    event: GoogleEvent
    rules: MappingRules
    starts_on: str
    ends_on: str
    all_day: bool
    event_type: str
    masked: bool

    def has(self, name: str) -> bool:
        """Whether the site's Event has this optional field."""
        return name in self.rules.site_fields


Maker = Callable[[Source], Value]
Differs = Callable[[Any, Any], bool]


def _empty(_source: Source) -> str:
    return ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One mirrored field.

    ``name`` is the field's name in ERPNext. ``word`` is its name in the content hash and in what
    ``watcher verify`` reports; it is never changed, since every row would be written anew.
    ``make`` gives its value. ``mask`` gives the value that stands there when nobody may read the
    event: nothing, unless the row says otherwise; ``None`` keeps the value of ``make``, for what
    tells nothing of the event's content. ``differs`` compares what is wanted with what ERPNext
    holds, by the words that are reported: programs read them, and pages have words of their
    language for them. ``is_text``: it holds text of the event, which must not stay readable
    anywhere once the event is private.

    ``optional``: it is written where the site's Event has such a field. ``ErpEvent`` and ``Row``
    carry these in ``extras`` and the others as attributes of the same name. ``custom`` is the
    definition of the Custom Field that the setup makes for it, beyond a read-only Data field.
    ``described`` is the HTML that stands for it in the description. ``null_where_missing``: it is
    hashed as null on a site without it, since the rows that are there were hashed so; a field that
    is added is left out of the hash there, so that such sites do not write their rows anew.
    """

    name: str
    make: Maker
    mask: Maker | None = _empty
    word: str = ""
    differs: Mapping[str, Differs] = field(default_factory=dict)
    is_text: bool = False
    optional: bool = False
    custom: Mapping[str, Any] | None = None
    described: Callable[[Source], str] | None = None
    null_where_missing: bool = False

    @property
    def hashed_as(self) -> str:
        return self.word or self.name

    def value(self, source: Source) -> Value:
        if source.masked and self.mask is not None:
            return self.mask(source)
        return self.make(source)

    def differing(self, wanted: ErpEvent, row: Row) -> list[str]:
        """The words for what is not as wanted. A field that only one of both has is no difference:
        the site has just got or lost it, and a change of the site's fields owes a full listing."""
        want, there = self.wanted(wanted), self.held(row)
        if want is None or there is None:
            return []
        compared = self.differs or {self.hashed_as: ne}
        return [word for word, differs in compared.items() if differs(want, there)]

    def wanted(self, event: ErpEvent) -> Value | None:
        """Its value in what Watcher writes; None where the site has no such field."""
        value: Value | None = (
            event.extras.get(self.name) if self.optional else getattr(event, self.name)
        )
        return value

    def held(self, row: Row) -> Value | None:
        """Its value in a row of ERPNext's, which stores an end that equals the start as none."""
        if self.name == "ends_on":
            return row.ends_on or row.starts_on
        value: Value | None = (
            row.extras.get(self.name) if self.optional else getattr(row, self.name)
        )
        return value


# --- making -------------------------------------------------------------------------------------


def _description(source: Source) -> str:
    """Google's description, and what has no field of its own on this site or does not fit it."""
    rest = (field.described(source) for field in FIELDS if field.described is not None)
    return "".join([rich(source.event.description or ""), *rest])


def _one_line(text: str | None) -> str:
    return " ".join(line(text or "", MAX_SUBJECT).split())


def _cut(text: str) -> str:
    return text if len(text) <= MAX_DATA else line(text[: MAX_DATA - 1], MAX_SUBJECT) + "…"


def _whole(text: str | None) -> str:
    """A link that was cut would lead elsewhere: one that does not fit is left out."""
    return text if text and len(text) <= MAX_DATA else ""


def _meeting(address: str | None) -> str:
    return f"<p>Meeting: {anchor(address)}</p>" if address else ""


# --- comparing ----------------------------------------------------------------------------------

_MARKUP = re.compile(r"<[^<>]*>|\s+")  # no "<" inside: linear, however many a person typed
_ADDRESS = re.compile(r"""href=["'](?=https?:|mailto:)([^"'<>]*)""", re.IGNORECASE)


def plain(text: str) -> str:
    """Text without markup: the server sanitises, so that a read-back differs in markup only."""
    return _MARKUP.sub("", html.unescape(_MARKUP.sub(" ", html.unescape(text))))


def _other_text(wanted: str, there: str) -> bool:
    return plain(wanted) != plain(there)


def _other_links(wanted: str, there: str) -> bool:
    return _addresses(wanted) != _addresses(there)


def _addresses(text: str) -> list[str]:
    """Where the links of a text lead: a person may have put another address under the same words.
    Some versions of Frappe drop addresses of telephones."""
    return sorted(html.unescape(found).strip() for found in _ADDRESS.findall(text))


# --- the table ----------------------------------------------------------------------------------

EMPLOYEE = "custom_google_employee"
COLOUR = "color"

TIME = coded("time", sentence("time"))
REPETITION = coded("repetition", sentence("repetition"))
ACCOUNT = coded("account", sentence("account"))
STATUS = coded("status", sentence("status"))
"""What else may differ, as ``Field.differs`` has it."""

FIELDS: tuple[Field, ...] = (
    Field(name="starts_on", make=lambda s: s.starts_on, mask=None, differs={TIME: ne}),
    Field(name="ends_on", make=lambda s: s.ends_on, mask=None, differs={TIME: ne}),
    Field(name="all_day", make=lambda s: s.all_day, mask=None, differs={TIME: ne}),
    Field(
        name="subject",
        make=lambda s: line(s.event.summary or "", MAX_SUBJECT) or UNTITLED,
        mask=lambda s: s.rules.masks.free if s.event.is_free else s.rules.masks.busy,
        differs={coded("subject", sentence("title")): _other_text},
        is_text=True,
    ),
    Field(
        name="event_type",
        make=lambda s: s.event_type,
        mask=None,
        differs={coded("event_type", sentence("who sees it (event type)")): ne},
    ),
    Field(
        name="description",
        make=_description,
        differs={
            coded("description", sentence("description")): _other_text,
            coded("link", sentence("link")): _other_links,
        },
        is_text=True,
    ),
    Field(
        name="location",
        make=lambda s: _cut(_one_line(s.event.location)),
        described=lambda s: (
            ""
            if s.has("location") and len(_one_line(s.event.location)) <= MAX_DATA
            else paragraph("Place", s.event.location or "", MAX_SUBJECT)
        ),
        differs={coded("location", sentence("place")): _other_text},
        is_text=True,
        optional=True,
        null_where_missing=True,
    ),
    Field(
        name="google_meet_link",
        word="meet_link",
        make=lambda s: _whole(link(s.event.meeting_link)),
        described=lambda s: _meeting(link(s.event.meeting_link)),
        differs={coded("meet_link", sentence("link to the meeting")): _other_text},
        is_text=True,
        optional=True,
        null_where_missing=True,
    ),
    # Only where the settings ask for it: ``sync.policy`` takes it out of the site's fields else.
    Field(
        name=COLOUR,
        word="colour",
        make=lambda s: s.rules.colour,
        mask=None,
        differs={coded("colour", sentence("colour")): ne},
        optional=True,
    ),
    Field(
        name=EMPLOYEE,
        word="employee",
        make=lambda s: s.rules.employee or "",
        mask=None,
        differs={coded("employee", sentence("employee")): ne},
        optional=True,
        null_where_missing=True,
        # Reports and filters by employee, branch and department.
        custom={
            "label": "Employee",
            # ERPNext gives each employee a User Permission on the own Employee, which would hide
            # the events of all others: who sees what is for the settings to say.
            "ignore_user_permissions": 1,
            "fieldtype": "Link",
            "options": "Employee",
            "in_standard_filter": 1,
        },
    ),
)

ALWAYS = tuple(field.name for field in FIELDS if not field.optional)
OPTIONAL = tuple(field.name for field in FIELDS if field.optional)
"""Fields that a site's Event may have; ``MappingRules.site_fields`` are those that it has."""
TEXTS = tuple(field.name for field in FIELDS if field.is_text)

MARKS = {
    "custom_google_sync_key": "key",
    "custom_google_event_id": "event_id",
    "custom_google_recurring_event_id": "recurring_event_id",
    "custom_google_calendar_id": "calendar_id",
    "custom_google_account": "account",
    "custom_google_user": "erpnext_user",
    "custom_google_hash": "content_hash",
}
"""Whose row it is: ERPNext's field by the attribute of ``ErpEvent``."""
STALE = "custom_google_stale_since"
"""Since when the calendar of the row is not kept current; empty while it is. Each write of a pass
empties it, ``sync.marking`` fills it. A site that lacks the field takes no note of it."""
CONSTANTS = {
    STALE: "",
    "send_reminder": 0,
    "repeat_this_event": 0,
    "custom_synced_from": "Google Calendar",
}
"""Without the first, Frappe mails a reminder to every participant."""
WRITTEN = frozenset({*ALWAYS, *OPTIONAL, *MARKS, *CONSTANTS, "status"})
"""All fields of Event that Watcher writes."""


# --- what follows from it -----------------------------------------------------------------------


def values_of(source: Source) -> dict[str, Value]:
    """By ERPNext's names, the fields that this site has."""
    there = (field for field in FIELDS if not field.optional or source.has(field.name))
    return {field.name: field.value(source) for field in there}


def hashed(values: Mapping[str, Value]) -> dict[str, Value | None]:
    """What the content hash takes of ``values_of``, by the words of the rows."""
    there = (f for f in FIELDS if f.name in values or f.null_where_missing)
    return {field.hashed_as: values.get(field.name) for field in there}


def document(event: ErpEvent) -> dict[str, object]:
    """The fields of Frappe's Event document, as sent in insert and update (no ``status``)."""
    values = {field.name: field.wanted(event) for field in FIELDS}
    sent = {name: int(v) if isinstance(v, bool) else v for name, v in values.items()}
    marks = {name: getattr(event, attribute) or "" for name, attribute in MARKS.items()}
    return {**{name: v for name, v in sent.items() if v is not None}, **CONSTANTS, **marks}


def masked_texts(site_fields: Collection[str], masks: Masks) -> dict[str, object]:
    """What overwrites the texts of a row whose event has become private."""
    there = (name for name in TEXTS if name in ALWAYS or name in site_fields)
    return {name: masks.busy if name == "subject" else "" for name in there}


def texts_of(event: ErpEvent) -> list[str]:
    return [str(field.wanted(event) or "") for field in FIELDS if field.is_text]


def is_readable(row: Row) -> bool:
    """Whether a title or a text stands in it, and not only what masks them."""
    others = (field.held(row) for field in FIELDS if field.is_text and field.name != "subject")
    return row.subject not in row.masks or any(others)


def is_same(event: ErpEvent, row: Row) -> bool:
    """Whether every field that Watcher writes is in the row exactly what was sent. What it does not
    write, such as a colour that the settings do not ask for, may be anything."""
    sent = [(field, value) for field in FIELDS if (value := field.wanted(event)) is not None]
    return all(field.held(row) == value for field, value in sent)


def differing(event: ErpEvent, row: Row, names: Iterable[str]) -> list[str]:
    """The words for those of these fields in which a row is not as its event wants it."""
    chosen = set(names)
    words = [w for f in FIELDS if f.name in chosen for w in f.differing(event, row)]
    return list(dict.fromkeys(words))
