"""How mirrored rows are cancelled, written anew without their texts, or deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from watcher.erpnext.access import Access
from watcher.erpnext.errors import asks_to_wait
from watcher.erpnext.one_row import Put
from watcher.erpnext.refusals import Kind
from watcher.erpnext.rows import conclusion
from watcher.erpnext.writing import Writer
from watcher.errors import ErpForbidden, ErpRefused, Transient
from watcher.events.fields import is_readable
from watcher.events.model import Cancel, Rewrite, Row


class Concluder:
    """Concludes rows in batches, as part of one ``apply`` whose ``writer`` it shares: what is
    refused or has become private is noted there."""

    def __init__(self, access: Access, writer: Writer) -> None:
        self._access = access
        self._writer = writer
        self._applied = writer.applied
        self._concluded: set[str] = set()

    def conclude(self, actions: Sequence[Cancel | Rewrite]) -> None:
        """Cancel rows, or write their texts anew."""
        self._write_all(actions)
        for action in actions:
            if action.name not in self._concluded:
                continue
            if isinstance(action, Cancel):
                self._applied.cancelled += 1
            else:
                self._applied.updated += 1

    def _write_all(self, actions: Sequence[Cancel | Rewrite]) -> None:
        """Write the actions' rows. ``_concluded`` has the names of those that are as wanted now."""
        fields = {action.name: self._conclusion(action) for action in actions}
        masked = {action.name: action.key for action in actions if action.mask}
        self._writer.is_private(masked)
        self._writer.just_masked.update(masked)
        if not self._writer.bulk(fields):
            self._writer.ceiling.accepted()
            self._concluded.update(fields)
            return
        there = self._access.find(action.key for action in actions)
        for action in actions:
            row = there.get(action.key)
            put = "gone" if row is None else self._conclude_one(row, action)
            if put == "done":
                self._concluded.add(action.name)
            elif put == "gone":
                self._applied.kept["already_gone"] += 1

    def _conclusion(self, action: Cancel | Rewrite) -> dict[str, Any]:
        return conclusion(action, self._access.site_fields, self._access.masks)

    def _conclude_one(self, row: Row, action: Cancel | Rewrite) -> Put:
        hides = action.mask and is_readable(row)
        if isinstance(action, Cancel) and row.is_cancelled and not hides:
            return "done"
        kind: Kind = "masking" if hides else "cancellation"
        fields = self._conclusion(replace(action, stamp=row.modified))
        return self._writer.one.put(row, fields, action, kind)

    def delete(self, cancels: Sequence[Cancel]) -> None:
        """Delete rows. A private one is masked before, since Frappe keeps a copy of each document
        that is deleted, and what is readable of its past is erased."""
        masked = [cancel for cancel in cancels if cancel.mask]
        if masked:
            self._write_all(masked)
        there = self._access.find(cancel.key for cancel in cancels)
        for cancel in cancels:
            row = there.get(cancel.key)
            self._writer.private.pop(cancel.name, None)
            if row is None:
                self._applied.kept["already_gone"] += not cancel.mask
            elif cancel.mask:
                self._applied.deleted += len(self._writer.eraser.remove({row.name: row.key}))
            else:
                self._delete_readable(row, cancel)

    def _delete_readable(self, row: Row, cancel: Cancel) -> None:
        try:
            self._delete_one(row)
        except (ErpRefused, ErpForbidden) as error:
            if isinstance(error, ErpForbidden):
                self._writer.one.refusal_of_one(error, "delete")
            self._writer.one.refuse(cancel, error, "cancellation")
            return
        self._writer.ceiling.accepted()
        self._applied.deleted += 1

    def _delete_one(self, row: Row) -> None:
        self._access.before_write()
        try:
            self._access.client.delete("Event", row.name)
        except Transient as error:
            if asks_to_wait(error):
                raise
            # With its queue down Frappe deletes and then answers 500: look before repeating.
            there = self._access.find([row.key]).get(row.key)
            if there is not None:
                self._access.client.delete("Event", there.name)
