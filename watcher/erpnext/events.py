"""The mirrored rows of ERPNext's Event: what is held, and carrying actions out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from watcher.erpnext.applied import Applied
from watcher.erpnext.client import BATCH, ErpNextClient
from watcher.erpnext.erasure import Eraser, Note, note_nothing
from watcher.erpnext.refusals import Refused
from watcher.erpnext.rows import (
    FIELDS,
    KEY,
    batches,
    changes,
    chunks,
    new_doc,
    of_calendar,
    row_of,
)
from watcher.erpnext.writing import Writer
from watcher.events.model import (
    Action,
    Cancel,
    Create,
    Discard,
    ErpEvent,
    Keep,
    Rewrite,
    Row,
    Update,
)

__all__ = ["Applied", "EventMirror", "Refused"]

DELETE_BATCH = 20
"""Rows whose keys are looked up at once before they are deleted: about a second's worth, since
a name may belong to another row when its turn comes."""


class EventMirror:
    """The mirrored rows of Event on one site. ``delete_cancelled``: delete instead of cancel.
    ``site_fields`` are the optional fields of Event that the site has."""

    def __init__(
        self,
        client: ErpNextClient,
        *,
        batch_size: int = BATCH,
        delete_cancelled: bool = False,
        site_fields: frozenset[str] = frozenset(),
    ) -> None:
        self._client = client
        self._site_fields = site_fields
        self._batch = min(batch_size, BATCH)
        self._delete = delete_cancelled

    @property
    def calls(self) -> int:
        """HTTP requests that the client has sent so far."""
        return self._client.calls

    # --- reading ----------------------------------------------------------------------------

    def held_by_keys(self, keys: Iterable[str]) -> dict[str, Row]:
        """The rows of these sync keys, by key. An empty key is no key: it would match every
        Event that is not ours."""
        held = {}
        for chunk in chunks([key for key in dict.fromkeys(keys) if key], BATCH):
            for row in self._rows([[KEY, "in", chunk]]):
                held[row.key] = row
        return held

    def held_by_series(
        self, account: str, calendar_id: str, recurring_ids: Iterable[str]
    ) -> list[Row]:
        """Rows whose recurring id is one of ``recurring_ids`` (as Data fields hold them)."""
        held: list[Row] = []
        for chunk in chunks([i for i in dict.fromkeys(recurring_ids) if i], BATCH):
            held += self._rows(
                [
                    ["custom_google_recurring_event_id", "in", chunk],
                    *of_calendar(account, calendar_id),
                ]
            )
        return held

    def held_of_calendar(self, account: str, calendar_id: str) -> list[Row]:
        """All rows of a calendar, its whole history among them."""
        return self._rows(of_calendar(account, calendar_id))

    def held_for_listing(
        self, account: str, calendar_id: str, *, ends_after: str, touched_since: str
    ) -> list[Row]:
        """The rows of a calendar without its history: those that end after ``ends_after`` (naive
        string of the site; a row without an end ends when it starts), those that were written
        after the stamp ``touched_since``, and those that have given up their key."""
        return self._rows(
            of_calendar(account, calendar_id),
            [
                ["ends_on", ">=", ends_after],
                ["starts_on", ">=", ends_after],
                ["modified", ">", touched_since],
                [KEY, "is", "not set"],
            ],
        )

    def _rows(
        self, filters: list[list[Any]], or_filters: list[list[Any]] | None = None
    ) -> list[Row]:
        fields = [*FIELDS, *sorted(self._site_fields)]
        rows = self._client.rows("Event", filters, fields, or_filters=or_filters or [])
        return [row_of(row) for row in rows]

    def leftovers(self, account: str, calendar_id: str) -> list[Row]:
        """Rows of a calendar that have given up their key: see ``erasure``."""
        return self._rows([*of_calendar(account, calendar_id), [KEY, "is", "not set"]])

    def touched_since(self, account: str, calendar_id: str, stamp: str) -> list[Row]:
        """Rows of a calendar that were written after ``stamp`` (the site's own, see ``Row``)."""
        return self._rows([*of_calendar(account, calendar_id), ["modified", ">", stamp]])

    # --- writing ----------------------------------------------------------------------------

    def apply(
        self,
        actions: Iterable[Action],
        *,
        before_batch: Callable[[], None] = lambda: None,
        note_erased: Note = note_nothing,
    ) -> Applied:
        """Carry the actions out; idempotent, so that a sync which fails half-way is repeated.

        ``before_batch`` is called before each request that writes and may raise to stop.
        ``note_erased``: see ``erasure.Eraser``. Events
        that ERPNext refuses are in the answer's ``refused``. Raises ``Transient``,
        ``ErpAuthError``, ``ErpSetupMissing``.
        """
        writer = Writer(
            self._client, self.held_by_keys, before_batch, self._site_fields, note_erased
        )
        creates: list[ErpEvent] = []
        updates: list[Update] = []
        cancels: list[Cancel] = []
        rewrites: list[Rewrite] = []
        discards: list[Discard] = []
        for action in actions:
            match action:
                case Create(event=event):
                    creates.append(event)
                case Update():
                    updates.append(action)
                case Cancel():
                    cancels.append(action)
                case Rewrite():
                    rewrites.append(action)
                case Discard():
                    discards.append(action)
                case Keep(reason=reason, private_row=name, key=key):
                    writer.applied.kept[reason] += 1
                    if name:
                        writer.is_private({name: key})
        for updated in batches(updates, changes, self._batch):
            writer.update(updated)
        for created in batches(creates, new_doc, self._batch):
            writer.create(created)
        # Deletions come last: Frappe gives a deleted row's name to the next one, while a
        # background job may still be removing what hung on the old row.
        self._carry_out_cancels(writer, cancels)
        for few in chunks(rewrites, self._batch):
            writer.conclude(few)
        for discard in discards:
            writer.eraser.finish(discard.name)
        writer.clear_past()
        return writer.applied

    def _carry_out_cancels(self, writer: Writer, cancels: list[Cancel]) -> None:
        if self._delete:
            for few in chunks(cancels, DELETE_BATCH):
                writer.delete(few)
            return
        for batch in chunks(cancels, self._batch):
            writer.conclude(batch)

    # --- what others keep of rows ---------------------------------------------------------------

    def forget(self, marks: Iterable[str], hold: Callable[[], None]) -> None:
        """Delete Frappe's copies of deleted rows that hold one of ``marks`` (sync keys, or ids of
        events and series): they are private, and may have been readable then."""
        Eraser(self._client, self.held_by_keys, hold).forget(list(marks))

    def look_again(self, rows: Mapping[str, str]) -> None:
        """Some time after rows (name to key) were erased: what Frappe has logged since."""
        eraser = Eraser(self._client, self.held_by_keys, lambda: None)
        eraser.forget(list(rows.values()))
        eraser.forget_errors(rows)

    def edited_since(self, names: Iterable[str], stamp: str) -> bool:
        """Whether a person has saved one of these rows: a save leaves a Version, Frappe's own
        closing of past events does not."""
        filters: list[list[Any]] = [["ref_doctype", "=", "Event"], ["modified", ">", stamp]]
        for chunk in chunks(list(names), BATCH):
            wanted = [*filters, ["docname", "in", chunk]]
            if self._client.get_list("Version", ["name"], wanted, limit_page_length=1):
                return True
        return False
