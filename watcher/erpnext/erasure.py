"""What ERPNext keeps of a row's past, and how it goes once the event has become private.

Each save of an Event leaves a Version with the old and the new values, readable in the timeline by
whoever may read the row; it cannot be deleted over REST. Frappe deletes Versions, comments, shares,
ToDos and notifications of a document in a background job when the document itself is deleted. So
a row whose past shows what is private is made anew under the same key, and the old one is deleted:

1. the row is masked already (``Writer``), so that the copy which Frappe keeps of a deleted
   document shows nothing readable;
2. the old row gives up its key and is cancelled; the new one is inserted with it, before the old
   one is deleted, since Frappe would give the new row the name of the one just deleted, and the
   background job deletes by name;
3. what people had added is given to the new row, or counted in the log.

A crash between these steps leaves a cancelled, masked row without a key (a *leftover*): the next
pass that meets the event, or the next snapshot, gives what it had to the new row, and deletes it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from watcher.erpnext import additions, copies
from watcher.erpnext.access import Access
from watcher.erpnext.client import BATCH
from watcher.erpnext.errors import RowGone, ServerError, asks_to_wait
from watcher.erpnext.refusals import Refused, cause_of
from watcher.erpnext.role import SEES_MAIL
from watcher.erpnext.rows import HASH, KEY, chunks
from watcher.errors import DuplicateKey, ErpForbidden, ErpRefused, Transient, WatcherError
from watcher.events.fields import WRITTEN
from watcher.languages.sentence import sentence

log = logging.getLogger(__name__)

AT_ONCE = 20
"""Rows that are made anew together: about three seconds' work."""
KEYS_IN_A_SEARCH = 25
DELETED = "Deleted Document"


