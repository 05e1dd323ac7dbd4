"""The admins' page *Calendars at Google*: which calendars an employee has there, to be added.

The same as ``watcher calendars find`` and ``watcher calendars add``. Names come from Google when
the button is pressed, stand on this page alone, and are written nowhere.
"""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from watcher.accounts import finding, verbs
from watcher.errors import UserError, WatcherError
from watcher.google.listed import Listed
from watcher.handlers import acting, answered, further, parts, sealed, speech
from watcher.handlers.admin import for_admins
from watcher.handlers.context import services, turns
from watcher.handlers.messages import N_
from watcher.handlers.turns import TooMany
from watcher.ledger import audit, choices, own
from watcher.ledger.models import Account

_ = speech.gettext

bp = Blueprint("found", __name__)

ASKED, LISTED = "mirror", "listed"
MOST_WORD = 500
"""Letters of what a form brings back for an address of ours."""
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


@bp.post("/employees/<int:number>/calendars")
@for_admins
@acting.looks
def ask(number: int) -> ResponseReturnValue:
    word = answered.pressed(LISTED, number)
    return redirect(url_for("found.look", number=number, asked=word), 303)


@bp.get("/employees/<int:number>/calendars")
@for_admins
def look(number: int) -> ResponseReturnValue:
    """What Google listed when the button was pressed, and how each of them stands here now."""
    app, account, problem = services(), _account(number), ""
    found, listed = None, None
    try:
        listed = answered.to(LISTED, number, lambda: _listed(account.email))
        if listed is not None:
            found = finding.sorted_out(app, account.email, listed.value)
    except WatcherError as error:
        problem = parts.sentences(_in_words(error))
    return render_template(
        "found.html",
        number=number,
        email=account.email,
        found=found,
        asked_at=listed.at if listed else None,
        asked=request.args.get(answered.WORD, ""),
        problem=problem,
        seen=choices.seen(app.settings, account),
        kinds=further.KINDS,
        rights=RIGHTS,
        standings=STANDINGS,
    )


def _listed(email: str) -> list[Listed]:
    with turns("find").take():
        return finding.ask(services(), email, "admins")


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
            word = sealed.keep(ASKED, [google_id, request.form.get(answered.WORD, "")])
            return redirect(url_for("found.ask_first", number=number, asked=word), 303)
        with turns("find").take():
            added = verbs.add_calendar(services(), account.email, google_id)
    except WatcherError as error:
        parts.refused(_in_words(error))
        return redirect(_list_of(number, request.form.get(answered.WORD, "")), 303)
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
    account = _account(number)
    google_id, word = sealed.opened(ASKED, request.args.get("asked", "")) or ("", "")
    back = _list_of(number, word)
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
        fields=[("calendar", google_id), (answered.WORD, word)],
        label=_("Add it all the same"),
        kind="button",
        back=back,
    )


def _list_of(number: int, word: str) -> str:
    """The list, as it was asked for."""
    return url_for("found.look", number=number, asked=word[:MOST_WORD] or None)


def _in_words(error: WatcherError) -> WatcherError:
    return UserError(BUSY, next_step=LATER) if isinstance(error, TooMany) else error
