"""How mirrored rows are written: in batches when all is well, one by one when it is not.

Nothing is believed after a failure: the batch's keys are read again, and only what is not as
wanted is written again. Names are reused by Frappe, so after a failure a row is found by its key.
A document that ERPNext refuses alone is set aside with ERPNext's own message, and the rest goes
on; a server that fails for every document alike is an outage and not their fault.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from watcher.erpnext.access import Access
from watcher.erpnext.applied import Applied
from watcher.erpnext.errors import SIDE, ServerError, asks_to_wait
from watcher.erpnext.one_row import OneRow, Put
from watcher.erpnext.rows import (
    HASH,
    batches,
    bulk_doc,
    changes,
    is_as_wanted,
    is_complete,
    new_doc,
)
from watcher.erpnext.sharing import stale_shares
from watcher.errors import DuplicateKey, ErpRefused, Transient
from watcher.events.fields import is_readable
from watcher.events.model import ErpEvent, Row, Update

PROBES = 2
"""Once the site seems to refuse everything, so many of the remaining events are still tried."""

_rng = random.SystemRandom()


class Writer:
    """Writes new rows and changed ones, in the batches of one ``apply``.

    ``private`` are the rows of private events (name to key), whose past is erased at the end;
    those in ``just_masked`` were readable until this run."""

    def __init__(self, access: Access) -> None:
        self.applied = Applied()
        self.one = OneRow(access, self.applied)
        self.eraser = self.one.eraser
        self.ceiling = self.one.ceiling
        self.private: dict[str, str] = {}
        self.just_masked: set[str] = set()
        self._access = access
        self._client = access.client

    # --- new rows ---------------------------------------------------------------------------

    def create(self, events: Sequence[ErpEvent]) -> None:
        todo = [list(events)]
        probes = PROBES
        while todo:
            batch = todo.pop()
            if self.ceiling.is_reached:
                left = [*batch, *(event for each in todo for event in each)]
                if not probes:
                    self.applied.refused += self.ceiling.unsent(left)
                    return
                probes -= 1
                batch = [left.pop(_rng.randrange(len(left)))]
                todo = [left] if left else []
            error = self._insert(batch)
            if error is not None:
                todo += reversed(self._after_failed_insert(batch, error))

    def _insert(self, batch: Sequence[ErpEvent]) -> ErpRefused | Transient | None:
        self._access.before_write()
        try:
            names = self._client.insert_many([new_doc(event) for event in batch])
        except (ErpRefused, Transient) as error:
            return error
        self.ceiling.accepted()
        self.applied.created += len(batch)
        self._share(list(zip(names, batch, strict=True)))
        return None

    def _after_failed_insert(
        self, batch: list[ErpEvent], error: ErpRefused | Transient
    ) -> list[list[ErpEvent]]:
        """What is still to be tried. A refused batch is rolled back whole, and an answer that was
        lost says nothing: look which rows are there, then split what is not."""
        if asks_to_wait(error):
            raise error
        there = self._access.find(event.key for event in batch)
        missing = [event for event in batch if event.key not in there]
        self._adopt([event for event in batch if event.key in there], there, error)
        if not missing:
            return []
        if isinstance(error, Transient) and not isinstance(error, ServerError):
            raise error
        if len(missing) < len(batch):
            return [missing]
        if len(batch) > 1:
            middle = len(batch) // 2
            return [batch[:middle], batch[middle:]]
        self._insert_alone(batch[0], error)
        return []

    def _insert_alone(self, event: ErpEvent, error: ErpRefused | Transient) -> None:
        """Set one document aside. After a 500 it is tried once more: the keys were read since and
        the site answers a ping, so that a second 500 is due to the document."""
        if isinstance(error, ServerError):
            self._client.ping()
            again = self._insert([event])
            if again is None:
                return
            if not isinstance(again, ErpRefused | ServerError):
                raise again
            error = again
        self.one.refuse(event, error, "event")

    def _adopt(
        self, events: Sequence[ErpEvent], there: Mapping[str, Row], error: ErpRefused | Transient
    ) -> None:
        """Take over rows that are there already: they were made by this insert, whose answer was
        lost, or another process was first."""
        stale = []
        for event in events:
            row = there[event.key]
            # Where ERPNext refused the key, the row is older, and other fields may be wrong.
            if not isinstance(error, DuplicateKey) and is_complete(row, event):
                self.ceiling.accepted()
                self.applied.created += 1
                self.applied.answered_late += getattr(error, "bare_500", False)
            else:
                stale.append(
                    Update(name=row.name, event=event, revive=row.is_cancelled, stamp=row.modified)
                )
        if stale and self._write(stale):
            raise Transient("a row vanished while it was being written", side=SIDE)

    # --- rows that are there ----------------------------------------------------------------

    def update(self, updates: Sequence[Update]) -> None:
        """Write rows that are there; one that is gone is created again."""
        for batch in batches(self._write(updates), new_doc):
            self.create(batch)

    def _write(self, updates: Sequence[Update]) -> list[ErpEvent]:
        """Write rows that are there; returns the events whose row is gone."""
        done, gone = list(updates), list[ErpEvent]()
        if self.bulk({u.name: changes(u) for u in updates}):
            done, gone = self._update_one_by_one(updates)
        self.applied.revived += sum(update.revive for update in done)
        self.applied.updated += sum(not update.revive for update in done)
        self._share([(update.name, update.event) for update in done])
        self.is_private({u.name: u.event.key for u in done if u.event.masked})
        self.just_masked.update(update.name for update in done if update.hides)
        return gone

    def is_private(self, rows: Mapping[str, str]) -> None:
        """Rows (name to key) of private events: their past is looked at by ``clear_past``."""
        self.private.update(rows)

    def clear_past(self) -> None:
        """Erase what is readable of the past of private rows."""
        if self.private:
            self.eraser.clear(self.private, self.just_masked)
        self.applied.renewed += self.eraser.renewed
        self.applied.refused += self.eraser.refused

    def bulk(self, fields: Mapping[str, Mapping[str, object]]) -> bool:
        """Update rows by name; true when the rows have to be looked at again. That holds for
        whatever failure: after a deadlock, rows that are not listed as failed are lost too."""
        self._access.before_write()
        try:
            return bool(
                self._client.bulk_update([bulk_doc(name, doc) for name, doc in fields.items()])
            )
        except (ErpRefused, Transient) as error:
            if asks_to_wait(error):
                raise
            return True

    def _update_one_by_one(self, updates: Sequence[Update]) -> tuple[list[Update], list[ErpEvent]]:
        """Returns the updates that are done, and the events whose row is gone."""
        there = self._access.find(update.event.key for update in updates)
        done, gone = [], []
        for update in _rng.sample(list(updates), len(updates)):
            row = there.get(update.event.key)
            put = "gone" if row is None else self._update_one(row, update)
            if row is None or put == "gone":
                gone.append(update.event)
            elif put == "done":
                done.append(replace(update, name=row.name))
        return done, gone

    def _update_one(self, row: Row, update: Update) -> Put:
        """``row`` is as it is now, the update as it was decided."""
        event, reopen = update.event, update.reopen and row.status == "Closed"
        if is_as_wanted(row, event) and not reopen:
            return "done"
        hides = event.masked and is_readable(row)
        if self.ceiling.is_reached and not hides:
            self.applied.refused += self.ceiling.unsent([event])
            return "refused"
        mended = replace(
            update, name=row.name, revive=row.is_cancelled, reopen=reopen, stamp=row.modified
        )
        return self.one.put(row, changes(mended), event, "masking" if hides else "event")

    # --- sharing ----------------------------------------------------------------------------

    def _share(self, rows: Sequence[tuple[str, ErpEvent]]) -> None:
        """See to who may read Private rows, then mark them complete by their hash.

        The hash comes last, so that a crash in between leaves rows that are done again. A row
        whose user ERPNext does not know stays, unmarked and reported as refused: it is tried
        again with its next change and with each snapshot.
        """
        private = [(name, event) for name, event in rows if event.event_type == "Private"]
        stale = stale_shares(self._client, [name for name, _ in private])
        seen_to: dict[str, ErpEvent] = {}
        for name, event in private:
            try:
                self._share_one(name, event, stale.get(name, []))
            except ErpRefused as error:
                self.one.refuse(event, error, "event")
                continue
            seen_to[name] = event
        if seen_to and self.bulk({name: {HASH: e.content_hash} for name, e in seen_to.items()}):
            self._mark_one_by_one(list(seen_to.values()))

    def _share_one(self, name: str, event: ErpEvent, stale: Sequence[str]) -> None:
        for share in stale:
            self._access.before_write()
            self._client.delete("DocShare", share)
        if event.share_with is not None:
            self._access.before_write()
            self._client.share(name, event.share_with)

    def _mark_one_by_one(self, events: Sequence[ErpEvent]) -> None:
        there = self._access.find(event.key for event in events)
        for event in events:
            row = there.get(event.key)
            if row is None:
                raise Transient("a row vanished while it was being shared", side=SIDE)
            if row.content_hash != event.content_hash:
                self.one.put(row, {HASH: event.content_hash}, event, "event")
