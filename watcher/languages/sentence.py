"""Sentences that are made in English and may be said in another language later.

Causes, steps, problems and errors are made here, far from the page or the notice that somebody will
read: which language that is, is not known then. Pure, and imports nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

Value = str | int | float | date
"""What is put into a sentence. A language writes numbers and dates in its own way: a float with one
decimal place, a ``datetime`` (aware, UTC) with hour and minute. What is no number to a reader, such
as the status of an answer, is given as text."""


def in_english(value: Value) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    if isinstance(value, date):
        return f"{value:%Y-%m-%d}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else value


class Given(str):
    """What others wrote, such as the title of an event. It is shown as it came: no language has
    words for it, although it may look like one of Watcher's own."""


class Sentence(str):
    """An English text that remembers what it was made of; ``saying.say`` says it in a language.
    Everywhere else, such as in the log, on the command line and in JSON, it is just the text.

    ``values`` are put into ``template`` (``%(name)s``); each may be a ``Sentence`` itself. A
    ``plural`` is taken where the value ``n`` is not 1. ``f"..."``, ``+``, slices and ``join`` make
    a plain text of it, which stays English: put sentences together by ``sentence``.
    """

    template: str
    plural: str
    values: Mapping[str, Value]

    @classmethod
    def of(cls, template: str, values: Mapping[str, Value], plural: str = "") -> Sentence:
        chosen = plural if plural and values["n"] != 1 else template
        shown = {name: in_english(value) for name, value in values.items()}
        made = cls(chosen % shown if shown else chosen)
        made.template, made.plural, made.values = template, plural, values
        return made

    def as_kept(self) -> list[Any]:
        """What it was made of, as JSON."""
        values = {name: kept(value) for name, value in self.values.items()}
        return [self.template, self.plural, values]

    @classmethod
    def from_kept(cls, found: list[Any]) -> Sentence:
        template, plural, values = found
        return cls.of(template, {name: _read(value) for name, value in values.items()}, plural)


def kept(value: Value) -> Any:
    """As JSON, with what it was made of, so that it can be said in another language later."""
    if isinstance(value, Sentence):
        return value.as_kept()
    if isinstance(value, date):
        return {"moment" if isinstance(value, datetime) else "day": value.isoformat()}
    return value


def _read(found: Any) -> Value:
    if isinstance(found, list):
        return Sentence.from_kept(found)
    if isinstance(found, dict):
        day = found.get("day")
        return date.fromisoformat(day) if day else datetime.fromisoformat(found["moment"])
    value: Value = found
    return value


def read_text(found: Any) -> str:
    """A text of which ``kept`` has made JSON."""
    return Sentence.from_kept(found) if isinstance(found, list) else str(found)


def sentence(template: str, **values: Value) -> Sentence:
    """A sentence, or a part of one that stands alone, which ``make messages`` finds."""
    return Sentence.of(template, values)


def counted(one: str, many: str, n: int, **values: Value) -> Sentence:
    """``sentence`` for a number ``%(n)s`` of something: gettext chooses the form."""
    return Sentence.of(one, {"n": n, **values}, many)


def coded(name: str, template: str) -> Sentence:
    """A name that programs read, such as a cause or a field. Log, commands and JSON have just the
    name, and ``saying.say`` the words of ``template`` for it."""
    made = Sentence(name)
    made.template, made.plural, made.values = template, "", {}
    return made


def unended(text: str) -> str:
    """Without a full stop behind it, for the middle of a sentence: the words of others have one."""
    if not isinstance(text, Sentence):
        return text.rstrip(".")
    values = dict(text.values)
    for name, value in text.values.items():
        if isinstance(value, str) and text.template.endswith(f"%({name})s"):
            values[name] = unended(value)
    return Sentence.of(text.template, values, text.plural) if values else text


def joined(separator: str, *parts: str) -> str:
    """The parts that are there, one behind the other: each is said by itself."""
    there = {f"p{number}": part for number, part in enumerate(parts) if part}
    return Sentence.of(separator.join(f"%({name})s" for name in there), there)
