"""Why an employee's calendar is not copied, as the employee is told it: whose matter it is, and
whether there is anything to do. The names of machines, of settings and ERPNext's own words are on
the admins' pages alone."""

from __future__ import annotations

from watcher.errors import Cause
from watcher.languages.catalogs import N_
from watcher.ledger import causes
from watcher.ledger.states import CalendarState

NOT_GOOGLE = causes.AT_ERPNEXT | {
    Cause.SETTINGS,
    Cause.INTERNAL_ERROR,
    Cause.LEDGER_UNAVAILABLE,
    Cause.SWEEP_HELD,
    Cause.WAITING_FOR_TURN,
    Cause.WAITING_FOR_WORKER,
}

_OFF = N_(
    "Google Calendar is not turned on for your account. Your administrator can turn it on; then it "
    "goes on by itself."
)
_BUSY = N_("Many calendars are being read. It goes on by itself; there is nothing for you to do.")
_RIGHT = N_(
    "Google does not let Watcher read this calendar. If you or its owner have changed who may see "
    "it, change it back; else your administrator can help."
)
BY_CAUSE: dict[str, str] = {
    Cause.NOT_A_CALENDAR_USER: _OFF,
    Cause.NO_OWN_CALENDAR: _OFF,
    Cause.GOOGLE_UNAVAILABLE: N_(
        "Google does not answer at this moment. It is tried again by itself; there is nothing for "
        "you to do."
    ),
    Cause.GOOGLE_QUOTA: N_(
        "Google limits how often calendars may be read at this moment. It goes on by itself; there "
        "is nothing for you to do."
    ),
    Cause.ERPNEXT_UNAVAILABLE: N_(
        "ERPNext does not answer at this moment. It is tried again by itself; there is nothing for "
        "you to do."
    ),
    Cause.SWEEP_HELD: N_(
        "Many of your events are suddenly gone in Google. Your administrator is asked before they "
        "are cancelled in ERPNext: if you have not deleted them, say so."
    ),
    Cause.WAITING_FOR_TURN: _BUSY,
    Cause.WAITING_FOR_WORKER: _BUSY,
    "insufficient_permissions": _RIGHT,
    "forbidden": _RIGHT,
}
GONE = N_("Google does not know this calendar any more. Your administrator can see what to do.")
AT_ERPNEXT = N_(
    "ERPNext does not take your events at this moment. Your administrator is told; there is "
    "nothing for you to do."
)
AT_GOOGLE = N_(
    "Google does not let Watcher read calendars at this moment. Your administrator is told; there "
    "is nothing for you to do."
)
HERE = N_(
    "Watcher cannot copy your calendar at this moment. Your administrator is told; there is "
    "nothing for you to do."
)


def of(cause: str, state: str) -> str:
    """The sentence in English, to be said in the language of the page."""
    if state == CalendarState.GONE:
        return GONE
    known = BY_CAUSE.get(cause)
    if known is not None:
        return known
    if cause in causes.AT_ERPNEXT or state == CalendarState.REFUSED:
        return AT_ERPNEXT
    return HERE if cause in NOT_GOOGLE else AT_GOOGLE
