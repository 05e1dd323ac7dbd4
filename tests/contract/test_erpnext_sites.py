"""Sites for the ERPNext contract tests: a small stand-in, and a proxy that makes any site fail.

Both speak real HTTP on a port of their own. The stand-in answers as measured on Frappe 15.43; the
tests at the end hold it to that. The proxy stands before the stand-in or before a real Frappe, so
that the same faults meet both.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import requests

KEY, SECRET, USER, PEER = "k1", "s1-secret", "integration@scoopjoy.test", "ann@scoopjoy.test"
PLAIN_KEY = "k2"
JSON = "application/json"


@dataclass
class Answer:
    status: int = 200
    body: Any = None
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def payload(self) -> bytes:
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


@dataclass
class Call:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body or b"{}")
        return found


class Refusal(Exception):
    def __init__(self, status: int, exc_type: str, message: str = "") -> None:
        super().__init__(exc_type)
        body: dict[str, Any] = {"exc_type": exc_type}
        if message:
            body["_server_messages"] = json.dumps([json.dumps({"message": message})])
        self.answer = Answer(status, body)


@contextmanager
def serve(handle: Callable[[Call], Answer | None]) -> Iterator[str]:
    """An HTTP/1.1 server in a thread; ``None`` drops the connection without an answer."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def run_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = handle(Call(self.command, self.path, dict(self.headers), body))
            if answer is None:
                self.close_connection = True
                return
            self.send_response(answer.status)
            headers = {"Content-Type": answer.content_type, **answer.headers}
            for name, value in {**headers, "Content-Length": str(len(answer.payload))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.payload)

        do_GET = do_POST = do_PUT = do_DELETE = run_any

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


EMPTY = (
    "Version",
    "Communication",
    "Deleted Document",
    "Error Log",
    "Property Setter",
    "Google Calendar",
    "ToDo",
    "Comment",
    "File",
)
"""Document types that a bare Frappe has and of which this site holds nothing."""


