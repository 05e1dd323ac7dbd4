"""The document types that gather around an Event, and what ERPNext and integrations add."""

from __future__ import annotations

from watcher_sandbox.erpnext.doctypes import Field, check, link, select

_RIGHTS = (
    *("select", "read", "write", "create", "delete", "submit", "cancel", "amend"),
    *("report", "export", "import", "share", "print", "email"),
)
LONG = "Long Text"
"""Fields that hold far more than a line: Frappe calls them Code or HTML Editor."""

AROUND: dict[str, tuple[Field, ...]] = {
    "Version": (
        Field(name="ref_doctype", required=True),
        Field(name="docname", required=True),
        Field(name="data", type=LONG),
    ),
    "Deleted Document": (
        Field(name="deleted_name"),
        Field(name="deleted_doctype"),
        check("restored"),
        Field(name="new_name"),
        Field(name="data", type=LONG),
    ),
    "Comment": (
        Field(name="comment_type", default="Comment", required=True),
        Field(name="comment_email"),
        Field(name="subject", type="Text"),
        Field(name="comment_by"),
        check("published"),
        check("seen"),
        Field(name="reference_doctype"),
        Field(name="reference_name"),
        Field(name="reference_owner"),
        Field(name="content", type="HTML Editor"),
        Field(name="ip_address"),
    ),
    "Communication": (
        Field(name="subject", type="Small Text", required=True),
        Field(name="communication_medium", default=""),
        Field(name="sender"),
        Field(name="content", type="Text Editor"),
        Field(name="text_content", type=LONG),
        Field(name="communication_type", default="Communication"),
        Field(name="status", default="Open"),
        Field(name="sent_or_received", default="Sent"),
        Field(name="communication_date", type="Datetime"),
        Field(name="sender_full_name"),
        Field(name="reference_doctype"),
        Field(name="reference_name"),
        Field(name="reference_owner"),
        link("user"),
    ),
    "File": (
        Field(name="file_name"),
        Field(name="file_url", type=LONG),
        Field(name="attached_to_doctype"),
        Field(name="attached_to_name"),
        check("is_private"),
    ),
    "Contact": (
        Field(name="first_name", required=True),
        Field(name="last_name"),
        Field(name="email_id"),
        link("user"),
    ),
    "View Log": (
        Field(name="viewed_by"),
        Field(name="reference_doctype"),
        Field(name="reference_name"),
    ),
    "Activity Log": (
        Field(name="subject", type="Small Text"),
        Field(name="reference_doctype"),
        Field(name="reference_name"),
        Field(name="timeline_doctype"),
        Field(name="timeline_name"),
    ),
    "Tag": (Field(name="description", type="Small Text"),),
    "Tag Link": (
        Field(name="document_type"),
        Field(name="document_name"),
        Field(name="tag"),
        Field(name="title"),
    ),
    "Property Setter": (
        select("doctype_or_field", "", "DocField", "DocType", "DocType Link", required=True),
        Field(name="value", type="Small Text"),
        Field(name="doc_type", required=True),
        Field(name="field_name"),
        Field(name="property", required=True),
        Field(name="property_type"),
        Field(name="default_value"),
        Field(name="row_name"),
        Field(name="module"),
        check("is_system_generated"),
    ),
    "Client Script": (
        Field(name="dt", required=True),
        select("view", "List", "Form"),
        check("enabled"),
        Field(name="script", type=LONG),
    ),
    "List View Settings": (
        *(check(name) for name in ("disable_count", "disable_comment_count")),
        *(check(name) for name in ("disable_sidebar_stats", "disable_auto_refresh")),
        select("total_fields", "", "4", "5", "6", "7", "8", "9", "10"),
        Field(name="fields", type=LONG),
    ),
    "Language": (
        Field(name="language_code", required=True),
        Field(name="language_name", required=True),
        check("enabled", 1),
    ),
    "Translation": (
        check("contributed"),
        Field(name="language", type="Link", options=("Language",), required=True),
        Field(name="source_text", type=LONG, required=True),
        Field(name="context"),
        Field(name="translated_text", type=LONG, required=True),
        select("contribution_status", "", "Pending", "Verified", "Rejected"),
        Field(name="contribution_docname"),
    ),
    "Role": (
        Field(name="role_name", required=True),
        *(check(name) for name in ("disabled", "is_custom", "two_factor_auth")),
        check("desk_access", 1),
    ),
    "Custom DocPerm": (
        Field(name="parent", required=True),
        Field(name="role", required=True),
        Field(name="permlevel", type="Int", default=0),
        check("if_owner"),
        *(check(name) for name in _RIGHTS if name != "export"),
        check("export", 1),
    ),
    "Google Calendar": (
        check("enable", 1),
        Field(name="user", type="Link", options=("User",), required=True),
        Field(name="calendar_name", required=True),
        Field(name="refresh_token", type="Password"),
        Field(name="authorization_code", type="Password"),
        Field(name="next_sync_token", type="Password"),
        Field(name="google_calendar_id"),
        check("pull_from_google_calendar", 1),
        check("push_to_google_calendar", 1),
    ),
    "DocType": (
        Field(name="module"),
        *(check(name) for name in ("istable", "issingle", "custom", "track_changes")),
    ),
    "__global_search": (
        Field(name="doctype"),
        Field(name="title", type=LONG),
        Field(name="content", type=LONG),
    ),
}
"""Frappe's own; ``__global_search`` is a plain table there, which no address reaches."""

OF_ERPNEXT: dict[str, tuple[Field, ...]] = {
    "Company": (Field(name="company_name", required=True),),
    "Employee": (
        Field(name="employee"),
        Field(name="employee_name", required=True),
        Field(name="user_id", type="Link", label="User ID", options=("User",)),
        Field(
            name="status",
            type="Select",
            default="Active",
            required=True,
            options=("Active", "Inactive", "Suspended", "Left"),
        ),
        Field(name="company"),
        link("branch", "Branch"),
        link("department", "Department"),
        link("reports_to", "Employee"),
        Field(name="designation"),
        Field(name="holiday_list"),
        Field(name="default_shift"),
        Field(name="date_of_joining", type="Date"),
        Field(name="relieving_date", type="Date"),
        Field(name="leave_approver"),
        Field(name="company_email"),
        Field(name="personal_email"),
        check("create_user_permission", 1),
    ),
    "Branch": (Field(name="branch", required=True),),
    "Department": (
        Field(name="department_name", required=True),
        Field(name="company"),
        check("is_group"),
        Field(name="parent_department"),
    ),
}
"""Only where ERPNext is installed; elsewhere these are document types that nobody knows."""
