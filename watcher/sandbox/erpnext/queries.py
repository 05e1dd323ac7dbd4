"""``get_list``: filters, order, pages, as Frappe makes SQL of them and MariaDB compares."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from watcher.sandbox.erpnext import permissions
from watcher.sandbox.erpnext.errors import refusal
from watcher.sandbox.erpnext.meta import Field
from watcher.sandbox.erpnext.site import Row, Site, folded

DEFAULT_PAGE = 20
_NO_MOMENT = "0001-01-01 00:00:00"
_NUMBERS = frozenset({"Check", "Int"})
_INTEGERS = frozenset({"docstatus", "idx"})
_ORDER = re.compile(r"(?:`tab[^`]+`\.)?`?(\w+)`?(?:\s+(asc|desc))?", re.IGNORECASE)

Filter = tuple[str, str, Any]
Test = Callable[[Row], bool]
Key = str | float


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
        permissions.require(site, user, doctype, "read")
        query = _Query(site, doctype)
        asked = list(_triples(filters))
        every = [query.test(each) for each in asked]
        either = [query.test(each) for each in _triples(or_filters)]
        wanted = query.wanted(fields)
        found = [
            row
            for row in site.tables[doctype].values()
            if all(test(row) for test in every)
            and (not either or any(test(row) for test in either))
            and permissions.visible(user, doctype, row)
        ]
        query.sort(found, order_by or query.index(asked))
        size = DEFAULT_PAGE if page is None else page or len(found)
        return [{name: row.get(name) for name in wanted} for row in found[start : start + size]]


def _triples(filters: Any) -> Iterable[Filter]:
    """Frappe's three forms: {field: value or [op, value]}, [field, op, value], [doctype, ...]."""
    if isinstance(filters, Mapping):
        filters = [
            [name, *value] if isinstance(value, list) and len(value) == 2 else [name, "=", value]
            for name, value in filters.items()
        ]
    for each in filters or []:
        if not isinstance(each, list) or len(each) not in (2, 3, 4):
            raise refusal("Filter must have 4 values (doctype, fieldname, operator, value)")
        if len(each) == 2:
            yield str(each[0]), "=", each[1]
        else:
            name, operator, value = each[-3:]
            yield str(name), str(operator).strip().lower(), value


class _Query:
    def __init__(self, site: Site, doctype: str) -> None:
        self._columns = site.columns(doctype)
        self._fields: dict[str, Field] = site.fields(doctype)

    def wanted(self, fields: Sequence[str] | str | None) -> list[str]:
        names = [fields] if isinstance(fields, str) else list(fields or ["name"])
        if names == ["*"]:
            return sorted(self._columns)
        return [self._known(str(name).strip("`")) for name in names]

    def _known(self, name: str) -> str:
        if name not in self._columns:
            raise refusal(f"Field not permitted in query: {name}", "DataError")
        return name

    def index(self, asked: Iterable[Filter]) -> str:
        """The order nobody asked for: that of whichever index the database happens to use."""
        for name, _, _ in asked:
            if name in self._fields and self._fields[name].unique:
                return name
        return "name"

    def sort(self, found: list[Row], order_by: str) -> None:
        for part in reversed(order_by.split(",")):
            match = _ORDER.fullmatch(part.strip())
            if match is None:
                raise refusal(f"Illegal SQL Query in order by: {part}", "DataError")
            key = self._key(self._known(match[1]))
            found.sort(key=key, reverse=(match[2] or "").lower() == "desc")

    def _key(self, name: str) -> Callable[[Row], Any]:
        return lambda row: self._comparable(name, row.get(name))

    def _comparable(self, name: str, value: Any) -> Key:
        """What MariaDB compares; NULL counts as nothing, as Frappe's ``ifnull`` has it."""
        kind = self._fields[name].type if name in self._fields else ""
        if kind in _NUMBERS or name in _INTEGERS:
            try:
                return float(value or 0)
            except (TypeError, ValueError):
                return 0.0
        if kind == "Datetime":
            text = str(value or _NO_MOMENT).replace("T", " ")
            return text if len(text) > 10 else f"{text} 00:00:00"
        return folded("" if value is None else value)

    def test(self, triple: Filter) -> Test:
        name, operator, value = triple
        self._known(name)
        if operator in ("in", "not in"):
            return self._among(name, value, operator == "in")
        if operator in ("like", "not like"):
            return _like(name, str(value), operator == "like")
        if operator == "is":
            wants = str(value).strip().lower() == "set"
            return lambda row: (row.get(name) not in (None, "")) == wants
        if operator == "between":
            low, high = (self._comparable(name, each) for each in value)
            return lambda row: low <= self._comparable(name, row.get(name)) <= high  # type: ignore[operator]
        return self._compared(name, operator, value)

    def _among(self, name: str, value: Any, wanted: bool) -> Test:
        given = value.split(",") if isinstance(value, str) else list(value or [])
        if not given:
            return lambda row: True  # Frappe's trap: no restriction at all
        among = {self._comparable(name, each) for each in given}
        return lambda row: (self._comparable(name, row.get(name)) in among) == wanted

    def _compared(self, name: str, operator: str, value: Any) -> Test:
        if operator not in ("=", "!=", "<>", "<", ">", "<=", ">="):
            raise refusal(f"Operator must be one of =, !=, >, <, >=, <=, in, like: {operator}")
        right: Any = self._comparable(name, value)

        def test(row: Row) -> bool:
            left: Any = self._comparable(name, row.get(name))
            if operator in ("=", "!=", "<>"):
                return bool((left == right) == (operator == "="))
            more = left > right if ">" in operator else left < right
            return bool(more or (left == right and "=" in operator))

        return test


def _like(name: str, pattern: str, wanted: bool) -> Test:
    regex = re.escape(folded(pattern)).replace("%", ".*").replace("_", ".")
    compiled = re.compile(regex, re.DOTALL)
    return lambda row: bool(compiled.fullmatch(folded(row.get(name) or ""))) == wanted
