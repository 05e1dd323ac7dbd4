"""The HTTP side of the sandbox Google."""

from __future__ import annotations

import gzip
import json
import logging
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, redirect, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from werkzeug.serving import WSGIRequestHandler, make_server

from watcher.sandbox.goog import control
from watcher.sandbox.goog.errors import ApiError
from watcher.sandbox.goog.faults import Faults
from watcher.sandbox.goog.listing import Listing, mask
from watcher.sandbox.goog.oauth import CALENDAR_SCOPES, PREFIX, OAuth, OAuthError
from watcher.sandbox.goog.push import Pusher
from watcher.sandbox.goog.store import Store

LIST_SCOPES = ("calendar", "calendar.readonly", "calendar.calendarlist.readonly")


class GoogleState:
    """Everything of one sandbox Google: store, listing, push, OAuth, faults."""

    def __init__(self) -> None:
        self.store = Store()
        self.listing = Listing(self.store)
        self.push = Pusher(self.store)
        self.oauth = OAuth(self.store)
        self.faults = Faults()


def create_app(state: GoogleState) -> Flask:
    app = Flask("watcher.sandbox.goog")
    app.register_error_handler(ApiError, _api_error)
    app.register_error_handler(OAuthError, _oauth_error)
    app.before_request(lambda: _strike(state))
    app.after_request(_compress)
    _calendar_routes(app, state)
    _oauth_routes(app, state)
    app.register_blueprint(control.blueprint(state))
    return app


def _api_error(error: ApiError) -> ResponseReturnValue:
    return error.document(), error.status


def _oauth_error(error: OAuthError) -> ResponseReturnValue:
    return {"error": error.error, "error_description": error.description}, error.status


def _strike(state: GoogleState) -> ResponseReturnValue | None:
    if request.path.startswith("/_sandbox/"):
        return None
    line = f"{request.method} {request.path}"
    state.faults.requests[line] += 1
    fault = state.faults.strike(line)
    if fault is None:
        return None
    if fault.body is not None:
        return Response(fault.body, fault.status, fault.headers, mimetype="application/json")
    document = ApiError(fault.status, fault.reason, domain="global").document()
    return Response(json.dumps(document), fault.status, fault.headers, mimetype="application/json")


def _compress(response: Response) -> Response:
    if "gzip" in request.headers.get("Accept-Encoding", "") and response.status_code == 200:
        response.set_data(gzip.compress(response.get_data(), 1))
        response.headers["Content-Encoding"] = "gzip"
    return response


def _calendar_routes(app: Flask, state: GoogleState) -> None:
    root = "/calendar/v3"

    def user(need: tuple[str, ...] = CALENDAR_SCOPES) -> str:
        return state.oauth.user_of(request.headers.get("Authorization", ""), need)

    def args() -> dict[str, str]:
        return request.args.to_dict()

    @app.get(f"{root}/calendars/<path:calendar>/events")
    def events(calendar: str) -> ResponseReturnValue:
        return mask(state.listing.list_events(user(), calendar, args()), request.args.get("fields"))

    @app.get(f"{root}/calendars/<path:calendar>/events/<event>")
    def event(calendar: str, event: str) -> ResponseReturnValue:
        return state.listing.get(user(), calendar, event)

    @app.get(f"{root}/calendars/<path:calendar>/events/<event>/instances")
    def instances(calendar: str, event: str) -> ResponseReturnValue:
        answer = state.listing.instances(user(), calendar, event, args())
        return mask(answer, request.args.get("fields"))

    @app.post(f"{root}/calendars/<path:calendar>/events/watch")
    def watch(calendar: str) -> ResponseReturnValue:
        return state.push.watch(user(), calendar, request.get_json(force=True))

    @app.post(f"{root}/channels/stop")
    def stop() -> ResponseReturnValue:
        state.push.stop(user(), request.get_json(force=True))
        return "", 204

    @app.get(f"{root}/users/me/calendarList")
    def calendar_list() -> ResponseReturnValue:
        email = user(LIST_SCOPES)
        mine = [c for (who, c), ok in state.store.access.items() if who == email and ok]
        return {"kind": "calendar#calendarList", "items": [{"id": c} for c in mine]}


