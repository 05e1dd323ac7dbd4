"""The headers of every answer that say what a browser may do with it."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Response, current_app, request

from watcher.handlers.context import services

LIVE = ("dashboard.home", "stopwatch.watch", "me.connected")
"""Pages with a script, which fetches them again."""


def headers(is_https: bool, live: str = "", google: str = "") -> dict[str, str]:
    """``live`` is what a page with a script needs besides, ``google`` where its form leads to
    besides."""
    secure = {"Strict-Transport-Security": "max-age=31536000"} if is_https else {}
    return secure | {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'self'; img-src 'self';{live} form-action "
            f"'self'{google}; frame-ancestors 'none'; base-uri 'none'"
        ),
    }


def guard(response: Response) -> Response:
    """Browsers apply ``form-action`` to the redirect that answers a form too: the page whose button
    leads to Google names Google's address, no other page names any."""
    google = ""
    if request.endpoint == "links.invitation":
        parts = urlsplit(services().settings.google_auth_url)
        google = f" {parts.scheme}://{parts.netloc}"
    live = " script-src 'self'; connect-src 'self';" if request.endpoint in LIVE else ""
    is_https = current_app.config["SESSION_COOKIE_SECURE"]
    for name, value in headers(is_https, live, google).items():
        response.headers[name] = value
    if response.mimetype == "text/html":
        response.headers["Cache-Control"] = "no-store"
    return response
