"""Methods of Frappe's desk: the calendar view, deleting many, the form of a document type."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import partial
from typing import Any

from watcher.sandbox.erpnext import documents, permissions
from watcher.sandbox.erpnext.db import Row
from watcher.sandbox.erpnext.doctypes import EVENT, Field
from watcher.sandbox.erpnext.errors import FrappeError
from watcher.sandbox.erpnext.queries import Query, triples
from watcher.sandbox.erpnext.site import ADMINISTRATOR, Site

AT_ONCE = 10
"""delete_items leaves more than so many to a background worker."""
_CALENDAR = (
    "name", "subject", "description", "color", "starts_on", "ends_on", "owner", "all_day",
    "event_type", "repeat_this_event", "repeat_on", "repeat_till",
)  # fmt: skip


def calendar_view(site: Site, user: str, start: str, end: str, filters: Any) -> list[Row]:
    """Open Events of these days that the user may see, shared ones included (which no list
    shows). Frappe's own repetition is not expanded."""
    with site.lock:
        permissions.require(site, user, "Event", "read")
        where, values = Query(site, "Event").where(list(triples(filters)), [])
        days = (
            "status = 'Open' AND substr(starts_on, 1, 10) <= ? "
            "AND substr(IFNULL(ends_on, starts_on), 1, 10) >= ?"
        )
        columns = [*_CALENDAR]
        found = site.db.select(
            "Event", columns, f"{days}{' AND ' + where if where else ''}",
            [end[:10], start[:10], *values], "starts_on, name",
        )  # fmt: skip
        return [
            row
            for row in found
            if permissions.visible(user, "Event", row)
            or permissions.shared(site, user, "Event", row["name"])
        ]


def delete_items(site: Site, user: str, doctype: str, names: list[str]) -> None:
    """What can't be deleted is skipped without a word."""
    ordered = sorted(map(str, names), reverse=True)
    if len(ordered) > AT_ONCE:
        site.background.append(partial(_delete_each, site, user, doctype, ordered))
    else:
        _delete_each(site, user, doctype, ordered)


def _delete_each(site: Site, user: str, doctype: str, names: Iterable[str]) -> None:
    skipped = 0
    for name in names:
        try:
            documents.delete(site, user, doctype, name)
        except FrappeError:
            skipped += 1
    site.requests["delete_items skipped"] += skipped


# --- the document type Event --------------------------------------------------------------------

_FORM = (
    "#details subject event_category event_type color send_reminder repeat_this_event "
    "|column_break_4 starts_on ends_on status sender all_day sync_with_google_calendar "
    "add_video_conferencing #sb_00 google_calendar google_calendar_id |cb_00 "
    "google_calendar_event_id google_meet_link pulled_from_google_calendar #section_break_13 "
    "repeat_on repeat_till |column_break_16 monday tuesday wednesday thursday friday saturday "
    "sunday #section_break_8 description #participants event_participants"
)
_LABELS = {
    "details": "Details", "participants": "Participants", "sb_00": "Google Calendar",
    "send_reminder": "Send an email reminder in the morning", "starts_on": "Starts on",
    "ends_on": "Ends on", "repeat_this_event": "Repeat this Event",
    "google_calendar_id": "Google Calendar ID",
    "google_calendar_event_id": "Google Calendar Event ID",
    "sync_with_google_calendar": "Sync with Google Calendar",
    "pulled_from_google_calendar": "Pulled from Google Calendar",
}  # fmt: skip
_UNLABELLED = ("column_break_4", "cb_00", "section_break_13", "column_break_16", "section_break_8")
_KINDS = {"color": "Color", "event_participants": "Table", "google_calendar": "Link"}
_NUMBERS = re.findall(
    r"\w+",
    "search_index show_dashboard hidden set_only_once allow_in_quick_entry print_hide "
    "report_hide reqd bold in_global_search collapsible unique no_copy allow_on_submit "
    "show_preview_popup permlevel ignore_user_permissions columns in_list_view fetch_if_empty "
    "in_filter remember_last_selected_value ignore_xss_filter print_hide_if_no_value "
    "allow_bulk_edit in_standard_filter in_preview read_only length translatable hide_border "
    "hide_days hide_seconds non_negative is_virtual sort_options show_on_timeline",
)
_TEXTS = re.findall(
    r"\w+",
    "oldfieldname oldfieldtype options trigger collapsible_depends_on mandatory_depends_on "
    "read_only_depends_on depends_on width print_width default description precision max_height "
    "link_filters fetch_from documentation_url placeholder label",
)
_OLD = {"details": (None, "Section Break"), "event_type": ("event_type", "Select")}
_TYPE_NUMBERS = re.findall(
    r"\w+",
    "editable_grid in_create allow_copy hide_toolbar max_attachments show_name_in_global_search "
    "beta has_web_view allow_guest_to_view show_title_field_in_link translated_doctype "
    "is_calendar_and_gantt quick_entry queue_in_background allow_events_in_timeline "
    "allow_auto_repeat make_attachments_public force_re_route_to_default_view "
    "show_preview_popup index_web_pages_for_search",
)
_TYPE_TEXTS = re.findall(
    r"\w+",
    "search_fields restrict_to_domain app image_field timeline_field description colour "
    "menu_index parent_node smallicon print_outline color tag_fields subject _last_update "
    "default_print_format _user_tags route is_published_field website_search_field "
    "documentation nsm_parent_field default_view default_email_template sender_name_field "
    "_comments _assign _liked_by",
)
_MADE = "2013-06-10 13:17:47.000000"