class Eraser:
    """Removes what is readable of the past of private rows. A repetition goes on where it
    stopped."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._client = access.client
        self._masks = access.masks
        self.refused: list[Refused] = []
        self.forbidden: ErpForbidden | None = None
        """What the API user may not look at or delete: then nobody knows whether all is gone."""
        self.renewed = 0
        self._sees_mail: bool | None = None

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
        self._access.note_erased(rows)
        self._see_mail()
        mail = self._mask_mail(list(rows))
        self._delete_todos(list(rows))
        gone = {name for name in sorted(rows) if self.delete(name, rows[name])}
        self._delete_all(DELETED, _deleted("Communication", mail) if mail else [])
        self._delete_all("Webhook Request Log", [["reference_document", "in", sorted(rows)]])
        self.forget([*rows.values()])
        self.forget_errors(rows)
        return gone

    def finish(self, name: str) -> None:
        """Delete a leftover. What people had added to it is given to the row that took its key, if
        there is one."""
        try:
            doc = self._client.get_doc("Event", name)
        except RowGone:
            return
        if doc.get(KEY):
            return  # Frappe has given the name to another row meanwhile
        heir = self._heir_of(doc)
        if heir:
            self._give_own_fields(doc, heir)
            added = additions.read_additions(self._client, [name])[name]
            additions.carry_over(self._access, added, name, heir)
        self.remove({name: ""})

    def _heir_of(self, doc: copies.Doc) -> str | None:
        same = ("custom_google_account", "custom_google_calendar_id", "custom_google_event_id")
        filters = [[field, "=", str(doc.get(field) or "")] for field in same]
        rows = self._client.rows("Event", [*filters, [KEY, "is", "set"]], ["name"])
        return str(rows[0]["name"]) if rows else None

    def _give_own_fields(self, doc: copies.Doc, heir: str) -> None:
        """Copy the site's own fields to the new row. An ordinary pass has made that one, without
        them."""
        there = copies.copy_of(self._client.get_doc("Event", heir))
        own = {
            k: v for k, v in copies.copy_of(doc).items() if not there.get(k) and k not in WRITTEN
        }
        if own:
            self._access.before_write()
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
        return {
            str(v["docname"])
            for v in found
            if copies.is_readable_version(v.get("data"), self._masks)
        }

    def _with_readable_mail(self, names: Sequence[str]) -> set[str]:
        """Frappe makes a Communication with title and text for each participant of an Event, in the
        name of the Event's owner; the one of a participant who was removed keeps the old title.
        Mails that people send from the form are theirs."""
        fields = ["reference_name", "subject", "sender"]
        found = self._client.rows("Communication", _about(names), fields)
        readable = [c for c in found if c["subject"] not in self._masks]
        senders = {(c["reference_name"], c["sender"]) for c in readable}
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
        self._access.note_erased({name: rows[name] for name in docs})
        added = additions.read_additions(self._client, list(docs))
        released = self._release(list(docs))
        for name in sorted(docs.keys() - released):
            if name not in self.remove({name: rows[name]}):  # its key is needed first
                del docs[name]
        made = self._insert(docs, rows, released)
        for name, new in made.items():
            additions.carry_over(self._access, added[name], name, new)
        self.remove({name: rows[name] for name in released})
        self.renewed += len(made)

    def _read(self, rows: Mapping[str, str]) -> dict[str, copies.Doc]:
        """The documents whose key is still the expected one: Frappe gives a deleted row's name to
        another row."""
        docs = {}
        for name, key in rows.items():
            try:
                doc = self._client.get_doc("Event", name)
            except RowGone:
                continue
            if doc.get(KEY) == key:
                docs[name] = doc
        return docs

    def _see_mail(self) -> None:
        """Frappe leaves mails out of the lists of who may not see them, without a word; their
        copies, made when the row is deleted, would then be found by nobody."""
        if self._sees_mail is None:
            self._sees_mail = bool(self._client.roles(self._client.whoami()) & SEES_MAIL)
        if not self._sees_mail:
            self.forbidden = _not_erased("mails about an event")

    def _mask_mail(self, names: Sequence[str]) -> list[str]:
        """Mask the Communications of rows that are to be deleted, and return their names. Frappe
        deletes them with the row, but puts their last text into its search index later."""
        found = self._client.rows("Communication", _about(names), ["reference_name", "subject"])
        for name in names:
            of_row = [mail for mail in found if mail["reference_name"] == name]
            mails = [str(mail["name"]) for mail in of_row if mail["subject"] not in self._masks]
            if mails:
                self._invite_again(name, mails)
        return [str(mail["name"]) for mail in found]

    def _invite_again(self, name: str, mails: Sequence[str]) -> None:
        """Nobody may write a Communication over REST, but with each save of an Event Frappe writes
        the Communications of its participants anew. So who was removed is made a participant of
        the masked row once more."""
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
            self._overwrite("ToDo", name, description=self._masks.busy)
        if todos:
            self._delete_all("ToDo", [["name", "in", todos]])

    def _overwrite(self, doctype: str, name: str, **fields: object) -> None:
        self._access.before_write()
        try:
            self._client.update({"doctype": doctype, "name": name, **fields})
        except (ErpRefused, ErpForbidden) as error:
            log.warning("%s %s could not be masked: %s", doctype, name, cause_of(error))

    def _release(self, names: Iterable[str]) -> set[str]:
        """Take the keys from old rows; returns the names of those without one now. A row that
        ERPNext refuses to change (for a field that the site made mandatory, for instance) keeps
        its key: it has to be deleted before the new one is made."""
        released = set()
        for name in names:
            self._access.before_write()
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
        self, docs: Mapping[str, copies.Doc], rows: Mapping[str, str], released: set[str]
    ) -> dict[str, str]:
        """Insert the copies; returns new names by old ones. A row that had to be deleted first is
        taken out of ``released``, since Frappe may have given its name to the new row."""
        made = {}
        for name, doc in docs.items():
            self._access.before_write()
            try:
                made[name] = str(self._client.insert(copies.copy_of(doc))["name"])
            except Transient:
                # The row may have been made, and only the answer lost.
                there = self._access.find([rows[name]]).get(rows[name])
                if there is None:
                    raise
                made[name] = there.name
            except DuplicateKey as error:
                made |= self._insert_instead(name, doc, rows[name], error)
                released.discard(name)
            except ErpRefused as error:
                # The old row is deleted all the same; the next pass creates the event again.
                self._note(rows[name], doc, error)
        return made

    def _insert_instead(
        self, name: str, doc: copies.Doc, key: str, error: DuplicateKey
    ) -> dict[str, str]:
        """Delete the old row before the new one is inserted: both have the same value in a field
        that the site itself has made unique."""
        if name in self.remove({name: key}):
            try:
                return {name: str(self._client.insert(copies.copy_of(doc))["name"])}
            except ErpRefused as again:
                self._note(key, doc, again)
                return {}
        self._note(key, doc, error)
        return {}

    def _note(self, key: str, doc: copies.Doc, error: WatcherError) -> None:
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
        self._access.before_write()
        try:
            self._client.delete("Event", name)
        except (ErpRefused, ErpForbidden) as error:
            self.refused.append(
                Refused(
                    key=key,
                    event_id=name,
                    cause=cause_of(error),
                    kind="masking",
                    message=sentence(
                        "%(name)s is masked, but its history shows what has become "
                        "private, and ERPNext does not let it be deleted: %(why)s",
                        name=name,
                        why=error.message,
                    ),
                    step=sentence(
                        "unlink %(name)s in ERPNext and delete it, then `watcher queue retry`",
                        name=name,
                    ),
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
                self._access.before_write()
                self._client.delete(doctype, name)
            if names and doctype != DELETED:
                self._delete_all(DELETED, _deleted(doctype, names))
        except RowGone:
            return  # a site without this document type
        except ErpForbidden as error:
            log.warning("the API user may not delete from %s: %s", doctype, error.message)
            self.forbidden = _not_erased(doctype)


def _not_erased(what: str) -> ErpForbidden:
    return ErpForbidden(
        sentence(
            "what has become private may still be readable in ERPNext: the "
            "API user may not take it out of %(what)s",
            what=what,
        ),
        next_step="watcher erpnext setup --role yes --admin-key",
    )


def _about(names: Sequence[str]) -> list[list[Any]]:
    return [["reference_doctype", "=", "Event"], ["reference_name", "in", list(names)]]


def _deleted(doctype: str, names: Sequence[str]) -> list[list[Any]]:
    return [["deleted_doctype", "=", doctype], ["deleted_name", "in", list(names)]]
