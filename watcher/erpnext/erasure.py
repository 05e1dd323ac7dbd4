"""What ERPNext keeps of a row's past, and how it goes once the event has become private.

Each save of an Event leaves a Version with the old and the new values, readable in the timeline by
whoever may read the row; it cannot be deleted over REST. Frappe deletes Versions, comments, shares,
ToDos and notifications of a document in a background job when the document itself is deleted. So
a row whose past shows what is private is made anew under the same key, and the old one is deleted:

1. the row is masked already (``Writer``), so that Deleted Document keeps nothing readable;
2. the old row gives up its key and is cancelled; the new one is inserted with it, before the old
   one is deleted, since Frappe would give the new row the name of the one just deleted, and the
   background job deletes by name;
3. what people had added goes over to the new row, or is named in the log.

A crash between these steps leaves a cancelled, masked row without a key (a *leftover*): the next
pass that meets the event, or the next snapshot, gives what it had to the new row, and deletes it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from watcher.erpnext.additions import carry_over, read_additions
from watcher.erpnext.client import BATCH, ErpNextClient
from watcher.erpnext.copies import MIRRORED, Doc, copy_of, is_readable_version
from watcher.erpnext.errors import RowGone, ServerError, asks_to_wait
from watcher.erpnext.refusals import Refused, cause_of
from watcher.erpnext.rows import HASH, KEY, chunks
from watcher.errors import DuplicateKey, ErpForbidden, ErpRefused, Transient, WatcherError
from watcher.events.model import BUSY, MASKS, Row

log = logging.getLogger(__name__)

AT_ONCE = 20
"""Rows that are made anew together: about three seconds' work."""
KEYS_IN_A_SEARCH = 25
DELETED = "Deleted Document"

Find = Callable[[Iterable[str]], dict[str, Row]]
Note = Callable[[Mapping[str, str]], None]


def note_nothing(_rows: Mapping[str, str]) -> None:
    pass


