"""The lines of a settings file, and which of them say nothing that can be used."""

from __future__ import annotations

from pathlib import Path

from dotenv.parser import parse_stream

from watcher.errors import sentence
from watcher.languages.sentence import Sentence

_QUOTES = ("'", '"')
_NO_VALUE = sentence("line %(line)s of %(file)s has no = and no value")


def read(file: Path) -> tuple[dict[str, str], list[str]]:
    """The values by name, and a sentence for each line that gives none: never with what stands in
    the line, which may be a secret.

    Without interpolation: a secret may hold ``$``, and ``${HOME}`` in it is meant as it stands.
    """
    values: dict[str, str] = {}
    problems: list[str] = []
    with file.open(encoding="utf-8") as stream:
        for line in parse_stream(stream):
            if line.error:
                template = _what(line.original.string)
            elif line.key is not None and line.value is None:
                template = _NO_VALUE
            elif line.key is not None and line.value is not None:
                values[line.key] = line.value
                continue
            else:
                continue
            where = {"line": str(line.original.line), "file": str(file)}
            problems.append(Sentence.of(template, where))
    return values, problems


def _what(text: str) -> str:
    value = text.partition("=")[2].strip()
    if value.startswith(_QUOTES) and value.rstrip().count(value[0]) == 1:
        return sentence("line %(line)s of %(file)s begins with a quote that is not closed")
    if value.startswith(_QUOTES):
        return sentence("line %(line)s of %(file)s goes on behind the closing quote")
    return sentence("line %(line)s of %(file)s is not NAME=value")
