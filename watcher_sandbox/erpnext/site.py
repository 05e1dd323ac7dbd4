"""One ERPNext site: its users, documents, custom fields, clock and troubles."""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from watcher_sandbox.erpnext import calendar, jobs
from watcher_sandbox.erpnext.accounts import ADMINISTRATOR, GUEST, INTEGRATION, Accounts, User
from watcher_sandbox.erpnext.catalogue import NEW, OLD, VERSIONS, Tables, catalogue
from watcher_sandbox.erpnext.db import CHILDREN, Database, Row
from watcher_sandbox.erpnext.doctypes import NO_COLUMN, OPTIONAL, STANDARD, Field
from watcher_sandbox.erpnext.errors import refusal
from watcher_sandbox.erpnext.faults import Fault, Faults, Troubles
from watcher_sandbox.erpnext.furnish import Furnished

__all__ = ["ADMINISTRATOR", "GUEST", "INTEGRATION", "Site", "User"]

Job = tuple[str, dict[str, Any]]

_LANGUAGES = {"de": "Deutsch", "en": "English", "es": "Español", "fr": "Français", "hi": "हिन्दी"}
"""Some of those that every site has."""
_MODULES = {"Event": "Desk", "ToDo": "Desk", "Employee": "Setup"}
KEPT_REQUESTS = 10_000
KEPT_ERRORS = 500
READ_ONLY = (
    "Site is running in read only mode for maintenance or site update, this action can not be "
    "performed right now. Please try again later."
)


