"""In which language a page speaks, and how it writes a moment.

What was chosen on a page counts first, then the language of the user in ERPNext, then what the
browser asks for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, time
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import flask_babel
from babel.dates import format_date, format_skeleton, format_time, format_timedelta
from babel.numbers import format_decimal
from flask import Blueprint, Flask, Request, current_app, g, request, session
from flask_babel import Babel, get_locale, refresh
from markupsafe import Markup

from watcher.languages import catalogs, names, saying
from watcher.languages.moments import Moment
from watcher.languages.sentence import Sentence

bp = Blueprint("speech", __name__)

CHOSEN = "language"
_LINE = re.compile(r"(watcher|chmod|df|redis-cli|sudo|timedatectl) [^`();]+|https://\S+")
"""What is to be pasted, or opened, and is no prose."""
OF_ADMIN = "admin_language"
EMPLOYEES = "watcher.pages_for_employees"
PAGES = "watcher.pages"


def is_for_employees(blueprint: str | None) -> bool:
    """Whether a page is one of those for employees."""
    return blueprint in current_app.extensions[EMPLOYEES]


class Stated(Protocol):
    """A problem, or an account."""

    @property
    def state(self) -> str: ...

    @property
    def cause(self) -> str: ...


def set_up(app: Flask, admins: frozenset[str], employees: frozenset[str]) -> None:
    """The blueprints with pages for admins and for employees. What the others answer is for
    programs, and in English."""
    app.config["BABEL_TRANSLATION_DIRECTORIES"] = str(catalogs.FOLDER)
    app.jinja_env.policies["ext.i18n.trimmed"] = True
    app.extensions[EMPLOYEES] = employees
    app.extensions[PAGES] = pages = admins | employees
    Babel(app, locale_selector=lambda: _language(request, pages))
    app.register_blueprint(bp)


def _language(asked: Request, pages: frozenset[str]) -> str:
    if asked.blueprint is not None and asked.blueprint not in pages:
        return "en"
    chosen = catalogs.known(asked.args.get(CHOSEN)) or catalogs.known(session.get(CHOSEN))
    of_user = g.get("language_of_account", "") or catalogs.known(session.get(OF_ADMIN))
    accepted = asked.accept_languages.best_match(_names(asked))
    return chosen or of_user or catalogs.known(accepted) or "en"


def _names(asked: Request) -> Iterator[str]:
    """Those languages of the browser that are ours, as it writes them: its order of them counts,
    and ``de-AT`` is German."""
    return (name for name in asked.accept_languages.values() if catalogs.known(name))


def gettext(text: str, /, **values: object) -> str:
    """A sentence in the language of the page."""
    return str(flask_babel.gettext(text, **values))


def ngettext(one: str, many: str, count: int, /, **values: object) -> str:
    """The same where something is counted."""
    return str(flask_babel.ngettext(one, many, count, **values))


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
    is_page = request.blueprint in current_app.extensions[PAGES]
    return is_page and request.method == "GET" and request.endpoint != "oauth.callback"


@bp.app_template_global("languages")
def languages() -> Mapping[str, str]:
    return catalogs.LANGUAGES


@bp.app_template_filter("in_words")
def in_words(name: str) -> str:
    """A state or cause, which is a name in JSON, as readers are told it."""
    return names.in_words(name, gettext)


@bp.app_template_global("titled")
def titled(thing: Stated) -> str:
    """State and cause in words: *failing (missing fields)*."""
    state = in_words(thing.state)
    return f"{state} ({in_words(thing.cause)})" if thing.cause not in ("", thing.state) else state


@bp.app_template_filter("number")
def number(value: float, digits: int = 0) -> str:
    """With the signs of the language between thousands and before fractions: *20.000*; a fraction
    with so many ``digits``, or two at the most."""
    whole = "#,##,##0" if language() == "hi" else "#,##0"
    pattern = f"{whole}.{'0' * digits}" if digits else f"{whole}.##"
    return str(format_decimal(value, pattern, locale=language()))


def weekday(at: datetime) -> str:
    """*Tue*, *Di.*"""
    return format_date(at, "EEE", locale=language())


@bp.app_template_global("capital")
def capital(text: str) -> str:
    """A sentence that stands alone. What is no word, such as an address or the name of a file,
    keeps its letters."""
    first = text.partition(" ")[0].rstrip(",:;.!?")
    return f"{text[:1].upper()}{text[1:]}" if first.replace("-", "").isalpha() else text


@bp.app_template_filter("ended")
def ended(text: str) -> str:
    """With the full stop of the language behind it, unless it ends as a question does."""
    if text.endswith(("?", "!")):
        return text
    return gettext("%(text)s.", text=text.rstrip(".।"))


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
    return saying.say(text, language(), written)


@bp.app_template_filter("said")
def said(text: str, shaped: Callable[[str], str] = str) -> str:
    """The same as a part of a page, ``shaped`` such as by ``capital``: what has no words in its
    language is marked as English, so that it is read out as such."""
    words = say(text)
    if not words or words != str(text) or language() == "en":
        return shaped(words)
    return Markup('<span lang="en">{}</span>').format(shaped(words))


def written(moment: Moment, code: str) -> str:
    """A moment within a sentence: *Di., 1. Dez. 2026, 14:30:05*. It is in its own zone already."""
    at = moment.at if isinstance(moment.at, datetime) else datetime.combine(moment.at, time.min)
    plain = at.replace(tzinfo=None)
    day = format_skeleton("yMMMEd", plain, locale=code)
    if moment.shape == "day":
        return day
    length = "medium" if moment.shape == "second" else "short"
    clock = format_time(plain, length, locale=code)
    return clock if moment.shape == "clock" else f"{day}, {clock}"


@bp.app_template_global("with_code")
def with_code(text: str) -> str:
    """What stands between backticks as code: it is the same in every language."""
    prose, code = iter(text.split("`")), Markup("<code>{}</code>")
    parts = [Markup.escape(next(prose))]
    for word in prose:
        parts += [code.format(word), Markup.escape(next(prose, ""))]
    return Markup("").join(parts)


@bp.app_template_filter("step")
def step(text: str) -> str:
    """What to do: a line to paste as code, a sentence in the language of the page."""
    is_line = not isinstance(text, Sentence) and _LINE.fullmatch(text)
    return with_code(f"`{text}`" if is_line else say(text))


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
