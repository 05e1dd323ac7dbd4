"""Sentences that are made in English and may be said in another language later.

Causes, steps, problems and errors are made here, far from the page or the notice that somebody will
read: which language that is, is not known then. Pure, and imports nothing.
"""

from __future__ import annotations

from collections.abc import Mapping


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


def sentence(template: str, **values: str | int) -> Sentence:
    """A sentence, or a part of one that stands alone, which ``make messages`` finds."""
    return Sentence.of(template, values)


def counted(one: str, many: str, n: int, **values: str | int) -> Sentence:
    """``sentence`` for a number ``%(n)s`` of something: gettext chooses the form."""
    return Sentence.of(one, {"n": n, **values}, many)
