"""Scopes: which calls each one allows, and how consent names them."""

from __future__ import annotations

from collections.abc import Iterable

ROOT = "https://www.googleapis.com/auth/"
SIGN_IN = {"openid", "email", "profile", f"{ROOT}userinfo.email", f"{ROOT}userinfo.profile"}
_LONG = {"email": f"{ROOT}userinfo.email", "profile": f"{ROOT}userinfo.profile"}


def _calendar(*names: str) -> frozenset[str]:
    return frozenset(f"{ROOT}{name}" for name in names)


EVENTS = _calendar(
    "calendar",
    "calendar.readonly",
    "calendar.events",
    "calendar.events.readonly",
    "calendar.events.owned",
    "calendar.events.owned.readonly",
    "calendar.events.public.readonly",
    "calendar.events.freebusy",
    "calendar.app.created",
)
CALENDAR_LIST = _calendar(
    "calendar", "calendar.readonly", "calendar.calendarlist", "calendar.calendarlist.readonly"
)
CALENDARS = _calendar(
    "calendar",
    "calendar.readonly",
    "calendar.calendars",
    "calendar.calendars.readonly",
    "calendar.app.created",
)
STOP = (
    EVENTS
    | CALENDAR_LIST
    | _calendar("calendar.acls", "calendar.acls.readonly", "calendar.settings.readonly")
)
OWNED_ONLY = _calendar("calendar.events.owned", "calendar.events.owned.readonly")


def long_form(scopes: Iterable[str]) -> tuple[str, ...]:
    """As Google answers: ``email`` comes back as .../userinfo.email; sorted, each once."""
    return tuple(sorted({_LONG.get(scope, scope) for scope in scopes}))


def is_sign_in(scope: str) -> bool:
    """These scopes say who the user is and allow nothing: the consent page has no tick box for
    them."""
    return scope in SIGN_IN


def is_known(scope: str) -> bool:
    return scope in SIGN_IN or scope.startswith(ROOT)
