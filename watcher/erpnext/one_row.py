"""Writing one row when a batch failed: what may be tried again, what is set aside, what must go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from watcher.erpnext.applied import Applied
from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.erasure import Eraser, Note
from watcher.erpnext.errors import COLLISION, RowGone, ServerError, asks_to_wait
from watcher.erpnext.fillers import fillers
from watcher.erpnext.refusals import Ceiling, Kind, refused
from watcher.erpnext.rows import HASH
from watcher.errors import ErpForbidden, ErpRefused, Transient, WatcherError
from watcher.events.model import Cancel, ErpEvent, Rewrite, Row

Find = Callable[[Iterable[str]], dict[str, Row]]
Fields = Mapping[str, object]
What = ErpEvent | Cancel | Rewrite
Put = Literal["done", "gone", "refused"]


class OneRow:
    """Writes single rows. ``find`` gives the rows of some keys as they are now; ``hold`` is called
    before each request that writes and may raise to stop. ``applied`` takes what is set aside."""

    def __init__(
        self,
        client: ErpNextClient,
        find: Find,
        hold: Callable[[], None],
        applied: Applied,
        note: Note,
    ) -> None:
        self.ceiling = Ceiling()
        self.eraser = Eraser(client, find, hold, note)
        self._client = client
        self._find = find
        self._hold = hold
        self._applied = applied

    def put(self, row: Row, fields: Fields, what: What, kind: Kind) -> Put:
        """Write one row, twice where another writer or a 500 came between."""
        error = self._put_once(row, fields)
        if isinstance(error, ServerError) or getattr(error, "cause", "") == COLLISION:
            self._client.ping()
            now = self._find([row.key]).get(row.key)
            if now is None:
                return "gone"
            row, fields = now, _as_of(now, fields)
            error = self._put_once(row, fields)
        if error is None:
            self.ceiling.accepted()
            return "done"
        if isinstance(error, RowGone):
            return "gone"
        if kind == "masking":
            return self._remove_readable(row, fields, what, error)
        self.refuse(what, error, kind)
        return "refused"

    def _put_once(self, row: Row, fields: Fields) -> ErpRefused | ServerError | ErpForbidden | None:
        self._hold()
        try:
            self._client.update({"doctype": "Event", "name": row.name, **fields})
        except (ErpRefused, ServerError) as error:
            return error
        except Transient as error:
            if asks_to_wait(error) or not self._was_written(row, fields):
                raise
            self._applied.answered_late += error.bare_500
        except ErpForbidden as error:
            return self.refusal_of_one(error, "write")
        return None

    def _was_written(self, row: Row, fields: Fields) -> bool:
        """With its queue of background jobs full Frappe 16 writes and then answers 500. The stamp
        moved, and what stands there is what was sent."""
        now = self._find([row.key]).get(row.key)
        return (
            now is not None
            and now.modified != row.modified
            and now.status == fields.get("status", now.status)
            and now.content_hash == fields.get(HASH, now.content_hash)
        )

    def refusal_of_one(self, error: ErpForbidden, permission: str) -> ErpForbidden:
        """A 403 for one row (a private one of another API user) must not stop the calendar; the
        user's lacking the permission as such must."""
        if not self._client.may(permission):
            raise error
        return error

    # --- what became private and cannot be masked -----------------------------------------------

    def _remove_readable(self, row: Row, fields: Fields, what: What, error: WatcherError) -> Put:
        """A row that became private and that ERPNext does not let be masked is deleted. A live
        event is made anew with the next pass, and is set aside until then."""
        self._mask_with_fillers(row, fields, error)
        kind: Kind = "masking"
        if self.eraser.remove({row.name: row.key}):
            self._applied.deleted += 1
            kind = "event"
        if kind == "masking" or isinstance(what, ErpEvent):
            self.refuse(what, error, kind)
        return "refused"

    def _mask_with_fillers(self, row: Row, fields: Fields, error: WatcherError) -> None:
        """Frappe puts the last title that was saved into its search index later, even when the row
        is gone by then: a field that the site demands is filled, so that the mask is the last."""
        named = error.fields if isinstance(error, ErpRefused) else ()
        if named:
            self._put_once(row, {**fields, **fillers(self._client, named)})

    # --- setting aside --------------------------------------------------------------------------

    def refuse(self, what: What, error: WatcherError, kind: Kind) -> None:
        found = refused(what, error, kind)
        self.ceiling.refused(found.series, error)
        self._applied.refused.append(found)


def _as_of(row: Row, fields: Fields) -> Fields:
    """The same write, decided on the row as it is now: a stale stamp would be refused again."""
    return {**fields, "modified": row.modified} if "modified" in fields else fields
