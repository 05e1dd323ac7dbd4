"""Deleting a document, and all that goes with it: at once, or when a worker has run."""

from __future__ import annotations

import json
from functools import partial

from watcher_sandbox.erpnext import assignments, files, permissions, roles, timeline
from watcher_sandbox.erpnext.catalogue import OLD
from watcher_sandbox.erpnext.db import Row
from watcher_sandbox.erpnext.errors import FrappeError, shown, thrown
from watcher_sandbox.erpnext.site import Site

SILENT = frozenset({"Comment", "Communication", "Deleted Document", "DocShare", "File"})
"""Document types whose deletion leaves no Comment."""
_REFERRING = (
    ("ToDo", "reference_type", "reference_name"),
    ("DocShare", "share_doctype", "share_name"),
    ("Version", "ref_doctype", "docname"),
    ("Comment", "reference_doctype", "reference_name"),
    ("View Log", "reference_doctype", "reference_name"),
    ("Notification Log", "document_type", "document_name"),
)
"""What a worker removes, by document type and name alone."""
_UNLINKED = (
    ("Communication", "reference_doctype", "reference_name"),
    ("Activity Log", "reference_doctype", "reference_name"),
    ("Activity Log", "timeline_doctype", "timeline_name"),
)
"""What stays when its document goes, and only loses the link to it."""

Gone = list[tuple[str, str]]


def delete(site: Site, user: str, doctype: str, name: str) -> None:
    """Delete a document. Raises 404 (with nothing but ``exc_type``) and 403; when the queue is full
    503, and nothing is deleted; when the queue is down 500, after the deletion is committed."""
    with site.transaction():
        if doctype not in site.types and site.frappe == OLD:
            raise FrappeError(404, "DoesNotExistError")
        permissions.known(site, doctype)
        row = site.row(doctype, name)
        if row is None:
            raise FrappeError(404, "DoesNotExistError")
        permissions.require_delete(site, user, doctype, row)
        gone = _remove(site, user, doctype, row)
        if site.overloaded:
            raise overloaded()
    if site.queue_down:
        raise FrappeError(
            500,
            "ConnectionError",
            "Error 111 connecting to 127.0.0.1:11000. Connection refused.",
            module="redis.exceptions.",
        )
    site.background += [partial(clear_up, site, *each) for each in gone]


def overloaded() -> FrappeError:
    """What 16 says when more than 550 jobs wait."""
    text = "Too many queued background jobs (550). Please retry after some time."
    check = shown(
        "System Health check step <strong>Background Jobs</strong> failed: maximum recursion "
        "depth exceeded"
    )
    messages = [{**check, "indicator": "red", "alert": 1}, thrown(text, "Queue Overloaded")]
    return FrappeError(503, "QueueOverloaded", text, messages=messages)


def _remove(site: Site, user: str, doctype: str, row: Row) -> Gone:
    """The row goes, and its JSON stays as a Deleted Document. Returns what a worker has to clear
    up after."""
    gone = _before(site, user, doctype, row)
    site.remove(doctype, row["name"])
    for file in files.attached(site, doctype, row["name"]):
        gone += _remove(site, user, "File", file)
    for link in assignments.tag_links(site, doctype, row["name"]):
        site.remove("Tag Link", link["name"])
    if doctype == "Event":
        site.remove("__global_search", row["name"])
    if doctype != "Deleted Document":
        _bury(site, user, doctype, row)
    if doctype not in SILENT:
        site.make(
            "Comment",
            owner=user,
            comment_type="Deleted",
            comment_email=user,
            reference_doctype=doctype,
            subject=f"{doctype} {row['name']}",
        )
    return [*gone, (doctype, row["name"])]


def _before(site: Site, user: str, doctype: str, row: Row) -> Gone:
    """What Frappe's class of the document type does before the deletion."""
    gone: Gone = []
    if doctype == "Event":
        for each in timeline.communications(site, "Event", row["name"]):
            permissions.require_delete(site, user, "Communication", each)
            gone += _remove(site, user, "Communication", each)
    elif doctype == "Role" and (holder := roles.held_by(site, row["name"])):
        raise _still_held(row["name"], holder)
    elif doctype == "Comment":
        timeline.forget(site, row)
    elif doctype == "DocShare":
        text = f"{site.full_name(row['owner'])} un-shared this document with "
        about = (row["share_doctype"], row["share_name"])
        timeline.note(site, user, *about, "Unshared", text + site.full_name(row["user"]))
    return gone


def _still_held(role: str, user: str) -> FrappeError:
    linked = (
        f'Cannot delete or cancel because Role <a href="/app/Form/Role/{role}">{role}</a> is '
        f'linked with User <a href="/app/Form/User/{user}">{user}</a> '
    )
    text = "You can disable this Role instead of deleting it."
    return FrappeError(417, "LinkExistsError", text, messages=[thrown(linked), thrown(text)])


def _bury(site: Site, user: str, doctype: str, row: Row) -> None:
    fields = site.columns(doctype)
    tables = site.tables(doctype)
    kept = {name: row.get(name) for name in (*fields, *tables)}
    for name, field in site.fields(doctype).items():
        if field.type == "Password" and kept[name]:
            kept[name] = "*" * len(str(kept[name]))
    kept |= {name: row[name] for name in ("_user_tags", "_liked_by") if row.get(name)}
    data = json.dumps(
        {**kept, "doctype": doctype}, indent=1, sort_keys=True, separators=(",", ": ")
    )
    site.make(
        "Deleted Document", owner=user, deleted_doctype=doctype, deleted_name=row["name"], data=data
    )


def clear_up(site: Site, doctype: str, name: str) -> None:
    """The job that a worker runs after a deletion. It knows the document by its name alone: a new
    document that got the name meanwhile loses its shares, Versions and comments too."""
    for kind, by_type, by_name in _REFERRING:
        for row in site.find(kind, **{by_type: doctype, by_name: name}):
            site.remove(kind, row["name"])
    for kind, by_type, by_name in _UNLINKED:
        for row in site.find(kind, **{by_type: doctype, by_name: name}):
            site.put(kind, {**row, by_type: None, by_name: None})
