"""The DocType document of Event, as each version has it: the form and its permissions."""

from __future__ import annotations

import hashlib
import re

from watcher_sandbox.erpnext.accounts import ADMINISTRATOR
from watcher_sandbox.erpnext.catalogue import NEW, OLD
from watcher_sandbox.erpnext.db import Row
from watcher_sandbox.erpnext.doctypes import Field
from watcher_sandbox.erpnext.site import Site

_REST = (
    "all_day sync_with_google_calendar add_video_conferencing #sb_00 google_calendar "
    "google_calendar_id |cb_00 google_calendar_event_id google_meet_link "
    "pulled_from_google_calendar #section_break_13 repeat_on repeat_till |column_break_16 monday "
    "tuesday wednesday thursday friday saturday sunday #section_break_8 description"
)
_FORM = {
    OLD: "#details subject event_category event_type color send_reminder repeat_this_event "
    f"|column_break_4 starts_on ends_on status sender {_REST} #participants event_participants",
    NEW: "#details subject event_category event_type color repeat_this_event location "
    f"|column_break_4 starts_on ends_on status sender attending {_REST} !participants_tab "
    "event_participants !links_tab #section_break_jlqd reference_doctype |column_break_pjkw "
    "reference_docname #section_break_qemp links !notifications_tab send_reminder notifications",
}
"""By version: # stands before a section, | before a column break, ! before a tab."""
_BREAKS = {"#": "Section Break", "|": "Column Break", "!": "Tab Break"}
_LABELS = {
    "details": "Details",
    "participants": "Participants",
    "sb_00": "Google Calendar",
    "participants_tab": "Participants",
    "links_tab": "Links",
    "notifications_tab": "Notifications",
    "send_reminder": "Send an email reminder in the morning",
    "starts_on": "Starts on",
    "ends_on": "Ends on",
    "repeat_this_event": "Repeat this Event",
    "reference_doctype": "Reference Document Type",
    "reference_docname": "Reference Doc",
    "google_calendar_id": "Google Calendar ID",
    "google_calendar_event_id": "Google Calendar Event ID",
    "sync_with_google_calendar": "Sync with Google Calendar",
    "pulled_from_google_calendar": "Pulled from Google Calendar",
}
_UNLABELLED = re.compile(r"(column|section)_break_\w+|cb_00")
_KINDS = {"color": "Color", "google_calendar": "Link", "reference_docname": "Dynamic Link"}
_OPTIONS = {"reference_docname": "reference_doctype", "google_calendar": "Google Calendar"}
_NUMBERS = (
    "search_index show_dashboard hidden set_only_once allow_in_quick_entry print_hide report_hide "
    "reqd bold in_global_search collapsible unique no_copy allow_on_submit permlevel "
    "ignore_user_permissions columns in_list_view fetch_if_empty in_filter "
    "remember_last_selected_value ignore_xss_filter print_hide_if_no_value allow_bulk_edit "
    "in_standard_filter in_preview read_only length translatable hide_border hide_days "
    "hide_seconds non_negative is_virtual sort_options show_on_timeline"
)
_TEXTS = (
    "oldfieldname oldfieldtype options collapsible_depends_on mandatory_depends_on "
    "read_only_depends_on depends_on width print_width default description precision max_height "
    "link_filters fetch_from documentation_url placeholder label"
)
_FIELD_NUMBERS = {
    OLD: f"{_NUMBERS} show_preview_popup".split(),
    NEW: f"{_NUMBERS} not_nullable mask sticky make_attachment_public".split(),
}
_FIELD_TEXTS = {OLD: f"{_TEXTS} trigger".split(), NEW: f"{_TEXTS} button_color alignment".split()}
_OLDER = {"details": (None, "Section Break"), "event_type": ("event_type", "Select")}
_TYPE_NUMBERS = (
    "editable_grid in_create allow_copy hide_toolbar max_attachments show_name_in_global_search "
    "beta has_web_view allow_guest_to_view show_title_field_in_link translated_doctype "
    "is_calendar_and_gantt quick_entry queue_in_background allow_events_in_timeline "
    "allow_auto_repeat make_attachments_public force_re_route_to_default_view "
    "show_preview_popup index_web_pages_for_search"
)
_TYPE_TEXTS = (
    "search_fields restrict_to_domain image_field timeline_field description color "
    "default_print_format route is_published_field website_search_field documentation "
    "nsm_parent_field default_view default_email_template sender_name_field"
)
_OLD_TEXTS = (
    "app colour menu_index parent_node smallicon print_outline tag_fields subject _last_update "
    "_user_tags _comments _assign _liked_by"
)
_ONLY: dict[int, Row] = {
    OLD: {
        **dict.fromkeys(_OLD_TEXTS.split()),
        "migration_hash": "92406e62b0db4f54523d52ab11223ff8",
        "modified": "2023-06-23 10:33:15.685368",
        "sort_field": "modified",
    },
    NEW: {
        **dict.fromkeys(("rows_threshold_for_grid_search", "protect_attached_files"), 0),
        "recipient_account_field": None,
        "grid_page_length": 50,
        "row_format": "Dynamic",
        "migration_hash": "3f338e63490d353beb4ad63719b10423",
        "modified": "2025-10-07 08:53:24.732646",
        "sort_field": "creation",
    },
}
_MADE = "2013-06-10 13:17:47.000000"
_RIGHTS = "submit cancel amend if_owner select write create delete export import"
_BASIC = ("read", "report", "share", "print", "email")


