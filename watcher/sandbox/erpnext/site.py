"""One ERPNext site in memory: its users, documents, custom fields, clock and troubles."""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from watcher.sandbox.erpnext.errors import refusal
from watcher.sandbox.erpnext.meta import FIELDS, NO_COLUMN, STANDARD, Field

Row = dict[str, Any]
Maintenance = Literal["", "full", "read-only"]

INTEGRATION = "integration@scoopjoy.test"
GUEST = "Guest"
READ_ONLY = (
    "Site is running in read only mode for maintenance or site update, this action can not be "
    "performed right now. Please try again later."
)


def folded(value: object) -> str:
    """As MariaDB compares text: without case and trailing spaces."""
    return str(value).rstrip(" ").casefold()


@dataclass(kw_only=True, slots=True)
class User:
    """An API user. A disabled one's key still works, as it does on a real site."""

    email: str
    key: str
    secret: str = field(repr=False)
    system_manager: bool = False


@dataclass(kw_only=True, slots=True)
class Fault:
    """The next ``count`` requests (None: all) whose "METHOD path" ``match`` finds answer
    ``status``. ``html``: a page instead of JSON. ``after_commit``: the request is carried out
    first, and only its answer is lost. ``drop``: the connection is closed without any answer."""

    match: str
    status: int = 503
    exc_type: str = ""
    html: bool = False
    count: int | None = 1
    after_commit: bool = False
    drop: bool = False
    headers: dict[str, str] = field(default_factory=dict)


