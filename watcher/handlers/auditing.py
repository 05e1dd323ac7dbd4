"""The admins' page *Audit*: who did what, when, from where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from watcher.handlers import parts as shared
from watcher.handlers import speech
from watcher.handlers.admin import for_admins
from watcher.handlers.context import services
from watcher.languages import acts, names
from watcher.ledger import trail
from watcher.ledger.acts import What

bp = Blueprint("auditing", __name__)


def _chosen() -> trail.Chosen:
    who, what, subject = (request.args.get(n, "").strip() for n in ("who", "what", "subject"))
    return trail.Chosen(who=who, what=what, subject=subject)


def _figures(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What was counted or chosen, in words. Values that are the names of a choice stay as they are:
    settings and commands have them so."""
    for name, value in found.items():
        said = speech.number(value) if isinstance(value, int) else str(value)
        known = names.in_words(said, speech.gettext) if said in names.CAUSES else said
        yield acts.figure_in_words(name, speech.gettext), known


@bp.app_template_filter("act_in_words")
def act_in_words(what: str) -> str:
    return acts.act_in_words(what, speech.gettext)


def _acts() -> list[tuple[str, str]]:
    """To choose from, by the name in the language of the page."""
    return sorted(((act.value, act_in_words(act)) for act in What), key=lambda each: each[1])


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
        rows=[(row, dict(_figures(trail.figures(row)))) for row in rows],
        chosen=chosen,
        page=page,
        acts=_acts(),
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
