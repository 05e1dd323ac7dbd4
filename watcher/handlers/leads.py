"""Steps that name a command lead to the page that does the same: the command stays, for whoever
prefers it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from flask import request, url_for
from markupsafe import Markup, escape

PAGES: Mapping[str, str] = {
    "queue": "failures.show",
    "accounts": "employees.everybody",
    "calendars": "calendars.everything",
    "channels": "calendars.everything",
    "resync": "calendars.everything",
    "verify": "calendars.everything",
    "doctor": "system.show",
    "config": "system.show",
    "explain": "explaining.ask",
    "status": "dashboard.home",
    "audit": "auditing.show",
}
"""By the first word of a command."""
NO_BUTTON = frozenset({"calendars add", "calendars remove", "channels stop", "accounts set"})
OF_ONE = frozenset({"employees.everybody", "calendars.everything"})
"""Pages that find somebody by the address."""
QUEUE = "queue show"
"""What stands on *Failures* has a heading of its own there."""
CODE, LINK = Markup("<code>{}</code>"), Markup(' (<a href="{}">{}</a>)')
_GROUPS, _ALONE = ("queue", "accounts", "calendars", "channels", "config"), set(PAGES)
_COMMAND = re.compile(
    r"(`|<code>)?"
    r"(watcher ("
    rf"(?:{'|'.join(_GROUPS)}) [a-z-]+"
    rf"|{'|'.join(sorted(_ALONE.difference(_GROUPS)))}"
    r")\b((?: (?:[^\s<>`]+@[^\s<>`]*[^\s<>`,.;:()]|--[a-z-]+|EMAIL|ID))*)"
    r"(?(1)[^`<]*))"
    r"(?:`|</code>)?"
    r"|`([^`\n]{1,120})`"
)


def leads(text: str, names: Mapping[str, str]) -> Markup:
    """The text with a link behind each command that a page stands for, unless it is this page;
    ``names`` has what a page is called. What stands in backticks is shown as code."""
    safe, parts, at = escape(text), [], 0
    for found in _COMMAND.finditer(safe):
        command, verb, more, quoted = (safe[slice(*found.span(n))] for n in (2, 3, 4, 5))
        page = _page(verb, more, names) if found[2] else ""
        parts += [safe[at : found.start()], CODE.format(command or quoted), page]
        at = found.end()
    return Markup("").join([*parts, safe[at:]])


def _page(verb: Markup, more: Markup, names: Mapping[str, str]) -> Markup:
    page = PAGES[verb.partition(" ")[0]]
    if verb in NO_BUTTON or page not in names or (page == request.endpoint and verb != QUEUE):
        return Markup("")
    words = more.unescape().split() if page in OF_ONE else []
    whom = next((word for word in words if "@" in word), None)
    anchor = "aside" if verb == QUEUE else None
    return LINK.format(url_for(page, _anchor=anchor, q=whom), names[page])