class Site:
    """A site. Everything that reads or changes it holds ``lock``.

    ``clock`` gives seconds since 1970; ``first_number`` is that of the first Event's name.
    ``maintenance`` is "", "full" or "read-only". ``tracebacks`` is the setting
    ``allow_error_traceback``. ``requests`` counts by "METHOD /api/method/x" and
    "METHOD /api/resource/Doctype".
    """

    def __init__(
        self,
        zone: str = "Asia/Kolkata",
        *,
        clock: Callable[[], float] = time.time,
        first_number: int = 1,
    ) -> None:
        self.zone = zone
        self.clock = clock
        self.lock = threading.RLock()
        self.maintenance: Maintenance = ""
        self.tracebacks = True
        self.requests: Counter[str] = Counter()
        self.tables: dict[str, dict[str, Row]] = {doctype: {} for doctype in FIELDS}
        self.poisoned = False
        self.deadlock_at: int | None = None
        """The next bulk_update meets a deadlock on its document of this number, from 1 on."""
        self.background: list[Callable[[], None]] = []
        """Jobs that a deletion left for a worker, see ``run_background_jobs``."""
        self._users: dict[str, User] = {}
        self._faults: list[Fault] = []
        self._series = first_number - 1
        self._undo: list[Callable[[], object]] | None = None
        self._unique: dict[tuple[str, str], dict[str, str]] = {}
        self._last = datetime.fromtimestamp(0, UTC)
        self.api_key, self.api_secret = self.add_user(INTEGRATION, system_manager=True)

    # --- users and time ---------------------------------------------------------------------

    def add_user(self, email: str, system_manager: bool = False) -> tuple[str, str]:
        """Returns the API key and secret of the new (or replaced) user."""
        user = User(
            email=email, key=secrets.token_hex(8), secret=secrets.token_hex(8),
            system_manager=system_manager,
        )  # fmt: skip
        with self.lock:
            self._users[email] = user
            name = email.partition("@")[0].title()
            self.tables["User"][email] = self.blank("User", email, "Administrator") | {
                "enabled": 1, "email": email, "first_name": name, "full_name": name,
                "time_zone": self.zone, "user_type": "System User",
            }  # fmt: skip
        return user.key, user.secret

    def user_of(self, key: str, secret: str) -> str | None:
        """Whose key and secret these are; None when nobody's."""
        with self.lock:
            for user in self._users.values():
                if secrets.compare_digest(
                    (user.key + user.secret).encode(), (key + secret).encode()
                ):
                    return user.email
        return None

    def is_system_manager(self, email: str) -> bool:
        user = self._users.get(email)
        return user is not None and user.system_manager

    def now(self) -> str:
        """The site's wall clock, as Frappe writes it; never the same twice."""
        moment = datetime.fromtimestamp(self.clock(), UTC)
        self._last = max(moment, self._last + timedelta(microseconds=1))
        return f"{self._last.astimezone(ZoneInfo(self.zone)):%Y-%m-%d %H:%M:%S.%f}"

    # --- fields -----------------------------------------------------------------------------

    def fields(self, doctype: str) -> dict[str, Field]:
        """The fields with a column, the custom ones (from the moment they exist) included."""
        found = {each.name: each for each in FIELDS[doctype]}
        for row in self.tables["Custom Field"].values():
            if row["dt"] == doctype and row["fieldtype"] not in NO_COLUMN:
                found[row["fieldname"]] = _custom(row)
        return found

    def columns(self, doctype: str) -> set[str]:
        return {*STANDARD, *self.fields(doctype)}

    def blank(self, doctype: str, name: str, owner: str) -> Row:
        """A row with nothing in it but who made it when."""
        now = self.now()
        return {
            "name": name, "owner": owner, "creation": now, "modified": now, "modified_by": owner,
            "docstatus": 0, "idx": 0, **dict.fromkeys(self.fields(doctype)),
        }  # fmt: skip

    # --- documents --------------------------------------------------------------------------

    def next_name(self, doctype: str) -> str:
        if doctype != "Event":
            return secrets.token_hex(5)
        before = self._series
        self._on_failure(lambda: setattr(self, "_series", before))
        self._series += 1
        return f"EV{self._series:05d}"

    def put(self, doctype: str, row: Row) -> None:
        """Insert or replace; the old row is never changed in place."""
        self.guard()
        table, name = self.tables[doctype], row["name"]
        before = table.get(name)
        self._on_failure(lambda: self._restore(doctype, name, before))
        table[name] = row
        self._forget_index(doctype, before, row)

    def remove(self, doctype: str, name: str) -> None:
        """Deletes; the last number of a series is given out again, as Frappe does."""
        self.guard()
        row, series = self.tables[doctype].pop(name), self._series
        self._on_failure(lambda: self._restore(doctype, name, row))
        self._on_failure(lambda: setattr(self, "_series", series))
        self._forget_index(doctype, row, None)
        if doctype == "Event" and name == f"EV{self._series:05d}":
            self._series -= 1

    def holder(self, doctype: str, fieldname: str, value: object) -> str | None:
        """The name of the row that has this value of a unique field."""
        index = self._unique.get((doctype, fieldname))
        if index is None:
            index = {}
            for row in self.tables[doctype].values():
                if row.get(fieldname):
                    index[folded(row[fieldname])] = row["name"]
            self._unique[doctype, fieldname] = index
        return index.get(folded(value))

    def _forget_index(self, doctype: str, before: Row | None, after: Row | None) -> None:
        """Keeps the indexes of unique fields as the rows are."""
        if doctype == "Custom Field":
            self._unique.clear()
        for (of, fieldname), index in self._unique.items():
            if of == doctype:
                if before and before.get(fieldname):
                    index.pop(folded(before[fieldname]), None)
                if after and after.get(fieldname):
                    index[folded(after[fieldname])] = after["name"]

    def _restore(self, doctype: str, name: str, row: Row | None) -> None:
        current = self.tables[doctype].get(name)
        if row is None:
            self.tables[doctype].pop(name, None)
        else:
            self.tables[doctype][name] = row
        self._forget_index(doctype, current, row)

    def guard(self) -> None:
        """Raises when the site takes no writes."""
        if self.maintenance == "read-only":
            raise refusal(READ_ONLY, "InReadOnlyMode", title="In Read Only Mode", status=503)

    def _on_failure(self, undo: Callable[[], object]) -> None:
        if self._undo is not None:
            self._undo.append(undo)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or, when anything is raised, none of it. Nests like a savepoint."""
        with self.lock:
            outer, self._undo = self._undo, []
            try:
                yield
            except BaseException:
                for undo in reversed(self._undo):
                    undo()
                self._undo = outer
                raise
            if outer is not None:
                outer += self._undo
            self._undo = outer

    def rollback(self) -> None:
        """Undo what the running transaction did so far, as a deadlock does."""
        undo, self._undo = self._undo or [], []
        for step in reversed(undo):
            step()

    def run_background_jobs(self) -> None:
        """What a worker would do at some time. Until then the shares of a deleted row stay, and
        a row that gets its name inherits its readers."""
        with self.transaction():
            jobs, self.background = self.background, []
            for job in jobs:
                job()

    def events(self) -> list[Row]:
        """Copies of all Event rows, in the order of their names."""
        with self.lock:
            return [dict(row) for _, row in sorted(self.tables["Event"].items())]

    # --- troubles ---------------------------------------------------------------------------

    def add_fault(
        self,
        match: str = "",
        status: int = 503,
        exc_type: str = "",
        html: bool = False,
        count: int | None = 1,
        after_commit: bool = False,
        drop: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """See ``Fault``. Faults are looked at in the order in which they were added."""
        re.compile(match)
        with self.lock:
            self._faults.append(
                Fault(
                    match=match, status=status, exc_type=exc_type, html=html, count=count,
                    after_commit=after_commit, drop=drop, headers=dict(headers or {}),
                )
            )  # fmt: skip

    def clear_faults(self) -> None:
        with self.lock:
            self._faults.clear()

    def take_fault(self, what: str) -> Fault | None:
        """The fault that "METHOD path" meets, counted down."""
        with self.lock:
            for fault in self._faults:
                if re.search(fault.match, what):
                    if fault.count is not None:
                        fault.count -= 1
                        if fault.count < 1:
                            self._faults.remove(fault)
                    return fault
        return None


def _custom(row: Row) -> Field:
    number = row["fieldtype"] in ("Check", "Int")
    return Field(
        name=row["fieldname"],
        type=row["fieldtype"],
        label=row.get("label") or "",
        options=tuple(str(row.get("options") or "").split("\n")),
        default=0 if number else None,
        unique=bool(row.get("unique")),
        required=bool(row.get("reqd")),
    )