class Site(Accounts, Furnished, Troubles):
    """A site. Everything that reads or changes it holds ``lock``.

    ``frappe`` is 15 or 16: every answer is that version's. ``erpnext``: it has Employee, Branch
    and Department. ``rich_events``: a later 15.x, whose Event has ``location`` and ``attending``.
    ``clock`` gives seconds since 1970; ``first_number`` is that of the first Event's name.
    ``path``: a file for the database, from which a later process can go on; else in memory.
    ``tracebacks`` is the setting ``allow_error_traceback``. ``requests`` counts by
    "METHOD /api/method/x" and "METHOD /api/resource/Doctype"; ``log`` holds the last ones.
    """

    def __init__(
        self,
        zone: str = "Asia/Kolkata",
        *,
        frappe: int = OLD,
        erpnext: bool = False,
        rich_events: bool = False,
        clock: Callable[[], float] = time.time,
        first_number: int = 1,
        path: str | Path = ":memory:",
        seed: int = 0,
    ) -> None:
        self._install(frappe, erpnext, rich_events)
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
        self.search_queue: list[tuple[str, str, str]] = []
        """Name, title and text of Events for the global search, which a scheduler writes down."""
        self.error_queue: deque[tuple[str, str, str]] = deque(maxlen=KEPT_ERRORS)
        """User, title and text of errors, which a scheduler writes into the Error Log."""
        self.user_permissions: dict[str, dict[str, str]] = {}
        """By user: the one document of a document type that links may name for this user, as
        ERPNext gives each employee one on the own Employee."""
        self.date_format = "dd-mm-yyyy"
        self._users: dict[str, User] = {}
        self._fields: dict[str, dict[str, Field]] = {}
        self._last = datetime.fromtimestamp(0, UTC)
        self._open(zone, first_number)

    def _install(self, frappe: int, erpnext: bool, rich_events: bool) -> None:
        self.frappe, self.erpnext, self.rich_events = frappe, erpnext, rich_events
        found = catalogue(frappe, erpnext=erpnext, rich_events=rich_events)
        self.types, self._tables = found.types, found.tables
        self.version = VERSIONS[frappe]

    def _open(self, zone: str, first_number: int) -> None:
        """Tables and columns that an older database lacks are added, as an upgrade does."""
        with self.db.transaction():
            self.zone = self.db.setting("zone", zone)
            self.db.set("zone", self.zone)
            self.db.set("series", self.db.setting("series", first_number - 1))
            for doctype, fields in self.types.items():
                names = [(name, "Int" if name in ("docstatus", "idx") else "") for name in STANDARD]
                optional = [(name, "") for name in OPTIONAL]
                own = [(each.name, each.type) for each in fields]
                self.db.create(doctype, [*names, *own, *optional])
            self._load_users()
            self._describe()

    def _describe(self) -> None:
        """A DocType row for each document type, as far as lists are asked for them."""
        tables = {kind for each in self._tables.values() for kind, _ in each.values()}
        for doctype in (*self.types, *tables):
            if doctype != "__global_search" and self.row("DocType", doctype) is None:
                self.make(
                    "DocType",
                    doctype,
                    module=_MODULES.get(doctype, "Core"),
                    istable=int(doctype in tables),
                )
        for code, called in _LANGUAGES.items():
            if self.row("Language", code) is None:
                self.make("Language", code, language_code=code, language_name=called)

    def close(self) -> None:
        self.db.close()

    # --- time ------------------------------------------------------------------------------------

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
                found = {each.name: each for each in self.types[doctype]}
                for row in self.rows("Custom Field"):
                    if row["dt"] == doctype and row["fieldtype"] not in NO_COLUMN:
                        found[row["fieldname"]] = _custom(row)
                self._fields[doctype] = found
            return self._fields[doctype]

    def columns(self, doctype: str) -> list[str]:
        return [*STANDARD, *self.fields(doctype)]

    def tables(self, doctype: str) -> Tables:
        """The fields that are tables: their rows' document type and fields."""
        return self._tables.get(doctype, {})

    def blank(self, doctype: str, name: str, owner: str) -> Row:
        """A row with nothing in it but who made it when."""
        now = self.now()
        return {
            "name": name,
            "owner": owner,
            "creation": now,
            "modified": now,
            "modified_by": owner,
            "docstatus": 0,
            "idx": 0,
            **dict.fromkeys(self.fields(doctype)),
            **{table: [] for table in self.tables(doctype)},
        }

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
        fields = {each.name for each in self.types[doctype]}
        custom = [] if doctype == "Custom Field" else self.fields(doctype)
        more = [name for name in custom if name not in fields]
        columns = [*STANDARD, *fields, *more, *OPTIONAL, CHILDREN]
        found = self.db.select(doctype, columns, where, values, "name")
        return [{**row, **json.loads(row.pop(CHILDREN) or "{}")} for row in found]

    def put(self, doctype: str, row: Row) -> None:
        """Inserts, or replaces the row of that name. Raises db.Duplicate."""
        self.guard()
        tables = {table: row.get(table, []) for table in self.tables(doctype)}
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

    def find(self, doctype: str, **values: object) -> list[Row]:
        """Copies of the rows with these values, in the order of their names."""
        where = " AND ".join(f'"{name}" = ?' for name in values)
        with self.lock:
            return self._select(doctype, where, tuple(values.values()))

    def set_column(self, doctype: str, name: str, column: str, value: str) -> None:
        """One of the columns beside the fields; ``modified`` stays. Without the row: nothing."""
        if doctype in self.types and self.row(doctype, name) is not None:
            self.guard()
            self.db.put(doctype, {"name": name, column: value})

    def tracks_changes(self, doctype: str) -> bool:
        """Whether saves leave Versions: they do unless a Property Setter says no."""
        setter = self.row("Property Setter", f"{doctype}-main-track_changes")
        return setter is None or str(setter["value"] or "0").strip() not in ("0", "")

    @property
    def overloaded(self) -> bool:
        """Whether Frappe refuses more background jobs: 16 takes no more than 550, 15 any number."""
        return self.queue_full and self.frappe == NEW

    def drawn(self, row: Row, reader_zone: str = "") -> list[str]:
        """On which days the Desk's calendar of this version shows the row (``calendar``)."""
        found = calendar.days(row, frappe=self.frappe, site_zone=self.zone, reader_zone=reader_zone)
        return [day.isoformat() for day in found]

    def dump(self) -> str:
        """All that the database keeps, as text: rows, Versions, Deleted Documents, logs..."""
        return self.db.dump()

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

    def reset(self, *, keep_fields: bool = False, frappe: int | None = None) -> None:
        """An empty site without troubles, from now on of another version when ``frappe`` is
        given: users and keys stay, custom fields when wanted. Raises ValueError."""
        kept = self.rows("Custom Field") if keep_fields else []
        with self.transaction():
            for doctype in self.types:
                if doctype != "User":
                    self.db.drop(doctype)
            self._install(frappe or self.frappe, self.erpnext, self.rich_events)
            self._fields.clear()
            self.db.set("series", 0)
            self.background.clear()
            self.search_queue.clear()
            self.error_queue.clear()
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
        """What workers and the scheduler would do at some time: all that belonged to a deleted
        row goes (until then a row that gets its name inherits its readers), queued deletions
        happen, notifications are written, the global search learns, errors are logged. Returns how
        many jobs ran."""
        with self.transaction():
            done = 0
            while self.background:
                self.background.pop(0)()
                done += 1
            jobs.write_search(self)
            jobs.write_errors(self)
        return done

    def close_past_events(self) -> list[str]:
        """Frappe's daily job, see ``jobs``. Returns the names of the Events that it closed."""
        return jobs.close_past_events(self)

    def add_fault(self, match: str = "", status: int = 503, **more: Any) -> None:
        """See ``faults.Fault``. Raises ValueError or TypeError for what makes no sense."""
        self.faults.add(Fault(match=match, status=status, **more))

    def clear_faults(self) -> None:
        self.faults.clear()


def _custom(row: Row) -> Field:
    options = tuple(str(row.get("options") or "").split("\n"))
    return Field(
        name=row["fieldname"],
        type=row["fieldtype"],
        label=row.get("label") or "",
        options=options,
        default=_default(row, options),
        unique=bool(row.get("unique")),
        required=bool(row.get("reqd")),
    )


def _default(row: Row, options: tuple[str, ...]) -> object:
    """What Frappe puts into a new document that does not name the field."""
    if row["fieldtype"] == "Check":
        return int(row.get("default") or 0)
    if row["fieldtype"] == "Int" and not row.get("reqd"):
        return int(row.get("default") or 0)
    if row["fieldtype"] == "Select":
        return row.get("default") or options[0] or None
    return row.get("default") or None
