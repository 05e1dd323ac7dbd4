"""``get_list``: filters, order and pages become SQL, with NULLs as Frappe treats them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from dateutil import parser

from watcher_sandbox.erpnext import permissions, roles
from watcher_sandbox.erpnext.catalogue import NEW, OLD
from watcher_sandbox.erpnext.db import CHILDREN, Row
from watcher_sandbox.erpnext.denials import no_field
from watcher_sandbox.erpnext.doctypes import OPTIONAL, STANDARD, Field
from watcher_sandbox.erpnext.errors import FrappeError, database, missing, refusal
from watcher_sandbox.erpnext.site import Site

DEFAULT_PAGE = 20
OPERATORS = ("=", "!=", ">", "<", ">=", "<=", "like", "not like", "in", "not in", "is", "between")
_NO_MOMENT = "0001-01-01 00:00:00"
_NUMBERS = frozenset({"Check", "Int"})
_INTEGERS = frozenset({"docstatus", "idx"})
_MOMENTS = frozenset({"creation", "modified"})
_ORDER = re.compile(r"(?:`tab[^`]+`\.)?`?(\w+)`?(?:\s+(asc|desc))?", re.IGNORECASE)
_FILLED = "IFNULL({}, ?) COLLATE mariadb"
"""A column with something for NULL; an expression has no collation unless it is said."""

Filter = tuple[str, str, Any]
Condition = tuple[str, list[object]]


def rows(
    site: Site,
    user: str,
    doctype: str,
    *,
    fields: Sequence[str] | str | None = None,
    filters: Any = None,
    or_filters: Any = None,
    order_by: str | None = None,
    start: int = 0,
    page: int | None = None,
) -> list[Row]:
    """The rows that the user's lists show. ``page`` None is Frappe's 20 rows, 0 is all of them.

    Raises 403, and 417 DataError for a column that the site does not have.
    """
    with site.lock:
        permissions.require_list(site, user, doctype)
        query = Query(site, doctype)
        wanted = query.wanted(fields)
        asked = list(triples(filters))
        where, values = query.where(asked, list(triples(or_filters)), user)
        order = query.order(order_by or query.index(asked))
        size = DEFAULT_PAGE if page is None else page or -1
        found = site.db.select(doctype, wanted, where, values, order, size, start)
        return [query.masked(row) for row in found]


def count(site: Site, user: str, doctype: str, filters: Any) -> int:
    """On 15 Frappe's ``get_count`` counts what the user's lists would not even show; on 16 it
    counts what they show."""
    with site.lock:
        if site.frappe == OLD and doctype not in site.types:
            raise database("ProgrammingError", 1146, f"Table '_site.tab{doctype}' doesn't exist")
        permissions.known(site, doctype)
        if site.frappe == NEW:
            permissions.require_list(site, user, doctype)
            where, values = Query(site, doctype).where(list(triples(filters)), [], user)
        else:
            query = Query(site, doctype, unknown_is_sql=True)
            where, values = query.where(list(triples(filters)), [])
        return site.db.count(doctype, where, values)


def triples(filters: Any) -> Iterable[Filter]:
    """Frappe's forms: {field: value or [op, value]}, [field, op, value], [doctype, ...]."""
    if isinstance(filters, str) and filters:
        filters = _parsed(filters)
    if isinstance(filters, Mapping):
        filters = [
            [name, *value] if isinstance(value, list) and len(value) == 2 else [name, "=", value]
            for name, value in filters.items()
        ]
    for each in filters or []:
        if isinstance(each, list) and len(each) == 2:
            raise missing("DocType", str(each[0]))
        if not isinstance(each, list) or len(each) < 3:
            text = f"Filter must have 4 values (doctype, fieldname, operator, value): {each}"
            raise refusal(text)
        name, operator, value = each[:3] if len(each) == 3 else each[1:4]
        yield str(name), str(operator or "=").strip().lower(), value


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        module = "json.decoder."
        raise FrappeError(500, "JSONDecodeError", str(error), module=module) from None


