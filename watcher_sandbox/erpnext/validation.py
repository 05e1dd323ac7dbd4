"""What Frappe checks before it stores a document, in its order; each check raises FrappeError."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dateutil import parser

from watcher_sandbox.erpnext.db import Row
from watcher_sandbox.erpnext.doctypes import Field
from watcher_sandbox.erpnext.errors import FrappeError, database, refusal, shown
from watcher_sandbox.erpnext.sanitise import sanitise, without_tags
from watcher_sandbox.erpnext.site import Site

TEXT_BYTES = 65_535
LARGEST = 2**31 - 1
_VARCHAR = frozenset({"Data", "Link", "Select", "Color"})
_AS_SENT = frozenset({"Select", "Long Text", "Password"})
_TEXTS = frozenset({"Small Text", "Text"})
_STORED_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d)(?::(\d\d))?(\.\d{1,6})?)?", re.ASCII
)


def cast(field: Field, value: Any) -> Any:
    """A value as Frappe takes it from a body. Raises 417 for what no such field holds."""
    if field.type == "Check":
        return int(_whole(value) != 0)
    if field.type == "Int":
        return _whole(value)
    if value is None or (value == "" and field.type in ("Datetime", "Date")):
        return None
    if isinstance(value, list | dict):
        raise refusal(f"Value for {field.title} cannot be a list")
    return str(value)


def _whole(value: Any) -> int:
    """``cint``: anything that is no number is 0."""
    try:
        return int(float(value or 0))
    except (TypeError, ValueError, OverflowError):
        return 0


def check(site: Site, doctype: str, row: Row, fields: Mapping[str, Field]) -> None:
    """Frappe's own checks and ``Event.validate``; ``row`` is put right in place."""
    _links(site, doctype, row, fields)
    if doctype == "Event":
        _event(row, site.now())
    _mandatory(doctype, row, fields)
    _selects(row, fields)
    _lengths(doctype, row, fields)
    for name, field in fields.items():
        if isinstance(row.get(name), str) and field.type not in _AS_SENT:
            always = field.type == "HTML Editor"
            row[name] = sanitise(row[name], site.frappe, always=always)


def stored(doctype: str, row: Row, fields: Mapping[str, Field]) -> Row:
    """The row as the database holds it. Raises the database's errors, which are 500s."""
    kept = dict(row)
    for name, field in fields.items():
        value = kept.get(name)
        if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
            raise database("DataError", 1264, f"Out of range value for column '{name}' at row 1")
        if not isinstance(value, str):
            continue
        _encodes(value)
        if field.type == "Datetime":
            kept[name] = _moment(doctype, name, value)
        elif field.type == "Date":
            kept[name] = value[:10]
        elif field.type in _TEXTS and len(value.encode()) > TEXT_BYTES:
            raise database("DataError", 1406, f"Data too long for column '{name}' at row 1")
        elif field.unique and not value:
            kept[name] = None  # many rows may have none
    return kept


def duplicate(doctype: str, row: Row, fields: Mapping[str, Field], column: str) -> FrappeError:
    """What a second row with the same value of a unique column is answered."""
    error = f"IntegrityError(1062, \"Duplicate entry '{row[column]}' for key '{column}'\")"
    field = fields.get(column)
    return FrappeError(
        417,
        "UniqueValidationError",
        f"('{doctype}', '{row['name']}', {error})",
        messages=[shown(f"{field.title if field else column} must be unique")],
    )