CONSENT = Markup("""<!doctype html><html lang="en"><meta charset="utf-8">
<title>Sandbox Google</title><style>body{{font:16px system-ui;max-width:26rem;margin:3rem auto}}
label{{display:block;margin:.5rem 0}}</style>
<h1>Sandbox Google</h1><p>Watcher wants to access your account.</p>
<form method="post">{users}{calendar}
<p><button name="answer" value="allow">Allow</button>
<button name="answer" value="deny">Deny</button></p></form></html>""")
USER = Markup('<label><input type="radio" name="email" value="{email}"{checked}> {email}</label>')
BOX = Markup(
    '<label><input type="checkbox" name="calendar" value="1" checked> See your events</label>'
)


def _oauth_routes(app: Flask, state: GoogleState) -> None:
    oauth = state.oauth

    @app.route("/o/oauth2/v2/auth", methods=["GET", "POST"])
    def consent() -> ResponseReturnValue:
        args = request.args.to_dict()
        if args.get("client_id") != oauth.client_id:
            return Response("Error 401: invalid_client", 401)
        if request.method == "GET":
            return _consent_page(state, args)
        target = args["redirect_uri"]
        back = {"state": args.get("state", "")}
        if request.form.get("answer") != "allow":
            return redirect(_with(target, back | {"error": "access_denied"}))
        scopes = args.get("scope", "").split()
        if "calendar" not in request.form:
            scopes = [s for s in scopes if "auth/calendar" not in s]
        scopes = [PREFIX + "userinfo.email" if s == "email" else s for s in scopes]
        code = oauth.authorize(args, request.form["email"], scopes)
        return redirect(_with(target, back | {"code": code, "scope": " ".join(scopes)}))

    @app.post("/token")
    def token() -> ResponseReturnValue:
        basic = request.authorization
        pair = None
        if basic is not None and basic.username is not None:
            pair = (basic.username, basic.password or "")
        return oauth.token(request.form.to_dict(), pair)

    @app.post("/revoke")
    def revoke() -> ResponseReturnValue:
        good = oauth.revoke(request.values.get("token", ""))
        return ({}, 200) if good else ({"error": "invalid_token"}, 400)

    @app.get("/oauth2/v1/certs")
    def certs() -> ResponseReturnValue:
        return oauth.certificates()


def _consent_page(state: GoogleState, args: dict[str, str]) -> str:
    hint = args.get("login_hint", "")
    users = Markup("").join(
        USER.format(email=email, checked=Markup(" checked") if email == hint else "")
        for email in state.store.users
    )
    box = BOX if "auth/calendar" in args.get("scope", "") else ""
    return str(CONSENT.format(users=users, calendar=box))


def _with(url: str, params: dict[str, str]) -> str:
    return f"{url}?{urlencode(params)}"


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *_args: Any) -> None:
        """Nobody reads a sandbox's access log."""


class Server:
    """A server in a thread; ``url`` without a trailing slash."""

    def __init__(self, app: Callable[..., Any], host: str = "127.0.0.1", port: int = 0) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = make_server(host, port, app, threaded=True, request_handler=_Quiet)
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        self.url = f"http://{host}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(timeout=5)
        self._server.server_close()

    def wait(self) -> None:
        self._thread.join()


def serve(state: GoogleState, host: str = "127.0.0.1", port: int = 0) -> Server:
    return Server(create_app(state), host, port)


def run(port: int) -> None:
    """Serve until interrupted; the first line on stdout says where."""
    state = GoogleState()
    server = serve(state, port=port)
    print(  # noqa: T201 - this line is the command's output
        json.dumps(
            {
                "url": server.url,
                "client_id": state.oauth.client_id,
                "client_secret": state.oauth.client_secret,
            }
        ),
        flush=True,
    )
    server.wait()