def theirs(site: Site, doctype: str, user: str) -> list[Condition]:
    """What Frappe adds to every list of these document types, System Managers' included."""
    if doctype == "Notification Log":
        return [("for_user = ?", [user])]
    if site.is_system_manager(user) and doctype != "Event":
        return []
    if doctype in ("ToDo", "Employee") and roles.granted(site, user, doctype):
        return []
    if doctype == "Communication" and not roles.sees_mail(site, user):
        return [("communication_medium != 'Email'", [])]
    if doctype == "ToDo":
        return [("(allocated_to = ? OR assigned_by = ?)", [user, user])]
    if doctype == "Employee":
        return [("user_id = ?", [user])]
    if doctype != "Event":
        return []
    linked: list[Condition] = [
        (f"coalesce(\"{field['fieldname']}\", '') IN ('', ?)", [allowed])
        for field, allowed in permissions.narrowing(site, user)
    ]
    own = "event_type = 'Public' OR owner = ?"
    if site.frappe == OLD:
        return [(f"({own})", [user]), *linked]
    shared = (
        "name IN (SELECT share_name FROM \"tabDocShare\" WHERE share_doctype = 'Event' "
        'AND (user = ? OR everyone) AND "read")'
    )
    invited = (
        f"EXISTS (SELECT 1 FROM json_each({CHILDREN}, '$.event_participants') AS each "
        "WHERE json_extract(each.value, '$.email') = ?)"
    )
    return [(f"({own} OR {shared} OR {invited})", [user, user, user]), *linked]


