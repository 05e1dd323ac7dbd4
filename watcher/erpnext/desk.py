"""How the Desk shows mirrored events: whose they are, as an agenda, without technical fields, not
to be edited in the form, with a line that says where to change them. ``watcher erpnext setup``
makes it so, and ``--desk no`` takes it back.

Nothing here changes what is stored in an Event. It is made of Property Setters, which is how Frappe
keeps what an admin does in "Customize Form", of properties of Watcher's own custom fields, of a
Client Script for the list, and of Translations (``wording``). What the site has set by hand is left
as it is. All of it takes the role System Manager.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from watcher.erpnext import agenda, dragging, wording
from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.fields import SECTION, SECTION_LABEL, Tell, tell_nobody
from watcher.erpnext.lines import FROM_LINE, MIRRORED, PERSON, STALE_LINE, is_former
from watcher.erpnext.rows import KEY
from watcher.events.fields import FIELDS, STALE

LISTS, COLUMNS = "List View Settings", "5"
_ORDER = "field_order"
"""The property in which "Customize Form" keeps the order of all fields when somebody saves it; for
a field that is named there, ``insert_after`` means nothing."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One property of the Event form. ``field`` is empty for the document type itself; ``kind`` is
    the type of the property in Frappe's words; ``does`` says to an admin what it is for."""

    field: str
    name: str
    kind: str
    value: str
    does: str

    @property
    def place(self) -> tuple[str, str]:
        return self.field, self.name

    @property
    def document(self) -> dict[str, Any]:
        """The Property Setter as it is inserted."""
        return {
            "doctype": "Property Setter",
            "doctype_or_field": "DocField" if self.field else "DocType",
            "doc_type": "Event",
            "field_name": self.field or None,
            "property": self.name,
            "property_type": self.kind,
            "value": self.value,
        }


@dataclass(frozen=True, slots=True)
class OwnField:
    """Properties of one of Watcher's custom fields: as the Desk is fit, and as they are without."""

    field: str
    fit: dict[str, Any]
    plain: dict[str, Any]
    does: str


_AGENDA = "lists of events are an agenda: the start is a column, and the next one comes first"
_LOCKED = "mirrored events cannot be edited in the form"
SETTINGS: tuple[Setting, ...] = (
    Setting("starts_on", "in_list_view", "Check", "1", _AGENDA),
    Setting("event_type", "in_list_view", "Check", "0", _AGENDA),
    Setting("", "sort_field", "Data", "starts_on", _AGENDA),
    Setting("", "sort_order", "Data", "ASC", _AGENDA),
    *(
        Setting(each.name, "read_only_depends_on", "Data", MIRRORED, _LOCKED)
        for each in FIELDS
        if not each.optional
    ),
    Setting(
        "sync_with_google_calendar",
        "depends_on",
        "Data",
        f"eval:!doc.{KEY}",
        "Frappe's own copy to Google is not offered for them: it would come back as a second event",
    ),
)

_PERSON = OwnField(
    PERSON,
    {"insert_after": "subject", "in_list_view": 1, "in_standard_filter": 1},
    {"insert_after": "custom_google_account", "in_list_view": 0, "in_standard_filter": 0},
    "whose calendar it is stands below the title, in lists, and as a filter",
)
_SHORT = "lists of events write day and hour so that they are not cut, and leave out the numbers"
_MOVED = "mirrored events cannot be moved in the calendar"
_WARNS = "events of a calendar that is not kept current say so, in the form and in lists"
_HIDDEN = "keys and technical ids are hidden, in the form and in its history"
OWN_FIELDS: tuple[OwnField, ...] = (
    OwnField(
        SECTION,
        {"label": "Mirrored from Google"},
        {"label": SECTION_LABEL},
        "the section is called Mirrored from Google",
    ),
    # Where a field is moved away, those behind it would move with it.
    OwnField(
        "custom_synced_from",
        {"insert_after": "custom_google_account", "hidden": 1},
        {"insert_after": PERSON, "hidden": 0},
        _HIDDEN,
    ),
    _PERSON,
    OwnField(
        STALE,
        {"insert_after": "ends_on", "in_list_view": 1},
        {"insert_after": "custom_google_hash", "in_list_view": 0},
        _WARNS,
    ),
    *(
        OwnField(name, {"hidden": 1}, {"hidden": 0}, _HIDDEN)
        for name in (
            KEY,
            "custom_google_event_id",
            "custom_google_recurring_event_id",
            "custom_google_calendar_id",
            "custom_google_hash",
        )
    ),
)

