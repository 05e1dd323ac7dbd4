"""The admins' page *Audit*: who did what, when, from where."""

from __future__ import annotations

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from watcher.handlers import parts as shared
from watcher.handlers.admin import for_admins
from watcher.handlers.context import services
from watcher.ledger import trail
from watcher.ledger.acts import What

bp = Blueprint("auditing", __name__)


def _chosen() -> trail.Chosen:
    who, what, subject = (request.args.get(n, "").strip() for n in ("who", "what", "subject"))
    return trail.Chosen(who=who, what=what, subject=subject)


@bp.get("/audit")
@for_admins
def show() -> ResponseReturnValue:
    """A page of it, the newest row first."""
    chosen, app = _chosen(), services()
    with app.db.reading() as session:
        page = shared.paging(trail.count(session, chosen))
        rows = trail.page(session, chosen, limit=page.limit, offset=page.offset)
    return render_template(
        "audit.html",
        rows=[(row, trail.figures(row)) for row in rows],
        chosen=chosen,
        page=page,
        acts=list(What),
        days=app.settings.audit_days,
    )


@bp.get("/audit.csv")
@for_admins
def table() -> ResponseReturnValue:
    """All rows that the page would show on its pages, for a spreadsheet."""
    app = services()
    name = f"watcher-audit-{app.clock():%Y%m%d-%H%M%S}.csv"
    return Response(
        trail.as_csv(app.db, _chosen()),
        mimetype="text/csv",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        },
    )
