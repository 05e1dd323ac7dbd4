"""A page to look at, and the switches for tests. None of it is Frappe's."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from flask import Blueprint, Response, request

from watcher.sandbox.erpnext.site import Row, Site

_COLUMNS = ("name", "subject", "starts_on", "ends_on", "status", "event_type", "custom_google_user")
_STYLE = (
    "body{font:15px system-ui,sans-serif;margin:2rem}table{border-collapse:collapse}"
    "td,th{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #ddd}"
)


def create(site: Site) -> Blueprint:
    """The addresses that belong to the stand-in itself; no key is asked for."""
    views = Blueprint("sandbox", __name__)

    @views.get("/app/event")
    def event_list() -> str:
        return _page(site.events())

    @views.get("/_sandbox/events")
    def events() -> Response:
        return _json(site.events())

    @views.route("/_sandbox/faults", methods=["POST", "DELETE"])
    def faults() -> Response:
        if request.method == "DELETE":
            site.clear_faults()
        else:
            try:
                site.add_fault(**request.get_json(force=True))
            except (TypeError, ValueError) as error:
                return _json({"error": str(error)}, 400)
        return _json({})

    @views.post("/_sandbox/maintenance")
    def maintenance() -> Response:
        mode = (request.get_json(force=True, silent=True) or {}).get("mode", "full")
        if mode not in ("", "full", "read-only"):
            return _json({"error": "mode is '', 'full' or 'read-only'"}, 400)
        site.maintenance = mode
        return _json({"mode": mode})

    return views


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")


def _page(events: list[Row]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in _COLUMNS)
    rows = "".join(
        "<tr>"
        + "".join(f"<td>{escape(str(row.get(name) or ''))}</td>" for name in _COLUMNS)
        + "</tr>\n"
        for row in events
    )
    return (
        f"<!doctype html>\n<html lang=en><meta charset=utf-8><title>Event</title>"
        f"<style>{_STYLE}</style>\n<h1>Event</h1>\n<p>{len(events)} rows</p>\n"
        f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody></table>\n</html>\n"
    )
