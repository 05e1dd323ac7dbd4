"""Pure: what the notices say. No secret, no title of an event, and always what to do."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

NAMED = 20
"""So many accounts are named in the notice of a common cause."""


def marker(notice: int) -> str:
    """A text in a notice's ToDo, by which it is found where the answer to its making was lost."""
    return f"(Watcher notice {notice})"


def subject(what: str, *, times: int = 1) -> str:
    return f"Watcher: {what}" if times < 2 else f"Watcher: still: {what}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ForAdmins:
    """A mail or a post: what is the matter, in whose words, what to do, and for which accounts."""

    what: str
    text: str
    step: str
    dashboard: str
    who: Sequence[str] = ()

    @property
    def body(self) -> str:
        lines = [self.what]
        if self.text:
            lines.append(self.text)
        if self.who:
            lines.append(", ".join(self.who[:NAMED]))
            if len(self.who) > NAMED:
                lines.append(f"... and {len(self.who) - NAMED} more")
        lines += ["", f"What to do: {self.step}"]
        if self.dashboard:
            lines += ["", self.dashboard]
        return "\n".join(lines)


WHY = {
    "no_refresh_token": "there is no permission by Google for it",
    "wrong_account": "another Google account than yours was chosen",
    "missing_scope": "the box for your calendar was not ticked",
    "key_lost": "the permission cannot be read any more",
}


NO_LINK = "<p>Ask your administrator for a new connect link.</p>"


def by_desk(link: str) -> str:
    """How an employee connects again in ERPNext's Desk; ``link`` is its page."""
    shown = html.escape(link)
    return (
        f'<p>Open <a href="{shown}">{shown}</a>, press <b>Connect to ...</b>, choose your company '
        "account and leave the box for your calendar ticked.</p>"
    )


def by_link(link: str) -> str:
    """How an employee connects again with a connect link."""
    return (
        f'<p><a href="{html.escape(link)}">Connect it again</a>: choose your company account and '
        "leave the box for your calendar ticked. The link works once.</p>"
    )


def for_employee(notice: int, *, cause: str, how: str) -> str:
    """The ToDo, as HTML. ``how`` is ``by_desk``, ``by_link`` or ``NO_LINK``."""
    why = WHY.get(cause, "Google has ended the permission")
    return (
        f"<p>Your Google Calendar is not connected to ERPNext: {why}. Your events here stay as "
        "they are, but changes do not arrive.</p>"
        f"{how}<p>This entry closes by itself when that is done. {marker(notice)}</p>"
    )
