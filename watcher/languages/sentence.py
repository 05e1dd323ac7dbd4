"""Sentences that are made in English and may be said in another language later.

Causes, steps, problems and errors are made here, far from the page or the notice that somebody will
read: which language that is, is not known then. Pure, and imports nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Sentence(str):
    """An English text that remembers what it was made of; ``saying.say`` says it in a language.
    Everywhere else, such as in the log, on the command line and in JSON, it is just the text.

    ``values`` are put into ``template`` (``%(name)s``); each may be a ``Sentence`` itself. A
    ``plural`` is taken where the value ``n`` is not 1. ``f"..."``, ``+``, slices and ``join`` make
    a plain text of it, which stays English: put sentences together by ``sentence``.
    """

    template: str
    plural: str
    values: Mapping[str, str | int]

    @classmethod
    def of(cls, template: str, values: Mapping[str, str | int], plural: str = "") -> Sentence:
        chosen = plural if plural and values["n"] != 1 else template
        shown = {k: f"{v:,}" if isinstance(v, int) else v for k, v in values.items()}
        made = cls(chosen % shown if shown else chosen)
        made.template, made.plural, made.values = template, plural, values
        return made

    def as_kept(self) -> list[Any]:
        """What it was made of, as JSON."""
        values = {
            name: value.as_kept() if isinstance(value, Sentence) else value
            for name, value in self.values.items()
        }
        return [self.template, self.plural, values]

    @classmethod
    def from_kept(cls, kept: list[Any]) -> Sentence:
        template, plural, values = kept
        read = {
            name: cls.from_kept(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls.of(template, read, plural)


def sentence(template: str, **values: str | int) -> Sentence:
    """A sentence, or a part of one that stands alone, which ``make messages`` finds."""
    return Sentence.of(template, values)


def counted(one: str, many: str, n: int, **values: str | int) -> Sentence:
    """``sentence`` for a number ``%(n)s`` of something: gettext chooses the form."""
    return Sentence.of(one, {"n": n, **values}, many)


def joined(separator: str, *parts: str) -> str:
    """The parts that are there, one behind the other: each is said by itself."""
    there = {f"p{number}": part for number, part in enumerate(parts) if part}
    return Sentence.of(separator.join(f"%({name})s" for name in there), there)