def _encodes(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:  # half of a surrogate pair
        raise FrappeError(500, "UnicodeEncodeError", error.reason, module="") from None


def _links(site: Site, doctype: str, row: Row, fields: Mapping[str, Field]) -> None:
    lost = [
        f"{field.title}: {row[name]}"
        for name, field in fields.items()
        if field.type == "Link" and row.get(name) and not _exists(site, field, row[name])
    ]
    lost += [
        f"Row #{number}: Reference Name: {one['reference_docname']}"
        for number, one in enumerate(row.get("event_participants", []), 1)
        if not _takes_part(site, one)
    ]
    if lost:
        raise refusal(f"Could not find {', '.join(lost)}", "LinkValidationError")


def _takes_part(site: Site, participant: Row) -> bool:
    """A document type that the stand-in does not know may have any document."""
    doctype, name = participant["reference_doctype"], participant["reference_docname"]
    return doctype not in site.types or site.row(doctype, str(name)) is not None


def _exists(site: Site, field: Field, name: str) -> bool:
    target = field.options[0] if field.options else ""
    if target == "DocType":
        return name in site.types
    return target in site.types and site.row(target, name) is not None


def _event(row: Row, now: str) -> None:
    """Moments are looked at only when there are two; else it is the database that may refuse."""
    row["starts_on"] = row.get("starts_on") or now
    if not row.get("ends_on"):
        return
    start, end = _read(row["starts_on"]), _read(row["ends_on"])
    if start is None or end is None:
        raise FrappeError(
            500,
            "TypeError",
            "unsupported operand type(s) for -: 'datetime.date' and 'NoneType'",
            module="",
        )
    if start == end:
        row["ends_on"] = None
    elif end.date() < start.date():
        text = "<strong>Ends on</strong> must be after <strong>Starts on</strong>"
        raise refusal(
            text,
            "InvalidDates",
        )


def _read(value: str | None) -> datetime | None:
    """As Frappe's ``getdate`` reads: generous, and blind to the year 1."""
    if not value or value.startswith("0001-01-01"):
        return None
    try:
        return parser.parse(value)
    except (ValueError, OverflowError):
        text = f"<strong>{value}</strong> is not a valid date string."
        raise refusal(text, title="Invalid Date") from None


def _moment(doctype: str, name: str, value: str) -> str:
    """As MariaDB stores it; an offset or ``Z`` it refuses."""
    found = _STORED_MOMENT.fullmatch(value)
    if found is None or not _in_calendar(value):
        text = f"Incorrect datetime value: '{value}' for column `_site`.`tab{doctype}`.`{name}`"
        raise database("OperationalError", 1292, f"{text} at row 1")
    day, minutes, seconds, fraction = found.groups()
    digits = (fraction or ".")[1:].ljust(6, "0")
    return (
        f"{day} {minutes or '00:00'}:{seconds or '00'}{'' if digits == '000000' else '.' + digits}"
    )


def _in_calendar(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _mandatory(doctype: str, row: Row, fields: Mapping[str, Field]) -> None:
    missing = [f for f in fields.values() if f.required and _is_empty(row[f.name])]
    if missing:
        names = ", ".join(field.name for field in missing)
        raise FrappeError(
            417,
            "MandatoryError",
            f"[{doctype}, {row['name']}]: {names}",
            messages=[
                shown(f"Error: Value missing for {doctype}: {field.title}") for field in missing
            ],
        )


def _is_empty(value: object) -> bool:
    """A number is something, and so is a Check that is 0."""
    return value is None or not without_tags(str(value))


def _selects(row: Row, fields: Mapping[str, Field]) -> None:
    for name, field in fields.items():
        value = row.get(name)
        if field.type == "Select" and value and value not in field.options:
            choices = ", ".join(f'"{option}"' for option in field.options)
            raise refusal(f' {field.title} cannot be "{value}". It should be one of {choices}')


def _lengths(doctype: str, row: Row, fields: Mapping[str, Field]) -> None:
    for name, field in fields.items():
        value = row.get(name)
        if field.type in _VARCHAR and isinstance(value, str) and len(value) > field.length:
            raise refusal(
                f"{doctype} {row['name']}: '<strong>{field.title}</strong>' ({value}) will get "
                f"truncated, as max characters allowed is {field.length}",
                "CharacterLengthExceededError",
                title="Value too big",
            )
