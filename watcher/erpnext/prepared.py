"""Requests to one site: what is the same in all of them is prepared once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from watcher import __version__
from watcher.telemetry import traces

PROGRAM = f"Watcher/{__version__}"


class Prepared:
    """requests would merge settings of its own, of the session and of the call for each, which
    takes longer than to send it."""

    def __init__(self, session: requests.Session, url: str) -> None:
        self._session, self._url = session, url
        self._first: requests.PreparedRequest | None = None

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None
    ) -> requests.PreparedRequest:
        """Raises what requests raises of an address that is none."""
        if self._first is None:
            self._first = self._session.prepare_request(requests.Request("GET", self._url))
        request = self._first.copy()
        root = str(self._first.url).rstrip("/")  # as requests writes it: names in ASCII
        request.method, request.url = method, f"{root}{path}"
        request.hooks = self._session.hooks  # of those that were added since, too
        request.headers.update(_traced())
        request.prepare_body(None, None, body)  # without one too: it says how long that is
        return request


def _traced() -> dict[str, str]:
    """Headers by which a call is found again on the other side, in plain letters: Frappe writes the
    id into its monitor's log, into rows of *Error Log* and, as a comment, into each SQL statement;
    the web server before it has the program's name in its log."""
    trace = traces.current()
    if not trace:
        return {}
    return {"X-Frappe-Request-Id": trace, "User-Agent": f"{PROGRAM} ({trace})"}