_SPEAKS = (
    "labels and lines are said in German, Spanish and Hindi as well, to whom ERPNext speaks it"
)
_NOTE_DOES = "a line in the form says whose calendar it comes from, with a link to it"


_LINES: tuple[tuple[dict[str, Any], str], ...] = ((FROM_LINE, _NOTE_DOES), (STALE_LINE, _WARNS))


@dataclass(kw_only=True, slots=True)
class DeskReport:
    """Sentences for the admin: ``there`` is as wanted already, ``changed`` is what was changed (or
    would be), ``by_hand`` is what somebody else has set and is left as it is."""

    there: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Step:
    """One call that brings the Desk nearer to what is wanted."""

    does: str
    call: Callable[[], object]


def fit(client: ErpNextClient, *, dry_run: bool = False, tell: Tell = tell_nobody) -> DeskReport:
    """Make the Desk fit for mirrored events; safe to repeat. The custom fields have to be there,
    unless it is a ``dry_run``, which says what would be changed and changes nothing. ``tell`` is
    given each change when it begins.

    Raises ``ErpForbidden`` without System Manager.
    """
    site = _Site(client)
    report = DeskReport()
    steps: list[_Step] = []
    for wanted in SETTINGS:
        found = site.settings.get(wanted.place)
        if found is None:
            steps.append(_Step(wanted.does, partial(client.insert, wanted.document)))
        elif found["value"] == wanted.value:
            report.there.append(wanted.does)
        else:
            what = f"{wanted.field or 'Event'}: {wanted.name}"
            report.by_hand.append(f"{what} is {found['value'] or 'empty'}")
    for own in OWN_FIELDS:
        _towards(site, own, own.fit, steps, report)
    _columns(site, steps, report)
    _shortly(site, steps, report)
    _in_order(site, _PERSON.plain, _PERSON.fit, steps, report)
    for line, does in _LINES:
        name = line["fieldname"]
        if name not in site.fields:
            steps.append(_Step(does, partial(client.insert, line)))
        elif site.fields[name]["options"] == line["options"]:
            report.there.append(does)
        elif is_former(site.fields[name]["options"]):
            document = {"doctype": "Custom Field", "name": site.fields[name]["name"]}
            document["options"] = line["options"]
            steps.append(_Step(does, partial(client.update, document)))
        else:
            report.by_hand.append(f"{name}: the line in the form has another text than Watcher's")
    report.by_hand += site.wording.by_hand
    if site.wording.whole:
        report.there.append(_SPEAKS)
    else:
        steps.append(_Step(_SPEAKS, site.wording.make))
    return _carried_out(steps, report, None if dry_run else tell)


def take_back(
    client: ErpNextClient, *, dry_run: bool = False, tell: Tell = tell_nobody
) -> DeskReport:
    """Undo ``fit``: the Event form is as Frappe has it, with Watcher's fields at its end. A setting
    that has another value than Watcher's is somebody else's, and stays.

    Raises ``ErpForbidden`` without System Manager.
    """
    site = _Site(client)
    report = DeskReport()
    steps: list[_Step] = []
    for wanted in SETTINGS:
        found = site.settings.get(wanted.place)
        if found is not None and found["value"] == wanted.value:
            call = partial(client.delete, "Property Setter", found["name"])
            steps.append(_Step(wanted.does, call))
    if site.wording.ours:
        steps.append(_Step(_SPEAKS, site.wording.remove))
    for line, does in reversed(_LINES):  # before the fields that they stand behind move
        found = site.fields.get(line["fieldname"])
        if found is not None:
            call = partial(client.delete, "Custom Field", found["name"])
            steps.append(_Step(does, call))
    if dragging.allow(client, dry_run=True):
        steps.append(_Step(_MOVED, partial(dragging.allow, client)))
    if site.script is not None:
        steps.append(_Step(_SHORT, partial(agenda.remove, client)))
    if site.columns == COLUMNS:
        call = partial(client.delete, LISTS, "Event")
        steps.append(_Step(_WARNS, call))
    for own in reversed(OWN_FIELDS):
        if own.field in site.fields:
            _towards(site, own, own.plain, steps, report)
    _in_order(site, _PERSON.fit, _PERSON.plain, steps, report)
    report.there.clear()  # of no interest: nothing was to be undone there
    return _carried_out(steps, report, None if dry_run else tell)


