"""Which document types a site has: that depends on Frappe's version and on ERPNext."""

from __future__ import annotations

from dataclasses import dataclass

from watcher_sandbox.erpnext.doctypes import CHILD_TABLES, FIELDS, Field, link, select
from watcher_sandbox.erpnext.doctypes_desk import AROUND, OF_ERPNEXT

OLD, NEW = 15, 16
VERSIONS = {OLD: "15.43.0", NEW: "16.4.1"}
"""The versions that were recorded, by their major number."""
ERPNEXT_VERSIONS = {OLD: "15.90.0", NEW: "16.4.0"}

Tables = dict[str, tuple[str, tuple[str, ...]]]

_LOCATION = Field(name="location")
_ATTENDING = select("attending", "", "Yes", "No", "Maybe")
_REPEATS_16 = ("", "Daily", "Weekly", "Monthly", "Quarterly", "Half Yearly", "Yearly")


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalogue:
    """``types``: the fields by document type. ``tables``: by document type, the fields that are
    tables, each with the document type of its rows and their fields."""

    types: dict[str, tuple[Field, ...]]
    tables: dict[str, Tables]


def catalogue(frappe: int, *, erpnext: bool, rich_events: bool) -> Catalogue:
    """``rich_events``: a later 15.x, whose Event has ``location`` and ``attending`` too. Raises
    ValueError for a version that the stand-in does not know."""
    if frappe not in VERSIONS:
        raise ValueError(f"frappe is one of {', '.join(map(str, VERSIONS))}")
    types = {**FIELDS, **AROUND, **(OF_ERPNEXT if erpnext else {})}
    types["Event"] = _event(frappe, rich_events)
    if frappe == NEW:
        types["Custom Field"] += (
            Field(name="button_color", default=""),
            Field(name="alignment", default=""),
        )
        types["DocShare"] += (Field(name="impersonate", type="Check", default=0),)
        types["Google Calendar"] += (Field(name="sync_as_public", type="Check", default=0),)
    return Catalogue(types=types, tables={**CHILD_TABLES, "Event": _tables(frappe, rich_events)})


def _event(frappe: int, rich: bool) -> tuple[Field, ...]:
    fields = {field.name: field for field in FIELDS["Event"]}
    if frappe == OLD:
        more = (_LOCATION, _ATTENDING) if rich else ()
        return (*fields.values(), *more)
    fields["google_calendar"] = link("google_calendar", "Google Calendar")  # 15 takes any text
    fields["google_meet_link"] = Field(name="google_meet_link", type="Small Text")
    fields["repeat_on"] = select("repeat_on", *_REPEATS_16)
    reference = link("reference_doctype", "DocType")
    return (*fields.values(), _LOCATION, _ATTENDING, reference, Field(name="reference_docname"))


def _tables(frappe: int, rich: bool) -> Tables:
    kind, names = CHILD_TABLES["Event"]["event_participants"]
    if frappe == OLD:
        return {"event_participants": (kind, (*names, "attending") if rich else names)}
    return {
        "event_participants": (kind, (*names, "attending")),
        "links": ("Dynamic Link", ("link_doctype", "link_name", "link_title")),
        "notifications": ("Event Notifications", ("type", "before", "interval", "time")),
    }