class Query:
    """Builds one statement. ``unknown_is_sql``: an unknown column gets as far as the database."""

    def __init__(self, site: Site, doctype: str, *, unknown_is_sql: bool = False) -> None:
        self._doctype = doctype
        self._site = site
        self._columns = site.columns(doctype)
        self._fields: dict[str, Field] = site.fields(doctype)
        self._unknown_is_sql = unknown_is_sql

    def wanted(self, fields: Sequence[str] | str | None) -> list[str]:
        if isinstance(fields, str):
            fields = [fields.strip('"')]  # FrappeClient's default is a JSON string
        names = list(fields or ["name"])
        if names == ["*"]:
            return self._columns
        return [self._known(str(name).strip("`")) for name in names]

    def _known(self, name: str, clause: str = "WHERE") -> str:
        """Refuse an unknown column, in the way of this version."""
        if name in self._columns or name in OPTIONAL:
            return name
        by_field = self._site.unknown_field_answer == "permission"
        if by_field or (clause == "ORDER BY" and self._site.frappe == NEW):
            raise no_field(self._doctype, name)
        if self._unknown_is_sql or clause == "ORDER BY":
            raise database("OperationalError", 1054, f"Unknown column '{name}' in '{clause}'")
        raise refusal(f"Field not permitted in query: {name}", "DataError")

    def masked(self, row: Row) -> Row:
        """Passwords as asterisks, one for each character."""
        for name in row:
            if name in self._fields and self._fields[name].type == "Password" and row[name]:
                row[name] = "*" * len(row[name])
        return row

    def index(self, asked: Iterable[Filter]) -> str:
        """The order when none was asked for: on 15 that of whichever index the database happens to
        use; on 16 that in which the rows were made."""
        for name, _, _ in asked if self._site.frappe == OLD else ():
            if name in self._fields and self._fields[name].unique:
                return name
        return "name"

    def order(self, order_by: str) -> str:
        parts = []
        for part in order_by.split(","):
            match = _ORDER.fullmatch(part.strip())
            if match is None:
                raise refusal("Illegal SQL Query")
            parts.append(f'"{self._known(match[1], "ORDER BY")}" {match[2] or "asc"}')
        return ", ".join([*parts, "name"])

    def where(
        self, every: Sequence[Filter], either: Sequence[Filter], user: str | None = None
    ) -> Condition:
        """``user``: whose lists; None sees all."""
        conditions = [self._condition(*each) for each in every]
        if either:
            any_of = [self._condition(*each) for each in either]
            text = " OR ".join(each for each, _ in any_of)
            conditions.append((f"({text})", [v for _, values in any_of for v in values]))
        if user is not None:
            conditions += theirs(self._site, self._doctype, user)
        text = " AND ".join(each for each, _ in conditions)
        return text, [value for _, values in conditions for value in values]

    def _condition(self, name: str, operator: str, value: Any) -> Condition:
        column = f'"{self._known(name)}"'
        if operator not in OPERATORS:
            raise refusal(f"Operator must be one of {', '.join(OPERATORS)}")
        if operator in ("in", "not in"):
            return self._among(name, column, operator, value)
        if operator == "is":
            wants = str(value).strip().lower() == "set"
            return f"IFNULL({column}, '') {'!=' if wants else '='} ''", []
        if operator == "between":
            low, high = self._bounds(name, value)
            return f"{column} BETWEEN ? AND ?", [low, high]
        right = self._value(name, value)
        if operator in ("like", "not like"):
            left = column if operator == "like" and value else f"IFNULL({column}, '')"
            return f"{left} {operator} ? ESCAPE '\\'", [str(right)]
        if self._never_null(name, operator) or (operator == "=" and value):
            return f"{column} {operator} ?", [right]
        return f"{_FILLED.format(column)} {operator} ?", [self._nothing(name), right]

    def _among(self, name: str, column: str, operator: str, value: Any) -> Condition:
        given = value.split(",") if isinstance(value, str) else list(value or [])
        if not given:
            return "1", []  # as with Frappe: an empty list restricts nothing
        nulls = operator == "not in" or any(each in (None, "") for each in given)
        left = _FILLED.format(column) if nulls else column
        marks = ", ".join("?" * len(given))
        nothing = [self._nothing(name)] if nulls else []
        among = [self._value(name, each) for each in given]
        return f"{left} {operator} ({marks})", [*nothing, *among]

    def _bounds(self, name: str, value: Any) -> tuple[object, object]:
        """A date without a time is the whole day when the field is a Datetime."""
        if not isinstance(value, list) or len(value) != 2:
            raise refusal("between takes two values")
        low, high = (self._value(name, each) for each in value)
        if self._is_moment(name) and len(str(value[1]).strip()) == 10:
            high = f"{str(high)[:10]} 23:59:59.999999"
        return low, high

    def _is_moment(self, name: str) -> bool:
        return name in _MOMENTS or self._kind(name) == "Datetime"

    def _kind(self, name: str) -> str:
        return self._fields[name].type if name in self._fields else ""

    def _is_number(self, name: str) -> bool:
        return name in _INTEGERS or self._kind(name) in _NUMBERS

    def _never_null(self, name: str, operator: str) -> bool:
        """Whether Frappe compares the column as it is; where it does not, NULL counts as an empty
        value."""
        later = operator in (">", ">=") and (self._is_moment(name) or self._kind(name) == "Date")
        return name in STANDARD or self._is_number(name) or later

    def _nothing(self, name: str) -> object:
        if self._is_moment(name):
            return _NO_MOMENT
        return 0 if self._is_number(name) else ""

    def _value(self, name: str, value: Any) -> object:
        if self._is_number(name):
            try:
                return float(value or 0)
            except (TypeError, ValueError, OverflowError):
                return 0.0
        if self._is_moment(name) and value:
            return _moment(str(value))
        return "" if value is None else str(value)


def _moment(text: str) -> str:
    """As it is stored; Frappe reads it before it asks. Raises 417."""
    try:
        found: datetime = parser.parse(text, ignoretz=True)
    except (ValueError, OverflowError):
        bad = f"<strong>{text}</strong> is not a valid date string."
        raise refusal(bad, title="Invalid Date") from None
    return str(found)
