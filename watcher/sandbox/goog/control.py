"""The control API under /_sandbox/: what a test or a demo does behind Google's back."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

if TYPE_CHECKING:
    from watcher.sandbox.goog.app import GoogleState


def blueprint(state: GoogleState) -> Blueprint:
    """POST /_sandbox/VERB with JSON arguments; answers JSON."""
    bp = Blueprint("control", __name__)
    verbs = _verbs(state)

    @bp.post("/_sandbox/<verb>")
    def control(verb: str) -> ResponseReturnValue:
        if verb not in verbs:
            return {"error": f"no verb {verb}", "verbs": sorted(verbs)}, 404
        return {"result": verbs[verb](**(request.get_json(silent=True) or {}))}

    return bp


def _verbs(state: GoogleState) -> dict[str, Any]:
    store, push, oauth = state.store, state.push, state.oauth

    def add_user(email: str, name: str = "", zone: str = "UTC") -> str:
        return store.add_user(email, name, zone).sub

    def truth(calendar: str, start: str, end: str) -> list[Any]:
        return store.truth(calendar, datetime.fromisoformat(start), datetime.fromisoformat(end))

    def expire_sync_tokens(calendar: str | None = None) -> None:
        with store.lock:
            for entry in store.calendars.values():
                if calendar in (None, entry.id):
                    entry.token_epoch += 1

    def kill_channels(calendar: str | None = None) -> None:
        with store.lock:
            for channel in push.channels.values():
                if calendar in (None, channel.calendar):
                    channel.alive = False

    def set_watchable(calendar: str, watchable: bool) -> None:
        store.calendars[calendar].watchable = watchable

    def set_access(user: str, calendar: str, allowed: bool) -> None:
        store.access[(user, calendar)] = allowed

    def trouble(drop: float = 0, double: float = 0, shuffle: float = 0) -> None:
        push.drop, push.double, push.shuffle = drop, double, shuffle

    def clock(offset_seconds: float) -> None:
        store.offset = timedelta(seconds=offset_seconds)

    def revoke_user(email: str) -> None:
        oauth.forget(email)
        oauth.dead.add(email)

    def tune(**values: Any) -> None:
        for name, value in values.items():
            for owner in (push, oauth, state.listing):
                if hasattr(owner, name):
                    setattr(owner, name, value)
                    break
            else:
                raise KeyError(name)

    return {
        "add_user": add_user,
        "add_calendar": lambda **kw: store.add_calendar(**kw),
        "insert": lambda calendar, body: store.insert(calendar, body),
        "patch": lambda calendar, event, changes: store.patch(calendar, event, changes),
        "delete": lambda calendar, event: store.delete(calendar, event),
        "split": lambda calendar, instance, changes: store.split(calendar, instance, changes),
        "move": lambda calendar, event, destination: store.move(calendar, event, destination),
        "truth": truth,
        "expire_sync_tokens": expire_sync_tokens,
        "expire_access_tokens": oauth.expire_access,
        "revoke_user": revoke_user,
        "restore_user": lambda email: oauth.dead.discard(email),
        "undelegate": lambda email: oauth.undelegated.add(email),
        "kill_channels": kill_channels,
        "set_watchable": set_watchable,
        "set_access": set_access,
        "trouble": trouble,
        "clock": clock,
        "tune": tune,
        "fault": lambda **kw: state.faults.add(**kw),
        "clear_faults": state.faults.clear,
        "requests": lambda: dict(state.faults.requests),
        "service_account": lambda path, token_url: oauth.make_service_account(
            Path(path), token_url
        ),
        "channels": lambda: [
            {"id": c.id, "calendar": c.calendar, "alive": c.alive and c.expires > store.now()}
            for c in push.channels.values()
        ],
    }
