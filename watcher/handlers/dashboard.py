"""The admin's page: one look tells whether all is well, and what to do where it is not."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from watcher.handlers.admin import signed_in
from watcher.handlers.context import services
from watcher.ledger import channels, overview, standing
from watcher.ledger.models import Account, Calendar, Channel, Run
from watcher.ledger.states import AccountState

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
    now = app.clock()
    calendars = _calendars()
    with app.db.reading() as db:
        status = overview.status(app.db, db, now, app.doorbell.lengths())
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
        "dashboard.html", status=status, calendars=calendars, recent=recent, admin=admin, now=now
    )


def _calendars() -> list[dict[str, Any]]:
    app = services()
    now = app.clock()
    with app.db.reading() as db:
        seen = standing.moment(app.db, db, now)
        rows = db.execute(
            select(Calendar, Account)
            .join(Account)
            .where(Calendar.removed.is_(False), Account.state != AccountState.DISCONNECTED)
            .order_by(Account.email)
        )
        return [
            {
                "email": account.email,
                "id": calendar.google_id,
                "state": standing.calendar_status(calendar, account, seen),
                "message": calendar.message,
                "last": calendar.last_success_at,
                "push": calendar.push_supported,
                "left": _life_left(channels.live(db, calendar.id, now), now),
            }
            for calendar, account in rows.all()
        ]


def _life_left(channel: Channel | None, now: datetime) -> int | None:
    """Percent of the live channel's life that is left."""
    if channel is None or channel.opened_at is None or channel.expires_at is None:
        return None
    life = (channel.expires_at - channel.opened_at).total_seconds()
    return max(0, min(100, round(100 * (channel.expires_at - now).total_seconds() / max(life, 1))))
