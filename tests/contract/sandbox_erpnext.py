"""A sandbox ERPNext for the tests of the sandbox, and its users with their keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from watcher_sandbox.erpnext.app import serve
from watcher_sandbox.erpnext.site import INTEGRATION, Site

EVENT = {
    "subject": "Shift",
    "starts_on": "2026-12-03 10:00:00",
    "ends_on": "2026-12-03 11:00:00",
    "event_type": "Public",
}


class Person:
    """Somebody who uses the site over REST."""

    def __init__(self, site: Site, url: str, email: str, pair: tuple[str, str]) -> None:
        self.site, self.url, self.email, self.pair = site, url, email, pair

    def another(self, email: str, **more: Any) -> Person:
        return Person(self.site, self.url, email, self.site.add_user(email, **more))

    def send(self, verb: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        return requests.request(
            verb, self.url + path, json=body, auth=self.pair, timeout=10, **more
        )

    def call(self, method: str, **body: Any) -> requests.Response:
        return self.send("POST", f"/api/method/{method}", body)

    def answer(self, method: str, **body: Any) -> Any:
        """The method's message; it has to succeed."""
        found = self.call(method, **body)
        assert found.status_code == 200, found.text
        return found.json().get("message")

    def make(self, doctype: str, **body: Any) -> dict[str, Any]:
        found = self.send("POST", f"/api/resource/{doctype}", body)
        assert found.status_code == 200, found.text
        return dict(found.json()["data"])

    def event(self, **fields: Any) -> str:
        return str(self.make("Event", **(EVENT | fields))["name"])

    def change(self, name: str, **fields: Any) -> None:
        found = self.send("PUT", f"/api/resource/Event/{name}", fields)
        assert found.status_code == 200, found.text

    def delete(self, doctype: str, name: str) -> requests.Response:
        return self.send("DELETE", f"/api/resource/{doctype}/{name}")

    def list(self, doctype: str, *filters: Any, fields: Any = ("*",), **more: Any) -> Any:
        return self.answer(
            "frappe.client.get_list",
            doctype=doctype,
            filters=list(filters),
            fields=list(fields),
            limit_page_length=0,
            **({"order_by": "creation asc"} | more),
        )

    def read(self, doctype: str, name: str) -> dict[str, Any]:
        return dict(self.answer("frappe.client.get", doctype=doctype, name=name))


@contextmanager
def integration(**how: Any) -> Iterator[Person]:
    """The integration user of a new site; ``how``: as for ``Site``."""
    site = Site(**how)
    server = serve(site)
    try:
        yield Person(site, server.url, INTEGRATION, site.keys_of(INTEGRATION))
    finally:
        server.close()
        site.close()


def outcome(answer: requests.Response) -> tuple[int, str]:
    """Status, and exc_type or "html"."""
    if answer.headers["Content-Type"].startswith("text/html"):
        return answer.status_code, "html"
    return answer.status_code, answer.json().get("exc_type", "")


def said(answer: requests.Response) -> list[str]:
    """The messages for people."""
    return [json.loads(m)["message"] for m in json.loads(answer.json()["_server_messages"])]
