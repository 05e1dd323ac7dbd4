"""The admin's page: one look tells whether all is well, and what to do where it is not."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from watcher.handlers.admin import signed_in
from watcher.handlers.context import readiness, services
from watcher.ledger import fleet, overview, standing, watched
from watcher.ledger.models import Account, Calendar, Run

bp = Blueprint("dashboard", __name__)

RECENT = 25


@bp.app_template_filter("iso")
def iso(moment: datetime) -> str:
    """As in ``watcher status --json``."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


@bp.get("/")
def home() -> ResponseReturnValue:
    """For WATCHER_ADMIN_EMAILS; anyone else sees the way to sign in and nothing more."""
    app = services()
    admin = signed_in()
    if admin is None:
        return render_template("sign_in.html", configured=bool(app.settings.admin_emails))
    status = overview.look(app, refusal=readiness().now().refusal)
    with app.db.reading() as db:
        calendars = _calendars(fleet.look(app.db, db, app.clock()))
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
        "dashboard.html", status=status, calendars=calendars, recent=recent, admin=admin
    )


def _calendars(found: fleet.Fleet) -> list[dict[str, Any]]:
    return [
        {
            "email": account.email,
            "id": calendar.google_id,
            "state": found.statuses[calendar.id],
            "message": standing.trouble(calendar, found.statuses[calendar.id]),
            "last": calendar.last_success_at,
            "push": _push(calendar, found.watches.get(calendar.id), found.seen.now),
            "left": watch.left(found.seen.now) if watch is not None and watch.heard else None,
        }
        for calendar, account in found.pairs
        for watch in [found.watches.get(calendar.id)]
    ]


def _push(calendar: Calendar, watch: watched.Watch | None, now: datetime) -> str:
    """How its changes become known, where no channel that was heard tells of them."""
    if calendar.push_supported is False:
        return "polled"
    if watch is None or watch.heard:
        return ""
    fresh = now - watch.opened_at <= watched.HEARD_WITHIN
    return "just opened" if fresh else "silent: polled"
