"""What people have added to a mirrored row besides its fields: tags, assignments, shares, comments,
files. When a row is made anew, tags, assignments and shares are given to the new row; how many of
the others are lost is said in the log."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from watcher.erpnext.access import Access
from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.sharing import stale_shares
from watcher.errors import ErpForbidden, ErpRefused

log = logging.getLogger(__name__)

ASSIGN = "frappe.desk.form.assign_to.add"
TAG = "frappe.desk.doctype.tag.tag.add_tag"
FLAGS = ("read", "write", "share")
Filters = list[list[Any]]


@dataclass(kw_only=True, slots=True)
class Additions:
    """What people have added to one row: ``todos`` are open assignments (user, date, priority),
    ``shares`` are for a user (read, write, share). ``lost`` counts what the new row cannot have, by
    what it is."""

    tags: list[str] = field(default_factory=list)
    todos: list[dict[str, Any]] = field(default_factory=list)
    shares: list[dict[str, Any]] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)


def read_additions(client: ErpNextClient, names: Sequence[str]) -> dict[str, Additions]:
    """By the row's name. Raises ``ErpForbidden`` where the API user is no System Manager."""
    found = {name: Additions() for name in names}
    wanted = list(names)
    for row in client.rows("Event", [["name", "in", wanted]], ["_user_tags"]):
        tags = str(row.get("_user_tags") or "").split(",")
        found[row["name"]].tags = [tag.strip() for tag in tags if tag.strip()]
    open_todos: Filters = [
        ["reference_type", "=", "Event"],
        ["reference_name", "in", wanted],
        ["status", "=", "Open"],
    ]
    fields = ["reference_name", "allocated_to", "date", "priority"]
    for todo in client.rows("ToDo", open_todos, fields):
        found[todo["reference_name"]].todos.append(todo)
    stale = {share for shares in stale_shares(client, wanted).values() for share in shares}
    for share in client.rows(
        "DocShare",
        [["share_doctype", "=", "Event"], ["share_name", "in", wanted]],
        ["share_name", "user", "everyone", *FLAGS],
    ):
        if share["name"] not in stale:
            found[share["share_name"]].shares.append(share)
    _count_lost(client, wanted, found)
    return found


def _count_lost(client: ErpNextClient, names: list[str], found: dict[str, Additions]) -> None:
    """Count comments, mails and files. They are not given to the new row, since they may quote what
    has become private; Frappe deletes them with the old one."""
    about: Filters = [["reference_doctype", "=", "Event"], ["reference_name", "in", names]]
    comments: Filters = [*about, ["comment_type", "=", "Comment"]]
    mails: Filters = [*about, ["communication_medium", "=", "Email"]]
    files: Filters = [["attached_to_doctype", "=", "Event"], ["attached_to_name", "in", names]]
    for doctype, filters, where, what in (
        ("Comment", comments, "reference_name", "comments"),
        ("Communication", mails, "reference_name", "mails"),
        ("File", files, "attached_to_name", "files"),
    ):
        for row in client.rows(doctype, filters, [where]):
            found[row[where]].lost[what] += 1


def carry_over(access: Access, added: Additions, old: str, new: str) -> None:
    """Give the new row what the old one had; what ERPNext refuses is counted as lost."""
    for what, method, params in _requests(added, new):
        access.before_write()
        try:
            access.client.method(method, params=params)
        except (ErpRefused, ErpForbidden) as error:
            added.lost[what] += 1
            log.warning("%s could not be carried over: %s", what, error.message)
    log.info(
        "an event has become private: its row was made anew, so that its history goes",
        extra={
            "row": old,
            "new_row": new,
            "tags": len(added.tags),
            "lost": dict(added.lost),
            "assignments": len(added.todos),
            "shares": len(added.shares),
        },
    )


def _requests(added: Additions, new: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What each request carries over, its method and its parameters."""
    for tag in added.tags:
        yield "tags", TAG, {"tag": tag, "dt": "Event", "dn": new}
    for share in added.shares:
        params: dict[str, Any] = {flag: int(share.get(flag) or 0) for flag in (*FLAGS, "everyone")}
        params |= {"doctype": "Event", "name": new, "user": share.get("user"), "notify": 0}
        yield "shares", "frappe.share.add", params
    for todo in added.todos:
        # Without its description, which may quote what has become private.
        params = {"doctype": "Event", "name": new, "assign_to": json.dumps([todo["allocated_to"]])}
        params |= {k: str(todo[k]) for k in ("date", "priority") if todo.get(k)}
        yield "assignments", ASSIGN, params
