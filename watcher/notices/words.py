"""Pure: what the notices say. No secret, no title of an event, and always what to do."""

from __future__ import annotations

import html
from collections.abc import Sequence

NAMED = 20
"""So many accounts are named in the notice of a common cause."""


def marker(notice: int) -> str:
    """Finds the ToDo of a notice again, when only the answer to its making was lost."""
    return f"(Watcher notice {notice})"


def subject(what: str, *, times: int = 1) -> str:
    return f"Watcher: {what}" if times < 2 else f"Watcher: still: {what}"


def for_admins(*, what: str, text: str, step: str, dashboard: str, who: Sequence[str] = ()) -> str:
    """The body of a mail or of a post."""
    lines = [what]
    if text:
        lines.append(text)
    if who:
        lines.append(", ".join(who[:NAMED]))
        if len(who) > NAMED:
            lines.append(f"... and {len(who) - NAMED} more")
    lines += ["", f"What to do: {step}"]
    if dashboard:
        lines += ["", dashboard]
    return "\n".join(lines)


WHY = {
    "no_refresh_token": "there is no permission by Google for it",
    "wrong_account": "another Google account than yours was chosen",
    "missing_scope": "the box for your calendar was not ticked",
    "key_lost": "the permission cannot be read any more",
}


def for_employee(notice: int, *, cause: str, link: str, by_desk: bool) -> str:
    """The ToDo, as HTML. ``link`` is the connect link or the Desk's page."""
    why = WHY.get(cause, "Google has ended the permission")
    shown = html.escape(link)
    if not link:
        how = "<p>Ask your administrator for a new connect link.</p>"
    elif by_desk:
        how = (
            f'<p>Open <a href="{shown}">{shown}</a>, press <b>Connect to ...</b>, choose your '
            "company account and leave the box for your calendar ticked.</p>"
        )
    else:
        how = (
            f'<p><a href="{shown}">Connect it again</a>: choose your company account and leave the '
            "box for your calendar ticked. The link works once.</p>"
        )
    return (
        f"<p>Your Google Calendar is not connected to ERPNext: {why}. Your events here stay as "
        "they are, but changes do not arrive.</p>"
        f"{how}<p>This entry closes by itself when that is done. {marker(notice)}</p>"
    )
