"""The Calendar API's routes: who asks, with which scope, and the answer's shape."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from flask import Blueprint, Response, g, request

from watcher_sandbox.google import discovery, fieldmask, scopes
from watcher_sandbox.google.errors import (
    GoogleError,
    auth_error,
    insufficient_permissions,
    login_required,
    not_a_calendar_user,
    not_found,
)
from watcher_sandbox.google.model import Json
from watcher_sandbox.google.oauth import AccessToken
from watcher_sandbox.google.query import Args
from watcher_sandbox.google.state import GoogleState

FREE_BUSY_SCOPE = f"{scopes.ROOT}calendar.events.freebusy"
JSON_TYPE = "application/json; charset=UTF-8"


def blueprint(state: GoogleState) -> Blueprint:
    """Routes below /calendar/v3, with Google's method names as endpoints."""
    routes = Blueprint("calendar", __name__, url_prefix="/calendar/v3")
    _events(routes, state)
    _channels(routes, state)
    _calendars(routes, state)
    return routes


def _events(routes: Blueprint, state: GoogleState) -> None:
    @routes.get("/calendars/<calendar_id>/events", endpoint="events_list")
    def list_events(calendar_id: str) -> Response:
        caller, resolved = _on_calendar(state, calendar_id, scopes.EVENTS)
        return _answer(state.events(caller.user, resolved, _args()))

    @routes.get("/calendars/<calendar_id>/events/<event_id>", endpoint="events_get")
    def get_event(calendar_id: str, event_id: str) -> Response:
        caller, resolved = _on_calendar(state, calendar_id, scopes.EVENTS)
        return _answer(state.event(caller.user, resolved, event_id, _args()))

    @routes.get("/calendars/<calendar_id>/events/<event_id>/instances", endpoint="events_instances")
    def list_instances(calendar_id: str, event_id: str) -> Response:
        caller, resolved = _on_calendar(state, calendar_id, scopes.EVENTS)
        return _answer(state.instances(caller.user, resolved, event_id, _args()))


def _channels(routes: Blueprint, state: GoogleState) -> None:
    @routes.post("/calendars/<calendar_id>/events/watch", endpoint="events_watch")
    def watch_events(calendar_id: str) -> Response:
        caller, resolved = _on_calendar(state, calendar_id, scopes.EVENTS)
        mute = bool(request.args.getlist("eventTypes"))
        shown = calendar_id if state.behaviour.uri_repeats_primary else resolved
        return _answer(state.watch_events(caller, resolved, _body(), _base(), mute, shown))

    @routes.post("/users/me/calendarList/watch", endpoint="calendarList_watch")
    def watch_list() -> Response:
        caller = _caller(state, scopes.CALENDAR_LIST)
        return _answer(state.watch_list(caller, _body(), _base()))

    @routes.post("/channels/stop", endpoint="channels_stop")
    def stop() -> Response:
        caller = _caller(state, scopes.STOP)
        state.stop_channel(caller, _body())
        return Response(status=204)


def _calendars(routes: Blueprint, state: GoogleState) -> None:
    @routes.get("/users/me/calendarList", endpoint="calendarList_list")
    def calendar_list() -> Response:
        caller = _caller(state, scopes.CALENDAR_LIST)
        with state.lock:
            return _answer(state.lists.page(caller.user, _args()))

    @routes.get("/users/me/calendarList/<calendar_id>", endpoint="calendarList_get")
    def calendar_entry(calendar_id: str) -> Response:
        return on_list(calendar_id, scopes.CALENDAR_LIST, state.lists.entry)

    @routes.get("/calendars/<calendar_id>", endpoint="calendars_get")
    def calendar(calendar_id: str) -> Response:
        return on_list(calendar_id, scopes.CALENDARS, state.lists.calendar)

    def on_list(
        calendar_id: str, allowed: Iterable[str], find: Callable[[str, str], Json]
    ) -> Response:
        caller = _caller(state, allowed)
        with state.lock:
            return _answer(find(caller.user, state.resolved(caller.user, calendar_id)))


# --- who asks -----------------------------------------------------------------------------


def _caller(state: GoogleState, allowed: Iterable[str]) -> AccessToken:
    """401 for a bad or expired token, 403 when its scopes do not cover the call."""
    header = request.headers.get("Authorization", "")
    kind, _, token = header.partition(" ")
    if not token and request.args.get("access_token"):
        kind, token = "bearer", request.args["access_token"]
    if kind.lower() != "bearer" or not token.strip():
        raise login_required()
    caller = state.authorize(token.strip())
    if caller is None:
        raise auth_error()
    g.user = caller.user
    if not caller.scopes & set(allowed):
        raise insufficient_permissions()
    if not state.is_calendar_user(caller.user):
        raise not_a_calendar_user()
    if state.over_quota(request.args.get("quotaUser") or caller.user):
        raise GoogleError(403, "userRateLimitExceeded", "User Rate Limit Exceeded")
    return caller


def _on_calendar(
    state: GoogleState, calendar_id: str, allowed: Iterable[str]
) -> tuple[AccessToken, str]:
    """The caller and the calendar's real id; ``primary`` is the token's user's."""
    caller = _caller(state, allowed)
    resolved = state.resolved(caller.user, calendar_id)
    held = caller.scopes & scopes.EVENTS
    if held <= scopes.OWNED_ONLY:
        with state.lock:
            found = state.store.calendars.get(resolved)
            if found is not None and found.roles.get(caller.user) != "owner":
                raise insufficient_permissions() if caller.user in found.roles else not_found()
    return caller, resolved


# --- in and out ---------------------------------------------------------------------------


def _args() -> Args:
    return {name: request.args.getlist(name) for name in request.args}


def _base() -> str:
    return request.host_url.rstrip("/")


def _body() -> Json:
    try:
        found: Any = json.loads(request.get_data() or b"{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise GoogleError(400, "parseError", "Parse Error")
    return found


def _answer(body: Json) -> Response:
    """JSON with the wanted fields; 304 when the caller holds this very answer."""
    mask = request.args.get("fields")
    etag = str(body.get("etag", ""))
    if etag and request.headers.get("If-None-Match") == etag:
        return Response(status=304, headers={"ETag": etag})
    if mask:
        wanted = fieldmask.parse(mask)
        if discovery.names_no_field(wanted, body.get("kind")):
            raise fieldmask.bad(mask)
        body = fieldmask.apply(wanted, body)
    headers = {"ETag": etag} if etag else {}
    return Response(json.dumps(body, ensure_ascii=False), 200, headers, content_type=JSON_TYPE)
