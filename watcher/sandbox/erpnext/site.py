"""One ERPNext site: its users, documents, custom fields, clock and troubles."""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from watcher.sandbox.erpnext.db import CHILDREN, Database, Row
from watcher.sandbox.erpnext.doctypes import CHILD_TABLES, FIELDS, NO_COLUMN, STANDARD, Field
from watcher.sandbox.erpnext.errors import refusal
from watcher.sandbox.erpnext.faults import Fault, Faults, Troubles

INTEGRATION = "integration@scoopjoy.test"
GUEST = "Guest"
ADMINISTRATOR = "Administrator"
KEPT_REQUESTS = 10_000
READ_ONLY = (
    "Site is running in read only mode for maintenance or site update, this action can not be "
    "performed right now. Please try again later."
)


@dataclass(kw_only=True, slots=True)
class User:
    """An API user. A disabled one's key still works, as it does on a real site."""

    email: str
    key: str
    secret: str = field(repr=False)
    system_manager: bool = False


class Site(Troubles):
    """A site. Everything that reads or changes it holds ``lock``.

    ``clock`` gives seconds since 1970; ``first_number`` is that of the first Event's name.
    ``path``: a file for the database, from which a later process can go on; else in memory.
    ``tracebacks`` is the setting ``allow_error_traceback``. ``requests`` counts by
    "METHOD /api/method/x" and "METHOD /api/resource/Doctype"; ``log`` holds the last ones.
    """

    def __init__(
        self,
        zone: str = "Asia/Kolkata",
        *,
        clock: Callable[[], float] = time.time,
        first_number: int = 1,
        path: str | Path = ":memory:",
        seed: int = 0,
    ) -> None:
        self.db = Database(path)
        self.lock = self.db.lock
        self._real_clock, self._ahead = clock, 0.0
        self.tracebacks = True
        self.url = "http://127.0.0.1:8000"
        self.requests: Counter[str] = Counter()
        self.log: deque[dict[str, Any]] = deque(maxlen=KEPT_REQUESTS)
        self.faults = Faults(seed)
        self.poisoned = False
        self.background: list[Callable[[], None]] = []
        """Jobs that were left for a worker, see ``run_background_jobs``."""
        self._users: dict[str, User] = {}
        self._fields: dict[str, dict[str, Field]] = {}
        self._last = datetime.fromtimestamp(0, UTC)
        self._open(zone, first_number)

    def _open(self, zone: str, first_number: int) -> None:
        with self.db.transaction():
            self.zone = self.db.setting("zone", zone)
            self.db.set("zone", self.zone)
            self.db.set("series", self.db.setting("series", first_number - 1))
            for doctype, fields in FIELDS.items():
                names = [(name, "Int" if name in ("docstatus", "idx") else "") for name in STANDARD]
                self.db.create(doctype, [*names, *((each.name, each.type) for each in fields)])
            for user in self.db.setting("users", []):
                self._users[user["email"]] = User(**user)
            if INTEGRATION not in self._users:
                self.add_user(INTEGRATION, system_manager=True)
        self.api_key, self.api_secret = self.keys_of(INTEGRATION)

    def close(self) -> None:
        self.db.close()

    # --- users and time -------------------------------------------------------------------------

    def add_user(self, email: str, system_manager: bool = False) -> tuple[str, str]:
        """Returns the API key and secret of the new (or replaced) user."""
        user = User(
            email=email, key=secrets.token_hex(8), secret=secrets.token_hex(8),
            system_manager=system_manager,
        )  # fmt: skip
        with self.transaction():
            self._users[email] = user
            self._keep_users()
            name = email.partition("@")[0].title()
            row = self.blank("User", email, ADMINISTRATOR) | {
                "enabled": 1, "email": email, "first_name": name, "full_name": name,
                "time_zone": self.zone, "user_type": "System User",
            }  # fmt: skip
            self.db.put("User", row)
        return user.key, user.secret

    def remove_user(self, email: str) -> None:
        """Nobody signs in as them any more, and no Link can point to them."""
        with self.transaction():
            self._users.pop(email, None)
            self._keep_users()
            self.db.remove("User", email)

    def _keep_users(self) -> None:
        self.db.set(
            "users",
            [
                {"email": u.email, "key": u.key, "secret": u.secret,
                 "system_manager": u.system_manager}
                for u in self._users.values()
            ],
        )  # fmt: skip

    def users(self) -> list[str]:
        with self.lock:
            return sorted(self._users)

    def keys_of(self, email: str) -> tuple[str, str]:
        """Raises KeyError."""
        return self._users[email].key, self._users[email].secret

    def user_of(self, key: str, secret: str) -> str | None:
        """Whose key and secret these are; None when nobody's."""
        given = f"{key}:{secret}".encode()
        with self.lock:
            for user in self._users.values():
                if secrets.compare_digest(f"{user.key}:{user.secret}".encode(), given):
                    return None if self.wrong_keys else user.email
        return None

    def is_system_manager(self, email: str) -> bool:
        user = self._users.get(email)
        return user is not None and user.system_manager

    def clock(self) -> float:
        """Seconds since 1970."""
        return self._real_clock() + self._ahead

    def advance(self, seconds: float) -> None:
        """Moves the site's clock."""
        self._ahead += seconds

    def now(self) -> str:
        """The site's wall clock, as Frappe writes it; never the same twice."""
        moment = datetime.fromtimestamp(self.clock(), UTC)
        self._last = max(moment, self._last + timedelta(microseconds=1))
        return f"{self._last.astimezone(ZoneInfo(self.zone)):%Y-%m-%d %H:%M:%S.%f}"

    def set_zone(self, zone: str) -> None:
        """Changes System Settings; stored moments stay as they are written. Raises ValueError."""
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, OSError) as error:
            raise ValueError(f"no such time zone: {zone}") from error
        with self.lock:
            self.zone = zone
            self.db.set("zone", zone)

    # --- fields ---------------------------------------------------------------------------------

    def fields(self, doctype: str) -> dict[str, Field]:
        """The fields with a column, the custom ones (from the moment they exist) included."""
        with self.lock:
            if doctype not in self._fields:
                found = {each.name: each for each in FIELDS[doctype]}
                for row in self.rows("Custom Field"):
                    if row["dt"] == doctype and row["fieldtype"] not in NO_COLUMN:
                        found[row["fieldname"]] = _custom(row)
                self._fields[doctype] = found
            return self._fields[doctype]

    def columns(self, doctype: str) -> list[str]:
        return [*STANDARD, *self.fields(doctype)]

    def blank(self, doctype: str, name: str, owner: str) -> Row:
        """A row with nothing in it but who made it when."""
        now = self.now()
        return {
            "name": name, "owner": owner, "creation": now, "modified": now, "modified_by": owner,
            "docstatus": 0, "idx": 0, **dict.fromkeys(self.fields(doctype)),
            **{table: [] for table in CHILD_TABLES.get(doctype, {})},
        }  # fmt: skip

    # --- documents ------------------------------------------------------------------------------

    def next_name(self, doctype: str) -> str:
        if doctype != "Event":
            return secrets.token_hex(5)
        number = self.db.setting("series") + 1
        self.db.set("series", number)
        return f"EV{number:05d}"

    def row(self, doctype: str, name: str) -> Row | None:
        """The document of that name with its child rows; None when there is none."""
        found = self._select(doctype, "name = ?", (name,))
        return found[0] if found else None

    def rows(self, doctype: str) -> list[Row]:
        """Copies of all rows, in the order of their names."""
        with self.lock:
            return self._select(doctype, "", ())

    def events(self) -> list[Row]:
        """Copies of all Event rows, in the order of their names."""
        return self.rows("Event")

    def _select(self, doctype: str, where: str, values: tuple[object, ...]) -> list[Row]:
        fields = {each.name for each in FIELDS[doctype]}
        custom = [] if doctype == "Custom Field" else self.fields(doctype)
        columns = [*STANDARD, *fields, *(name for name in custom if name not in fields), CHILDREN]
        found = self.db.select(doctype, columns, where, values, "name")
        return [{**row, **json.loads(row.pop(CHILDREN) or "{}")} for row in found]

    def put(self, doctype: str, row: Row) -> None:
        """Inserts, or replaces the row of that name. Raises db.Duplicate."""
        self.guard()
        tables = {table: row.get(table, []) for table in CHILD_TABLES.get(doctype, {})}
        kept = {name: row.get(name) for name in self.columns(doctype)}
        self.db.put(doctype, kept | {CHILDREN: json.dumps(tables)})
        if doctype == "Custom Field":
            self._fields.clear()
            if row["fieldtype"] not in NO_COLUMN:
                self.db.add_column(
                    row["dt"], row["fieldname"], row["fieldtype"], bool(row.get("unique"))
                )

    def remove(self, doctype: str, name: str) -> None:
        """Deletes; the last number of a series is given out again, as Frappe does."""
        self.guard()
        self.db.remove(doctype, name)
        number = self.db.setting("series")
        if doctype == "Event" and name == f"EV{number:05d}":
            self.db.set("series", number - 1)
        if doctype == "Custom Field":
            self._fields.clear()

    def guard(self) -> None:
        """Raises when the site takes no writes."""
        if self.maintenance == "read-only":
            raise refusal(READ_ONLY, "InReadOnlyMode", title="In Read Only Mode", status=503)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or, when anything is raised, none of it. Nests like a savepoint."""
        try:
            with self.db.transaction():
                yield
        except BaseException:
            self._fields.clear()
            raise

    def rollback(self) -> None:
        """Undo what the running transaction did so far, as a deadlock does."""
        self.db.rollback()
        self._fields.clear()

    def reset(self, *, keep_fields: bool = False) -> None:
        """An empty site without troubles: users and keys stay, custom fields when wanted."""
        kept = self.rows("Custom Field") if keep_fields else []
        with self.transaction():
            for doctype in FIELDS:
                if doctype != "User":
                    self.db.drop(doctype)
            self._fields.clear()
            self.db.set("series", 0)
            self.background.clear()
            self._open(self.zone, 1)
            for row in kept:
                self.put("Custom Field", row)
        self.poisoned = False
        self.faults.clear()
        self.clear_troubles()
        self.requests.clear()
        self.log.clear()

    # --- what runs beside requests --------------------------------------------------------------

    def run_background_jobs(self) -> int:
        """What a worker would do at some time: the shares of a deleted row go (until then a row
        that gets its name inherits its readers), queued deletions happen. Returns how many."""
        with self.transaction():
            jobs, self.background = self.background, []
            for job in jobs:
                job()
        return len(jobs)

    def close_past_events(self) -> list[str]:
        """Frappe's daily job: Open events that ended before today become Closed. Their names."""
        closed = []
        with self.transaction():
            today = self.now()[:10]
            for row in self.events():
                last = row["ends_on"] or row["repeat_till"]
                if row["status"] == "Open" and last and last[:10] < today:
                    change = {"modified": self.now(), "modified_by": ADMINISTRATOR}
                    self.put("Event", row | {"status": "Closed"} | change)
                    closed.append(row["name"])
        return closed

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
        *,
        message: str = "",
        probability: float = 1.0,
        delay: float = 0.0,
    ) -> None:
        """See ``faults.Fault``. Raises ValueError for what makes no sense."""
        self.faults.add(
            Fault(
                match=match, status=status, exc_type=exc_type, html=html, count=count,
                after_commit=after_commit, drop=drop, headers=dict(headers or {}),
                message=message, probability=probability, delay=delay,
            )
        )  # fmt: skip

    def clear_faults(self) -> None:
        self.faults.clear()

    # --- Connected App --------------------------------------------------------------------------

    def add_connected_app(self, client_id: str, client_secret: str, name: str = "") -> str:
        """As an administrator makes it in the desk. Returns its name."""
        with self.transaction():
            name = name or self.next_name("Connected App")
            row = self.blank("Connected App", name, ADMINISTRATOR)
            own = {"provider_name": "Google Calendar", "client_id": client_id}
            self.put("Connected App", row | own | {"client_secret": client_secret})
        return name

    def add_token(
        self, app: str, user: str, refresh_token: str | None, access_token: str = "AT1"
    ) -> str:
        """As Frappe's own consent flow leaves it. ``refresh_token`` None: the row is there and
        the password is not. Returns the row's name."""
        name = f"{app}-{user}"
        with self.transaction():
            row = self.blank("Token Cache", name, user) | {
                "user": user, "connected_app": app, "access_token": access_token,
                "refresh_token": refresh_token, "expires_in": 3600, "token_type": "Bearer",
            }  # fmt: skip
            self.put("Token Cache", row)
        return name


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
