"""The document types that the stand-in knows: their fields, and what roles may do with them."""

from __future__ import annotations

import re
from dataclasses import dataclass

STANDARD = ("name", "owner", "creation", "modified", "modified_by", "docstatus", "idx")
"""Columns of every document; none of them is for clients to write."""
OPTIONAL = ("_user_tags", "_comments", "_assign", "_liked_by", "_seen")
"""Columns beside the fields, which Frappe fills by itself; a list shows them when it asks for
them by name."""
NO_COLUMN = frozenset({"Section Break", "Column Break", "Tab Break", "HTML", "Heading", "Button"})
DATA_LENGTH = 140


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One column. ``options``: choices of a Select, the document type of a Link. ``length``: the
    most characters that a text of one line may have."""

    name: str
    type: str = "Data"
    length: int = DATA_LENGTH
    label: str = ""
    options: tuple[str, ...] = ()
    default: object = None
    required: bool = False
    unique: bool = False

    @property
    def title(self) -> str:
        return self.label or self.name.replace("_", " ").title()


def select(name: str, *options: str, required: bool = False) -> Field:
    """Frappe fills a missing Select with its first choice."""
    default = options[0]
    return Field(name=name, type="Select", options=options, default=default, required=required)


def check(name: str, default: int = 0) -> Field:
    return Field(name=name, type="Check", default=default)


def link(name: str, to: str = "User") -> Field:
    return Field(name=name, type="Link", options=(to,))


_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

EVENT = (
    Field(name="subject", type="Small Text", required=True),
    select("event_category", "Event", "Meeting", "Call", "Sent/Received Email", "Other"),
    select("event_type", "Private", "Public", required=True),
    Field(name="color"),
    check("send_reminder", 1),
    check("repeat_this_event"),
    Field(name="starts_on", type="Datetime", required=True),
    Field(name="ends_on", type="Datetime"),
    select("status", "Open", "Completed", "Closed", "Cancelled"),
    Field(name="sender"),
    check("all_day"),
    check("sync_with_google_calendar"),
    check("add_video_conferencing"),
    Field(name="google_calendar"),
    Field(name="google_calendar_id", label="Google Calendar ID"),
    Field(name="google_calendar_event_id", label="Google Calendar Event ID", length=320),
    Field(name="google_meet_link"),
    check("pulled_from_google_calendar"),
    select("repeat_on", "", "Daily", "Weekly", "Monthly", "Yearly"),
    Field(name="repeat_till", type="Date"),
    *(check(day) for day in _DAYS),
    Field(name="description", type="Text Editor"),
)

_CUSTOM_CHECKS = re.findall(
    r"\w+",
    "is_system_generated hide_seconds hide_days sort_options fetch_if_empty collapsible "
    "non_negative reqd unique is_virtual read_only ignore_user_permissions hidden print_hide "
    "print_hide_if_no_value no_copy allow_on_submit in_list_view in_standard_filter "
    "in_global_search in_preview bold report_hide search_index allow_in_quick_entry "
    "ignore_xss_filter translatable hide_border show_dashboard",
)

FIELDS: dict[str, tuple[Field, ...]] = {
    "Event": EVENT,
    "Custom Field": (
        Field(name="dt", required=True),
        Field(name="label"),
        Field(name="fieldname"),
        Field(name="insert_after"),
        Field(name="fieldtype", required=True, default="Data"),
        Field(name="precision", default=""),
        Field(name="options", type="Small Text"),
        Field(name="default", type="Text"),
        Field(name="description", type="Text"),
        Field(name="depends_on", type="Code"),
        *(Field(name=name, type="Int", default=0) for name in ("length", "permlevel", "columns")),
        *(check(name) for name in _CUSTOM_CHECKS),
    ),
    "User": (
        check("enabled", 1),
        Field(name="email", required=True),
        Field(name="first_name"),
        Field(name="full_name"),
        Field(name="time_zone"),
        Field(name="language"),
        select("user_type", "System User", "Website User"),
    ),
    "ToDo": (
        select("status", "Open", "Closed", "Cancelled"),
        select("priority", "Medium", "High", "Low"),
        Field(name="color"),
        Field(name="date", type="Date"),
        link("allocated_to"),
        Field(name="description", type="Text Editor", required=True),
        Field(name="reference_type"),
        Field(name="reference_name"),
        Field(name="role"),
        link("assigned_by"),
        Field(name="assigned_by_full_name"),
        Field(name="sender"),
        Field(name="assignment_rule"),
    ),
    "DocShare": (
        link("user"),
        Field(name="share_doctype", required=True),
        Field(name="share_name", required=True),
        *(check(name) for name in ("read", "write", "share", "submit", "everyone")),
        check("notify_by_email", 1),
    ),
    "Error Log": (
        check("seen"),
        Field(name="reference_doctype"),
        Field(name="reference_name"),
        Field(name="method"),
        Field(name="error", type="Text"),
    ),
    "Webhook Request Log": (
        Field(name="webhook"),
        Field(name="reference_document"),
        link("user"),
        Field(name="url", type="Text"),
        *(Field(name=name, type="Code") for name in ("headers", "data", "response")),
        Field(name="error", type="Text"),
    ),
    "Notification Log": (
        Field(name="subject", type="Text"),
        link("for_user"),
        Field(name="type"),
        Field(name="email_content", type="Text Editor"),
        Field(name="document_type"),
        Field(name="document_name"),
        link("from_user"),
        check("read"),
    ),
    "Connected App": (
        Field(name="provider_name", required=True),
        Field(name="openid_configuration"),
        Field(name="client_id"),
        Field(name="redirect_uri"),
        Field(name="client_secret", type="Password"),
        Field(name="authorization_uri", type="Small Text"),
        *(Field(name=f"{each}_uri") for each in ("token", "revocation", "userinfo")),
        Field(name="introspection_uri"),
    ),
    "Token Cache": (
        link("user"),
        Field(name="connected_app", type="Link", options=("Connected App",)),
        Field(name="provider_name"),
        Field(name="access_token", type="Password"),
        Field(name="refresh_token", type="Password"),
        Field(name="expires_in", type="Int", default=0),
        Field(name="state"),
        Field(name="success_uri"),
        Field(name="token_type"),
    ),
    "System Settings": (Field(name="time_zone"),),
}

CHILD_TABLES: dict[str, dict[str, tuple[str, tuple[str, ...]]]] = {
    "Event": {
        "event_participants": (
            "Event Participants",
            ("reference_doctype", "reference_docname", "email"),
        ),
    },
    "Connected App": {
        "scopes": ("OAuth Scope", ("scope",)),
        "query_parameters": ("Query Parameters", ("key", "value")),
    },
    "Token Cache": {"scopes": ("OAuth Scope", ("scope",))},
    "User": {"roles": ("Has Role", ("role",))},
    "Communication": {
        "timeline_links": ("Communication Link", ("link_doctype", "link_name", "link_title")),
    },
}
"""By document type: the fields that are tables, their document type and its fields."""

_ALL = frozenset({"read", "write", "create", "delete", "share"})
_NONE: frozenset[str] = frozenset()

ROLES: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "Event": (_ALL - {"delete"}, _ALL),
    "Custom Field": (_NONE, _ALL),
    "Property Setter": (_NONE, _ALL),
    "List View Settings": (_NONE, _ALL),
    "Client Script": (_NONE, _ALL),
    "Language": (frozenset({"read"}), _ALL),
    "Translation": (_NONE, _ALL),
    "Role": (_NONE, _ALL),
    "Custom DocPerm": (_NONE, _ALL),
    "User": (frozenset({"read"}), _ALL),
    "ToDo": (_ALL, _ALL),
    "DocShare": (_NONE, _ALL),
    "Error Log": (_NONE, _ALL),
    "Webhook Request Log": (_NONE, _ALL),
    "Notification Log": (frozenset({"read"}), frozenset({"read"})),
    "System Settings": (_NONE, frozenset({"read", "write"})),
    "Connected App": (frozenset({"read"}), _ALL),
    "Token Cache": (_NONE, frozenset({"read", "delete"})),
    "DocType": (_NONE, frozenset({"read"})),
    "Version": (_NONE, frozenset({"read"})),
    "Deleted Document": (_NONE, frozenset({"read", "delete"})),
    "Comment": (_NONE, _ALL),
    "Communication": (_NONE, _ALL - {"write"}),
    "Contact": (frozenset({"read"}), _ALL),
    "File": (_ALL, _ALL),
    "View Log": (_NONE, frozenset({"read"})),
    "Activity Log": (_NONE, frozenset({"read"})),
    "Tag": (_ALL - {"delete"}, _ALL),
    "Tag Link": (_ALL - {"delete"}, _ALL),
    "Google Calendar": (_NONE, _ALL),
    "Employee": (frozenset({"read"}), _NONE),
    "Company": (_NONE, _ALL),
    "Branch": (_NONE, _ALL),
    "Department": (_NONE, _ALL),
}
"""By document type: what a plain desk user may, and what a System Manager may."""
