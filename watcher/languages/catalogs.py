"""The languages, and the messages of each by gettext. ``make messages`` brings the catalogs up to
the code; CONTRIBUTING.md says how a sentence is translated."""

from __future__ import annotations

import gettext
from collections.abc import Callable
from functools import cache
from pathlib import Path

Words = Callable[[str], str]

LANGUAGES = {"en": "English", "de": "Deutsch", "es": "Español", "hi": "हिन्दी"}
"""By code, as each calls itself. English is what stands in the code."""
FOLDER = Path(__file__).parent / "translations"
DOMAIN = "messages"


def N_(text: str) -> str:
    """Marks a sentence to be translated when it is shown."""
    return text


def known(code: str | None) -> str:
    """The language of ours that a code such as ``de-AT`` or ``es_MX`` asks for; empty for none."""
    language = (code or "").replace("_", "-").partition("-")[0].lower()
    return language if language in LANGUAGES else ""


@cache
def messages(language: str) -> gettext.NullTranslations:
    """The messages of a language, for what is no page; unknown ones and English as they stand."""
    return gettext.translation(DOMAIN, FOLDER, [language], fallback=True)


def words(language: str) -> Words:
    return messages(language).gettext