class StandIn:
    """Events, Custom Fields, Users and DocShares of one site, in memory."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, dict[str, Any]]] = {
            "Event": {},
            "Custom Field": {},
            "DocShare": {},
            "User": {u: {"name": u, "enabled": 1} for u in (USER, PEER)},
            **{doctype: {} for doctype in EMPTY},
        }
        self._lock = threading.RLock()
        self._clock = 0

    def handle(self, call: Call) -> Answer:
        with self._lock:
            try:
                answer = self._route(call)
            except Refusal as refusal:
                answer = refusal.answer
        answer.headers["Set-Cookie"] = "sid=Guest; Path=/; HttpOnly"
        return answer

    def _route(self, call: Call) -> Answer:
        parts = [unquote(p) for p in call.path.strip("/").split("/")]
        if parts[:2] == ["api", "method"]:
            if parts[2] == "ping":
                return Answer(body={"message": "pong"})
            found = self._method(parts[2], call.json, self._who(call))
            word = "docs" if parts[2].endswith("getdoctype") else "message"
            return Answer(body={word: found})
        user = self._who(call)
        doctype, name = parts[2], parts[3] if len(parts) > 3 else ""
        if call.method == "POST":
            return Answer(body={"data": self._insert(doctype, call.json, user)})
        row = self._row(doctype, name)
        if call.method == "DELETE":
            if doctype == "DocShare":
                self._row("Event", row["share_name"])  # as measured: 404 without its Event
            del self.tables[doctype][name]
            return Answer(202, {"data": "ok"})
        if call.method == "PUT":
            self._save(doctype, {**row, **call.json}, user)
        return Answer(body={"data": self.tables[doctype][name]})

    def _who(self, call: Call) -> str:
        token = call.headers.get("Authorization", "")
        known = {f"token {KEY}:{SECRET}": USER, f"token {PLAIN_KEY}:{SECRET}": PEER}
        if token not in known:
            raise Refusal(401, "AuthenticationError")
        return known[token]

    def _method(self, name: str, args: dict[str, Any], user: str) -> Any:
        docs = json.loads(args["docs"]) if "docs" in args else []
        match name.removeprefix("frappe."):
            case "auth.get_logged_user":
                return user
            case "client.get_time_zone":
                return {"time_zone": "Asia/Kolkata"}
            case "utils.change_log.get_versions":
                return {"frappe": {"title": "Frappe Framework", "version": "15.43.0"}}
            case "client.get_single_value":
                self._manager_only(user)
                return "Asia/Kolkata"
            case "core.doctype.user.user.get_roles":
                return ["System Manager", "All"] if args["uid"] == USER else ["All"]
            case "desk.form.load.getdoctype":
                return [{"fields": list(self.tables["Custom Field"].values())}]
            case "client.has_permission":
                return {"has_permission": user == USER or args["perm_type"] != "delete"}
            case "client.get_list":
                return self._list(args, user)
            case "client.insert_many":
                return self._insert_many(docs, user)
            case "client.bulk_update":
                return {"failed_docs": [d for d in docs if self._bulk_fails(d, user)]}
            case "share.add":
                return self._share(args)
        raise Refusal(417, "ValidationError", f"Failed to get method for command {name}")

    def _manager_only(self, user: str) -> None:
        if user != USER:
            raise Refusal(403, "PermissionError", f"User <strong>{user}</strong> may not")

    def _share(self, args: dict[str, Any]) -> dict[str, Any]:
        self._row("Event", args["name"])
        if args["user"] not in self.tables["User"]:
            raise Refusal(417, "LinkValidationError", f"Could not find User: {args['user']}")
        row = {"user": args["user"], "share_doctype": "Event", "share_name": args["name"]}
        name = f"{args['name']}-{args['user']}"
        # Idempotent. Shares outlive their Event here, as on a site without a worker.
        shares = self.tables["DocShare"]
        return shares.setdefault(name, {"name": name, "creation": self._now(), **row})

    def _now(self) -> str:
        self._clock += 1
        return f"2026-11-23 09:00:00.{self._clock:06d}"

    def _row(self, doctype: str, name: str) -> dict[str, Any]:
        if name not in self.tables[doctype]:
            raise Refusal(404, "DoesNotExistError", f"{doctype} {name} not found")
        return self.tables[doctype][name]

    def _insert_many(self, docs: list[dict[str, Any]], user: str) -> list[str]:
        if len(docs) > 200:
            raise Refusal(417, "ValidationError", "Only 200 inserts allowed in one request")
        before = dict(self.tables["Event"])
        try:
            return [self._insert("Event", doc, user)["name"] for doc in docs]
        except Refusal:
            self.tables["Event"] = before
            raise

    def _insert(self, doctype: str, doc: dict[str, Any], user: str) -> dict[str, Any]:
        if doctype == "Custom Field":
            self._manager_only(user)
            name = f"Event-{doc['fieldname']}"
            if name in self.tables[doctype]:
                raise Refusal(417, "ValidationError", "A field with the name already exists")
        else:
            last = max((int(n[2:]) for n in self.tables["Event"]), default=0)
            name = f"EV{last + 1:05d}"  # the last name is given again once its row is deleted
        self._save(doctype, {**doc, "name": name}, user)
        return self.tables[doctype][name]

    def _save(self, doctype: str, row: dict[str, Any], user: str) -> None:
        row = {k: v for k, v in row.items() if k not in ("doctype", "docname")}
        if doctype == "Event":
            self._validate(row)
            known = {f["fieldname"] for f in self.tables["Custom Field"].values()}
            row = {k: v for k, v in row.items() if not k.startswith("custom_") or k in known}
            row["modified_by"] = user
            row.setdefault("creation", self._now())
        self.tables[doctype][row["name"]] = row

    def _validate(self, row: dict[str, Any]) -> None:
        if not str(row.get("subject", "")).replace("<x>", "").strip():
            raise Refusal(417, "MandatoryError", "<b>Event</b>: Value missing for: Subject")
        if len(row["subject"]) > 65_500:
            raise Refusal(500, "DataError")
        if str(row["starts_on"]).endswith("Z"):
            raise Refusal(500, "OperationalError")
        if row.get("ends_on") == row["starts_on"]:
            row["ends_on"] = None
        owner = row.get("custom_google_user")
        if owner and owner not in self.tables["User"]:
            raise Refusal(417, "LinkValidationError", f"Could not find Google Calendar of: {owner}")
        key = row.get("custom_google_sync_key")
        for other in self.tables["Event"].values():
            same = key and other.get("custom_google_sync_key") == key
            if same and other["name"] != row["name"]:
                raise Refusal(417, "UniqueValidationError", "Google Sync Key must be unique")

    def _bulk_fails(self, doc: dict[str, Any], user: str) -> bool:
        try:
            row = self._row("Event", doc["docname"])
            self._save("Event", {**row, **doc}, user)
        except Refusal:
            return True
        return False

    def _list(self, args: dict[str, Any], user: str) -> list[dict[str, Any]]:
        doctype = args["doctype"]
        if doctype not in self.tables:
            raise Refusal(404, "DoesNotExistError", f"DocType {doctype} not found")
        if doctype == "Custom Field":
            self._manager_only(user)
        fields = json.loads(args.get("fields") or '["name"]')
        filters = json.loads(args.get("filters") or "[]")
        either = json.loads(args.get("or_filters") or "[]")
        custom = {f["fieldname"] for f in self.tables["Custom Field"].values()}
        for name in [*fields, *(f[0] for f in [*filters, *either])]:
            if doctype == "Event" and name.startswith("custom_") and name not in custom:
                raise Refusal(417, "DataError", f"Field not permitted in query: {name}")
        rows = [
            row
            for row in self.tables[doctype].values()
            if all(_fits(row, *f) for f in filters)
            and (not either or any(_fits(row, *f) for f in either))
        ]
        if args.get("order_by"):
            rows.sort(key=lambda row: row["name"])
        limit = args.get("limit_page_length", 20) or len(rows)
        return [{name: row.get(name) for name in fields} for row in rows[:limit]]


def _fits(row: dict[str, Any], name: str, word: str, wanted: Any) -> bool:
    value = row.get(name) or ""
    match word:
        case "=":
            return bool(value == wanted)
        case "in":
            return not wanted or value in wanted  # an empty list restricts nothing
        case "like":
            return str(value).startswith(wanted.rstrip("%"))
        case "is":
            return bool(value) is bool(wanted == "set")
        case ">":
            return str(value) > str(wanted)
        case ">=":
            return str(value) >= str(wanted)
    raise Refusal(500, "TypeError")


Rule = Callable[[Call, Callable[[Call], Answer]], Answer | None]


class FaultProxy:
    """Forwards to ``target``; faults are used up one by one by the requests they match."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.calls: list[Call] = []
        self._rules: list[tuple[str, Rule]] = []
        self._session = requests.Session()
        self._session.trust_env = False  # what the client sends is passed on as it is

    def rule(self, part: str, rule: Rule, times: int = 1) -> None:
        """``rule(call, forward)`` answers the next requests with ``part`` in method and path."""
        self._rules += [(part, rule)] * times

    def fail(
        self, part: str, answer: Answer | None, *, after: bool = False, times: int = 1
    ) -> None:
        """Answer instead of the site; ``after`` the site has done its work all the same."""

        def instead(call: Call, forward: Callable[[Call], Answer]) -> Answer | None:
            if after:
                assert forward(call).status < 300, "the work was to be done"
            return answer

        self.rule(part, instead, times)

    def heal(self) -> None:
        """No more faults, whether or not they were met."""
        self._rules.clear()

    @property
    def unused(self) -> list[str]:
        return [part for part, _ in self._rules]

    def handle(self, call: Call) -> Answer | None:
        self.calls.append(call)
        for rule in self._rules:
            if rule[0] in f"{call.method} {call.path}":
                self._rules.remove(rule)
                return rule[1](call, self.forward)
        return self.forward(call)

    def forward(self, call: Call) -> Answer:
        dropped = ("host", "connection", "content-length", "accept-encoding")
        headers = {k: v for k, v in call.headers.items() if k.lower() not in dropped}
        answer = self._session.request(
            call.method, self.target + call.path, data=call.body, headers=headers, timeout=60
        )
        self._session.cookies.clear()
        kind = answer.headers.get("Content-Type", "")
        cookie = {"Set-Cookie": "sid=Guest; Path=/"}
        return Answer(answer.status_code, answer.text, kind, cookie)

    def close(self) -> None:
        self._session.close()


