"""The admin's page: one look tells whether all is well, and what to do where it is not."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from watcher.handlers import charts, diary, needs
from watcher.handlers.admin import signed_in
from watcher.handlers.context import looking, services
from watcher.ledger import diary as kept
from watcher.ledger import hours, listing

bp = Blueprint("dashboard", __name__)

RECENT, MOST_CALENDARS = 25, 20


@bp.get("/")
def home() -> ResponseReturnValue:
    """For WATCHER_ADMIN_EMAILS; anyone else sees the way to sign in and nothing more."""
    app = services()
    if signed_in() is None:
        return render_template("sign_in.html", configured=bool(app.settings.admin_emails))
    looked = looking().now()
    status = looked.status
    with app.db.reading() as db:
        now = app.clock()
        drawn = charts.draw(
            hours.last(db, now), hours.failures(db, now), hours.channel_ends(db, now), now
        )
        groups = needs.grouped(status.problems), needs.grouped(status.warnings)
        told = needs.lines(db, [*groups[0], *groups[1]])
        calendars = listing.page(app.db, db, now, listing.Chosen(), limit=MOST_CALENDARS)
        many = listing.count(db)
        recent = kept.newest(db, RECENT)
    return render_template(
        "dashboard.html",
        status=status,
        at=looked.at,
        calendars=calendars,
        many=many,
        charts=drawn,
        problems=told[: len(groups[0])],
        warnings=told[len(groups[0]) :],
        recent=[(each, diary.line(each.passed)) for each in recent],
    )
