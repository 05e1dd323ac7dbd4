"""The web server of the demo's page. It listens on this machine only, and no cookie is set."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from flask import Flask, Response, abort, redirect, render_template, request, url_for
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Response as AnyResponse

from watcher_sandbox.company import Company
from watcher_sandbox.people import Person
from watcher_sandbox.stage import day as days
from watcher_sandbox.stage.edits import Edits, NotPossible

SHOWN = 8
DAYS_AHEAD = 7
FRESH_SECONDS = 4.0
WAITED_SECONDS = 2.0
"""So long the answer to a button waits for ERPNext, so that without JavaScript it shows it, too."""
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def create_app(company: Company, people: Sequence[Person]) -> Flask:
    """The page for these employees."""
    app = Flask("watcher_sandbox.stage")
    token = secrets.token_urlsafe(16)

    @app.get("/")
    def show() -> str:
        return _page(company, people, token, request.args.get("said", "")[:200])

    @app.post("/edit")
    def edit() -> AnyResponse:
        # Any page of the web could send a form to this machine.
        if not hmac.compare_digest(request.form.get("token", ""), token):
            abort(403)
        person, ahead = _chosen(people, request.form)
        return redirect(
            url_for("show", who=person.email, day=ahead, said=_edit(company, person, ahead)), 303
        )

    @app.get("/grid.css")
    def grid() -> Response:
        """A rule for each row and column: the policy allows no style in the page itself."""
        rows = (f".r{n} {{ grid-row-start: {n}; }}" for n in range(1, days.ROWS + 1))
        spans = (f".h{n} {{ grid-row-end: span {n}; }}" for n in range(1, days.ROWS + 1))
        columns = range(1, days.COLUMNS + 1)
        lefts = (f".c{n} {{ grid-column-start: {n}; }}" for n in columns)
        widths = (f".w{n} {{ grid-column-end: span {n}; }}" for n in columns)
        return Response("\n".join((*rows, *spans, *lefts, *widths)), mimetype="text/css")

    @app.after_request
    def secure(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
        return response

    return app


def _chosen(people: Sequence[Person], given: object) -> tuple[Person, int]:
    """The employee, and how many days ahead."""
    told = given.get  # type: ignore[attr-defined]
    person = next((p for p in people if p.email == told("who")), people[0])
    ahead = told("day", "1")
    return person, min(int(ahead), DAYS_AHEAD) if str(ahead).isdigit() else 1


def _date(person: Person, ahead: int) -> date:
    return datetime.now(ZoneInfo(person.zone)).date() + timedelta(days=ahead)


def _edit(company: Company, person: Person, ahead: int) -> str:
    """Make the edit; returns what there is to say to the visitor."""
    form = request.form
    edits = Edits(company, person, _date(person, ahead))
    try:
        wanted = edits.wanted(
            form.get("do", ""), form.get("event", ""), form.get("title", ""), form.get("hour", "")
        )
    except NotPossible as error:
        return str(error)
    name = person.email.partition("@")[0]
    company.edit_soon(name, wanted.what, wanted.change, wanted.seen).join(WAITED_SECONDS)
    return ""


def _page(company: Company, people: Sequence[Person], token: str, said: str) -> str:
    person, ahead = _chosen(people, request.args)
    zone, day = ZoneInfo(person.zone), _date(person, ahead)
    now = datetime.now(UTC)
    edits = list(company.edits)[::-1]
    arrived = sorted(edit.seconds for edit in edits if edit.seconds is not None)
    return render_template(
        "stage.html",
        people=people,
        person=person,
        ahead=ahead,
        days=[_date(person, n) for n in range(DAYS_AHEAD)],
        day=day,
        google=days.of_google(company, person.email, zone, day),
        erpnext=days.of_erpnext(company, person.email, zone, day),
        site_zone=company.site.zone,
        hours=range(days.FIRST_HOUR, days.LAST_HOUR),
        rows_of_an_hour=days.STEPS,
        edits=edits[:SHOWN],
        fresh=lambda edit: (now - edit.at).total_seconds() < FRESH_SECONDS,
        median=arrived[len(arrived) // 2] if arrived else None,
        slowest=arrived[-1] if arrived else None,
        token=token,
        said=said,
        frappe=company.site.version,
        dashboard=company.environ["WATCHER_PUBLIC_URL"],
    )


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """Requests are not printed among the demo's lines."""


def serve(company: Company, people: Sequence[Person]) -> str:
    """Serve the page in threads of this process, which end with it; returns its address."""
    server = make_server(
        "127.0.0.1", 0, create_app(company, people), threaded=True, request_handler=_Quiet
    )
    server.daemon_threads = True  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"
