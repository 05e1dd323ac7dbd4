"""The admin's page: one look tells whether all is well, and what to do where it is not."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from watcher.handlers import charts
from watcher.handlers.admin import signed_in
from watcher.handlers.context import readiness, services
from watcher.ledger import hours, listing, overview
from watcher.ledger.models import Account, Calendar, Run

bp = Blueprint("dashboard", __name__)

RECENT, MOST_CALENDARS = 25, 20


@bp.get("/")
def home() -> ResponseReturnValue:
    """For WATCHER_ADMIN_EMAILS; anyone else sees the way to sign in and nothing more."""
    app = services()
    if signed_in() is None:
        return render_template("sign_in.html", configured=bool(app.settings.admin_emails))
    status = overview.look(app, refusal=readiness().now().refusal)
    with app.db.reading() as db:
        day = hours.last(db, app.clock())
        calendars = listing.page(app.db, db, app.clock(), listing.Chosen(), limit=MOST_CALENDARS)
        many = listing.count(db)
        recent = [
            {"run": run, "email": email}
            for run, email in db.execute(
                select(Run, Account.email)
                .join(Calendar, Run.calendar_id == Calendar.id)
                .join(Account, Calendar.account_id == Account.id)
                .order_by(Run.id.desc())
                .limit(RECENT)
            )
        ]
    return render_template(
        "dashboard.html",
        status=status,
        calendars=calendars,
        many=many,
        charts=charts.draw(day),
        recent=recent,
    )
