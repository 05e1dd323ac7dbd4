"""Lists of people as somebody has written them: a CSV file, or addresses pasted from anywhere."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator

from watcher.accounts.rounds import Guest
from watcher.errors import UserError
from watcher.languages.sentence import sentence

ADDRESS, USER = "email", "erpnext_user"
_IN_BRACKETS = re.compile(r"<\s*([^<>\s]+@[^<>\s]+)\s*>")
_SAVE = "save it as CSV UTF-8"


def of_csv(data: bytes, name: str) -> list[Guest]:
    """The lines of a CSV in UTF-8, with commas or semicolons. ``name`` is what the errors call it.
    An address that is missing or wrong is a guest all the same: it is told like one that fails.
    Raises ``UserError``."""
    try:
        text = data.decode("utf-8-sig")
        # A spreadsheet of a country with a decimal comma writes semicolons.
        delimiter = ";" if ";" in text.partition("\n")[0] else ","
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    except UnicodeDecodeError:
        raise UserError(
            sentence("%(name)s is not a CSV file in UTF-8", name=name), next_step=_SAVE
        ) from None
    lines = _cells(rows, name)
    names = [title.lower().replace(" ", "_") for title in lines[0]] if lines else []
    if ADDRESS not in names:
        found = ", ".join(f"`{title}`" for title in lines[0] if title) if lines else "nothing"
        raise UserError(
            sentence(
                "%(name)s has no column `%(address)s`: its first line has %(found)s",
                name=name,
                address=ADDRESS,
                found=found[:200],
            ),
            next_step=sentence("write `email` into its first line, above the addresses"),
        )
    people = [dict(zip(names, line, strict=False)) for line in lines[1:] if any(line)]
    if not people:
        raise UserError(
            sentence("%(name)s names nobody", name=name),
            next_step=sentence("one address a line, below `email`"),
        )
    return [Guest(person.get(ADDRESS, ""), person.get(USER) or None) for person in people]


def _cells(rows: Iterable[list[str]], name: str) -> list[list[str]]:
    """What stands in the cells. A quote that is not closed would swallow all lines behind it."""
    found: list[list[str]] = []
    try:
        found.extend([cell.strip() for cell in row] for row in rows)
    except csv.Error:
        raise UserError(
            sentence(
                "%(name)s is no CSV behind line %(line)s: a quote is not closed, something stands "
                "behind it, or a cell has no end",
                name=name,
                line=len(found),
            ),
            next_step=sentence("correct it there"),
        ) from None
    return found


def of_text(text: str) -> list[Guest]:
    """Addresses between commas, semicolons, blanks and line ends; of ``Ann Lee <ann@example.com>``
    what stands in the brackets."""
    return [Guest(address) for piece in re.split(r"[\n,;]", text) for address in _within(piece)]


def _within(piece: str) -> Iterator[str]:
    inside = _IN_BRACKETS.findall(piece)
    yield from inside or piece.split()


def once(guests: Iterable[Guest]) -> list[Guest]:
    """Each address once, as it is named first."""
    first: dict[str, Guest] = {}
    for guest in guests:
        first.setdefault(guest.email.strip().lower(), guest)
    return list(first.values())
