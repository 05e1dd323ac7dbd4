"""What Watcher has put into ERPNext: found, counted, and taken out when Watcher is removed.

Only what bears Watcher's own marks is touched: rows of Event by the account that they name, custom
fields that are as Watcher makes them, and the Connected App under the name that Watcher gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from watcher.erpnext import connected_app, desk, fields, role
from watcher.erpnext.applied import Applied
from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.errors import RowGone
from watcher.erpnext.events import EventMirror
from watcher.erpnext.rows import KEY, chunks
from watcher.errors import ErpForbidden, ErpSetupMissing
from watcher.events.mapping import data_id
from watcher.events.model import Action, Cancel, Discard

SYNCED_FROM = "custom_synced_from"
ACCOUNT = "custom_google_account"
AT_ONCE = 100
"""Rows that are deleted between two reports of progress: about five seconds' work."""


@dataclass(kw_only=True, slots=True)
class Found:
    """``rows`` are the mirrored Events of the given accounts, ``foreign`` counts those of others,
    by account. The rest takes a System Manager's key to see; ``refused`` says so where there was
    none. ``desk`` says in sentences what is set in forms and lists, ``role`` what there is of the
    role Watcher; ``app`` is the Connected App that Watcher has made, ``authorised`` the users who
    have authorised it."""

    rows: list[Mapping[str, Any]] = field(default_factory=list)
    foreign: dict[str, int] = field(default_factory=dict)
    fields: list[str] = field(default_factory=list)
    desk: list[str] = field(default_factory=list)
    role: list[str] = field(default_factory=list)
    refused: str = ""
    app: str = ""
    authorised: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Keys:
    """Who looks and deletes: the API user for rows of Event, ``admin`` for the rest, which may be
    the API user, too. ``client_id`` is that of Google's OAuth client; empty where there is none."""

    api_user: ErpNextClient
    admin: ErpNextClient
    client_id: str


def look(keys: Keys, emails: Collection[str]) -> Found:
    """What is there of the accounts of these addresses and of the installation; changes nothing."""
    found = Found()
    mine = {data_id(email) for email in emails}
    for row in _mirrored(keys.api_user):
        if row[ACCOUNT] in mine:
            found.rows.append(row)
        else:
            account = str(row[ACCOUNT] or "?")
            found.foreign[account] = found.foreign.get(account, 0) + 1
    try:
        _look_as_admin(keys, found)
    except ErpForbidden as error:
        found.refused = error.message
    return found


def _look_as_admin(keys: Keys, found: Found) -> None:
    found.fields = list(_own_fields(keys.admin))
    found.desk = desk.take_back(keys.admin, dry_run=True).changed
    found.role = role.remove(keys.admin, keys.api_user.whoami(), dry_run=True).changed
    found.app = connected_app.made_app(keys.admin, keys.client_id) if keys.client_id else ""
    if found.app:
        found.authorised = [e.user for e in connected_app.authorised(keys.admin, found.app)]


def _mirrored(client: ErpNextClient) -> list[dict[str, Any]]:
    """Rows that Watcher has made, whether or not they have given up their key. None without the
    fields: then an earlier removal has taken them out."""
    try:
        return client.rows(
            "Event",
            [[SYNCED_FROM, "=", "Google Calendar"]],
            [KEY, "custom_google_event_id", ACCOUNT],
        )
    except ErpSetupMissing:
        return []


def delete_rows(
    client: ErpNextClient, rows: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[int, Applied]]:
    """Delete these rows, those first that have a key. Yields after each batch how many rows were
    looked at so far, and what became of the batch."""
    mirror = EventMirror(client, delete_cancelled=True)
    looked_at = 0
    for some in chunks(sorted(rows, key=lambda row: not row[KEY]), AT_ONCE):
        applied = mirror.apply([_gone(row) for row in some])
        looked_at += len(some)
        yield looked_at, applied


def _gone(row: Mapping[str, Any]) -> Action:
    name, key = str(row["name"]), str(row[KEY] or "")
    if not key:
        return Discard(name=name)
    event_id = str(row["custom_google_event_id"] or "")
    return Cancel(name=name, key=key, event_id=event_id, reason="uninstall")


def _own_fields(client: ErpNextClient) -> dict[str, str]:
    """Watcher's custom fields on Event that are as it makes them: names of documents by the names
    of fields. A field that the site has made under one of these names is not among them."""
    wanted = {each["fieldname"]: each for each in (*fields.WANTED, *fields.MIRRORED)}
    filters: list[list[Any]] = [["dt", "=", "Event"], ["fieldname", "in", sorted(wanted)]]
    there = client.rows("Custom Field", filters, ["fieldname", "fieldtype"])
    return {
        row["fieldname"]: str(row["name"])
        for row in there
        if row["fieldtype"] == wanted[row["fieldname"]]["fieldtype"]
    }


def delete_fields(client: ErpNextClient, done: Callable[[str], None]) -> None:
    """Delete Watcher's custom fields on Event; ``done`` is told each name. Their columns stay in
    the site's database, as with every custom field, until ``bench trim-tables``. The form has to
    be as Frappe has it already (``desk.take_back``)."""
    for name, document in _own_fields(client).items():
        client.delete("Custom Field", document)
        done(name)


def delete_app(client: ErpNextClient, app: str) -> None:
    """Delete the Connected App. Frappe refuses while somebody's authorisation points to it."""
    try:
        client.delete(connected_app.DOCTYPE, app)
    except RowGone:
        return
