"""A page for people: the list of Events, plain and escaped."""

from __future__ import annotations

from html import escape

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from watcher_sandbox.erpnext.catalogue import NEW
from watcher_sandbox.erpnext.db import Row
from watcher_sandbox.erpnext.site import Site

_COLUMNS = ("name", "subject", "starts_on", "ends_on", "status", "event_type", "custom_google_user")
_STYLE = (
    "body{font:15px system-ui,sans-serif;margin:2rem}table{border-collapse:collapse}"
    "td,th{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #ddd}"
)


def create(site: Site) -> Blueprint:
    """No key is needed. 15 has the Desk under /app, 16 under /desk; each redirects from the other's
    address."""
    views = Blueprint("views", __name__)

    @views.get("/app/event")
    def event_list() -> str | Response:
        if site.frappe == NEW:
            query = request.query_string.decode()
            return redirect(f"/desk/event{'?' + query if query else ''}", 301)
        return _page(site.events())

    @views.get("/desk/event")
    def desk_event_list() -> str | Response:
        if site.frappe != NEW:
            return redirect("/app/event", 301)
        return _page(site.events())

    return views


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
