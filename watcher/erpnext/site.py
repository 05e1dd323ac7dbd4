"""What a site says of itself: versions, time zone, who we are there, which fields Event has.

All of it is read from the site and not set by hand, so that an upgrade of ERPNext is noticed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.errors import SIDE, RowGone
from watcher.erpnext.rows import KEY
from watcher.erpnext.versions import warnings
from watcher.errors import (
    Cause,
    ErpAuthError,
    ErpForbidden,
    ErpSetupMissing,
    UserError,
    WatcherError,
)
from watcher.events.fields import EMPLOYEE, OPTIONAL
from watcher.languages.sentence import sentence

log = logging.getLogger(__name__)

ADMINISTRATOR = "Administrator"


@dataclass(frozen=True, slots=True)
class Site:
    """What must be known of an ERPNext site. ``versions`` maps an app to its version, ``fields``
    names those of ``OPTIONAL`` that Event has here. ``key_is_unique``: no two rows can have the
    same sync key; None where the field is not there."""

    zone: ZoneInfo
    api_user: str
    versions: dict[str, str]
    fields: frozenset[str]
    key_is_unique: bool | None = None

    @property
    def warnings(self) -> list[str]:
        """What an admin should know of the site's version of Frappe."""
        return warnings(self.versions.get("frappe", ""))

    @property
    def names_employees(self) -> bool:
        """Whether an Event can say whose it is: the setup has made its field for the employee."""
        return EMPLOYEE in self.fields


def read_site(client: ErpNextClient, zone_name: str = "") -> Site:
    """Ask the site. ``zone_name`` overrides the zone that it names.

    Raises ``UserError`` for a zone that is none, ``ErpAuthError`` for the API user Administrator.
    """
    name = zone_name or client.time_zone()
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UserError(
            sentence("the ERPNext site's time zone %(name)s is not an IANA zone", name=repr(name)),
            next_step=sentence("set WATCHER_ERPNEXT_TIME_ZONE, e.g. Asia/Kolkata"),
        ) from None
    user = client.whoami()
    refuse_administrator(user)
    try:
        versions = client.versions()
    except ErpForbidden as error:  # they are only shown: nothing depends on them
        log.warning("the ERPNext site does not say its version: %s", error.message)
        versions = {}
    return Site(zone, user, versions, optional_fields(client), _key_is_unique(client))


def refuse_administrator(user: str) -> None:
    """Raises ``ErpAuthError`` when the API key is Administrator's."""
    if user.lower() == ADMINISTRATOR.lower():
        raise ErpAuthError(
            sentence(
                "the API key is Administrator's: ERPNext sends mail about "
                "whatever Administrator owns (CRM's reminders to "
                "participants), and every mirrored event would be owned by it"
            ),
            cause=Cause.API_USER_ADMINISTRATOR,
            side=SIDE,
            next_step=sentence(
                "make a user of its own for Watcher, set "
                "WATCHER_ERPNEXT_API_KEY and WATCHER_ERPNEXT_API_SECRET to its "
                "key, then `watcher erpnext setup --role yes --admin-key`"
            ),
        )


def _key_is_unique(client: ErpNextClient) -> bool | None:
    found = client.event_fields().get(KEY)
    return None if found is None else bool(found.get("unique"))


def optional_fields(client: ErpNextClient) -> frozenset[str]:
    """Those of ``OPTIONAL`` that Event has on this site.

    Asked for by a query: it takes no role beyond reading Events, and each version refuses a field
    that it does not have.
    """
    try:
        client.get_list("Event", ["name", *OPTIONAL], limit_page_length=1)
    except WatcherError as error:
        if not _lacks_field(error):
            raise
        return frozenset(name for name in OPTIONAL if _has(client, name))
    return frozenset(OPTIONAL)


def _has(client: ErpNextClient, name: str) -> bool:
    try:
        client.get_list("Event", ["name", name], limit_page_length=1)
    except WatcherError as error:
        if not _lacks_field(error):
            raise
        return False
    return True


def _lacks_field(error: WatcherError) -> bool:
    """A query for Event was refused for a field: as missing, or, in later versions of 16, as one
    without permission. A key that is refused, or a site that is away, says nothing of fields."""
    return isinstance(error, ErpForbidden | ErpSetupMissing)


def has_doctype(client: ErpNextClient, doctype: str) -> bool | None:
    """Whether the site has a document type; None when the API user may not see it."""
    try:
        client.get_list(doctype, ["name"], limit_page_length=1)
    except RowGone:
        return False
    except ErpForbidden:
        return None
    return True


def company_of(client: ErpNextClient) -> str:
    """The name of the company, where the site has just one that the API user may read; by the role
    Watcher it reads no Companies, and goes by those of the Employees."""
    try:
        rows = client.get_list("Company", ["name"], limit_page_length=2)
    except RowGone:
        return ""
    except ErpForbidden:
        return _company_of_employees(client)
    return str(rows[0]["name"]) if len(rows) == 1 else ""


def _company_of_employees(client: ErpNextClient) -> str:
    """That of all active Employees; empty where there are several."""
    active = [["status", "=", "Active"]]
    try:
        found = client.get_list("Employee", ["company"], active, limit_page_length=1)
        if not found or not found[0]["company"]:
            return ""
        name = str(found[0]["company"])
        others = [*active, ["company", "!=", name]]
        return "" if client.get_list("Employee", ["name"], others, limit_page_length=1) else name
    except (RowGone, ErpForbidden):
        return ""


@dataclass(frozen=True, slots=True)
class Employee:
    """``name`` is that of the document (HR-EMP-00001); ``outlet`` the branch, or else the
    department, empty without either."""

    name: str
    outlet: str = ""


def employee_of(client: ErpNextClient, user: str) -> Employee | None:
    """The Employee whose user this is; an active one before those who left. None
    without one, and where the API user may not read Employees."""
    try:
        rows = client.rows("Employee", [["user_id", "=", user]], _OF_EMPLOYEE)
    except RowGone:
        return None
    except ErpForbidden:
        log.warning("the ERPNext API user may not read Employee: events carry no employee")
        return None
    rows.sort(key=lambda row: (row.get("status") != "Active", str(row["name"])))
    if not rows:
        return None
    first = rows[0]
    return Employee(str(first["name"]), str(first.get("branch") or first.get("department") or ""))


_OF_EMPLOYEE = ("name", "status", "branch", "department")
