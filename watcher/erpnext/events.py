"""Upsert mirrored events: batches when all is well, one by one when it is not.

Nothing is believed after a failure: the batch's keys are read again, and only what is not as
wanted is written again. A document that ERPNext refuses alone is set aside with ERPNext's own
message, and the rest goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from watcher.erpnext.client import BATCH, ErpNextClient
from watcher.erpnext.errors import RowGone, ServerError
from watcher.errors import ErpRefused, Transient, WatcherError
from watcher.events.model import Action, Cancel, Create, ErpEvent, Held, Keep, Update

T = TypeVar("T")

FIELDS = (
    "name", "custom_google_sync_key", "custom_google_event_id",
    "custom_google_recurring_event_id", "custom_google_hash", "status", "subject", "starts_on",
    "ends_on", "all_day", "event_type", "description", "modified_by",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """An event set aside: ``message`` is ERPNext's own."""

    key: str
    event_id: str
    message: str


@dataclass(kw_only=True, slots=True)
class Applied:
    """What a list of actions came to. ``kept`` counts what was not written, by reason."""

    created: int = 0
    updated: int = 0
    revived: int = 0
    cancelled: int = 0
    deleted: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)


class EventMirror:
    """The mirrored rows of Event on one site. ``delete_cancelled``: delete instead of cancel."""

    def __init__(self, client: ErpNextClient, *, delete_cancelled: bool = False) -> None:
        self._client = client
        self._delete = delete_cancelled

    @property
    def calls(self) -> int:
        return self._client.calls

    # --- reading ----------------------------------------------------------------------------

    def held_by_keys(self, keys: Iterable[str]) -> dict[str, Held]:
        held = {}
        for chunk in chunks(list(dict.fromkeys(keys)), BATCH):
            for row in self._rows([["custom_google_sync_key", "in", chunk]]):
                held[row.key] = row
        return held

    def held_by_series(
        self, account: str, calendar_id: str, recurring_ids: Iterable[str]
    ) -> list[Held]:
        """Rows whose recurring id is one of ``recurring_ids`` (as Data fields hold them)."""
        held: list[Held] = []
        for chunk in chunks(list(dict.fromkeys(recurring_ids)), BATCH):
            held += self._rows(
                [
                    ["custom_google_recurring_event_id", "in", chunk],
                    *_of_calendar(account, calendar_id),
                ]
            )
        return held

    def held_of_calendar(self, account: str, calendar_id: str) -> list[Held]:
        return list(self._rows(_of_calendar(account, calendar_id)))

    def _rows(self, filters: list[list[Any]]) -> Iterator[Held]:
        for row in self._client.rows("Event", filters, FIELDS):
            yield _held(row)

    # --- writing ----------------------------------------------------------------------------

    def apply(
        self,
        actions: Iterable[Action],
        *,
        before_batch: Callable[[], None] = lambda: None,
    ) -> Applied:
        """Carry the actions out; idempotent. ``before_batch`` is called before each request that
        writes a batch and may raise to stop. Raises ``Transient`` and ``ErpAuthError``."""
        applied = Applied()
        creates: list[ErpEvent] = []
        updates: list[Update] = []
        cancels: list[Cancel] = []
        for action in actions:
            match action:
                case Create(event=event):
                    creates.append(event)
                case Update():
                    updates.append(action)
                case Cancel():
                    cancels.append(action)
                case Keep(reason=reason):
                    applied.kept[reason] += 1
        for batch in chunks(cancels, BATCH):
            before_batch()
            self._cancel(batch, applied)
        for updated in chunks(updates, BATCH):
            before_batch()
            self._update(updated, applied)
        for created in chunks(creates, BATCH):
            before_batch()
            self._create(created, applied)
        return applied

    def _create(self, events: Sequence[ErpEvent], applied: Applied) -> None:
        try:
            names = self._client.insert_many([_new_doc(event) for event in events])
        except (ErpRefused, Transient) as error:
            self._recover_create(events, error, applied)
            return
        applied.created += len(events)
        self._share(dict(zip(names, events, strict=False)), applied)

    def _recover_create(
        self, events: Sequence[ErpEvent], error: WatcherError, applied: Applied
    ) -> None:
        """Nothing of a failed batch is kept, unless only its answer failed: look, then split."""
        held = self.held_by_keys(event.key for event in events)
        there = [event for event in events if event.key in held]
        missing = [event for event in events if event.key not in held]
        if there:
            self._finish_created(there, held, applied)
        if not missing:
            return
        if isinstance(error, Transient) and not isinstance(error, ServerError):
            raise error
        if len(missing) == 1 and len(events) == 1:
            applied.refused.append(_refused(missing[0], error))
            return
        middle = max(1, len(missing) // 2)
        parts = [missing] if there else [missing[:middle], missing[middle:]]
        for part in parts:
            if part:
                self._create(part, applied)

    def _finish_created(
        self, events: Sequence[ErpEvent], held: Mapping[str, Held], applied: Applied
    ) -> None:
        """Rows that are there already: ours from a lost answer, or somebody else was first."""
        stale = []
        for event in events:
            row = held[event.key]
            if row.content_hash == event.content_hash and not row.is_cancelled:
                applied.created += 1
            else:
                stale.append(Update(name=row.name, event=event, revive=row.is_cancelled))
        if stale:
            self._update(stale, applied)

    def _update(self, updates: Sequence[Update], applied: Applied) -> None:
        docs = [{"doctype": "Event", "docname": u.name, **_changes(u)} for u in updates]
        done = list(updates)
        try:
            if self._client.bulk_update(docs):
                done = self._repeat_updates(updates, applied)
        except ErpRefused:
            done = self._repeat_updates(updates, applied)
        except Transient:
            done = self._repeat_updates(updates, applied)
        for update in done:
            applied.revived += update.revive
            applied.updated += not update.revive
        self._share({u.name: u.event for u in done}, applied)

    def _repeat_updates(self, updates: Sequence[Update], applied: Applied) -> list[Update]:
        """Read the whole batch again and write one by one what is not as wanted."""
        held = self.held_by_keys(update.event.key for update in updates)
        done = []
        for update in updates:
            row = held.get(update.event.key)
            if row is None:
                self._create([update.event], applied)
                continue
            mended = Update(name=row.name, event=update.event, revive=row.is_cancelled)
            if _is_as_wanted(row, mended) or self._put(mended, applied):
                done.append(mended)
        return done

    def _put(self, update: Update, applied: Applied) -> bool:
        try:
            self._client.update({"doctype": "Event", "name": update.name, **_changes(update)})
        except RowGone:
            self._create([update.event], applied)
            return False
        except (ErpRefused, ServerError) as error:
            applied.refused.append(_refused(update.event, error))
            return False
        return True

    def _share(self, rows: Mapping[str, ErpEvent], applied: Applied) -> None:
        """Let the employee read a Private row, then mark the row complete by its hash.

        The hash comes second, so that a crash in between leaves a row that is done again.
        """
        complete = []
        for name, event in rows.items():
            if event.share_with is None:
                continue
            try:
                self._client.share(name, event.share_with)
            except ErpRefused as error:
                applied.refused.append(_refused(event, error))
                continue
            complete.append(
                {
                    "doctype": "Event",
                    "docname": name,
                    "custom_google_hash": event.content_hash,
                }
            )
        for batch in chunks(complete, BATCH):
            self._client.bulk_update(batch)

    def _cancel(self, cancels: Sequence[Cancel], applied: Applied) -> None:
        if self._delete:
            self._delete_rows(cancels, applied)
            return
        docs = [{"doctype": "Event", "docname": c.name, "status": "Cancelled"} for c in cancels]
        try:
            failed: bool = bool(self._client.bulk_update(docs))
        except (ErpRefused, Transient):
            failed = True
        done = self._repeat_cancels(cancels, applied) if failed else len(cancels)
        applied.cancelled += done

    def _repeat_cancels(self, cancels: Sequence[Cancel], applied: Applied) -> int:
        held = self.held_by_keys(cancel.key for cancel in cancels)
        done = 0
        for cancel in cancels:
            row = held.get(cancel.key)
            if row is not None and not row.is_cancelled:
                try:
                    self._client.update(
                        {"doctype": "Event", "name": row.name, "status": "Cancelled"}
                    )
                except RowGone:
                    pass  # deleted meanwhile: as good as cancelled
                except (ErpRefused, ServerError) as error:
                    applied.refused.append(
                        Refused(
                            key=cancel.key,
                            event_id=cancel.event_id,
                            message=error.message,
                        )
                    )
                    continue
            done += 1
        return done

    def _delete_rows(self, cancels: Sequence[Cancel], applied: Applied) -> None:
        """Names are reused, so each row is looked up by its key right before it is deleted."""
        held = self.held_by_keys(cancel.key for cancel in cancels)
        for cancel in cancels:
            row = held.get(cancel.key)
            if row is None:
                continue
            try:
                self._delete_one(row)
            except ErpRefused as error:
                applied.refused.append(
                    Refused(key=cancel.key, event_id=cancel.event_id, message=error.message)
                )
                continue
            applied.deleted += 1

    def _delete_one(self, row: Held) -> None:
        try:
            self._client.delete("Event", row.name)
        except Transient:
            # With its queue down Frappe deletes and then answers 500: look before repeating.
            if row.key in self.held_by_keys([row.key]):
                self._client.delete("Event", row.name)


def chunks(items: Sequence[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def _of_calendar(account: str, calendar_id: str) -> list[list[Any]]:
    return [
        ["custom_google_account", "=", account],
        ["custom_google_calendar_id", "=", calendar_id],
    ]


def _fields(event: ErpEvent) -> dict[str, object]:
    fields = event.fields()
    if event.share_with is not None:
        fields["custom_google_hash"] = ""  # complete only when shared, see _share
    return fields


def _new_doc(event: ErpEvent) -> dict[str, object]:
    return {"doctype": "Event", "status": "Open", **_fields(event)}


def _changes(update: Update) -> dict[str, object]:
    return {**_fields(update.event), **({"status": "Open"} if update.revive else {})}


def _is_as_wanted(row: Held, update: Update) -> bool:
    return row.content_hash == update.event.content_hash and not row.is_cancelled


def _refused(event: ErpEvent, error: WatcherError) -> Refused:
    return Refused(key=event.key, event_id=event.event_id, message=error.message)


def _held(row: Mapping[str, Any]) -> Held:
    """One row of get_list; datetimes come as strings, with microseconds now and then."""
    ends_on = row.get("ends_on")
    return Held(
        name=str(row["name"]),
        key=str(row.get("custom_google_sync_key") or ""),
        event_id=str(row.get("custom_google_event_id") or ""),
        recurring_event_id=row.get("custom_google_recurring_event_id") or None,
        content_hash=str(row.get("custom_google_hash") or ""),
        status=str(row.get("status") or ""),
        subject=str(row.get("subject") or ""),
        starts_on=str(row.get("starts_on") or "")[:19],
        ends_on=str(ends_on)[:19] if ends_on else None,
        all_day=bool(row.get("all_day")),
        event_type=str(row.get("event_type") or ""),
        description=str(row.get("description") or ""),
        modified_by=str(row.get("modified_by") or ""),
    )
