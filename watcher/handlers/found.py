"""The admins' page *Calendars at Google*: which calendars an employee has there, to be added.

The same as ``watcher calendars find`` and ``watcher calendars add``. Names come from Google when
the button is pressed, stand on that page alone, and are kept nowhere.
"""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from watcher.accounts import finding, verbs
from watcher.errors import UserError, WatcherError
from watcher.handlers import acting, further, parts, speech
from watcher.handlers.admin import for_admins
from watcher.handlers.context import services, turns
from watcher.handlers.messages import N_
from watcher.handlers.turns import TooMany
from watcher.ledger import accounts, audit, choices, own

_ = speech.gettext

bp = Blueprint("found", __name__)

BUSY, LATER = N_("Others are looking at this moment"), N_("try again in a few seconds")
NOT_ADMINS = N_("WATCHER_FIND_CALENDARS does not allow it to admins")
RIGHTS = {
    "owner": N_("owns it"),
    "writer": N_("may change it"),
    "writerWithoutPrivateAccess": N_("may change it"),
    "reader": N_("may look at it"),
    "freeBusyReader": N_("sees free and busy alone"),
}
STANDINGS = {
    "can_be_added": N_("not mirrored"),
    "mirrored": N_("is mirrored"),
    "mirrored_for_another": N_("is mirrored for %(others)s"),
    "free_busy_only": N_("cannot be mirrored: no event can be read"),
}


@bp.post("/employees/calendars")
@for_admins
@acting.looks
def look() -> ResponseReturnValue:
    """What Google lists now."""
    app, email = services(), request.form.get("email", "")
    try:
        with turns("find").take():
            found = finding.find(app, email, "admins")
    except WatcherError as error:
        return _refused(error)
    with app.db.reading() as session:
        account = accounts.get(session, email)
    seen = choices.seen(app.settings, account)
    return render_template(
        "found.html",
        email=account.email,
        found=found,
        seen=seen,
        kinds=further.KINDS,
        rights=RIGHTS,
        standings=STANDINGS,
    )


@bp.post("/employees/calendars/add")
@for_admins
@acting.records(audit.What.CALENDAR_ADD)
def add() -> ResponseReturnValue:
    """Mirror one of them; asked once more where another account mirrors it already."""
    app, email = services(), request.form.get("email", "")
    google_id = request.form.get("calendar", "").strip()
    audit.about(audit.calendar(email, google_id))
    try:
        others = _others(email, google_id)
        if others and "confirmed" not in request.form:
            audit.nothing()
            return _asked(email, google_id, others)
        with turns("find").take():
            added = verbs.add_calendar(app, email, google_id)
    except WatcherError as error:
        return _refused(error)
    parts.done(_("It is mirrored from now on; it is read for the first time now."))
    return redirect(url_for("calendars.one", number=added.number), 303)


def _others(email: str, google_id: str) -> tuple[str, ...]:
    """Whose other accounts mirror it. Raises ``UserError`` where admins may not look at all."""
    app = services()
    if not finding.may(app.settings, "admins"):
        raise UserError(NOT_ADMINS)
    with app.db.reading() as session:
        account = accounts.get(session, email)
        found = own.mirrored_by_others(session, account.id, [google_id])
    return found.get(google_id.lower(), ())


def _asked(email: str, google_id: str, others: tuple[str, ...]) -> ResponseReturnValue:
    return render_template(
        "confirm.html",
        section="employees",
        heading=_("Mirror it twice?"),
        about=[google_id],
        consequences=[
            _(
                "It is mirrored for %(others)s. If you add it for %(email)s, too, each of its "
                "events stands in ERPNext twice, once for each of them.",
                others=", ".join(others),
                email=email,
            )
        ],
        action=url_for("found.add"),
        fields=[("email", email), ("calendar", google_id)],
        label=_("Add it all the same"),
        kind="button",
        back=url_for("employees.everybody", q=email),
    )


def _refused(error: WatcherError) -> ResponseReturnValue:
    if isinstance(error, TooMany):
        error = UserError(BUSY, next_step=LATER)
    parts.refused(error)
    return redirect(url_for("employees.everybody", q=request.form.get("email", "")), 303)
