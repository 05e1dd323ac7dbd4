"""What somebody does on the page of the stand-in of Google that asks for consent."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import urlsplit

import requests


def allow(page: str, email: str) -> dict[str, Any]:
    """The form of Google's page, filled in to allow all that is asked for, as this person."""
    hidden = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page)
    form: dict[str, Any] = {name: html.unescape(value) for name, value in hidden}
    boxes = re.findall(r'name="grant" value="([^"]*)"', page)
    return form | {"grant": boxes, "account": email, "decision": "allow"}


def path(link: str) -> str:
    """A link as Flask's test client takes it."""
    parts = urlsplit(link)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def at_google(away: str, email: str, boxes: tuple[str, ...] | None = None) -> str:
    """What somebody does on Google's page, with these boxes ticked, or all; the way back."""
    page = requests.get(away, timeout=10)
    form = allow(page.text, email)
    if boxes is not None:
        form["grant"] = [each for each in form["grant"] if each in boxes]
    back = requests.post(page.url, data=form, timeout=10, allow_redirects=False)
    return path(back.headers["Location"])
