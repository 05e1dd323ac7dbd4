"""Pure: a sentence that was made in English, said in the language of who reads it.

Causes, steps, problems and errors are made as ``Sentence``: the log, the command line and JSON
have them in English, and pages and notices hand them to ``say``.
"""

from __future__ import annotations

from watcher.languages import catalogs
from watcher.languages.sentence import Sentence

_THOUSANDS = {"de": ".", "es": "."}


def say(text: str, language: str) -> str:
    """The text in this language. A plain one is looked up as it stands, and stays as it is where
    there are no words for it: ERPNext's own, an address, the name of a setting."""
    if not text or language in ("", "en"):
        return str(text)
    messages = catalogs.messages(language)
    if not isinstance(text, Sentence):
        return messages.gettext(text)
    values = {name: _value(value, language) for name, value in text.values.items()}
    if text.plural:
        number = text.values["n"]
        assert isinstance(number, int)
        template = messages.ngettext(text.template, text.plural, number)
    else:
        template = messages.gettext(text.template)
    return template % values if values else template


def _value(value: str | int, language: str) -> str:
    """What is put into a sentence may be another one; names and addresses stay."""
    if isinstance(value, int):
        return f"{value:,}".replace(",", _THOUSANDS.get(language, ","))
    return say(value, language)
