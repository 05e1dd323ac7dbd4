"""The lines of a settings file, and which of them say nothing that can be used."""

from __future__ import annotations

from pathlib import Path

from dotenv.parser import parse_stream

_QUOTES = ("'", '"')


def read(file: Path) -> tuple[dict[str, str], list[str]]:
    """The values by name, and a sentence for each line that gives none: never with what stands in
    the line, which may be a secret.

    Without interpolation: a secret may hold ``$``, and ``${HOME}`` in it is meant as it stands.
    """
    values: dict[str, str] = {}
    problems = []
    with file.open(encoding="utf-8") as stream:
        for line in parse_stream(stream):
            if line.error:
                what = _what(line.original.string)
                problems.append(f"line {line.original.line} of {file} {what}")
            elif line.key is not None and line.value is None:
                problems.append(f"line {line.original.line} of {file} has no = and no value")
            elif line.key is not None and line.value is not None:
                values[line.key] = line.value
    return values, problems


def _what(text: str) -> str:
    value = text.partition("=")[2].strip()
    if value.startswith(_QUOTES) and value.rstrip().count(value[0]) == 1:
        return "begins with a quote that is not closed"
    if value.startswith(_QUOTES):
        return "goes on behind the closing quote"
    return "is not NAME=value"
