"""How mirrored rows are written: in batches when all is well, one by one when it is not.

Nothing is believed after a failure: the batch's keys are read again, and only what is not as
wanted is written again. Names are reused by Frappe, so after a failure a row is found by its key.
A document that ERPNext refuses alone is set aside with ERPNext's own message, and the rest goes
on; a server that fails for every document alike is an outage and not their fault.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from watcher.erpnext.applied import Applied
from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.erasure import Note, note_nothing
from watcher.erpnext.errors import SIDE, ServerError, asks_to_wait
from watcher.erpnext.one_row import Find, OneRow, Put
from watcher.erpnext.refusals import Kind
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
from watcher.errors import DuplicateKey, ErpForbidden, ErpRefused, Transient, WatcherError
from watcher.events.model import Cancel, ErpEvent, Rewrite, Row, Update

PROBES = 2
"""So many of the events that are left are still tried once the site seems to refuse everything."""

_rng = random.SystemRandom()


class Writer:
    """Writes the batches of one ``apply``. ``find`` gives the rows of some keys as they are now;
    ``hold`` is called before each request that writes and may raise to stop. ``site_fields`` are
    the optional fields of Event that the site has. ``note``: see ``erasure.Eraser``."""

    def __init__(
        self,
        client: ErpNextClient,
        find: Find,
        hold: Callable[[], None],
        site_fields: frozenset[str] = frozenset(),
        note: Note = note_nothing,
    ) -> None:
        self.applied = Applied()
        self._client = client
        self._find = find
        self._hold = hold
        self._site_fields = site_fields
        self._one = OneRow(client, find, hold, self.applied, note)
        self.eraser = self._one.eraser
        self._ceiling = self._one.ceiling
        self._private: dict[str, str] = {}
        self._just_masked: set[str] = set()
        self._concluded: set[str] = set()

    # --- new rows ---------------------------------------------------------------------------

    def create(self, events: Sequence[ErpEvent]) -> None:
        todo = [list(events)]
        probes = PROBES
        while todo:
            batch = todo.pop()
            if self._ceiling.is_reached:
                left = [*batch, *(event for each in todo for event in each)]
                if not probes:
                    self.applied.refused += self._ceiling.unsent(left)
                    return
                probes -= 1
                batch = [left.pop(_rng.randrange(len(left)))]
                todo = [left] if left else []
            error = self._insert(batch)
            if error is not None:
                todo += reversed(self._after_failed_insert(batch, error))

    def _insert(self, batch: Sequence[ErpEvent]) -> ErpRefused | Transient | None:
        self._hold()
        try:
            names = self._client.insert_many([new_doc(event) for event in batch])
        except (ErpRefused, Transient) as error:
            return error
        self._ceiling.accepted()
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
        held = self._find(event.key for event in batch)
        missing = [event for event in batch if event.key not in held]
        self._adopt([event for event in batch if event.key in held], held, error)
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
        """The last word on one document. A 500 gets a second try, with the site known to be up:
        by then the keys were read, so the database answers too."""
        if isinstance(error, ServerError):
            self._client.ping()
            again = self._insert([event])
            if again is None:
                return
            if not isinstance(again, ErpRefused | ServerError):
                raise again
            error = again
        self._one.refuse(event, error, "event")

    def _adopt(
        self, events: Sequence[ErpEvent], held: Mapping[str, Row], error: WatcherError
    ) -> None:
        """Rows that are there already: ours from a lost answer, or another process was first."""
        stale = []
        for event in events:
            row = held[event.key]
            # A key that was refused was there before: whose the row is may have been overwritten.
            if not isinstance(error, DuplicateKey) and is_complete(row, event):
                self._ceiling.accepted()
                self.applied.created += 1
                self.applied.answered_late += getattr(error, "bare_500", False)
            else:
                stale.append(
                    Update(name=row.name, event=event, revive=row.is_cancelled, stamp=row.modified)
                )
        if stale:
            self.update(stale, recreate=False)

    # --- rows that are there ----------------------------------------------------------------

    def update(self, updates: Sequence[Update], *, recreate: bool = True) -> None:
        """``recreate``: a row that is gone is created again; else that is a ``Transient``."""
        done = list(updates)
        if self._bulk({u.name: changes(u) for u in updates}):
            done, gone = self._update_one_by_one(updates)
            if gone and not recreate:
                raise Transient("a row vanished while it was being written", side=SIDE)
            for batch in batches(gone, new_doc):
                self.create(batch)
        self.applied.revived += sum(update.revive for update in done)
        self.applied.updated += sum(not update.revive for update in done)
        self._share([(update.name, update.event) for update in done])
        self.is_private({u.name: u.event.key for u in done if u.event.masked})
        self._just_masked.update(update.name for update in done if update.hides)

    def is_private(self, rows: Mapping[str, str]) -> None:
        """Rows (name to key) of private events: their past is looked at by ``clear_past``."""
        self._private.update(rows)

    def clear_past(self) -> None:
        """Whatever ERPNext keeps of the past of private rows goes, as far as it is readable."""
        if self._private:
            self.eraser.clear(self._private, self._just_masked)
        self.applied.renewed += self.eraser.renewed
        self.applied.refused += self.eraser.refused

    def _bulk(self, fields: Mapping[str, Mapping[str, object]]) -> bool:
        """Update rows by name; true when the rows have to be looked at again. That holds for
        whatever failure: after a deadlock, rows that are not listed as failed are lost too."""
        self._hold()
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
        held = self._find(update.event.key for update in updates)
        done, gone = [], []
        for update in _rng.sample(list(updates), len(updates)):
            row = held.get(update.event.key)
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
        hides = event.masked and row.is_readable
        if self._ceiling.is_reached and not hides:
            self.applied.refused += self._ceiling.unsent([event])
            return "refused"
        mended = replace(
            update, name=row.name, revive=row.is_cancelled, reopen=reopen, stamp=row.modified
        )
        return self._one.put(row, changes(mended), event, "masking" if hides else "event")

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
                self._one.refuse(event, error, "event")
                continue
            seen_to[name] = event
        if seen_to and self._bulk({name: {HASH: e.content_hash} for name, e in seen_to.items()}):
            self._mark_one_by_one(list(seen_to.values()))

    def _share_one(self, name: str, event: ErpEvent, stale: Sequence[str]) -> None:
        for share in stale:
            self._hold()
            self._client.delete("DocShare", share)
        if event.share_with is not None:
            self._hold()
            self._client.share(name, event.share_with)

    def _mark_one_by_one(self, events: Sequence[ErpEvent]) -> None:
        held = self._find(event.key for event in events)
        for event in events:
            row = held.get(event.key)
            if row is None:
                raise Transient("a row vanished while it was being shared", side=SIDE)
            if row.content_hash != event.content_hash:
                self._one.put(row, {HASH: event.content_hash}, event, "event")

    # --- rows that go -----------------------------------------------------------------------

    def conclude(self, actions: Sequence[Cancel | Rewrite]) -> None:
        """Cancel rows, or write their texts anew."""
        self._write_all(actions)
        for action in actions:
            if action.name not in self._concluded:
                continue
            if isinstance(action, Cancel):
                self.applied.cancelled += 1
            else:
                self.applied.updated += 1

    def _write_all(self, actions: Sequence[Cancel | Rewrite]) -> None:
        """What was written, or was so already, is in ``_concluded`` afterwards."""
        fields = {action.name: action.fields(self._site_fields) for action in actions}
        masked = {action.name: action.key for action in actions if action.mask}
        self.is_private(masked)
        self._just_masked.update(masked)
        if not self._bulk(fields):
            self._ceiling.accepted()
            self._concluded.update(fields)
            return
        held = self._find(action.key for action in actions)
        for action in actions:
            row = held.get(action.key)
            put = "gone" if row is None else self._conclude_one(row, action)
            if put == "done":
                self._concluded.add(action.name)
            elif put == "gone":
                self.applied.kept["already_gone"] += 1

    def _conclude_one(self, row: Row, action: Cancel | Rewrite) -> Put:
        hides = action.mask and row.is_readable
        if isinstance(action, Cancel) and row.is_cancelled and not hides:
            return "done"
        kind: Kind = "masking" if hides else "cancellation"
        fields = replace(action, stamp=row.modified).fields(self._site_fields)
        return self._one.put(row, fields, action, kind)

    def delete(self, cancels: Sequence[Cancel]) -> None:
        """What is private is masked first, and goes with all that was readable of it: Frappe keeps
        a copy of what it deletes."""
        masked = [cancel for cancel in cancels if cancel.mask]
        if masked:
            self._write_all(masked)
        held = self._find(cancel.key for cancel in cancels)
        for cancel in cancels:
            row = held.get(cancel.key)
            self._private.pop(cancel.name, None)
            if row is None:
                self.applied.kept["already_gone"] += not cancel.mask
            elif cancel.mask:
                self.applied.deleted += len(self.eraser.remove({row.name: row.key}))
            else:
                self._delete_readable(row, cancel)

    def _delete_readable(self, row: Row, cancel: Cancel) -> None:
        try:
            self._delete_one(row)
        except (ErpRefused, ErpForbidden) as error:
            if isinstance(error, ErpForbidden):
                self._one.refusal_of_one(error, "delete")
            self._one.refuse(cancel, error, "cancellation")
            return
        self._ceiling.accepted()
        self.applied.deleted += 1

    def _delete_one(self, row: Row) -> None:
        self._hold()
        try:
            self._client.delete("Event", row.name)
        except Transient as error:
            if asks_to_wait(error):
                raise
            # With its queue down Frappe deletes and then answers 500: look before repeating.
            there = self._find([row.key]).get(row.key)
            if there is not None:
                self._client.delete("Event", there.name)
