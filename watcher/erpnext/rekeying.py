"""The rows of a calendar go over to another calendar id: their key and calendar id change, and
whatever people have added to them stays."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from watcher.erpnext.client import BATCH, ErpNextClient
from watcher.erpnext.events import EventMirror
from watcher.erpnext.rows import KEY, bulk_doc, chunks
from watcher.errors import ErpRefused
from watcher.events.mapping import data_id, sync_key
from watcher.events.model import Cancel, Row

log = logging.getLogger(__name__)

CALENDAR = "custom_google_calendar_id"


@dataclass(frozen=True, kw_only=True, slots=True)
class Renamed:
    """A calendar of the account ``address`` that Google showed as ``old`` and shows as ``new``."""

    address: str
    old: str
    new: str

    def key(self, row: Row) -> str:
        """The row's new sync key; empty when the event's whole id is not in the row."""
        whole = row.key == sync_key(self.address, self.old, row.event_id)
        return sync_key(self.address, self.new, row.event_id) if whole else ""


def rekey(
    client: ErpNextClient, mirror: EventMirror, renamed: Renamed, hold: Callable[[], None]
) -> None:
    """Make the rows of the old calendar rows of the new one. Where there is such a row already, or
    the event's whole id is not in the row, it is cancelled (or deleted, as the settings say): the
    next listing makes what is missing. Safe to repeat; ``hold`` is called before each write.
    """
    account, old = data_id(renamed.address), data_id(renamed.old)
    held = mirror.rows_of_calendar(account, old)
    keys = {row.name: renamed.key(row) for row in held}
    taken = mirror.rows_by_keys(keys.values())
    going = {row.name: row for row in held if keys[row.name] and keys[row.name] not in taken}
    docs = {name: {KEY: keys[name], CALENDAR: data_id(renamed.new)} for name in going}
    for few in chunks(list(going), BATCH):
        hold()
        client.bulk_update([bulk_doc(name, docs[name]) for name in few])
    # Of those that it lists as failed, and of the others, only what is read again is believed.
    left = [row.name for row in mirror.rows_of_calendar(account, old)]
    for name in (name for name in left if name in going):
        hold()
        _put(client, name, docs[name])
    doubles = [row for row in held if row.name not in going and not row.is_cancelled]
    mirror.apply([_ends(row) for row in doubles], before_batch=hold)


def _put(client: ErpNextClient, name: str, fields: dict[str, str]) -> None:
    try:
        client.update({"doctype": "Event", "name": name, **fields})
    except ErpRefused as error:
        log.warning("ERPNext refuses to move the row %s: %s", name, error.message)


def _ends(row: Row) -> Cancel:
    return Cancel(name=row.name, key=row.key, event_id=row.event_id, reason="moved")
