"""What was asked for: an event by its id, by Google's link or by ERPNext's name, or an employee's
event by words of its title or by its day. Pure."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from watcher.errors import UserError
from watcher.languages.sentence import sentence

DOMAINS = {
    "g": "group.calendar.google.com",
    "i": "import.calendar.google.com",
    "m": "gmail.com",
    "v": "group.v.calendar.google.com",
}
"""How Google's links shorten the domain of a calendar's id."""
MOST_CHARACTERS = 2000

_NAME = re.compile(r"EV-?\d{3,}", re.IGNORECASE)
_EVENT_ID = re.compile(r"_?[a-z0-9_@.-]{5,1024}", re.IGNORECASE)
_UID = "@google.com"
_IN_DESK = re.compile(r"/(?:app|desk)/event/(?!view\b|new-)([^/]+)/?")
_NO_LINK = sentence("that is no link to an event, neither of Google Calendar nor of ERPNext")
_LIKE_A_DATE = re.compile(r"\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{4}")
_RELATIVE = {"yesterday": -1, "today": 0, "tomorrow": 1}
_DAY_FORMATS = ("%Y-%m-%d", "%d.%m.%Y")
_NAMED_FORMATS = ("%d %b %Y", "%d %B %Y", "%b %d %Y", "%B %d %Y")


@dataclass(frozen=True, kw_only=True, slots=True)
class Day:
    """A date, or so many days from today."""

    date: dt.date | None = None
    offset: int = 0

    def on(self, today: dt.date) -> dt.date:
        return self.date or today + dt.timedelta(days=self.offset)


@dataclass(frozen=True, kw_only=True, slots=True)
class ByEvent:
    """An event's id as Google knows it; ``calendar_id`` is empty where nothing names the calendar.
    ``text`` is what was given."""

    text: str
    event_id: str
    calendar_id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ByName:
    """The name of a row of ERPNext's Event."""

    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ByPerson:
    """An employee's events with all of these words in the title, on this day if one was given."""

    email: str
    words: tuple[str, ...] = ()
    day: Day | None = None

    @property
    def id_in_it(self) -> str:
        """The one word that may be meant as an event's id; empty where there is none."""
        one = self.words[0] if len(self.words) == 1 and self.day is None else ""
        return one if _EVENT_ID.fullmatch(one) else ""


Question = ByEvent | ByName | ByPerson


def read(text: str, today: dt.date) -> Question:
    """What ``text`` asks for. A date without a year is the one nearest to ``today``. Raises
    ``UserError``."""
    words = text.split()
    if not words or len(text) > MOST_CHARACTERS:
        what = sentence("that is too long") if words else sentence("there is nothing to look for")
        raise _unclear(what)
    first = words[0].strip("<>")
    if "://" in first:
        return _link(first)
    if first.lower().endswith(_UID):
        return ByEvent(text=first, event_id=first[: -len(_UID)])
    if "@" in first and len(words) == 2 and _NAME.fullmatch(words[1]):
        return ByName(name=words[1].upper())  # a row has one owner: the address adds nothing
    if "@" in first:
        return _person(first.lower(), words[1:], today)
    if len(words) > 1:
        raise _unclear(
            sentence(
                "%(word)s is not an employee's address, and more words follow it", word=repr(first)
            )
        )
    if _NAME.fullmatch(first):
        return ByName(name=first.upper())
    if _day(first.lower(), today) or _LIKE_A_DATE.fullmatch(first):
        raise _unclear(sentence("%(day)s names a day and nobody whose event it is", day=first))
    if not _EVENT_ID.fullmatch(first):
        raise _unclear(
            sentence(
                "%(word)s is neither an event's id nor a link nor ERPNext's name",
                word=repr(first[:60]),
            )
        )
    return ByEvent(text=first, event_id=first)


def _unclear(what: str) -> UserError:
    return UserError(
        what,
        next_step="give an event's id, its link in Google Calendar or ERPNext, ERPNext's name "
        "such as EV00001, or an address with words of the title or a date: "
        'watcher explain ann@example.com "stand-up 2026-12-01"',
    )


def _link(text: str) -> ByEvent | ByName:
    """Google's ``.../event?eid=X``, ``...&tmeid=X`` and ``.../eventedit/X``: base64 of event and
    calendar id. The Desk's ``.../app/event/X`` (16: ``.../desk/event/X``): a row's name."""
    try:
        parts = urlsplit(text)
        asked = parse_qs(parts.query)
        given = (asked.get("eid") or asked.get("tmeid") or [""])[0]
    except ValueError:
        raise _unclear(_NO_LINK) from None
    if row := _IN_DESK.fullmatch(parts.path):
        return ByName(name=unquote(row[1]))
    found = re.search(r"/(?:eventedit|event)/([\w+/=-]+)", parts.path)
    packed = (given or (found[1] if found else "")).replace(" ", "+").rstrip("=")
    plain = packed.replace("+", "-").replace("/", "_")
    try:
        decoded = base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4)).decode()
    except (binascii.Error, ValueError):
        decoded = ""
    event_id, _, calendar_id = decoded.partition(" ")
    if not _EVENT_ID.fullmatch(event_id):
        raise _unclear(_NO_LINK)
    return ByEvent(text=text, event_id=event_id, calendar_id=_whole(calendar_id.strip()))


def _whole(calendar_id: str) -> str:
    local, at, domain = calendar_id.rpartition("@")
    return f"{local}{at}{DOMAINS.get(domain, domain)}"


def _person(email: str, words: list[str], today: dt.date) -> ByPerson:
    if not words:
        raise _unclear(sentence("which event of %(email)s?", email=email))
    day, rest = _day_in(words, today)
    wrong = next((word for word in rest if _LIKE_A_DATE.fullmatch(word.strip(","))), None)
    if wrong is not None and day is None:
        raise UserError(
            sentence("%(word)s is no date", word=wrong),
            next_step=sentence("write it like 2026-12-31, 31.12.2026 or 31 Dec"),
        )
    return ByPerson(email=email, words=tuple(rest), day=day)


def _day_in(words: list[str], today: dt.date) -> tuple[Day | None, list[str]]:
    """The first date among the words, and the other words."""
    for at in range(len(words)):
        for length in (3, 2, 1):
            part = words[at : at + length]
            day = _day(" ".join(part).strip(",").lower(), today) if len(part) == length else None
            if day is not None:
                return day, words[:at] + words[at + length :]
    return None, words


def _day(text: str, today: dt.date) -> Day | None:
    if text in _RELATIVE:
        return Day(offset=_RELATIVE[text])
    text = text.replace(",", "")
    found = [_date(text, form) for form in (*_DAY_FORMATS, *_NAMED_FORMATS)]
    years = (today.year - 1, today.year, today.year + 1)
    found += [_date(f"{text} {year}", form) for year in years for form in _NAMED_FORMATS]
    dates = [each for each in found if each is not None]
    return Day(date=min(dates, key=lambda each: abs(each - today))) if dates else None


def _date(text: str, form: str) -> dt.date | None:
    try:
        return dt.datetime.strptime(text, form).date()  # noqa: DTZ007 - a date has no zone
    except ValueError:
        return None
