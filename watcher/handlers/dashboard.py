"""The admin's page: one look tells whether all is well, and what to do where it is not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from watcher.handlers import charts
from watcher.handlers.admin import signed_in
from watcher.handlers.context import readiness, services
from watcher.ledger import fleet, hours, overview, standing, watched
from watcher.ledger.models import Account, Calendar, Run

bp = Blueprint("dashboard", __name__)

RECENT = 25


@bp.get("/")
def home() -> ResponseReturnValue:
    """For WATCHER_ADMIN_EMAILS; anyone else sees the way to sign in and nothing more."""
    app = services()
    if signed_in() is None:
        return render_template("sign_in.html", configured=bool(app.settings.admin_emails))
    status = overview.look(app, refusal=readiness().now().refusal)
    with app.db.reading() as db:
        day = hours.last(db, app.clock())
        calendars = _calendars(fleet.everything(app.db, db, app.clock()), app.clock())
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
        charts=charts.draw(day),
        recent=recent,
    )


def _calendars(found: Sequence[fleet.Listed], now: datetime) -> list[dict[str, Any]]:
    return [
        {
            "email": each.account.email,
            "id": each.calendar.google_id,
            "state": each.status,
            "message": standing.trouble(each.calendar, each.status),
            "last": each.calendar.last_success_at,
            "push": _push(each.calendar, each.watch, now),
            "left": each.watch.left(now) if each.watch and each.watch.heard else None,
        }
        for each in found
    ]


def _push(calendar: Calendar, watch: watched.Watch | None, now: datetime) -> str:
    """How its changes become known, where no channel that was heard tells of them."""
    if calendar.push_supported is False:
        return "polled"
    if watch is None or watch.heard:
        return ""
    fresh = now - watch.opened_at <= watched.HEARD_WITHIN
    return "just opened" if fresh else "silent: polled"
