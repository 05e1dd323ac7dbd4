"""Writing one row when a batch failed: it is tried again, set aside or, where it cannot be masked,
deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from watcher.erpnext.access import Access
from watcher.erpnext.applied import Applied
from watcher.erpnext.erasure import Eraser
from watcher.erpnext.errors import COLLISION, RowGone, ServerError, asks_to_wait
from watcher.erpnext.fillers import fillers
from watcher.erpnext.refusals import Ceiling, Kind, refused
from watcher.erpnext.rows import HASH
from watcher.errors import ErpForbidden, ErpRefused, Transient, WatcherError
from watcher.events.model import Cancel, ErpEvent, Rewrite, Row

Fields = Mapping[str, object]
What = ErpEvent | Cancel | Rewrite
Put = Literal["done", "gone", "refused"]


class OneRow:
    """Writes single rows. ``applied`` takes what is set aside."""

    def __init__(self, access: Access, applied: Applied) -> None:
        self.ceiling = Ceiling()
        self.eraser = Eraser(access)
        self._access = access
        self._client = access.client
        self._applied = applied

    def put(self, row: Row, fields: Fields, what: What, kind: Kind) -> Put:
        """Write one row. It is tried once more where another writer had saved the row meanwhile, or
        the server answered 500."""
        error = self._put_once(row, fields)
        if isinstance(error, ServerError) or getattr(error, "cause", "") == COLLISION:
            self._client.ping()
            now = self._access.find([row.key]).get(row.key)
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
        self._access.before_write()
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
        """Whether the row was written although the answer was a 500, as from Frappe 16 when its
        queue of background jobs is full: the row's stamp has moved, and its values are those that
        were sent."""
        now = self._access.find([row.key]).get(row.key)
        return (
            now is not None
            and now.modified != row.modified
            and now.status == fields.get("status", now.status)
            and now.content_hash == fields.get(HASH, now.content_hash)
        )

    def refusal_of_one(self, error: ErpForbidden, permission: str) -> ErpForbidden:
        """The error, where it concerns this row alone (a private one of another API user, for
        instance): that must not stop the calendar. Raises it where the API user lacks the
        permission for all rows."""
        if not self._client.may(permission):
            raise error
        return error

    # --- what became private and cannot be masked -----------------------------------------------

    def _remove_readable(self, row: Row, fields: Fields, what: What, error: WatcherError) -> Put:
        """Delete a row that has become private and that ERPNext refuses to mask. A live event is
        set aside until the next pass makes it anew."""
        self._mask_with_fillers(row, fields, error)
        kind: Kind = "masking"
        if self.eraser.remove({row.name: row.key}):
            self._applied.deleted += 1
            kind = "event"
        if kind == "masking" or isinstance(what, ErpEvent):
            self.refuse(what, error, kind)
        return "refused"

    def _mask_with_fillers(self, row: Row, fields: Fields, error: WatcherError) -> None:
        """Save the mask together with a value for each field that the site demands. Frappe puts
        the last title that was saved into its search index later, even when the row is gone by
        then, so the mask has to be that title."""
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