def event_type(site: Site) -> Row:
    """Frappe's own fields only: custom ones are documents of their own, of the type Custom
    Field, and a Property Setter leaves this document as it is."""
    version = site.frappe
    by_name = {field.name: field for field in site.types["Event"]}
    tables = {name: kind for name, (kind, _) in site.tables("Event").items()}
    words = _words(version, site.rich_events)
    fields = [_docfield(version, n, word, by_name, tables) for n, word in enumerate(words, 1)]
    return {
        **dict.fromkeys(_TYPE_NUMBERS.split(), 0),
        **dict.fromkeys(_TYPE_TEXTS.split()),
        **_own("Event"),
        **dict.fromkeys(("issingle", "istable", "is_tree", "is_virtual", "is_submittable"), 0),
        **dict.fromkeys(("track_changes", "track_seen", "track_views", "read_only", "idx"), 1),
        **{"icon": "fa fa-calendar", "module": "Desk", "engine": "InnoDB", "doctype": "DocType"},
        **{"custom": 0, "autoname": "EV.#####", "naming_rule": "Expression (old style)"},
        **{"title_field": "subject", "sort_order": "DESC", "allow_rename": 0, "allow_import": 1},
        **{"subject_field": "subject", "sender_field": "sender", "email_append_to": 1},
        **{"document_type": "Document", "states": [], "links": [], "actions": []},
        **_ONLY[version],
        "fields": fields,
        "permissions": _permissions(version),
    }


def _words(version: int, rich_events: bool) -> list[str]:
    words = _FORM[version].split()
    if version == OLD and rich_events:
        words.insert(words.index("|column_break_4"), "location")
        words.insert(words.index("sender") + 1, "attending")
    return words


def _own(name: str) -> Row:
    return {
        "name": name,
        "creation": _MADE[:19],
        "modified": _MADE,
        "modified_by": ADMINISTRATOR,
        "owner": ADMINISTRATOR,
        "docstatus": 0,
    }


def _docfield(
    version: int, number: int, word: str, by_name: dict[str, Field], tables: dict[str, str]
) -> Row:
    """``word``: a field's name, with the sign of a break before it."""
    name = word.lstrip("#|!")
    field = by_name.get(name, Field(name=name, type=_BREAKS.get(word[0], "Table")))
    options = tables.get(name) or _OPTIONS.get(name) or "\n".join(field.options)
    row: Row = {
        **_own(hashlib.sha256(f"Event {name}".encode()).hexdigest()[:10]),
        **{"parent": "Event", "parentfield": "fields", "parenttype": "DocType", "idx": number},
        **dict.fromkeys(_FIELD_NUMBERS[version], 0),
        **dict.fromkeys(_FIELD_TEXTS[version]),
        **{"fieldname": name, "fieldtype": _KINDS.get(name, field.type), "doctype": "DocField"},
        **{"options": options or None, "reqd": int(field.required)},
        "label": None if _UNLABELLED.fullmatch(name) else _label(name),
    }
    row["oldfieldname"], row["oldfieldtype"] = _OLDER.get(name, (None, None))
    if field.type == "Check":
        row["default"] = str(field.default)
    row["length"] = 320 if name == "google_calendar_event_id" else 0
    row["search_index"] = row["in_standard_filter"] = int(name == "event_type")
    row["in_list_view"] = int(name in ("subject", "event_type", "status"))
    row["in_global_search"] = int(name in ("subject", "repeat_on", "description"))
    return row


def _label(name: str) -> str:
    return _LABELS.get(name, name.replace("_", " ").title())


def _permissions(version: int) -> list[Row]:
    """On 16 the role All only reads."""
    writes, all_of_it = ("write", "create"), ("write", "create", "delete", "export", "import")
    if version == OLD:
        return [_docperm(OLD, 1, "All", writes), _docperm(OLD, 2, "System Manager", all_of_it)]
    return [
        _docperm(NEW, 1, "Desk User", writes),
        _docperm(NEW, 2, "System Manager", all_of_it),
        _docperm(NEW, 3, "All", ("export",)),
    ]


def _docperm(version: int, number: int, role: str, more: tuple[str, ...]) -> Row:
    only: Row = {"match": None} if version == OLD else {"impersonate": 0, "mask": 0}
    return {
        **_own(hashlib.sha256(role.encode()).hexdigest()[:10]),
        **{"parent": "Event", "parentfield": "permissions", "parenttype": "DocType"},
        **{"idx": number, "permlevel": 0, "role": role, "doctype": "DocPerm"},
        **dict.fromkeys(_RIGHTS.split(), 0),
        **dict.fromkeys((*_BASIC, *more), 1),
        **only,
    }
