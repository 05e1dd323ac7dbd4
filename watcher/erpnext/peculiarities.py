"""Settings of a site that an admin should know of before events are mirrored into it."""

from __future__ import annotations

from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.errors import RowGone, mandatory_step
from watcher.errors import ErpForbidden

_OURS = ("custom_google_", "custom_synced_from")


def peculiarities(client: ErpNextClient, *, employees: bool | None) -> list[str]:
    """Sentences, each with what to do; what the API user may not see is left out."""
    found = [*_frappes_own_sync(client), *_mandatory_fields(client)]
    if employees is None:
        found.append(
            "the API user may not read Employee, so events do not name the employee: give it the "
            "role HR User and repeat the setup"
        )
    return found


def _frappes_own_sync(client: ErpNextClient) -> list[str]:
    users = pulled_for(client)
    if not users:
        return []
    return [
        "Frappe's own Google Calendar integration pulls events as well, so that they are there "
        f"twice: switch off 'Pull from Google Calendar' in the Google Calendar of "
        f"{', '.join(users)}"
    ]


def pulled_for(client: ErpNextClient) -> list[str] | None:
    """Users of whose events Frappe's own Google Calendar integration makes rows of its own; None
    where the API user may not see it."""
    filters: list[list[object]] = [["enable", "=", 1], ["pull_from_google_calendar", "=", 1]]
    try:
        rows = client.rows("Google Calendar", filters, ["user"])
    except RowGone:
        return []
    except ErpForbidden:
        return None
    return sorted({str(row.get("user") or row["name"]) for row in rows})


def _mandatory_fields(client: ErpNextClient) -> list[str]:
    names = mandatory_fields(client)
    if not names:
        return []
    which = tuple(names)
    return [
        f"ERPNext will refuse every event for want of {', '.join(names)}: {mandatory_step(which)}"
    ]


def mandatory_fields(client: ErpNextClient) -> list[str] | None:
    """Fields of Event that the site itself has made mandatory, and that have no default; None
    where the API user may not see them."""
    filters: list[list[object]] = [["dt", "=", "Event"], ["reqd", "=", 1]]
    setters: list[list[object]] = [
        ["doc_type", "=", "Event"],
        ["property", "=", "reqd"],
        ["value", "=", "1"],
    ]
    try:
        custom = client.rows("Custom Field", filters, ["fieldname", "default"])
        set_by_hand = client.rows("Property Setter", setters, ["field_name"])
    except ErpForbidden:
        return None
    names = [str(row["fieldname"]) for row in custom if not row.get("default")]
    names += [str(row["field_name"]) for row in set_by_hand if row.get("field_name")]
    return sorted({name for name in names if not name.startswith(_OURS)})
