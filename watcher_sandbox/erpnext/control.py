"""Switches of the stand-in itself, under /_sandbox/. None of it is Frappe's; no key is asked for.

GET         events                 all Event rows
GET         drawn                  on which days the Desk's calendar shows each Event
GET         dump                   {"text"}: every row of every table, to search in
GET POST    users                  the addresses; add {"email", "system_manager"} -> its key, secret
DELETE      users/<email>
GET POST DELETE  faults            how many wait; add one (``Site.add_fault``'s arguments); clear
GET POST DELETE  troubles          states of the site (``faults.Troubles``), "rate_limit": seconds
POST        maintenance            {"mode": "" | "full" | "read-only"}
GET POST    zone                   {"zone": "Europe/Berlin"}
POST        clock                  {"advance": seconds}
POST        tracebacks             {"allowed": true | false}
POST        jobs                   run what waits for a background worker
POST        close-past             Frappe's daily job on Events
GET DELETE  requests               counts and the last requests; forget them
GET         site                   what the site is: version, ERPNext or not
POST        reset                  {"keep_fields": true | false, "frappe": 15 | 16}
POST        connected-app          {"client_id", "client_secret"}
POST        token                  {"app", "user", "refresh_token"}
POST        employee               {"employee_name", "user_id", ...}; with ERPNext only
POST        contact                {"first_name", "email_id"}: whose timeline shows Events
POST        google-calendar        {"user"}: Frappe's own integration, switched on
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request

from watcher_sandbox.erpnext.resources import answer
from watcher_sandbox.erpnext.site import Site

Action = Callable[[dict[str, Any]], dict[str, Any] | list[Any]]


def create(site: Site) -> Blueprint:
    """All the switches of one site."""
    switches = Blueprint("sandbox", __name__, url_prefix="/_sandbox")
    groups = (_reading(site), _troubling(site), _changing(site), _furnishing(site))
    for group in groups:
        for (verb, path), action in group.items():
            endpoint = f"{verb} {path}".replace(".", " ")
            switches.add_url_rule(path, endpoint, _answered(action), methods=[verb])
    return switches


def _answered(action: Action) -> Callable[..., Response]:
    def view(**named: str) -> Response:
        body = request.get_json(force=True, silent=True)
        try:
            return answer(action({**(body if isinstance(body, dict) else {}), **named}))
        except (TypeError, ValueError, KeyError) as error:
            return answer({"error": f"{type(error).__name__}: {error}"}, 400)

    return view


def _reading(site: Site) -> dict[tuple[str, str], Action]:
    def requests(_: dict[str, Any]) -> dict[str, Any]:
        with site.lock:
            return {"counts": dict(site.requests), "log": list(site.log)}

    def forget(_: dict[str, Any]) -> dict[str, Any]:
        with site.lock:
            site.requests.clear()
            site.log.clear()
        return {}

    return {
        ("GET", "/events"): lambda _: site.events(),
        ("GET", "/users"): lambda _: list(site.users()),
        ("GET", "/zone"): lambda _: {"zone": site.zone},
        ("GET", "/drawn"): lambda _: {row["name"]: site.drawn(row) for row in site.events()},
        ("GET", "/dump"): lambda _: {"text": site.dump()},
        ("GET", "/site"): lambda _: {
            "frappe": site.frappe,
            "version": site.version,
            "erpnext": site.erpnext,
            "rich_events": site.rich_events,
        },
        ("GET", "/requests"): requests,
        ("DELETE", "/requests"): forget,
    }


def _troubling(site: Site) -> dict[tuple[str, str], Action]:
    def add_fault(body: dict[str, Any]) -> dict[str, Any]:
        site.add_fault(**body)
        return {"waiting": site.faults.waiting()}

    def clear_faults(_: dict[str, Any]) -> dict[str, Any]:
        site.clear_faults()
        return {}

    def trouble(body: dict[str, Any]) -> dict[str, Any]:
        site.set_troubles(body)
        return site.troubles()

    def calm(_: dict[str, Any]) -> dict[str, Any]:
        site.clear_troubles()
        return site.troubles()

    def maintenance(body: dict[str, Any]) -> dict[str, Any]:
        mode = body.get("mode", "full")
        site.set_troubles({"maintenance": mode})
        return {"mode": mode}

    return {
        ("GET", "/faults"): lambda _: {"waiting": site.faults.waiting()},
        ("POST", "/faults"): add_fault,
        ("DELETE", "/faults"): clear_faults,
        ("GET", "/troubles"): lambda _: site.troubles(),
        ("POST", "/troubles"): trouble,
        ("DELETE", "/troubles"): calm,
        ("POST", "/maintenance"): maintenance,
    }


def _changing(site: Site) -> dict[tuple[str, str], Action]:
    def add_user(body: dict[str, Any]) -> dict[str, Any]:
        key, secret = site.add_user(str(body["email"]), bool(body.get("system_manager")))
        return {"api_key": key, "api_secret": secret}

    def remove_user(body: dict[str, Any]) -> dict[str, Any]:
        site.remove_user(body["email"])
        return {}

    def zone(body: dict[str, Any]) -> dict[str, Any]:
        site.set_zone(str(body["zone"]))
        return {"zone": site.zone}

    def clock(body: dict[str, Any]) -> dict[str, Any]:
        site.advance(float(body["advance"]))
        return {"now": site.now()}

    def tracebacks(body: dict[str, Any]) -> dict[str, Any]:
        site.tracebacks = bool(body["allowed"])
        return {"allowed": site.tracebacks}

    def reset(body: dict[str, Any]) -> dict[str, Any]:
        frappe = body.get("frappe")
        keep = bool(body.get("keep_fields"))
        site.reset(keep_fields=keep, frappe=None if frappe is None else int(frappe))
        return {"frappe": site.frappe}

    return {
        ("POST", "/users"): add_user,
        ("DELETE", "/users/<email>"): remove_user,
        ("POST", "/zone"): zone,
        ("POST", "/clock"): clock,
        ("POST", "/tracebacks"): tracebacks,
        ("POST", "/reset"): reset,
        ("POST", "/jobs"): lambda _: {"jobs": site.run_background_jobs()},
        ("POST", "/close-past"): lambda _: {"closed": site.close_past_events()},
    }


def _furnishing(site: Site) -> dict[tuple[str, str], Action]:
    return {
        ("POST", "/connected-app"): lambda body: {"name": site.add_connected_app(**body)},
        ("POST", "/token"): lambda body: {"name": site.add_token(**body)},
        ("POST", "/employee"): lambda body: {"name": site.add_employee(**body)},
        ("POST", "/contact"): lambda body: {"name": site.add_contact(**body)},
        ("POST", "/google-calendar"): lambda body: {"name": site.add_google_calendar(**body)},
    }