def _columns(site: _Site, steps: list[_Step], report: DeskReport) -> None:
    """Room for one column more: on a narrow screen the list would show four, and leave out the one
    that says what is not kept current."""
    if site.columns is None:
        document = {"doctype": LISTS, "__newname": "Event", "total_fields": COLUMNS}
        steps.append(_Step(_WARNS, partial(site.client.insert, document)))
    elif site.columns == COLUMNS:
        report.there.append(_WARNS)
    else:
        report.by_hand.append(
            f"the list of Events shows {site.columns or 'as many as fit'} columns"
        )


def _shortly(site: _Site, steps: list[_Step], report: DeskReport) -> None:
    """A script that somebody has switched off stays so."""
    if site.script is not None and not site.script["enabled"]:
        report.by_hand.append(f"the Client Script {agenda.NAME} is switched off")
    elif site.script is not None and site.script["script"] == agenda.SCRIPT:
        report.there.append(_SHORT)
    else:
        steps.append(_Step(_SHORT, partial(agenda.make, site.client)))


class _Site:
    """What the site has of all this now. ``columns``: how many its list of Events shows, None where
    nobody has set anything of that list; ``script`` is the list's, None where there is none."""

    def __init__(self, client: ErpNextClient) -> None:
        self.client = client
        names = {_ORDER, *(setting.name for setting in SETTINGS)}
        setters = client.rows(
            "Property Setter",
            [["doc_type", "=", "Event"], ["property", "in", sorted(names)]],
            ["field_name", "property", "value"],
        )
        self.settings = {(row["field_name"] or "", row["property"]): row for row in setters}
        properties = sorted({name for own in OWN_FIELDS for name in own.fit})
        own_names = [*(own.field for own in OWN_FIELDS), *(each["fieldname"] for each, _ in _LINES)]
        fields = client.rows(
            "Custom Field",
            [["dt", "=", "Event"], ["fieldname", "in", own_names]],
            ["fieldname", "options", *properties],
        )
        self.fields = {row["fieldname"]: row for row in fields}
        lists = client.rows(LISTS, [["name", "=", "Event"]], ["total_fields"])
        self.script = agenda.found(client)
        self.wording = wording.look(client)
        self.columns = str(lists[0]["total_fields"] or "") if lists else None


def _towards(
    site: _Site, own: OwnField, wanted: dict[str, Any], steps: list[_Step], report: DeskReport
) -> None:
    """Note what has to be changed of a custom field, and how."""
    found = site.fields.get(own.field, {"name": f"Event-{own.field}"})
    differing = {name: value for name, value in wanted.items() if found.get(name) != value}
    if not differing:
        report.there.append(own.does)
        return
    document = {"doctype": "Custom Field", "name": found["name"], **differing}
    steps.append(_Step(own.does, partial(site.client.update, document)))


def _in_order(
    site: _Site,
    there: dict[str, Any],
    wanted: dict[str, Any],
    steps: list[_Step],
    report: DeskReport,
) -> None:
    """Where the site keeps an order of its own, the field is moved in it as well, and no other.
    From another place than it had ``there`` somebody has moved it: then it stays."""
    found = site.settings.get(("", _ORDER))
    order: list[str] = json.loads(found["value"]) if found else []
    if found is None or PERSON not in order:
        return
    before = order[order.index(PERSON) - 1]
    if before == wanted["insert_after"]:
        return
    if before != there["insert_after"] or wanted["insert_after"] not in order:
        report.by_hand.append(f"Event: {_ORDER} has {PERSON} behind {before}")
        return
    order.remove(PERSON)
    order.insert(order.index(wanted["insert_after"]) + 1, PERSON)
    document = {"doctype": "Property Setter", "name": found["name"], "value": json.dumps(order)}
    steps.append(_Step(_PERSON.does, partial(site.client.update, document)))


def _carried_out(steps: Iterable[_Step], report: DeskReport, tell: Tell | None) -> DeskReport:
    """Without ``tell`` nothing is carried out."""
    for step in steps:
        if tell is not None:
            if step.does not in report.changed:
                tell(step.does)
            step.call()
        report.changed.append(step.does)
    report.changed = list(dict.fromkeys(report.changed))
    report.there = [does for does in dict.fromkeys(report.there) if does not in report.changed]
    return report
