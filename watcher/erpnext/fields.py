"""The custom fields on Event that Watcher needs: what they are, whether they are there, making
them. Creating a Custom Field over REST takes the role System Manager."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.errors import SETUP
from watcher.errors import ErpAuthError, ErpSetupMissing

SECTION = "custom_google_calendar_section"
_NAME = re.compile(r"custom_[a-z0-9_]{1,54}")


def _data(name: str, label: str, **extra: Any) -> dict[str, Any]:
    return {"fieldname": name, "label": label, "fieldtype": "Data", "read_only": 1, "no_copy": 1,
            **extra}  # fmt: skip


WANTED: tuple[dict[str, Any], ...] = (
    {"fieldname": SECTION, "label": "Google Calendar", "fieldtype": "Section Break",
     "collapsible": 1},
    _data("custom_google_sync_key", "Google Sync Key", unique=1),
    _data("custom_google_event_id", "Google Event ID"),
    _data("custom_google_recurring_event_id", "Google Recurring Event ID", search_index=1),
    _data("custom_google_calendar_id", "Google Calendar ID"),
    _data("custom_google_account", "Google Account", search_index=1),
    _data("custom_google_user", "Google Calendar of", fieldtype="Link", options="User"),
    _data("custom_synced_from", "Synced From"),
    _data("custom_google_hash", "Google Content Hash"),
)  # fmt: skip


@dataclass(kw_only=True, slots=True)
class SetupReport:
    """Field names by what was found or done; ``wrong`` are (name, what is wrong)."""

    user: str
    present: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    wrong: list[tuple[str, str]] = field(default_factory=list)
    system_manager: bool = True

    @property
    def complete(self) -> bool:
        return self.system_manager and not self.wrong and set(self.missing) <= set(self.created)


def check(client: ErpNextClient) -> SetupReport:
    """Compare the site with what is wanted; changes nothing."""
    report = SetupReport(user=client.whoami(), system_manager=client.is_system_manager())
    there = {
        row["fieldname"]: row
        for row in client.rows(
            "Custom Field",
            [["dt", "=", "Event"], ["fieldname", "like", "custom_%"]],
            ["fieldname", "fieldtype", "unique"],
        )
    }
    for wanted in WANTED:
        name = wanted["fieldname"]
        found = there.get(name)
        if found is None:
            report.missing.append(name)
            continue
        report.present.append(name)
        if found["fieldtype"] != wanted["fieldtype"]:
            report.wrong.append((name, f"is {found['fieldtype']}, not {wanted['fieldtype']}"))
        if wanted.get("unique") and not found.get("unique"):
            report.wrong.append((name, "is not unique"))
    return report


def install(client: ErpNextClient, *, dry_run: bool = False) -> SetupReport:
    """Create what is missing; safe to repeat. Raises ``ErpAuthError`` without System Manager."""
    report = check(client)
    if not report.system_manager:
        raise ErpAuthError(
            f"{report.user} may not create custom fields",
            cause="permission",
            side="erpnext",
            next_step=f"give {report.user} the role System Manager, then `{SETUP}` again",
        )
    if dry_run:
        return report
    previous = "description"
    for wanted in WANTED:
        name = wanted["fieldname"]
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name} is no safe field name")
        if name in report.missing:
            client.insert(
                {
                    "doctype": "Custom Field",
                    "dt": "Event",
                    "insert_after": previous,
                    **wanted,
                }
            )
            report.created.append(name)
        previous = name
    return report


def require_fields(client: ErpNextClient) -> None:
    """Raises ``ErpSetupMissing`` naming the fields that the site lacks.

    Without this a site would take every event and forget all of the bridge's own fields: Frappe
    ignores unknown fields in a body without a word.
    """
    report = check(client)
    if report.missing or report.wrong:
        names = [*report.missing, *(f"{name} ({why})" for name, why in report.wrong)]
        raise ErpSetupMissing(
            f"the ERPNext site lacks custom fields on Event: {', '.join(names)}",
            cause="missing_fields",
            side="erpnext",
            next_step=SETUP,
        )
