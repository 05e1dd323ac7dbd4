"""The custom fields on Event that Watcher needs: what they are, whether they are there, making
them. Looking takes no right beyond signing in; making a Custom Field over REST takes the role
System Manager."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.peculiarities import peculiarities
from watcher.erpnext.rows import KEY
from watcher.erpnext.site import has_doctype, refuse_administrator
from watcher.erpnext.versions import warnings
from watcher.errors import ErpForbidden, ErpRefused, Transient
from watcher.events.fields import FIELDS, STALE
from watcher.languages.sentence import sentence

EMPLOYEES = "Employee"
SECTION = "custom_google_calendar_section"
SECTION_LABEL = "Google Calendar"
PERMISSIONS = ("create", "write", "delete", "share")
NOT_UNIQUE = sentence("is not unique")
_NAME = re.compile(r"custom_[a-z0-9_]{1,54}")


# ``is_system_generated``: "Reset All Customizations" in Customize Form leaves the field alone.
def _data(name: str, label: str, **extra: Any) -> dict[str, Any]:
    return {
        "fieldname": name,
        "label": label,
        "fieldtype": "Data",
        "read_only": 1,
        "no_copy": 1,
        "is_system_generated": 1,
        **extra,
    }


WANTED: tuple[dict[str, Any], ...] = (
    {
        "fieldname": SECTION,
        "label": SECTION_LABEL,
        "fieldtype": "Section Break",
        "collapsible": 1,
        "read_only": 1,
        "no_copy": 1,
        "is_system_generated": 1,
    },
    _data(KEY, "Google Sync Key", unique=1),
    _data("custom_google_event_id", "Google Event ID"),
    _data("custom_google_recurring_event_id", "Google Recurring Event ID", search_index=1),
    _data("custom_google_calendar_id", "Google Calendar ID", search_index=1),
    _data("custom_google_account", "Google Account", search_index=1),
    _data(
        "custom_google_user",
        "Google Calendar of",
        fieldtype="Link",
        options="User",
        # Else a User Permission on a user, or on an Employee, hides the events of all others.
        ignore_user_permissions=1,
    ),
    _data("custom_synced_from", "Synced From"),
    _data("custom_google_hash", "Google Content Hash"),
    _data(STALE, "Not kept current since", fieldtype="Datetime", depends_on=f"eval:doc.{STALE}"),
)

MIRRORED = tuple(_data(f.name, **f.custom) for f in FIELDS if f.custom is not None)
"""The custom fields among the mirrored ones."""


def wanted_fields(wanted_ones: Sequence[dict[str, Any]] = WANTED) -> list[dict[str, Any]]:
    """The Custom Field documents as they are sent, in order, each after the one before."""
    docs: list[dict[str, Any]] = []
    previous = "description"
    for wanted in wanted_ones:
        # A bad name can poison the site's cached meta: every Event insert fails from then on.
        if not _NAME.fullmatch(wanted["fieldname"]):
            raise ValueError(f"{wanted['fieldname']} is no safe field name")
        docs.append({"doctype": "Custom Field", "dt": "Event", "insert_after": previous, **wanted})
        previous = wanted["fieldname"]
    return docs


@dataclass(kw_only=True, slots=True)
class SetupReport:
    """Field names by what was found or done; ``mended`` were made unique again, ``wrong`` are
    (name, what is wrong and what to do).

    ``permissions`` says of ``create``, ``write``, ``delete`` and ``share`` on Event whether the
    API user's roles allow it; ``time_zone`` is the site's, empty when it names none. ``versions``
    are those of the site's apps. ``employees``: whether the site has Employees, None where the
    API user may not see them. ``narrowing`` are Links that a site's User Permissions go by.
    ``warnings`` are sentences for the admin that hinder nothing.
    """

    user: str
    versions: dict[str, str] = field(default_factory=dict)
    employees: bool | None = False
    warnings: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    wrong: list[tuple[str, str]] = field(default_factory=list)
    narrowing: list[str] = field(default_factory=list)
    system_manager: bool = True
    permissions: dict[str, bool] = field(default_factory=dict)
    time_zone: str = ""

    @property
    def wanted(self) -> tuple[dict[str, Any], ...]:
        """The fields for this site."""
        mirrored = (d for d in MIRRORED if self.employees or d.get("options") != EMPLOYEES)
        return (*WANTED, *mirrored)

    @property
    def complete(self) -> bool:
        """Everything is there, and the API user may do what the bridge does."""
        return (
            not self.wrong
            and set(self.missing) <= set(self.created)
            and all(self.permissions.values())
        )


def check(client: ErpNextClient) -> SetupReport:
    """Compare the site with what is wanted; changes nothing. Raises ``ErpAuthError`` for the API
    user Administrator."""
    user = client.whoami()
    refuse_administrator(user)
    report = differences(client, user)
    report.versions = client.versions()
    report.permissions = {word: client.may(word) for word in PERMISSIONS}
    report.time_zone = client.time_zone()
    report.warnings += warnings(report.versions.get("frappe", ""))
    report.warnings += peculiarities(client)
    return report


def differences(client: ErpNextClient, user: str) -> SetupReport:
    """Which of the fields are there, missing or wrong, and nothing else."""
    report = SetupReport(
        user=user, employees=has_employees(client), system_manager=client.is_system_manager()
    )
    _compare(report, client.event_fields())
    return report


def has_employees(client: ErpNextClient) -> bool | None:
    """Whether the site has Employees; None where the API user may not see them. Frappe 16 says the
    same of a document type that the site lacks as of one that is not for this user."""
    found = has_doctype(client, EMPLOYEES)
    if found is None and "erpnext" not in client.versions():
        return False
    return found


def unseen_employees(client: ErpNextClient) -> list[str]:
    """What to say where the API user, whose client this is, may not see the site's Employees."""
    if has_employees(client) is not None:
        return []
    return [
        "the API user may not read Employee, so events do not name the employee: "
        "`watcher erpnext setup --role yes`, or give it the role HR User"
    ]


