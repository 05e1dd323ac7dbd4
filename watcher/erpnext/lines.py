"""The lines of text that the form of a mirrored event shows: custom fields that hold no data.

Frappe fills each in with the document that is shown. What stands in braces holds no quotes: a
single one would break its template, and a double one would end the link where Frappe cleans the
HTML before it stores it. Its sentences stand between backticks, where Frappe looks them up in the
reader's language.
"""

from __future__ import annotations

import hashlib
from typing import Any

from watcher.erpnext.rows import KEY
from watcher.erpnext.wording import FROM_CALENDAR, NOT_CURRENT, OPEN
from watcher.events.fields import STALE

NOTE = "custom_google_note"
"""The line at the top of the form."""
WARNING = "custom_google_stale_note"
"""The line of a row whose calendar is not kept current."""
PERSON = "custom_google_user"
MIRRORED = f"eval:doc.{KEY}"
"""Frappe's expression for "this Event is one that Watcher keeps"."""
_ACCOUNT = "frappe.utils.escape_html(doc.custom_google_account)"
_FROM = (
    f'<p class="text-muted">{{{{ __(`{FROM_CALENDAR}`, [{_ACCOUNT}]) }}}} '
    '<a target="_blank" rel="noopener noreferrer" '
    'href="https://calendar.google.com/calendar/event?eid={{ btoa('
    "[doc.custom_google_event_id, doc.custom_google_calendar_id].join(String.fromCharCode(32))"
    f').split(/=/)[0] }}}}">{{{{ __(`{OPEN}`) }}}}</a></p>'
)
_STALE = (
    f'<p class="text-danger">{{{{ __(`{NOT_CURRENT}`, '
    f"[{_ACCOUNT}, frappe.datetime.str_to_user(doc.{STALE})]) }}}}</p>"
)
_FORMER = frozenset({"2784e20e3ca36c48", "b4b32e7246da751e"})
"""Digests of these lines as earlier versions of Watcher wrote them, in English alone."""


def _line(name: str, text: str, **more: Any) -> dict[str, Any]:
    return {
        "doctype": "Custom Field",
        "dt": "Event",
        "fieldname": name,
        "fieldtype": "HTML",
        "options": text,
        "no_copy": 1,
        "print_hide": 1,
        "is_system_generated": 1,
        **more,
    }


FROM_LINE = _line(
    NOTE, _FROM, label="Mirrored from Google", insert_after=PERSON, depends_on=MIRRORED
)
STALE_LINE = _line(
    WARNING,
    _STALE,
    label="Not kept current",
    insert_after=NOTE,
    depends_on=f"eval:doc.{STALE}",
)


def is_former(text: object) -> bool:
    """Whether an earlier version of Watcher wrote this line."""
    return hashlib.sha256(str(text or "").encode()).hexdigest()[:16] in _FORMER
