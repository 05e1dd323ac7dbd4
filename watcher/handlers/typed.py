"""Another language in the middle of a form: what was typed comes along.

The switch below such a page is a button of its form, which works without a script. It leads back to
the page: what was typed is behind the address (``sealed``), or, of a search, in it, as the search
itself would put it there. A page with a form names it: ``{% set typed_form = "invite" %}``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import current_app, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from watcher.handlers import acting, admin, parts, sealed, speech
from watcher.languages import catalogs

bp = parts.bp
TYPED = "typed"
FIELDS = frozenset({"addresses", "what", "events", "event_type", "private_events", "calendar"})
"""What is typed or chosen in forms that are sent: the rest of them comes from the page."""


@bp.post("/language")
@acting.looks
def switch() -> ResponseReturnValue:
    """To the page again, in another language."""
    at = urlsplit(request.args.get("at", ""))
    pages = current_app.create_url_adapter(request)
    is_ours = at.path.startswith("/") and not at.netloc and not at.scheme
    if pages is None or not is_ours or not pages.test(at.path, method="GET"):
        return redirect(url_for("dashboard.home"), 303)
    language = catalogs.known(request.form.get(speech.CHOSEN))
    if language:
        session[speech.CHOSEN] = language
    query = dict(parse_qsl(at.query))
    wanted = {name: value for name, value in {**query, **_brought(query)}.items() if value}
    return redirect(f"{at.path}?{urlencode(wanted)}" if wanted else at.path, 303)


def _brought(query: dict[str, str]) -> dict[str, str]:
    """What the address gets. A search that has changed begins at its first page."""
    if admin.FORM_PROOF not in request.form:
        given = {name: text for name, text in request.form.items() if name != speech.CHOSEN}
        is_same = all(query.get(name, "") == text for name, text in given.items())
        return given if is_same else {**given, "page": ""}
    if not admin.form_is_ours():
        return {}
    return again(*sorted(FIELDS & set(request.form))) or {TYPED: ""}


def again(*names: str) -> dict[str, Any]:
    """What a form brought, for the address of the page to which it goes back with a mistake."""
    kept = {name: request.form.getlist(name) for name in names}
    return {TYPED: sealed.keep(TYPED, kept)} if any(map(any, kept.values())) else {}


@bp.app_template_global("switching")
def switching() -> str:
    """Where the buttons of the switch send the form: it comes back to this page."""
    page = parts.here_with(page=request.args.get("page"))
    return url_for("parts.switch", at=page)


@bp.app_template_global("typed")
def typed(name: str) -> str:
    """What was typed into a field before the language was switched."""
    return next(iter(all_typed(name)), "")


@bp.app_template_global("all_typed")
def all_typed(name: str) -> Sequence[str]:
    """The same of a field that there is several times."""
    if TYPED not in g:
        g.typed = sealed.opened(TYPED, request.args.get(TYPED, "")) or {}
    return [str(each) for each in g.typed.get(name, ())]
