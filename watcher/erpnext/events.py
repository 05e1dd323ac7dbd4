"""The mirrored rows of ERPNext's Event: reading them, and carrying actions out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from watcher.erpnext.access import Access, Note, note_nothing, nothing_before
from watcher.erpnext.applied import Applied
from watcher.erpnext.client import BATCH, ErpNextClient
from watcher.erpnext.concluding import Concluder
from watcher.erpnext.erasure import Eraser
from watcher.erpnext.refusals import Refused
from watcher.erpnext.rows import (
    FIELDS,
    KEY,
    TOUCHED,
    batches,
    changes,
    chunks,
    new_doc,
    of_calendar,
    row_of,
)
from watcher.erpnext.sorting import Sorted
from watcher.erpnext.writing import Writer
from watcher.events import model

__all__ = ["Applied", "EventMirror", "Refused"]

DELETE_BATCH = 20
"""Rows that are looked up and then deleted together. It takes about a second: for longer a row's
name may not be relied on, since Frappe may give it to another row."""


def raise_forbidden(eraser: Eraser) -> None:
    """Raises ``ErpForbidden`` at the end of the work, where the API user lacks a right that erasing
    takes: all else is done by then, and nothing is said to be erased that may be readable."""
    if eraser.forbidden is not None:
        raise eraser.forbidden


@dataclass(frozen=True, slots=True)
class EventMirror:
    """The mirrored rows of Event on one site. ``delete_cancelled``: delete instead of cancel.
    ``site_fields`` are the optional fields of Event that the site has, ``masks`` the subjects of
    what nobody may read."""

    client: ErpNextClient
    delete_cancelled: bool = False
    site_fields: frozenset[str] = frozenset()
    masks: model.Masks = model.USUAL

    def titled_private(self, busy: str, free: str, former: frozenset[str]) -> EventMirror:
        """The same, where private events have these titles, or had them before."""
        return replace(self, masks=model.Masks(busy, free, former))

    @property
    def calls(self) -> int:
        """HTTP requests that the client has sent so far."""
        return self.client.calls

    # --- reading ----------------------------------------------------------------------------

    def rows_by_keys(self, keys: Iterable[str]) -> dict[str, model.Row]:
        """The rows of these sync keys, by key. An empty key is no key: it would match every
        Event that is not ours."""
        found = {}
        for chunk in chunks([key for key in dict.fromkeys(keys) if key], BATCH):
            for row in self._rows([[KEY, "in", chunk]]):
                found[row.key] = row
        return found

    def rows_by_series(
        self, account: str, calendar_id: str, recurring_ids: Iterable[str]
    ) -> list[model.Row]:
        """Rows whose recurring id is one of ``recurring_ids`` (as Data fields hold them)."""
        found: list[model.Row] = []
        for chunk in chunks([i for i in dict.fromkeys(recurring_ids) if i], BATCH):
            found += self._rows(
                [
                    ["custom_google_recurring_event_id", "in", chunk],
                    *of_calendar(account, calendar_id),
                ]
            )
        return found

    def rows_by_keys_or_series(
        self, keys: Collection[str], recurring_ids: Collection[str]
    ) -> list[model.Row]:
        """The rows of these sync keys, and those of these series in whichever calendar, by one
        call: for no more than ``client.BATCH`` of both together."""
        wanted = {KEY: keys, "custom_google_recurring_event_id": recurring_ids}
        either = [[field, "in", [*values]] for field, values in wanted.items() if values]
        return self._rows([], either)

    def rows_of_calendar(self, account: str, calendar_id: str) -> list[model.Row]:
        """All rows of a calendar, its whole history among them."""
        return self._rows(of_calendar(account, calendar_id))

    def rows_for_listing(
        self, account: str, calendar_id: str, *, ends_after: str, touched_since: str
    ) -> list[model.Row]:
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

    def rows_of_events(self, event_ids: Iterable[str]) -> list[model.Row]:
        """Rows of these events and series (ids as Data fields hold them), in whichever calendar."""
        wanted = [event_id for event_id in dict.fromkeys(event_ids) if event_id]
        found: dict[str, model.Row] = {}
        for name in ("custom_google_event_id", "custom_google_recurring_event_id"):
            for chunk in chunks(wanted, BATCH):
                found |= {row.name: row for row in self._rows([[name, "in", chunk]])}
        return list(found.values())

    def titled(self, account: str, word: str, most: int) -> list[model.Row]:
        """The first rows of an account (as its field holds it) with ``word`` in the title, of those
        that every desk user may read."""
        filters: list[list[Any]] = [
            ["custom_google_account", "=", account],
            ["subject", "like", f"%{word}%"],
            ["event_type", "=", "Public"],
        ]
        fields = [*FIELDS, *sorted(self.site_fields)]
        rows = self.client.get_list("Event", fields, filters, limit_page_length=most)
        return [row_of(row, self.masks) for row in rows]

    def next_of(self, account: str, after: str) -> model.Row | None:
        """The first open row of an account (as its field holds it) that begins at ``after`` or
        later (naive string of the site)."""
        filters = [
            ["custom_google_account", "=", account],
            ["status", "=", "Open"],
            ["starts_on", ">=", after],
        ]
        rows = self.client.get_list(
            "Event", FIELDS, filters, limit_page_length=1, order_by="starts_on asc"
        )
        return row_of(rows[0], self.masks) if rows else None

    def named(self, name: str) -> model.Row | None:
        """The row of this name, mirrored or not (then it has no key); None where there is none that
        the API user may list."""
        rows = self._rows([["name", "=", name]])
        return rows[0] if rows else None

    def _rows(
        self, filters: list[list[Any]], or_filters: list[list[Any]] | None = None
    ) -> list[model.Row]:
        fields = [*FIELDS, *sorted(self.site_fields)]
        rows = self.client.rows("Event", filters, fields, or_filters=or_filters or [])
        return [row_of(row, self.masks) for row in rows]

    def leftovers(self, account: str, calendar_id: str) -> list[model.Row]:
        """Rows of a calendar that have given up their key: see ``erasure``."""
        return self._rows([*of_calendar(account, calendar_id), [KEY, "is", "not set"]])

    def touched_since(self, account: str, calendar_id: str, stamp: str) -> list[model.Row]:
        """Rows of a calendar that were written after ``stamp`` (the site's own, see ``Row``)."""
        return self._rows([*of_calendar(account, calendar_id), ["modified", ">", stamp]])

    def touched_lately(
        self, calendars: Collection[tuple[str, str]], stamp: str, most: int
    ) -> list[model.Row]:
        """As ``touched_since`` for several calendars (account and calendar id, as rows hold them)
        by one call: the ``most`` rows that were written last, the newest first. They tell which
        rows they are, their status, and who wrote them when, and nothing else. A row of one of
        these accounts in the calendar of another one may be among them."""
        accounts, ids = zip(*calendars, strict=True)
        filters: list[list[Any]] = [
            ["custom_google_account", "in", sorted(set(accounts))],
            ["custom_google_calendar_id", "in", sorted(set(ids))],
            ["modified", ">", stamp],
        ]
        newest = self.client.get_list(
            "Event", TOUCHED, filters, limit_page_length=most, order_by="modified desc"
        )
        return [row_of(row, self.masks) for row in newest]

    # --- writing ----------------------------------------------------------------------------

    def apply(
        self,
        actions: Iterable[model.Action],
        *,
        before_batch: Callable[[], None] = nothing_before,
        note_erased: Note = note_nothing,
    ) -> Applied:
        """Carry the actions out; idempotent, so that a sync which fails half-way is repeated.

        ``before_batch`` is called before each request that writes and may raise to stop.
        ``note_erased``: see ``Access``. Events that ERPNext refuses are in the answer's
        ``refused``. Raises ``Transient``, ``ErpAuthError``, ``ErpSetupMissing``; ``ErpForbidden``
        also at the end, when the API user may not erase what has become private.
        """
        access = self._access(before_batch, note_erased)
        todo, writer = Sorted.of(actions), Writer(access)
        for keep in todo.keeps:
            writer.applied.kept[keep.reason] += 1
            if keep.private_row:
                writer.is_private({keep.private_row: keep.key})
        for updated in batches(todo.updates, changes):
            writer.update(updated)
        for created in batches(todo.creates, new_doc):
            writer.create(created)
        # Deletions come last: Frappe gives a deleted row's name to the next one, while a
        # background job may still be removing what belonged to the old row.
        concluder = Concluder(access, writer)
        conclude = concluder.delete if self.delete_cancelled else concluder.conclude
        for cancelled in chunks(todo.cancels, DELETE_BATCH if self.delete_cancelled else BATCH):
            conclude(cancelled)
        for rewritten in chunks(todo.rewrites, BATCH):
            concluder.conclude(rewritten)
        for discard in todo.discards:
            writer.eraser.finish(discard.name)
        writer.clear_past()
        raise_forbidden(writer.eraser)
        return writer.applied

    def _access(
        self, before_write: Callable[[], None] = nothing_before, note_erased: Note = note_nothing
    ) -> Access:
        return Access(
            client=self.client,
            find=self.rows_by_keys,
            before_write=before_write,
            note_erased=note_erased,
            site_fields=self.site_fields,
            masks=self.masks,
        )

    # --- what others keep of rows ---------------------------------------------------------------

    def forget(self, marks: Iterable[str], before_write: Callable[[], None]) -> None:
        """Delete Frappe's copies of deleted rows that hold one of ``marks`` (sync keys, or ids of
        events and series): these events are private, and the copy may be readable."""
        eraser = Eraser(self._access(before_write))
        eraser.forget(list(marks))
        raise_forbidden(eraser)

    def look_again(self, rows: Mapping[str, str]) -> None:
        """Delete what Frappe has logged of rows (name to key) since they were erased."""
        eraser = Eraser(self._access())
        eraser.forget(list(rows.values()))
        eraser.forget_errors(rows)
        raise_forbidden(eraser)

    def edited_since(self, names: Iterable[str], stamp: str) -> bool:
        """Whether a person has saved one of these rows: a save leaves a Version, Frappe's own
        closing of past events does not."""
        filters: list[list[Any]] = [["ref_doctype", "=", "Event"], ["modified", ">", stamp]]
        for chunk in chunks(list(names), BATCH):
            wanted = [*filters, ["docname", "in", chunk]]
            if self.client.get_list("Version", ["name"], wanted, limit_page_length=1):
                return True
        return False
