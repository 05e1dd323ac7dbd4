"""frappe-client, made fit for a service: time-outs, keep-alive, typed errors, no cookies.

The package (0.1.0.dev0) ignores the HTTP status, has no time-outs, prints answers that are not
JSON and keeps cookies, and a ``sid`` cookie beats the token header. All of that is mended here;
nothing else of the bridge knows the package.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import quote

import requests
from frappeclient import FrappeClient
from requests.auth import AuthBase

from watcher import errors
from watcher.erpnext import surroundings
from watcher.erpnext.errors import CHECK_KEY, SIDE, RowGone, classify
from watcher.erpnext.patience import Does, Patience
from watcher.erpnext.prepared import PROGRAM, Prepared
from watcher.telemetry import counts

BATCH = 200
"""Frappe's limit of insert_many, and ours for all batches."""
PAGE = 500
_BROKEN = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)


class _TokenAuth(AuthBase):
    """Sets the token header. One of the session would give way to an entry in ``~/.netrc``."""

    def __init__(self, api_key: str, api_secret: str) -> None:
        for name, value in (("KEY", api_key), ("SECRET", api_secret)):
            if not (value.isascii() and value.isprintable()) or " " in value:
                what = f"WATCHER_ERPNEXT_API_{name}"
                said = errors.sentence("%(setting)s has characters that no key has", setting=what)
                raise errors.UserError(said)
        self._value = f"token {api_key}:{api_secret}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._value
        return request

    def __repr__(self) -> str:
        return "<token>"


