"""frappe-client, made fit for a service: time-outs, keep-alive, typed errors, no cookies.

The package (0.1.0.dev0) ignores the HTTP status, has no time-outs, prints answers that are not
JSON and keeps cookies, and a ``sid`` cookie beats the token header. All of that is mended here;
nothing else of the bridge knows the package.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import quote

import requests
from frappeclient import FrappeClient
from requests.adapters import HTTPAdapter

from watcher import __version__
from watcher.erpnext.errors import SIDE, RowGone, classify
from watcher.errors import ErpAuthError, Transient

BATCH = 200
"""Frappe's limit of insert_many, and ours for all batches."""
PAGE = 500


class _TimedAdapter(HTTPAdapter):
    """A time-out for every request that names none."""

    def __init__(self, timeout: tuple[float, float]) -> None:
        super().__init__(pool_maxsize=4)
        self._timeout = timeout

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self._timeout
        return super().send(request, *args, **kwargs)


class ErpNextClient(FrappeClient):  # type: ignore[misc]
    """One ERPNext site as one API user.

    All methods raise ``ErpAuthError``, ``ErpSetupMissing``, ``ErpRefused`` (``DuplicateKey``,
    ``RowGone``), ``ServerError`` or ``Transient``. ``calls`` counts HTTP requests. Time-outs are
    in seconds, for connecting and for reading.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        api_secret: str,
        *,
        timeout: tuple[float, float] = (5, 60),
    ) -> None:
        super().__init__(url.rstrip("/"))
        self.calls = 0
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, _TimedAdapter(timeout))
        self.session.headers.update(
            {
                "Accept": "application/json",
                "Authorization": f"token {api_key}:{api_secret}",
                "User-Agent": f"Watcher/{__version__}",
            }
        )

    def __repr__(self) -> str:
        return f"ErpNextClient({self.url!r})"

    # --- one request ------------------------------------------------------------------------

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        self.calls += 1
        try:
            response = self.session.request(
                method, f"{self.url}{path}", json=body, allow_redirects=False
            )
        except requests.Timeout:
            raise Transient("ERPNext did not answer in time", side=SIDE) from None
        except requests.RequestException as error:
            raise Transient(f"ERPNext cannot be reached: {_kind(error)}", side=SIDE) from None
        return self.post_process(response)

    def post_process(self, response: requests.Response) -> Any:
        """The answer's ``message`` or ``data``; every failure as a named error."""
        try:
            body = response.json()
        except ValueError:
            body = None
        if response.status_code >= 300 or not isinstance(body, dict):
            raise classify(response.status_code, body, response.headers)
        return body["message"] if "message" in body else body.get("data")

    def method(self, name: str, /, **params: Any) -> Any:
        """POST to a whitelisted method; containers go as JSON strings, which Frappe wants."""
        body = {
            key: json.dumps(value) if isinstance(value, dict | list | tuple) else value
            for key, value in params.items()
        }
        return self._send("POST", f"/api/method/{name}", body)

    # --- who and where ----------------------------------------------------------------------

    def whoami(self) -> str:
        user = str(self.method("frappe.auth.get_logged_user"))
        if user == "Guest":
            raise ErpAuthError("ERPNext does not know the API key", cause="auth", side=SIDE)
        return user

    def time_zone(self) -> str:
        """IANA name of the site's zone (``frappe.client.get_time_zone`` works for everyone)."""
        answer = self.method("frappe.client.get_time_zone")
        zone = answer.get("time_zone") if isinstance(answer, dict) else answer
        return str(zone or "")

    def is_system_manager(self) -> bool:
        """System Settings are for System Managers alone."""
        try:
            self.method(
                "frappe.client.get_single_value",
                doctype="System Settings",
                field="time_zone",
            )
        except ErpAuthError as error:
            if error.cause == "permission":
                return False
            raise
        return True

    def user_exists(self, email: str) -> bool:
        rows = self.rows("User", [["name", "=", email], ["enabled", "=", 1]], ["name"])
        return bool(list(rows))

    # --- documents --------------------------------------------------------------------------

    def rows(
        self, doctype: str, filters: Sequence[Sequence[Any]], fields: Sequence[str]
    ) -> Iterator[dict[str, Any]]:
        """All rows by name, page after page. Always by POST: 200 keys do not fit in a URL.

        Raises ``ValueError`` for an empty ``in`` list, which Frappe takes for no filter at all.
        """
        if any(len(f) == 3 and f[1] == "in" and not f[2] for f in filters):
            raise ValueError("an empty 'in' list would select every row")
        last: str | None = None
        while True:
            narrowed = [*filters, ["name", ">", last]] if last else list(filters)
            page = self.method(
                "frappe.client.get_list", doctype=doctype, filters=narrowed,
                fields=list(dict.fromkeys(["name", *fields])), order_by="name asc",
                limit_page_length=PAGE,
            )  # fmt: skip
            if not isinstance(page, list):
                raise Transient("ERPNext's list is no list", side=SIDE)
            yield from page
            if len(page) < PAGE:
                return
            last = page[-1]["name"]

    def insert(self, doc: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._send("POST", f"/api/resource/{quote(str(doc['doctype']))}", doc)
        return dict(answer)

    def insert_many(self, docs: Sequence[Mapping[str, Any]]) -> list[str]:
        """At most 200; all or none. Returns the names in order."""
        names = self.method("frappe.client.insert_many", docs=list(docs))
        return [str(name) for name in names or []]

    def update(self, doc: Mapping[str, Any]) -> dict[str, Any]:
        """PUT one document; ``doctype`` and ``name`` say which."""
        path = f"/api/resource/{quote(str(doc['doctype']))}/{quote(str(doc['name']), safe='')}"
        fields = {k: v for k, v in doc.items() if k not in ("doctype", "name")}
        return dict(self._send("PUT", path, fields))

    def bulk_update(self, docs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Documents with ``doctype`` and ``docname``; returns those that failed.

        Not to be trusted when any failed: after a deadlock, earlier ones are lost without a word.
        """
        answer = self.method("frappe.client.bulk_update", docs=list(docs))
        failed = answer.get("failed_docs") if isinstance(answer, dict) else None
        return list(failed or [])

    def delete(self, doctype: str, name: str) -> bool:
        """False when it was gone already. A 500 may come after the deletion: repeat it."""
        try:
            self._send("DELETE", f"/api/resource/{quote(doctype)}/{quote(name, safe='')}")
        except RowGone:
            return False
        return True

    def share(self, name: str, user: str) -> None:
        """Let ``user`` read a Private Event; idempotent, sends no mail."""
        self.method("frappe.share.add", doctype="Event", name=name, user=user, read=1, notify=0)


def _kind(error: requests.RequestException) -> str:
    """The error's class only: its text holds the URL and more."""
    return type(error).__name__