class Eraser:
    """Removes what is readable of the past of private rows. ``find`` gives the rows of some keys
    as they are now; ``hold`` is called before each request that writes and may raise to stop. A
    repetition goes on where it stopped. ``note`` is told of rows (name to key) before they go:
    Frappe writes some of its logs later, so that somebody has to look again."""

    def __init__(
        self,
        client: ErpNextClient,
        find: Find,
        hold: Callable[[], None],
        note: Note = note_nothing,
    ) -> None:
        self._client = client
        self._note_erased = note
        self._find = find
        self._hold = hold
        self.refused: list[Refused] = []
        self.renewed = 0

    def clear(self, rows: Mapping[str, str], just_masked: Iterable[str] = ()) -> None:
        """``rows`` maps the names of masked rows to their keys; those in ``just_masked`` were
        readable until now. Raises ``Transient`` and ``ErpAuthError``: then it is not done."""
        todo = set(just_masked) & set(rows)
        for chunk in chunks(sorted(rows), BATCH):
            todo |= self._with_readable_versions(chunk) | self._with_readable_mail(chunk)
        for some in chunks(sorted(todo), AT_ONCE):
            self._renew({name: rows[name] for name in some})

    def remove(self, rows: Mapping[str, str]) -> set[str]:
        """Delete masked rows (name to key) with all that was readable of them. Returns the names of
        those that are gone; the others are noted as refused."""
        if not rows:
            return set()
        self._note_erased(rows)
        mail = self._mask_mail(list(rows))
        self._delete_todos(list(rows))
        gone = {name for name in sorted(rows) if self.delete(name, rows[name])}
        self._delete_all(DELETED, _deleted("Communication", mail) if mail else [])
        self._delete_all("Webhook Request Log", [["reference_document", "in", sorted(rows)]])
        self.forget([*rows.values()])
        self.forget_errors(rows)
        return gone

    def finish(self, name: str) -> None:
        """A leftover: what people had added goes to the row that took its key, if there is one."""
        try:
            doc = self._client.get_doc("Event", name)
        except RowGone:
            return
        if doc.get(KEY):
            return  # another row has the name by now
        heir = self._heir_of(doc)
        if heir:
            self._give_own_fields(doc, heir)
            added = read_additions(self._client, [name])[name]
            carry_over(self._client, self._hold, added, name, heir)
        self.remove({name: ""})

    def _heir_of(self, doc: Doc) -> str | None:
        same = ("custom_google_account", "custom_google_calendar_id", "custom_google_event_id")
        filters = [[field, "=", str(doc.get(field) or "")] for field in same]
        rows = self._client.rows("Event", [*filters, [KEY, "is", "set"]], ["name"])
        return str(rows[0]["name"]) if rows else None

    def _give_own_fields(self, doc: Doc, heir: str) -> None:
        """Fields of the site's own that the new row, made by an ordinary pass, does not have."""
        there = copy_of(self._client.get_doc("Event", heir))
        own = {k: v for k, v in copy_of(doc).items() if not there.get(k) and k not in MIRRORED}
        if own:
            self._hold()
            try:
                self._client.update({"doctype": "Event", "name": heir, **own})
            except ErpRefused as error:
                log.warning(
                    "fields of %s were not taken by %s: %s", doc["name"], heir, error.message
                )

    # --- looking --------------------------------------------------------------------------------

    def _with_readable_versions(self, names: Sequence[str]) -> set[str]:
        found = self._client.rows(
            "Version",
            [["ref_doctype", "=", "Event"], ["docname", "in", list(names)]],
            ["docname", "data"],
        )
        return {str(v["docname"]) for v in found if is_readable_version(v.get("data"))}

    def _with_readable_mail(self, names: Sequence[str]) -> set[str]:
        """Frappe makes a Communication with title and text for each participant of an Event, in the
        name of the Event's owner; the one of a participant who was removed keeps the old title.
        Mails that people send from the form are theirs."""
        fields = ["reference_name", "subject", "sender"]
        found = self._client.rows("Communication", _about(names), fields)
        senders = {(c["reference_name"], c["sender"]) for c in found if c["subject"] not in MASKS}
        if not senders:
            return set()
        named = [["name", "in", sorted({name for name, _ in senders})]]
        rows = self._client.rows("Event", named, ["owner"])
        return {str(row["name"]) for row in rows if (row["name"], row["owner"]) in senders}

    # --- making anew ----------------------------------------------------------------------------

    def _renew(self, rows: Mapping[str, str]) -> None:
        docs = self._read(rows)
        if not docs:
            return
        self._note_erased({name: rows[name] for name in docs})
        additions = read_additions(self._client, list(docs))
        released = self._release(list(docs))
        for name in sorted(docs.keys() - released):
            if name not in self.remove({name: rows[name]}):  # its key is needed first
                del docs[name]
        made = self._insert(docs, rows, released)
        for name, new in made.items():
            carry_over(self._client, self._hold, additions[name], name, new)
        self.remove({name: rows[name] for name in released})
        self.renewed += len(made)

    def _read(self, rows: Mapping[str, str]) -> dict[str, Doc]:
        """The documents that are still those of the keys: names are reused."""
        docs = {}
        for name, key in rows.items():
            try:
                doc = self._client.get_doc("Event", name)
            except RowGone:
                continue
            if doc.get(KEY) == key:
                docs[name] = doc
        return docs

    def _mask_mail(self, names: Sequence[str]) -> list[str]:
        """The Communications of rows that go: Frappe deletes them with the row, but puts what they
        last said into its search index later. Returns their names."""
        found = self._client.rows("Communication", _about(names), ["reference_name", "subject"])
        for name in names:
            mails = [m for m in found if m["reference_name"] == name and m["subject"] not in MASKS]
            if mails:
                self._invite_again(name, [str(mail["name"]) for mail in mails])
        return [str(mail["name"]) for mail in found]

    def _invite_again(self, name: str, mails: Sequence[str]) -> None:
        """Nobody may write a Communication over REST, but Frappe itself writes those of an Event's
        participants anew with each save: who was removed takes part once more in the masked row."""
        links = [
            link
            for mail in mails
            for link in self._client.get_doc("Communication", mail).get("timeline_links", ())
        ]
        guests = [
            {"reference_doctype": link["link_doctype"], "reference_docname": link["link_name"]}
            for link in links
        ]
        if guests:
            self._overwrite("Event", name, event_participants=guests)

    def _delete_todos(self, names: Sequence[str]) -> None:
        """The Desk writes an event's title into the assignments that are made of it."""
        about: list[list[Any]] = [
            ["reference_type", "=", "Event"],
            ["reference_name", "in", list(names)],
        ]
        todos = [str(todo["name"]) for todo in self._client.rows("ToDo", about, ["name"])]
        for name in todos:
            self._overwrite("ToDo", name, description=BUSY)
        if todos:
            self._delete_all("ToDo", [["name", "in", todos]])

    def _overwrite(self, doctype: str, name: str, **fields: object) -> None:
        self._hold()
        try:
            self._client.update({"doctype": doctype, "name": name, **fields})
        except (ErpRefused, ErpForbidden) as error:
            log.warning("%s %s could not be masked: %s", doctype, name, cause_of(error))

    def _release(self, names: Iterable[str]) -> set[str]:
        """Old rows give up their keys. A refusal (a field that the site made mandatory) leaves the
        row as it is: it is deleted before the new one is made."""
        released = set()
        for name in names:
            self._hold()
            try:
                fields = {KEY: "", HASH: "", "status": "Cancelled"}
                self._client.update({"doctype": "Event", "name": name, **fields})
            except RowGone:
                continue
            except (ErpRefused, ServerError) as error:
                log.info("%s keeps its key: %s", name, cause_of(error))
                continue
            except Transient as error:
                # Frappe 16 with a full queue writes, and then answers 500.
                if asks_to_wait(error) or self._client.get_doc("Event", name).get(KEY):
                    raise
            released.add(name)
        return released

    def _insert(
        self, docs: Mapping[str, Doc], rows: Mapping[str, str], released: set[str]
    ) -> dict[str, str]:
        """New names by old ones. A row that had to go first is taken out of ``released``: its name
        may be the new row's by now."""
        made = {}
        for name, doc in docs.items():
            self._hold()
            try:
                made[name] = str(self._client.insert(copy_of(doc))["name"])
            except Transient:
                # The answer may be all that was lost.
                there = self._find([rows[name]]).get(rows[name])
                if there is None:
                    raise
                made[name] = there.name
            except DuplicateKey as error:
                made |= self._insert_instead(name, doc, rows[name], error)
                released.discard(name)
            except ErpRefused as error:
                # The old row goes all the same; the event is new for the next pass.
                self._note(rows[name], doc, error)
        return made

    def _insert_instead(self, name: str, doc: Doc, key: str, error: DuplicateKey) -> dict[str, str]:
        """A unique field of the site's own stands in the way: the old row goes first."""
        if name in self.remove({name: key}):
            try:
                return {name: str(self._client.insert(copy_of(doc))["name"])}
            except ErpRefused as again:
                self._note(key, doc, again)
                return {}
        self._note(key, doc, error)
        return {}

    def _note(self, key: str, doc: Doc, error: WatcherError) -> None:
        event_id = str(doc.get("custom_google_event_id") or "")
        self.refused.append(
            Refused(
                key=key,
                event_id=event_id,
                message=error.message,
                series=event_id,
                cause=cause_of(error),
                step=error.next_step,
            )
        )

    # --- deleting -------------------------------------------------------------------------------

    def delete(self, name: str, key: str) -> bool:
        """Delete one masked row; what ERPNext refuses is noted as a masking that failed."""
        self._hold()
        try:
            self._client.delete("Event", name)
        except (ErpRefused, ErpForbidden) as error:
            self.refused.append(
                Refused(
                    key=key,
                    event_id=name,
                    cause=cause_of(error),
                    kind="masking",
                    message=f"{name} is masked, but its history shows what has become private, and "
                    f"ERPNext does not let it be deleted: {error.message}",
                    step=f"unlink {name} in ERPNext and delete it, then `watcher queue retry`",
                )
            )
            return False
        except Transient as error:
            if asks_to_wait(error):
                raise
            # With its queue down Frappe deletes and then answers 500: a repetition finds it gone.
            self._client.delete("Event", name)
        return True

    def forget(self, marks: Sequence[str]) -> None:
        """Delete what Frappe keeps of rows that were deleted while they were readable. ``marks``
        are what their JSON holds: sync keys, or ids of events and series."""
        for some in chunks([mark for mark in dict.fromkeys(marks) if mark], KEYS_IN_A_SEARCH):
            self._delete_all(DELETED, [["deleted_doctype", "=", "Event"]], "data", some)

    def forget_errors(self, rows: Mapping[str, str]) -> None:
        """A request or a background job of Frappe's that failed is logged with its data, a title
        among them: a request with the row's key, a job with its name in quotes."""
        marks = [key for key in rows.values() if key] + [f"'{name}'" for name in rows]
        for some in chunks(marks, KEYS_IN_A_SEARCH):
            self._delete_all("Error Log", [], "error", some)

    def _delete_all(
        self, doctype: str, filters: list[list[Any]], text: str = "", keys: Sequence[str] = ()
    ) -> None:
        """Delete the rows that fit, and whose field ``text`` holds one of ``keys`` where given; and
        what Frappe keeps of each row that is deleted."""
        if not filters and not keys:
            return
        any_of = [[text, "like", f"%{key}%"] for key in keys]
        try:
            found = self._client.rows(doctype, filters, ["name"], or_filters=any_of)
            names = [str(row["name"]) for row in found]
            for name in names:
                self._hold()
                self._client.delete(doctype, name)
            if names and doctype != DELETED:
                self._delete_all(DELETED, _deleted(doctype, names))
        except RowGone:
            return  # a site without this document type
        except ErpForbidden as error:
            log.warning("the API user may not delete from %s: %s", doctype, error.message)


def _about(names: Sequence[str]) -> list[list[Any]]:
    return [["reference_doctype", "=", "Event"], ["reference_name", "in", list(names)]]


def _deleted(doctype: str, names: Sequence[str]) -> list[list[Any]]:
    return [["deleted_doctype", "=", doctype], ["deleted_name", "in", list(names)]]