# --- the stand-in is held to what was measured ------------------------------------------------


def _post(url: str, method: str, **body: Any) -> requests.Response:
    return requests.post(
        f"{url}/api/method/{method}",
        json=body,
        headers={"Authorization": f"token {KEY}:{SECRET}"},
        timeout=10,
    )


def test_stand_in_rolls_a_batch_back_and_reuses_names() -> None:
    with serve(StandIn().handle) as url:
        good = {"doctype": "Event", "subject": "Shift", "starts_on": "2026-11-23 10:00:00"}
        bad = {**good, "subject": "<x>"}
        refused = _post(url, "frappe.client.insert_many", docs=json.dumps([good, bad]))
        assert (refused.status_code, refused.json()["exc_type"]) == (417, "MandatoryError")
        made = _post(url, "frappe.client.insert_many", docs=json.dumps([good, good])).json()
        assert made == {"message": ["EV00001", "EV00002"]}
        headers = {"Authorization": f"token {KEY}:{SECRET}"}
        path = f"{url}/api/resource/Event/EV00002"
        assert requests.delete(path, headers=headers, timeout=10).status_code == 202
        gone = requests.delete(path, headers=headers, timeout=10)
        assert (gone.status_code, gone.json()["exc_type"]) == (404, "DoesNotExistError")
        again = _post(url, "frappe.client.insert_many", docs=json.dumps([good])).json()
        assert again == {"message": ["EV00002"]}


def test_stand_in_takes_an_empty_in_for_no_filter() -> None:
    with serve(StandIn().handle) as url:
        good = {"doctype": "Event", "subject": "Shift", "starts_on": "2026-11-23 10:00:00"}
        _post(url, "frappe.client.insert_many", docs=json.dumps([good] * 25))
        listed = _post(
            url, "frappe.client.get_list", doctype="Event", filters='[["name", "in", []]]'
        )
        assert len(listed.json()["message"]) == 20
