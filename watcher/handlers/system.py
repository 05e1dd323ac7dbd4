"""The admins' page *System*: what runs, which versions, what is set, and the checks of
``watcher doctor``."""

from __future__ import annotations

import json
import platform
from typing import cast

from flask import Blueprint, Response, current_app, redirect, render_template, url_for
from flask.sansio.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from watcher import __version__
from watcher.doctor import masks, say, titles
from watcher.doctor.examine import Report
from watcher.doctor.within import Examination
from watcher.errors import WatcherError
from watcher.handlers import acting, speech
from watcher.handlers import parts as shared
from watcher.handlers.admin import for_admins
from watcher.handlers.context import EXTENSION, services
from watcher.ledger import erpnext, presence, runs
from watcher.services import Services

_ = speech.gettext

bp = Blueprint("system", __name__)

EXAMINATION = __name__


@bp.record_once
def _prepare(state: BlueprintSetupState) -> None:
    app: Services = state.app.extensions[EXTENSION]
    state.app.extensions[EXAMINATION] = Examination(app.settings, app.clock)


def examination() -> Examination:
    return cast(Examination, current_app.extensions[EXAMINATION])


@bp.get("/system")
@for_admins
def show() -> ResponseReturnValue:
    """The checks are not run by looking at the page."""
    app, last = services(), examination().last
    now = app.clock()
    with app.db.reading() as session:
        processes = [(row, presence.runs(row, now)) for row in presence.everything(session)]
        ticks = runs.ticks(session)
        site = erpnext.site(session)
    return render_template(
        "system.html",
        last=last,
        amiss=last.report.of(say.Verdict.FAIL, say.Verdict.WARN) if last else {},
        well=last.report.of(say.Verdict.OK, say.Verdict.SKIP) if last else {},
        told_of=_results,
        title_of=titles.title,
        processes=processes,
        ticks=ticks,
        site=site,
        version=__version__,
        python=platform.python_version(),
        ledger="SQLite" if app.db.is_sqlite else "PostgreSQL",
        chosen=list(masks.chosen(app.settings)),
    )


@bp.post("/system/check")
@for_admins
@acting.looks
def check() -> ResponseReturnValue:
    try:
        found = examination().run().report
        figures = {"seconds": speech.number(found.seconds, 1), "results": _results(found)}
        shared.done(_("Checked in %(seconds)s s: %(results)s.", **figures))
    except WatcherError as error:
        shared.refused(error)
    return redirect(url_for("system.show"), 303)


def _results(report: Report) -> str:
    """*12 ok, 1 warning, 0 failures, 3 skipped*."""
    ok, warn, fail, skip = (len(report.of(each)) for each in say.Verdict)
    return ", ".join(
        (
            _("%(many)s ok", many=ok),
            speech.ngettext("%(many)s warning", "%(many)s warnings", warn, many=warn),
            speech.ngettext("%(many)s failure", "%(many)s failures", fail, many=fail),
            _("%(many)s skipped", many=skip),
        )
    )


@bp.get("/system/report.json")
@for_admins
def report() -> ResponseReturnValue:
    """The file of ``watcher doctor --bundle``, of the last time that the checks were run."""
    last = examination().last
    if last is None:
        shared.done(_("Run the checks first: the report holds what they find."))
        return redirect(url_for("system.show"), 303)
    name = f"watcher-{last.at:%Y%m%d-%H%M%S}.json"
    return Response(
        json.dumps(last.contents, indent=1) + "\n",
        mimetype="application/json",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        },
    )