def _compare(report: SetupReport, there: dict[str, dict[str, Any]]) -> None:
    for wanted in report.wanted:
        name = wanted["fieldname"]
        found = there.get(name)
        if found is None:
            report.missing.append(name)
            continue
        report.present.append(name)
        if found["fieldtype"] != wanted["fieldtype"]:
            kinds = {"found": found["fieldtype"], "wanted": wanted["fieldtype"]}
            why = sentence("is %(found)s, not %(wanted)s: remove it in Customize Form", **kinds)
            report.wrong.append((name, why))
        elif "options" in wanted and found.get("options") != wanted["options"]:
            target = str(found.get("options") or "")
            why = sentence("links to %(target)s: remove it in Customize Form", target=target)
            report.wrong.append((name, why))
        elif "options" in wanted and not found.get("ignore_user_permissions"):
            report.narrowing.append(name)
        if wanted.get("unique") and not found.get("unique"):
            report.wrong.append((name, NOT_UNIQUE))


def plan(client: ErpNextClient) -> SetupReport:
    """What ``install`` would find and make. Raises ``ErpForbidden`` without System Manager."""
    report = check(client)
    if not report.system_manager:
        raise ErpForbidden(
            sentence("%(user)s may not create custom fields", user=report.user),
            next_step=sentence(
                "`watcher erpnext setup --admin-key` asks for the key of a System Manager, once"
            ),
        )
    if report.employees is None:
        # Who makes the field may not read Employees: in ERPNext System Managers may not. Whether
        # the API user may is another question, and a role can be given at any time.
        report = replace(report, employees=True, present=[], missing=[], wrong=[], narrowing=[])
        _compare(report, client.event_fields())
    return report


def narrowed(report: SetupReport) -> str:
    """What it means that Watcher's Links follow User Permissions."""
    return sentence(
        "whoever has a User Permission on a user or an Employee may not open the events of others, "
        "since it goes by %(fields)s",
        fields=", ".join(report.narrowing),
    )


WIDEN = sentence("tick Ignore User Permissions there in Customize Form, unless that is wanted")


Tell = Callable[[str], None]
"""Is given a line on each thing that is done."""


def tell_nobody(_line: str) -> None:
    """For steps that nobody watches."""


def install(client: ErpNextClient, tell: Tell = tell_nobody) -> SetupReport:
    """Create what is missing; safe to repeat. ``tell`` is given a line for each field that was
    made. Raises ``ErpForbidden`` without System Manager."""
    report = plan(client)
    for doc in wanted_fields(report.wanted):
        if doc["fieldname"] in report.missing:
            _create(client, doc)
            report.created.append(doc["fieldname"])
            tell(f"made: {doc['fieldname']}")
    _keep_through_resets(client, report)
    if (KEY, NOT_UNIQUE) in report.wrong:
        _make_unique(client, report)
    return report


def _keep_through_resets(client: ErpNextClient, report: SetupReport) -> None:
    """Fields of an earlier version of Watcher's would go with a reset in Customize Form, and follow
    User Permissions."""
    if not report.present:
        return
    ours: list[list[Any]] = [["dt", "=", "Event"], ["fieldname", "in", report.present]]
    earlier = [*ours, ["is_system_generated", "=", 0]]
    for row in client.rows("Custom Field", earlier, ["fieldname", "fieldtype"]):
        changed: dict[str, object] = {"is_system_generated": 1}
        if row["fieldtype"] == "Link":
            changed["ignore_user_permissions"] = 1
            report.narrowing = [each for each in report.narrowing if each != row["fieldname"]]
        client.update({"doctype": "Custom Field", "name": row["name"], **changed})


def _make_unique(client: ErpNextClient, report: SetupReport) -> None:
    """Give the key its index back. Frappe refuses that while two rows have the same key."""
    report.wrong.remove((KEY, NOT_UNIQUE))
    (row,) = client.rows("Custom Field", [["dt", "=", "Event"], ["fieldname", "=", KEY]], [])
    try:
        client.update({"doctype": "Custom Field", "name": row["name"], "unique": 1})
    except ErpRefused as error:
        why = sentence(
            "is not unique, and ERPNext refuses to make it unique (%(said)s): of Events with the "
            "same key delete all but one",
            said=error.message,
        )
        report.wrong.append((KEY, why))
    else:
        report.mended.append(KEY)


def _create(client: ErpNextClient, doc: dict[str, Any]) -> None:
    try:
        client.insert(doc)
    except (ErpRefused, Transient):
        # Another setup may have been first, or only the answer was lost.
        if doc["fieldname"] not in client.event_fields():
            raise
