"""The catalogs of messages: what stands in the code, what is translated, what is compiled.

``python -m tests.catalogs`` (``make messages``) brings the ``.po`` files up to the code, says what
is missing in them, and compiles them. No places and no dates stand in the files, so that a change
of the code that changes no sentence changes no file.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Mapping
from gettext import GNUTranslations
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from watcher.languages.catalogs import DOMAIN, FOLDER, LANGUAGES

PACKAGE = Path(__file__).parent.parent / "watcher"
METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2")]
KEYWORDS = {**DEFAULT_KEYWORDS, "sentence": None, "counted": (1, 2)}
"""Functions whose texts are translated: gettext's, and those of ``languages/sentence.py``."""
TRANSLATED = [code for code in LANGUAGES if code != "en"]


def in_code() -> Catalog:
    """Every sentence of the code that is marked to be translated."""
    found = Catalog(domain=DOMAIN, fuzzy=False)
    options = {"**/templates/**.html": {"trimmed": "true", "silent": "false"}}
    files = extract_from_dir(PACKAGE, METHODS, options, keywords=KEYWORDS)
    for _, _, message, _, context in files:
        found.add(message, context=context)
    return found


def path_of(language: str, kind: str) -> Path:
    return FOLDER / language / "LC_MESSAGES" / f"{DOMAIN}.{kind}"


def kept(language: str) -> Catalog:
    """A catalog as its ``.po`` file has it."""
    path = path_of(language, "po")
    if not path.is_file():
        return Catalog(locale=language, domain=DOMAIN, fuzzy=False)
    return read_po(io.StringIO(path.read_text(encoding="utf-8")), locale=language, domain=DOMAIN)


def updated(language: str, code: Catalog) -> Catalog:
    """The catalog with the sentences of the code, and no other; those it had keep their words."""
    before = kept(language)
    new = Catalog(locale=language, domain=DOMAIN, fuzzy=False)
    for message in code:
        if message.id:
            old = before.get(message.id)
            is_same = old is not None and old.pluralizable == message.pluralizable
            new.add(message.id, old.string if old and is_same else "")
    return new


def missing(catalog: Catalog) -> Iterator[Message]:
    """Sentences without words, or with words that are not sure."""
    return (each for each in catalog if each.id and (not all(said(each)) or each.fuzzy))


def ids(message: Message) -> tuple[str, ...]:
    """A sentence as the code has it: in the singular and the plural, if it has both."""
    return message.id if isinstance(message.id, tuple) else (str(message.id),)


def said(message: Message) -> tuple[str, ...]:
    """Its words in the language, in each of the forms that the language counts with."""
    return message.string if isinstance(message.string, tuple) else (str(message.string or ""),)


def flat(catalog: Catalog) -> Mapping[object, str]:
    """As ``gettext`` looks it up."""
    found: dict[object, str] = {}
    for each in filter(lambda each: each.id and all(said(each)), catalog):
        if each.pluralizable:
            found |= {(each.id[0], number): text for number, text in enumerate(said(each))}
        else:
            found[str(each.id)] = str(each.string)
    return found


def as_po(catalog: Catalog) -> str:
    text = io.BytesIO()
    write_po(text, catalog, width=100, omit_header=True, sort_output=True)
    language = f'msgid ""\nmsgstr ""\n"Language: {catalog.locale_identifier}\\n"\n'
    forms = f'"Plural-Forms: {catalog.plural_forms}\\n"\n'
    kind = '"Content-Type: text/plain; charset=utf-8\\n"\n'
    return f"{language}{kind}{forms}\n{text.getvalue().decode()}"


def as_mo(catalog: Catalog) -> bytes:
    """Compiled."""
    text = io.BytesIO()
    write_mo(text, catalog)
    return text.getvalue()


def compiled(language: str) -> Mapping[object, str]:
    """What the ``.mo`` file says, without its header, in which Babel writes its version."""
    with path_of(language, "mo").open("rb") as file:
        found = dict(GNUTranslations(file)._catalog)  # type: ignore[attr-defined]
    found.pop("", None)
    return found


def main() -> int:
    code, lacking = in_code(), 0
    for language in TRANSLATED:
        catalog = updated(language, code)
        path_of(language, "po").parent.mkdir(parents=True, exist_ok=True)
        path_of(language, "po").write_text(as_po(catalog), encoding="utf-8")
        new = flat(catalog)
        if not path_of(language, "mo").is_file() or compiled(language) != new:
            path_of(language, "mo").write_bytes(as_mo(kept(language)))
        for message in missing(catalog):
            lacking += 1
            sys.stdout.write(f"{language}: not translated: {message.id!r}\n")
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main())
