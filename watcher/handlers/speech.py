"""In which language a page speaks, and how it writes a moment.

What was chosen on a page counts first, then the language of the employee's ERPNext, then what the
browser asks for. The admins' pages are in English and say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.dates import format_date, format_time, format_timedelta
from flask import Blueprint, Flask, Request, current_app, g, request, session
from flask_babel import Babel, get_locale, refresh

from watcher.languages import catalogs, saying

bp = Blueprint("speech", __name__)

CHOSEN = "language"
SPOKEN = "watcher.spoken"


def set_up(app: Flask, spoken: frozenset[str]) -> None:
    """``spoken`` are the blueprints whose pages are translated."""
    app.config["BABEL_TRANSLATION_DIRECTORIES"] = str(catalogs.FOLDER)
    app.jinja_env.policies["ext.i18n.trimmed"] = True
    app.extensions[SPOKEN] = spoken
    Babel(app, locale_selector=lambda: _language(request, spoken))
    app.register_blueprint(bp)


def _language(asked: Request, spoken: frozenset[str]) -> str:
    if asked.blueprint is not None and asked.blueprint not in spoken:
        return "en"
    chosen = catalogs.known(asked.args.get(CHOSEN)) or catalogs.known(session.get(CHOSEN))
    accepted = asked.accept_languages.best_match(_names(asked))
    return chosen or g.get("language_of_account", "") or catalogs.known(accepted) or "en"


def _names(asked: Request) -> Iterator[str]:
    """Those languages of the browser that are ours, as it writes them: its order of them counts,
    and ``de-AT`` is German."""
    return (name for name in asked.accept_languages.values() if catalogs.known(name))


@bp.before_app_request
def _choose() -> None:
    """``?language=de`` on any page stays chosen in this browser."""
    if not request.query_string:
        return  # notifications have none, and come in bursts
    chosen = catalogs.known(request.args.get(CHOSEN))
    if chosen and session.get(CHOSEN) != chosen:
        session[CHOSEN] = chosen


def speak(language: str) -> None:
    """The page is for somebody whose language is known."""
    g.language_of_account = catalogs.known(language)
    refresh()


@bp.app_template_global("language")
def language() -> str:
    """The code of the language in which this page is written."""
    locale = get_locale()
    return str(locale.language) if locale else "en"


@bp.app_template_global("may_choose_language")
def may_choose_language() -> bool:
    """Whether this page can be fetched again in another language. What comes back from Google can
    be shown once only."""
    spoken = request.blueprint in current_app.extensions[SPOKEN]
    return spoken and request.method == "GET" and request.endpoint != "oauth.callback"


@bp.app_template_global("languages")
def languages() -> Mapping[str, str]:
    return catalogs.LANGUAGES


def zone_of(name: str) -> ZoneInfo:
    """A time zone as Google names it; UTC for one that this machine does not know."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


@bp.app_template_filter("say")
def say(text: str) -> str:
    """What Watcher made elsewhere, in the language of this page: of a cause, a step, an error.
    Words of others, such as ERPNext's, stay as they are."""
    return saying.say(text, language())


@bp.app_template_filter("moment")
def moment(at: datetime, zone: str) -> str:
    """A day and a time as the language writes them, in a zone: *Dienstag, 1. Dezember 2026, 14:30*.
    The caller names the zone beside it."""
    there, code = at.astimezone(zone_of(zone)), language()
    day = format_date(there, "full", locale=code)
    return f"{day}, {format_time(there, 'short', locale=code)}"


@bp.app_template_filter("day")
def day(at: datetime, zone: str) -> str:
    return format_date(at.astimezone(zone_of(zone)), "full", locale=language())


@bp.app_template_filter("since")
def since(at: datetime, now: datetime) -> str:
    """How long ago it was: *vor 4 Minuten*."""
    return format_timedelta(at - now, add_direction=True, locale=language())
