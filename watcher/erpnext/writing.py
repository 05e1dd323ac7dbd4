"""How mirrored rows are written: in batches when all is well, one by one when it is not.

Nothing is believed after a failure: the batch's keys are read again, and only what is not as
wanted is written again. Names are reused by Frappe, so after a failure a row is found by its key.
A document that ERPNext refuses alone is set aside with ERPNext's own message, and the rest goes
on; a server that fails for every document alike is an outage and not their fault.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.errors import COLLISION, SIDE, RowGone, ServerError
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
from watcher.errors import ErpAuthError, ErpRefused, Transient, WatcherError
from watcher.events.model import Cancel, ErpEvent, Held, Update

OUTAGE_AFTER = 5
"""So many events in a row that fail alone with a 500 are an outage, not bad documents; all that is
of one series is as bad as its first."""

Find = Callable[[Iterable[str]], dict[str, Held]]
Put = Literal["done", "gone", "refused"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """An event set aside: ``message`` is ERPNext's own. ``content_hash`` is of what was refused,
    empty for a cancellation."""

    key: str
    event_id: str
    message: str
    content_hash: str = ""


@dataclass(kw_only=True, slots=True)
class Applied:
    """What a list of actions came to. ``kept`` counts what was not written, by reason; a row
    that was written but could not be shared is both counted as written and ``refused``."""

    created: int = 0
    updated: int = 0
    revived: int = 0
    cancelled: int = 0
    deleted: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)

    @property
    def unchanged(self) -> int:
        return self.kept["unchanged"]

    @property
    def skipped(self) -> Counter[str]:
        """What was left alone for another reason than being unchanged."""
        return Counter({why: count for why, count in self.kept.items() if why != "unchanged"})


class Writer:
    """Writes the batches of one ``apply``. ``find`` gives the rows of some keys as they are now;
    ``hold`` is called before each request that writes and may raise to stop."""

    def __init__(self, client: ErpNextClient, find: Find, hold: Callable[[], None]) -> None:
        self.applied = Applied()
        self._client = client
        self._find = find
        self._hold = hold
        self._server_errors: set[str] = set()

    # --- new rows ---------------------------------------------------------------------------

    def create(self, events: Sequence[ErpEvent]) -> None:
        todo = [list(events)]
        while todo:
            batch = todo.pop()
            error = self._insert(batch)
            if error is not None:
                todo += reversed(self._after_failed_insert(batch, error))

    def _insert(self, batch: Sequence[ErpEvent]) -> ErpRefused | Transient | None:
        self._hold()
        try:
            names = self._client.insert_many([new_doc(event) for event in batch])
        except (ErpRefused, Transient) as error:
            return error
        self._server_errors.clear()
        self.applied.created += len(batch)
        self._share(list(zip(names, batch, strict=True)))
        return None

    def _after_failed_insert(
        self, batch: list[ErpEvent], error: ErpRefused | Transient
    ) -> list[list[ErpEvent]]:
        """What is still to be tried. A refused batch is rolled back whole, and an answer that was
        lost says nothing: look which rows are there, then split what is not."""
        if _asks_to_wait(error):
            raise error
        held = self._find(event.key for event in batch)
        missing = [event for event in batch if event.key not in held]
        self._adopt([event for event in batch if event.key in held], held)
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
        self._refuse(event, error)

    def _adopt(self, events: Sequence[ErpEvent], held: Mapping[str, Held]) -> None:
        """Rows that are there already: ours from a lost answer, or another process was first."""
        stale = []
        for event in events:
            row = held[event.key]
            if is_complete(row, event):
                self.applied.created += 1
            else:
                stale.append(Update(name=row.name, event=event, revive=row.is_cancelled))
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

    def _bulk(self, fields: Mapping[str, Mapping[str, object]]) -> bool:
        """Update rows by name; true when the rows have to be looked at again. That holds for
        whatever failure: after a deadlock, rows that are not listed as failed are lost too."""
        self._hold()
        try:
            return bool(
                self._client.bulk_update([bulk_doc(name, doc) for name, doc in fields.items()])
            )
        except (ErpRefused, Transient) as error:
            if _asks_to_wait(error):
                raise
            return True

    def _update_one_by_one(self, updates: Sequence[Update]) -> tuple[list[Update], list[ErpEvent]]:
        """Returns the updates that are done, and the events whose row is gone."""
        held = self._find(update.event.key for update in updates)
        done, gone = [], []
        for update in updates:
            row = held.get(update.event.key)
            if row is None:
                gone.append(update.event)
                continue
            mended = Update(name=row.name, event=update.event, revive=row.is_cancelled)
            put: Put = "done"
            if not is_as_wanted(row, update.event):
                put = self._put(row.name, changes(mended), update.event)
            if put == "gone":
                gone.append(update.event)
            elif put == "done":
                done.append(Update(name=row.name, event=update.event, revive=update.revive))
        return done, gone

    def _put(self, name: str, fields: Mapping[str, object], what: ErpEvent | Cancel) -> Put:
        """Write one row, twice where another writer or a 500 came between."""
        error = self._put_once(name, fields)
        if isinstance(error, ServerError) or getattr(error, "cause", "") == COLLISION:
            self._client.ping()
            error = self._put_once(name, fields)
        if error is None:
            self._server_errors.clear()
            return "done"
        if isinstance(error, RowGone):
            return "gone"
        self._refuse(what, error)
        return "refused"

    def _put_once(
        self, name: str, fields: Mapping[str, object]
    ) -> ErpRefused | ServerError | ErpAuthError | None:
        self._hold()
        try:
            self._client.update({"doctype": "Event", "name": name, **fields})
        except (ErpRefused, ServerError) as error:
            return error
        except ErpAuthError as error:
            return self._refusal_of_one(error, "write")
        return None

    def _refusal_of_one(self, error: ErpAuthError, permission: str) -> ErpAuthError:
        """A 403 for one row (a private one of another API user) must not stop the calendar; the
        user's lacking the permission as such must."""
        if error.cause != "permission" or not self._client.may(permission):
            raise error
        return error

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
                self._refuse(event, error)
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
                self._put(row.name, {HASH: event.content_hash}, event)

    # --- rows that go -----------------------------------------------------------------------

    def cancel(self, cancels: Sequence[Cancel]) -> None:
        if not self._bulk({cancel.name: cancel.fields() for cancel in cancels}):
            self.applied.cancelled += len(cancels)
            return
        held = self._find(cancel.key for cancel in cancels)
        for cancel in cancels:
            row = held.get(cancel.key)
            put: Put = "gone"
            if row is not None:
                done = row.is_cancelled and not cancel.mask
                put = "done" if done else self._put(row.name, cancel.fields(), cancel)
            if put == "done":
                self.applied.cancelled += 1
            elif put == "gone":
                self.applied.kept["already_gone"] += 1

    def delete(self, cancels: Sequence[Cancel]) -> None:
        held = self._find(cancel.key for cancel in cancels)
        for cancel in cancels:
            row = held.get(cancel.key)
            if row is None:
                self.applied.kept["already_gone"] += 1
                continue
            try:
                self._delete_one(row)
            except (ErpRefused, ErpAuthError) as error:
                if isinstance(error, ErpAuthError):
                    self._refusal_of_one(error, "delete")
                self._refuse(cancel, error)
                continue
            self.applied.deleted += 1

    def _delete_one(self, row: Held) -> None:
        self._hold()
        try:
            self._client.delete("Event", row.name)
        except Transient as error:
            if _asks_to_wait(error):
                raise
            # With its queue down Frappe deletes and then answers 500: look before repeating.
            there = self._find([row.key]).get(row.key)
            if there is not None:
                self._client.delete("Event", there.name)

    # --- setting aside ----------------------------------------------------------------------

    def _refuse(self, what: ErpEvent | Cancel, error: WatcherError) -> None:
        if isinstance(error, ServerError):
            series = what.recurring_event_id if isinstance(what, ErpEvent) else None
            self._server_errors.add(series or what.key)
            if len(self._server_errors) >= OUTAGE_AFTER:
                raise error
        self.applied.refused.append(
            Refused(
                key=what.key,
                event_id=what.event_id,
                message=error.message,
                content_hash=what.content_hash if isinstance(what, ErpEvent) else "",
            )
        )


def _asks_to_wait(error: WatcherError) -> bool:
    return isinstance(error, Transient) and error.retry_after is not None
