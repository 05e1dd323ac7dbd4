"""The control API below /_sandbox/: what a person or a program does to the sandbox from outside.

JSON in and out, loopback only, the same as the methods of ``GoogleState``. Errors are
``{"error": text}`` with 400, or Google's own JSON where Google refuses.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, abort, request

from watcher_sandbox.google.channels import is_loopback
from watcher_sandbox.google.errors import GoogleError
from watcher_sandbox.google.model import Json
from watcher_sandbox.google.state import GoogleState
from watcher_sandbox.google.times import parse_bound, rfc3339


def blueprint(state: GoogleState) -> Blueprint:
    """All control routes."""
    routes = Blueprint("control", __name__, url_prefix="/_sandbox")

    @routes.before_request
    def loopback_only() -> None:
        if not is_loopback(request.remote_addr or ""):
            abort(403)

    @routes.errorhandler(ValueError)
    @routes.errorhandler(TypeError)
    @routes.errorhandler(KeyError)
    def bad_request(error: Exception) -> Response:
        return _json({"error": f"{type(error).__name__}: {error}"}, 400)

    _people(routes, state)
    _events(routes, state)
    _credentials(routes, state)
    _trouble(routes, state)
    _watching(routes, state)
    return routes


def _people(routes: Blueprint, state: GoogleState) -> None:
    @routes.post("/users")
    def add_user() -> Response:
        return _json(asdict(state.add_user(**_body())))

    @routes.get("/users")
    def users() -> Response:
        with state.lock:
            return _json([asdict(user) for user in state.users.values()])

    @routes.patch("/users/<email>")
    def change_user(email: str) -> Response:
        body = _body()
        if "has_calendar" in body:
            state.set_calendar_service(email, bool(body["has_calendar"]))
        if "calendar_id" in body:
            state.rename_mailbox(email, body["calendar_id"])
        return _json(asdict(state.users[email.lower()]))

    @routes.delete("/users/<email>")
    def remove_user(email: str) -> Response:
        state.remove_user(email)
        return _json({})

    @routes.post("/calendars")
    def add_calendar() -> Response:
        body = _body()
        return _json({"id": state.add_calendar(body.pop("id"), **body)})

    @routes.patch("/calendars/<calendar_id>")
    def change_calendar(calendar_id: str) -> Response:
        state.set_watchable(calendar_id, bool(_body()["watchable"]))
        return _json({})

    @routes.delete("/calendars/<calendar_id>")
    def delete_calendar(calendar_id: str) -> Response:
        state.delete_calendar(calendar_id)
        return _json({})

    @routes.post("/calendars/<calendar_id>/access")
    def access(calendar_id: str) -> Response:
        body = _body()
        if "name" in body or "hidden" in body:
            state.list_as(calendar_id, **body)
        elif body.get("role") is None:
            state.remove_access(calendar_id, body["email"])
        else:
            state.share(calendar_id, body["email"], body["role"])
        return _json({})


def _events(routes: Blueprint, state: GoogleState) -> None:
    at = "/calendars/<calendar_id>/events"

    @routes.post(at)
    def insert(calendar_id: str) -> Response:
        raw = request.args.get("raw") == "true"
        return _json({"id": state.insert_event(calendar_id, _body(), raw)})

    @routes.get(f"{at}/<event_id>")
    def get(calendar_id: str, event_id: str) -> Response:
        return _json(state.get_event(calendar_id, event_id))

    @routes.patch(f"{at}/<event_id>")
    def patch(calendar_id: str, event_id: str) -> Response:
        return _json({"id": state.patch_event(calendar_id, event_id, _body())})

    @routes.delete(f"{at}/<event_id>")
    def delete(calendar_id: str, event_id: str) -> Response:
        state.delete_event(calendar_id, event_id)
        return _json({})

    @routes.post(f"{at}/<event_id>/split")
    def split(calendar_id: str, event_id: str) -> Response:
        at = request.args.get("at")
        return _json({"id": state.split_series(calendar_id, event_id, at, _body())})

    @routes.patch(f"{at}/<event_id>/instances/<original_start>")
    def patch_instance(calendar_id: str, event_id: str, original_start: str) -> Response:
        made = state.patch_instance(calendar_id, event_id, original_start, _body())
        return _json({"id": made})

    @routes.delete(f"{at}/<event_id>/instances/<original_start>")
    def cancel_instance(calendar_id: str, event_id: str, original_start: str) -> Response:
        state.cancel_instance(calendar_id, event_id, original_start)
        return _json({})

    @routes.post(f"{at}/<event_id>/move")
    def move(calendar_id: str, event_id: str) -> Response:
        return _json({"id": state.move_event(calendar_id, event_id, _body()["to"])})

    @routes.get("/calendars/<calendar_id>/truth")
    def truth(calendar_id: str) -> Response:
        low, high = (parse_bound(name, request.args[name]) for name in ("timeMin", "timeMax"))
        return _json({"items": state.truth(calendar_id, low, high)})


def _credentials(routes: Blueprint, state: GoogleState) -> None:
    @routes.post("/clients")
    def add_client() -> Response:
        body = _body()
        made = state.add_client(
            body["id"], body["secret"], body.get("redirect_uris", ()), body.get("desktop", False)
        )
        return _json({"id": made.id})

    @routes.patch("/clients/<client_id>")
    def change_client(client_id: str) -> Response:
        with state.lock:
            state.oauth.clients[client_id].deleted = bool(_body()["deleted"])
        return _json({})

    @routes.post("/service-accounts")
    def add_service_account() -> Response:
        body = _body()
        base = body.pop("base_url", request.host_url.rstrip("/"))
        return _json(state.add_service_account(base, **body))

    @routes.patch("/service-accounts/<email>")
    def delegate(email: str) -> Response:
        state.set_delegated(email, _body()["delegated"])
        return _json({})

    @routes.put("/delegated-to")
    def delegate_to() -> Response:
        state.delegated_to = _body()["who"]
        return _json({})

    @routes.post("/tokens/mint")
    def mint() -> Response:
        body = _body()
        token = state.mint_access_token(body["email"], body.get("scopes"))
        return _json({"access_token": token})

    @routes.post("/tokens/expire")
    def expire() -> Response:
        return _json({"expired": state.expire_access_tokens(_body().get("email"))})

    @routes.post("/tokens/revoke")
    def revoke() -> Response:
        state.revoke_user(_body()["email"])
        return _json({})

    @routes.post("/sync-tokens/expire")
    def expire_sync_tokens() -> Response:
        body = _body()
        state.expire_sync_tokens(body.get("user"), body.get("calendar"))
        return _json({})

    @routes.post("/signing-key/rotate")
    def rotate() -> Response:
        with state.lock:
            return _json({"kid": state.oauth.rotate_signing_key()})


def _trouble(routes: Blueprint, state: GoogleState) -> None:
    @routes.post("/clock")
    def set_clock() -> Response:
        body = _body()
        if "offset" in body:
            state.clock.set_offset(float(body["offset"]))
        state.clock.advance(float(body.get("advance", 0)))
        return clock()

    @routes.get("/clock")
    def clock() -> Response:
        return _json({"now": rfc3339(state.clock.now()), "offset": state.clock.offset})

    @routes.post("/behaviour")
    def set_behaviour() -> Response:
        with state.lock:
            state.behaviour.update(_body())
        return behaviour()

    @routes.get("/behaviour")
    def behaviour() -> Response:
        return _json(asdict(state.behaviour))

    @routes.post("/faults")
    def add_fault() -> Response:
        return _json(asdict(state.faults.add(_body())))

    @routes.get("/faults")
    def faults() -> Response:
        return _json(state.faults.rules())

    @routes.delete("/faults")
    def clear_faults() -> Response:
        state.faults.clear()
        return _json({})

    @routes.post("/push-faults")
    def push_faults() -> Response:
        state.set_push_faults(**_body())
        return _json(asdict(state.pusher.faults))

    @routes.post("/reset")
    def reset() -> Response:
        state.reset()
        return _json({})


def _watching(routes: Blueprint, state: GoogleState) -> None:
    @routes.get("/channels")
    def channels() -> Response:
        with state.lock:
            return _json([_channel(state, each) for each in state.channels.all.values()])

    @routes.post("/channels/kill")
    def kill() -> Response:
        return _json({"killed": state.kill_channels(_body().get("calendar"))})

    @routes.post("/notify")
    def notify() -> Response:
        state.notify(_body()["calendar"])
        return _json({})

    @routes.post("/pushes/wait")
    def wait() -> Response:
        return _json({"idle": state.wait_pushes(float(_body().get("timeout", 10)))})

    @routes.get("/pushes")
    def pushes() -> Response:
        return _json(dict(state.pusher.counts))

    @routes.get("/log")
    def log() -> Response:
        return _json([asdict(entry) for entry in state.log.entries()])

    @routes.get("/counts")
    def counts() -> Response:
        return _json({"routes": state.log.counts(), "statuses": state.log.statuses()})

    @routes.delete("/log")
    def clear_log() -> Response:
        state.log.clear()
        return _json({})

    @routes.get("/health")
    def health() -> Response:
        return _json({"ok": True})


def _channel(state: GoogleState, channel: Any) -> Json:
    shown = {
        name: getattr(channel, name)
        for name in ("id", "user", "client", "resource", "resource_id", "address", "number")
    }
    expiration = rfc3339(channel.expiration)
    return shown | {"expiration": expiration, "live": state.channels.is_live(channel)}


def _body() -> Json:
    text = request.get_data()
    found = json.loads(text) if text else {}
    if not isinstance(found, dict):
        raise GoogleError(400, "parseError", "Parse Error")
    return found


def _json(body: object, status: int = 200) -> Response:
    return Response(json.dumps(body), status, content_type="application/json; charset=utf-8")