class ErpNextClient(FrappeClient):  # type: ignore[misc]
    """One ERPNext site as one API user.

    All methods raise ``ErpAuthError``, ``ErpSetupMissing``, ``ErpRefused`` (``DuplicateKey``,
    ``RowGone``), ``Transient`` (``ServerError``) or ``Permanent`` (no such site). ``calls``
    counts HTTP requests, ``on_answer`` is told what came of each. Time-outs are in seconds, for
    connecting and, at the most, for an answer.
    """

    def __init__(
        self, url: str, api_key: str, api_secret: str, *, timeout: tuple[float, float] = (5, 60)
    ) -> None:
        super().__init__(url.rstrip("/"))
        self.calls = 0
        self.on_answer: counts.Answered = counts.nobody
        self._connect_seconds, self._patience = timeout[0], Patience(timeout[1])
        self.session.auth = _TokenAuth(api_key, api_secret)
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.session.headers.update({"Accept": "application/json", "User-Agent": PROGRAM})
        surroundings.take_up(self.session, self.url)
        self._prepared = Prepared(self.session, self.url)

    def __repr__(self) -> str:
        return f"ErpNextClient({self.url!r})"

    # --- one request ------------------------------------------------------------------------

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        does: Does = "writes",
    ) -> Any:
        """One that only reads is sent once more when the connection broke: mostly the server had
        just closed one that was kept from before."""
        session: requests.Session = self.session
        tries = 2 if does == "reads" else 1
        while True:
            tries -= 1
            self.calls += 1
            try:
                response = session.send(
                    self._prepared.request(method, path, body),
                    allow_redirects=False,
                    timeout=(self._connect_seconds, self._patience.seconds(does)),
                )
                self.on_answer(response.status_code)
                self._patience.learn(does, response.elapsed.total_seconds())
                return self.post_process(response)
            except requests.RequestException as error:
                self.on_answer(None)
                if late := isinstance(error, requests.Timeout):
                    self._patience.learn(does)
                if late or not tries or not isinstance(error, _BROKEN):
                    raise _unreachable(error, does) from None

    def post_process(self, response: requests.Response) -> Any:
        """The answer's ``message``, ``data`` or ``docs``; every failure as a named error."""
        try:
            body = response.json()
        except ValueError:
            body = None
        if response.status_code >= 300 or not isinstance(body, dict):
            raise classify(response.status_code, body, response.headers)
        return next((body[word] for word in ("message", "data", "docs") if word in body), None)

    def read(self, name: str, /, *, params: Mapping[str, Any]) -> Any:
        """POST to a whitelisted method that changes nothing."""
        return self._send("POST", _method(name), _packed(params), "reads")

    def method(self, name: str, /, *, params: Mapping[str, Any]) -> Any:
        """POST to a whitelisted method that may change something."""
        return self._send("POST", _method(name), _packed(params))

    # The package's own ways to call, by which its other methods go (set_value, get_value ...).
    # It puts arguments of a POST into the URL and changes the caller's dict.

    def post_api(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        return self.method(method, params=params or {})

    get_api = post_api

    def post_request(self, data: Mapping[str, Any]) -> Any:
        params = {key: value for key, value in data.items() if key != "cmd"}
        return self.method(str(data["cmd"]), params=params)

    get_request = post_request

    def logout(self) -> None:
        """There is no session on the server to end; the connections are closed."""
        self.session.close()

    # --- who and where ----------------------------------------------------------------------

    def ping(self) -> None:
        """Raises when the site does not answer; needs no permission and no database."""
        self.read("ping", params={})

    def whoami(self) -> str:
        user = str(self.read("frappe.auth.get_logged_user", params={}))
        if user == "Guest":
            raise errors.ErpAuthError(
                errors.sentence("ERPNext does not know the API key"),
                cause=errors.Cause.AUTH,
                side=SIDE,
                next_step=CHECK_KEY,
            )
        return user

    def time_zone(self) -> str:
        """IANA name of the site's zone (``frappe.client.get_time_zone`` works for everyone)."""
        answer = self.read("frappe.client.get_time_zone", params={})
        zone = answer.get("time_zone") if isinstance(answer, dict) else answer
        return str(zone or "")

    def versions(self) -> dict[str, str]:
        """Version by app (``frappe``, ``erpnext``, ``hrms`` ...), as the site itself says."""
        answer = self.read("frappe.utils.change_log.get_versions", params={})
        if not isinstance(answer, dict):
            return {}
        return {
            str(app): str(about.get("version") or "")
            for app, about in answer.items()
            if isinstance(about, dict)
        }

    def is_system_manager(self) -> bool:
        """System Settings are for System Managers alone."""
        params = {"doctype": "System Settings", "field": "time_zone"}
        try:
            self.read("frappe.client.get_single_value", params=params)
        except errors.ErpForbidden:
            return False
        return True

    def may(self, permission: str, doctype: str = "Event") -> bool:
        """Whether the API user's roles allow ``read``, ``write``, ``create``, ``delete`` ..."""
        # An empty docname and not null: Frappe 16 type-checks arguments and refuses null here.
        params = {"doctype": doctype, "docname": "", "perm_type": permission}
        answer = self.read("frappe.client.has_permission", params=params)
        return bool(isinstance(answer, dict) and answer.get("has_permission"))

    def roles(self, user: str) -> set[str]:
        """The roles of a user, those that Frappe gives by itself among them (``All``, ``Guest``).
        Asked for like this since a User's own table of roles is empty, without a word, for who is
        no System Manager."""
        name = "frappe.core.doctype.user.user.get_roles"
        answer = self.read(name, params={"uid": user})
        return {str(role) for role in answer} if isinstance(answer, list) else set()

    def event_fields(self) -> dict[str, dict[str, Any]]:
        """The fields of Event by name, custom ones among them, as the site's forms have them:
        everybody who may sign in may ask for these."""
        name = "frappe.desk.form.load.getdoctype"
        docs = self.read(name, params={"doctype": "Event"})
        found = docs[0].get("fields") if isinstance(docs, list) and docs else None
        if not isinstance(found, list):
            raise errors.Transient("ERPNext does not tell the fields of Event", side=SIDE)
        return {str(row.get("fieldname")): row for row in found}

    def user_exists(self, email: str) -> bool:
        """Whether ``email`` is an enabled User. False too where the API user may not see it."""
        return email.lower() in self.enabled_users([email])

    def enabled_users(self, users: Iterable[str]) -> set[str]:
        """Which of these are enabled Users, in lower case."""
        wanted = sorted({user for user in users if user})
        found: set[str] = set()
        for start in range(0, len(wanted), BATCH):
            chunk = wanted[start : start + BATCH]
            rows = self.rows("User", [["name", "in", chunk], ["enabled", "=", 1]], ["name"])
            found |= {str(row["name"]).lower() for row in rows}
        return found

    # --- documents --------------------------------------------------------------------------

    def get_list(
        self,
        doctype: str,
        fields: Sequence[str] = ("name",),
        filters: Any = None,
        *,
        or_filters: Any = None,
        limit_page_length: int = PAGE,
        order_by: str = "name asc",
    ) -> list[dict[str, Any]]:
        """One page of rows. By POST, since 200 keys do not fit into a URL.

        Raises ``ValueError`` for an empty ``in`` list, which Frappe takes for no filter at all.
        """
        refuse_empty_in(filters)
        refuse_empty_in(or_filters)
        params: dict[str, Any] = {
            "doctype": doctype,
            "fields": list(fields),
            "filters": filters or [],
            "order_by": order_by,
            "limit_page_length": limit_page_length,
        }
        if or_filters:
            params["or_filters"] = or_filters
        page = self._send("POST", _method("frappe.client.get_list"), _packed(params), "reads")
        if not isinstance(page, list):
            raise errors.Transient("ERPNext's list is no list", side=SIDE)
        return page

    def rows(
        self,
        doctype: str,
        filters: Sequence[Sequence[Any]],
        fields: Sequence[str],
        *,
        or_filters: Sequence[Sequence[Any]] = (),
    ) -> list[dict[str, Any]]:
        """All rows in the order of their names, ``PAGE`` of them a call.

        Paged by the last name and not by an offset, so that rows which come or go meanwhile
        shift nothing. Raises ``ValueError`` for an empty ``in`` list.
        """
        wanted = list(dict.fromkeys(["name", *fields]))
        found: list[dict[str, Any]] = []
        narrowed = [list(f) for f in filters]
        while True:
            got = self.get_list(
                doctype, wanted, narrowed, or_filters=list(or_filters), limit_page_length=PAGE
            )
            found += got
            if len(got) < PAGE:
                return found
            narrowed = [*(list(f) for f in filters), ["name", ">", got[-1]["name"]]]

    def get_doc(self, doctype: str, name: str) -> dict[str, Any]:
        return _document(self._send("GET", _resource(doctype, name), None, "reads"))

    def insert(self, doc: Mapping[str, Any]) -> dict[str, Any]:
        return _document(self._send("POST", _resource(str(doc["doctype"])), doc))

    def insert_many(self, docs: Sequence[Mapping[str, Any]]) -> list[str]:
        """At most 200; all or none. Returns the names in order."""
        if len(docs) > BATCH:
            raise ValueError(f"Frappe takes {BATCH} documents at once, not {len(docs)}")
        if not docs:
            return []
        names = self.method("frappe.client.insert_many", params={"docs": list(docs)})
        if not isinstance(names, list) or len(names) != len(docs):
            raise errors.Transient("ERPNext did not name every inserted document", side=SIDE)
        return [str(name) for name in names]

    def update(self, doc: Mapping[str, Any]) -> dict[str, Any]:
        """PUT one document; ``doctype`` and ``name`` say which."""
        fields = {k: v for k, v in doc.items() if k not in ("doctype", "name")}
        path = _resource(str(doc["doctype"]), str(doc["name"]))
        return _document(self._send("PUT", path, fields))

    def bulk_update(self, docs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Documents with ``doctype`` and ``docname``; returns those that failed.

        When any failed, look at all of them again: after a deadlock Frappe has rolled back earlier
        ones, too, and does not name them.
        """
        if not docs:
            return []
        answer = self.method("frappe.client.bulk_update", params={"docs": list(docs)})
        failed = answer.get("failed_docs") if isinstance(answer, dict) else None
        if not isinstance(failed, list):
            raise errors.Transient("ERPNext does not say which updates failed", side=SIDE)
        return failed

    def delete(self, doctype: str, name: str) -> bool:
        """False when it was gone already. After a 500 the document may be deleted all the same."""
        try:
            self._send("DELETE", _resource(doctype, name))
        except RowGone:
            return False
        return True

    def share(self, name: str, user: str) -> None:
        """Let ``user`` read a Private Event; idempotent, sends no mail."""
        params = {"doctype": "Event", "name": name, "user": user, "read": 1, "notify": 0}
        self.method("frappe.share.add", params=params)


def refuse_empty_in(filters: Any) -> None:
    """Raises ``ValueError`` when a filter, in any of Frappe's three forms, is ``in`` nothing."""
    if isinstance(filters, Mapping):
        pairs = [v for v in filters.values() if isinstance(v, list | tuple) and len(v) == 2]
    else:
        pairs = [f[-2:] for f in filters or () if len(f) >= 3]
    if any(str(word).strip().lower() == "in" and not value for word, value in pairs):
        raise ValueError("an empty 'in' list would select every row")


def _method(name: str) -> str:
    return f"/api/method/{quote(name)}"


def _packed(params: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as Frappe wants them: containers as JSON strings, and no null, which Frappe 16
    refuses for an argument of another type."""
    return {
        key: json.dumps(value) if isinstance(value, dict | list | tuple) else value
        for key, value in params.items()
        if value is not None
    }


def _resource(doctype: str, name: str | None = None) -> str:
    path = f"/api/resource/{quote(doctype, safe='')}"
    return path if name is None else f"{path}/{quote(name, safe='')}"


def _document(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise errors.Transient("ERPNext's document is no document", side=SIDE)
    return answer


def _unreachable(
    error: requests.RequestException, does: Does
) -> errors.Transient | errors.Permanent:
    """Names the error's class only: its text contains the URL, and may quote what was sent."""
    if isinstance(error, requests.Timeout):
        late = errors.Transient(errors.sentence("ERPNext did not answer in time"), side=SIDE)
        late.unanswered = does == "writes" and not isinstance(error, requests.ConnectTimeout)
        return late
    if isinstance(error, ValueError):  # InvalidURL, MissingSchema, InvalidSchema
        return errors.Permanent(
            errors.sentence("WATCHER_ERPNEXT_URL is no address"),
            cause=errors.Cause.NO_SITE,
            side=SIDE,
            next_step=errors.sentence("set it like https://erp.example.com"),
        )
    why = errors.sentence("ERPNext cannot be reached (%(why)s)", why=errors.why_unreached(error))
    broken = errors.Transient(why, side=SIDE)
    broken.unanswered = does == "writes"
    return broken
