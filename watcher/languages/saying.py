"""Pure: a sentence that was made in English, said in the language of who reads it.

Causes, steps, problems and errors are made as ``Sentence``: the log, the command line and JSON
have them as they are, and pages and notices hand them to ``say``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime

from watcher.languages import catalogs
from watcher.languages.moments import Moment
from watcher.languages.sentence import Given, Sentence, Value, in_english

ENGLISH = "en"
Write = Callable[[Moment, str], str]
"""Writes a moment in a language."""
_SIGNS = {
    "de": str.maketrans(",.", ".,"),
    "es": str.maketrans(",.", ".,"),
}
"""Between thousands and before fractions, where they are not those of English."""
_PAIRS = re.compile(r"(?<=\d)(?=(?:\d\d)+$)")
_DAYS = {"de": "%d.%m.%Y", "es": "%d/%m/%Y", "hi": "%d/%m/%Y"}


def as_it_is(moment: Moment, language: str) -> str:
    return str(moment)


def say(text: str, language: str, write: Write = as_it_is) -> str:
    """The text in this language. A plain one is looked up as it stands, and stays as it is where
    there are no words for it: ERPNext's own, an address, the name of a setting. In English the
    text is as it was made, but for the names that programs read (``coded``), which have words there
    too. ``write`` is for the moments in it; English has them as they are."""
    language = language or ENGLISH
    if not text or isinstance(text, Given):
        return str(text)
    if isinstance(text, Moment):
        return str(text) if language == ENGLISH else write(text, language)
    messages = catalogs.messages(language)
    if not isinstance(text, Sentence):
        return messages.gettext(text)
    values = {name: _value(value, language, write) for name, value in text.values.items()}
    if text.plural:
        number = text.values["n"]
        assert isinstance(number, int)
        template = messages.ngettext(text.template, text.plural, number)
    else:
        template = messages.gettext(text.template)
    return template % values if values else template


def _value(value: Value, language: str, write: Write) -> str:
    """What is put into a sentence may be another one; names and addresses stay."""
    if isinstance(value, str):
        return say(value, language, write)
    if isinstance(value, date) and language in _DAYS:
        day = value.strftime(_DAYS[language])
        return f"{day}, {value:%H:%M} UTC" if isinstance(value, datetime) else day
    english = in_english(value)
    return _indian(english) if language == "hi" else english.translate(_SIGNS.get(language, {}))


def _indian(figures: str) -> str:
    """Groups of two behind the last three: *12,34,567*."""
    whole, point, fraction = figures.replace(",", "").partition(".")
    head, tail = whole[:-3], whole[-3:]
    grouped = f"{_PAIRS.sub(',', head)},{tail}" if head.strip("-") else whole
    return f"{grouped}{point}{fraction}"
