"""The admins' page *Calendars at Google*: which calendars an employee has there, to be added.

The same as ``watcher calendars find`` and ``watcher calendars add``. Names come from Google when
the page is opened, stand on it alone, and are kept nowhere.
"""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from watcher.accounts import finding, verbs
from watcher.errors import UserError, WatcherError
from watcher.handlers import acting, further, parts, sealed, speech
from watcher.handlers.admin import for_admins
from watcher.handlers.context import services, turns
from watcher.handlers.messages import N_
from watcher.handlers.turns import TooMany
from watcher.ledger import audit, choices, own
from watcher.ledger.models import Account

_ = speech.gettext

bp = Blueprint("found", __name__)

ASKED = "mirror"
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


@bp.get("/employees/<int:number>/calendars")
@for_admins
def look(number: int) -> ResponseReturnValue:
    """What Google lists now."""
    app, account, problem = services(), _account(number), ""
    found: list[finding.Found] = []
    try:
        with turns("find").take():
            found = finding.find(app, account.email, "admins")
    except WatcherError as error:
        problem = parts.sentences(_in_words(error))
    return render_template(
        "found.html",
        number=number,
        email=account.email,
        found=found,
        problem=problem,
        seen=choices.seen(app.settings, account),
        kinds=further.KINDS,
        rights=RIGHTS,
        standings=STANDINGS,
    )


@bp.post("/employees/<int:number>/calendars/add")
@for_admins
@acting.records(audit.What.CALENDAR_ADD)
def add(number: int) -> ResponseReturnValue:
    """Mirror one of them; asked once more where another account mirrors it already."""
    account, google_id = _account(number), request.form.get("calendar", "").strip()
    audit.about(audit.calendar(account.email, google_id))
    try:
        if _others(account, google_id) and "confirmed" not in request.form:
            audit.nothing()
            word = sealed.keep(ASKED, google_id)
            return redirect(url_for("found.ask_first", number=number, asked=word), 303)
        with turns("find").take():
            added = verbs.add_calendar(services(), account.email, google_id)
    except WatcherError as error:
        parts.refused(_in_words(error))
        return redirect(url_for("found.look", number=number), 303)
    parts.done(_("It is mirrored from now on; it is read for the first time now."))
    return redirect(url_for("calendars.one", number=added.number), 303)


def _account(number: int) -> Account:
    with services().db.reading() as session:
        return session.get(Account, number) or abort(404)


def _others(account: Account, google_id: str) -> tuple[str, ...]:
    """Whose other accounts mirror it. Raises ``UserError`` where admins may not look at all."""
    app = services()
    if not finding.may(app.settings, "admins"):
        raise UserError(NOT_ADMINS)
    with app.db.reading() as session:
        found = own.mirrored_by_others(session, account.id, [google_id])
    return found.get(google_id.lower(), ())


@bp.get("/employees/<int:number>/calendars/add")
@for_admins
def ask_first(number: int) -> ResponseReturnValue:
    """Whether it is to be mirrored twice."""
    account, back = _account(number), url_for("found.look", number=number)
    google_id = sealed.opened(ASKED, request.args.get("asked", ""))
    others = _others(account, google_id) if google_id else ()
    if not others:
        return redirect(back, 303)
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
                email=account.email,
            )
        ],
        action=url_for("found.add", number=number),
        fields=[("calendar", google_id)],
        label=_("Add it all the same"),
        kind="button",
        back=back,
    )


def _in_words(error: WatcherError) -> WatcherError:
    return UserError(BUSY, next_step=LATER) if isinstance(error, TooMany) else error