def event_type() -> Row:
    """The DocType document of Event. It has Frappe's own fields only: custom ones are documents
    of their own, of the type Custom Field."""
    by_name = {field.name: field for field in EVENT}
    fields = [_docfield(n, word, by_name) for n, word in enumerate(_FORM.split(), 1)]
    return {
        **dict.fromkeys(_TYPE_NUMBERS, 0), **dict.fromkeys(_TYPE_TEXTS),
        "icon": "fa fa-calendar", "migration_hash": "92406e62b0db4f54523d52ab11223ff8",
        **_own("Event"), "modified": "2023-06-23 10:33:15.685368", "idx": 1, "module": "Desk",
        "issingle": 0, "istable": 0, "is_tree": 0, "is_virtual": 0, "is_submittable": 0,
        "custom": 0, "autoname": "EV.#####", "naming_rule": "Expression (old style)",
        "title_field": "subject", "sort_field": "modified", "sort_order": "DESC", "read_only": 1,
        "allow_rename": 0, "allow_import": 1, "track_changes": 1, "track_seen": 1, "track_views": 1,
        "subject_field": "subject", "sender_field": "sender", "email_append_to": 1,
        "engine": "InnoDB", "document_type": "Document", "doctype": "DocType", "states": [],
        "fields": fields, "links": [], "actions": [],
        "permissions": [_docperm(1, "All", 0), _docperm(2, "System Manager", 1)],
    }  # fmt: skip


def _own(name: str) -> Row:
    return {
        "name": name, "creation": _MADE[:19], "modified": _MADE, "modified_by": ADMINISTRATOR,
        "owner": ADMINISTRATOR, "docstatus": 0,
    }  # fmt: skip


def _docfield(number: int, word: str, by_name: dict[str, Field]) -> Row:
    """``word``: a field's name, with # before it for a section and | for a column break."""
    name = word.lstrip("#|")
    breaks = {"#": "Section Break", "|": "Column Break"}
    field = by_name.get(name, Field(name=name, type=breaks.get(word[0], "Table")))
    options = "\n".join(field.options) or None
    label = None if name in _UNLABELLED else _LABELS.get(name, name.replace("_", " ").title())
    row: Row = {
        **_own(hashlib.sha256(f"Event {name}".encode()).hexdigest()[:10]),
        "parent": "Event", "parentfield": "fields", "parenttype": "DocType", "idx": number,
        **dict.fromkeys(_NUMBERS, 0), **dict.fromkeys(_TEXTS),
        "fieldname": name, "label": label, "fieldtype": _KINDS.get(name, field.type),
        "options": "Event Participants" if name == "event_participants" else options,
        "reqd": int(field.required), "doctype": "DocField",
    }  # fmt: skip
    row["oldfieldname"], row["oldfieldtype"] = _OLD.get(name, (None, None))
    if field.type == "Check":
        row["default"] = str(field.default)
    row["search_index"] = row["in_standard_filter"] = int(name == "event_type")
    row["in_list_view"] = int(name in ("subject", "event_type", "status"))
    row["in_global_search"] = int(name in ("subject", "repeat_on", "description"))
    return row


def _docperm(number: int, role: str, manager: int) -> Row:
    yes = ("read", "write", "create", "report", "share", "print", "email")
    no = ("submit", "cancel", "amend", "if_owner", "select")
    return {
        **_own(hashlib.sha256(role.encode()).hexdigest()[:10]),
        "parent": "Event", "parentfield": "permissions", "parenttype": "DocType", "idx": number,
        "permlevel": 0, "role": role, "match": None, **dict.fromkeys(yes, 1),
        **dict.fromkeys(no, 0), **dict.fromkeys(("delete", "export", "import"), manager),
        "doctype": "DocPerm",
    }  # fmt: skip
