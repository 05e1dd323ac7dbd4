"""Versions of Frappe that are known to be broken or unsafe for mirrored events, with sources.

A site says its own version; nothing here is a setting. ``watcher erpnext setup`` and ``watcher
status`` show what applies, and docs/versions.md has the same table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from watcher.languages.sentence import sentence

Version = tuple[int, int, int]

_NUMBERS = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
_ISSUES = "https://github.com/frappe/frappe/issues/"
SUPPORTED_MAJORS = (15, 16)


@dataclass(frozen=True, slots=True)
class Known:
    """A fault of the versions from ``first`` up to, but without, ``before``; ``text`` names what
    people see, ``source`` is where it is reported."""

    first: Version
    before: Version
    text: str
    source: str


KNOWN = (
    Known(
        (15, 99, 0),
        (15, 101, 0),
        sentence(
            "Frappe's calendar view is broken: events are there, but the Desk does not draw them"
        ),
        f"{_ISSUES}36794",
    ),
    Known(
        (16, 20, 0),
        (16, 21, 0),
        sentence(
            "Frappe's calendar view is broken: events are there, but the Desk does not draw them"
        ),
        f"{_ISSUES}39814",
    ),
    Known(
        (16, 0, 0),
        (16, 50, 0),
        sentence("the Desk draws all-day events of several days one day short"),
        f"{_ISSUES}38425",
    ),
    Known(
        (16, 0, 0),
        (16, 50, 0),
        sentence("the Desk's calendar is empty for readers whose time zone is not the site's"),
        f"{_ISSUES}34444",
    ),
    Known(
        (15, 0, 0),
        (15, 122, 0),
        sentence(
            "Frappe's HTML sanitiser can be walked round; Watcher makes its own texts safe, other "
            "ways into ERPNext do not"
        ),
        sentence("measured on %(version)s; mended upstream in August 2026", version="15.43"),
    ),
    Known(
        (16, 0, 0),
        (16, 50, 0),
        sentence(
            "Frappe's HTML sanitiser can be walked round; Watcher makes its own texts safe, other "
            "ways into ERPNext do not"
        ),
        sentence("measured on %(version)s; mended upstream in August 2026", version="16.4"),
    ),
)


def parse(text: str) -> Version | None:
    """``15.43.0`` and ``16.0.0-dev`` as numbers; None for what is no version."""
    found = _NUMBERS.match(text)
    return None if found is None else (int(found[1]), int(found[2]), int(found[3] or 0))


def is_supported(frappe: str) -> bool:
    """Whether Watcher is made for this version; a text that is none counts as one."""
    version = parse(frappe)
    return version is None or version[0] in SUPPORTED_MAJORS


def warnings(frappe: str) -> list[str]:
    """What an admin should know of this version of Frappe; empty when nothing is known."""
    version = parse(frappe)
    if version is None:
        return [
            sentence("the site does not say its version of Frappe (%(said)s)", said=frappe)
            if frappe
            else sentence("the site does not say its version of Frappe (empty)")
        ]
    if not is_supported(frappe):
        return [
            sentence("Frappe %(version)s is not supported: use version 15 or 16", version=frappe)
        ]
    return [
        sentence("%(text)s (%(source)s)", text=k.text, source=k.source)
        for k in KNOWN
        if k.first <= version < k.before
    ]
