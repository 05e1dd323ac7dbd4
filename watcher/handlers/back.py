"""A form leads back to a page, which says what became of it and can be loaded again."""

from __future__ import annotations

from flask import current_app, flash, request, url_for

MOST_SAID = 600
"""Characters of a result line, which travels in the cookie."""


def say(text: str, kind: str) -> None:
    """On top of the page that comes next: of the ``kind`` *done* or *refused*."""
    flash(text[:MOST_SAID], kind)


def page_above() -> str:
    """The nearest page to the address of this form."""
    pages, parts = current_app.create_url_adapter(request), request.path.split("/")
    assert pages is not None
    while len(parts) > 1:
        if pages.test("/".join(parts), method="GET"):
            return "/".join(parts)
        parts.pop()
    return url_for("dashboard.home")
