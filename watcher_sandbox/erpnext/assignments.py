"""Assignments, shares, tags and likes of a document, and what each leaves beside it."""

from __future__ import annotations

import json
from html import escape

from watcher_sandbox.erpnext import timeline
from watcher_sandbox.erpnext.catalogue import OLD
from watcher_sandbox.erpnext.db import Row
from watcher_sandbox.erpnext.site import Site

_OVER = ("Cancelled", "Closed")


# --- ToDo ---------------------------------------------------------------------------------------


def assigned(site: Site, user: str, before: Row | None, todo: Row) -> None:
    """After a ToDo was saved: its document says whose it is, in ``_assign`` and in a Comment."""
    if not todo["reference_type"] or not todo["reference_name"]:
        return
    about = (todo["reference_type"], todo["reference_name"])
    whom = site.full_name(todo["allocated_to"] or user)
    if before is None:
        who = site.full_name(todo["assigned_by"] or user)
        text = f"{who} assigned {whom}: {todo['description']}"
        if todo["assigned_by"] == todo["allocated_to"]:
            text = f"{who} self assigned this task: {todo['description']}"
        timeline.note(site, user, *about, "Assigned", text)
    elif before["status"] != todo["status"]:
        text = f"Assignment of {whom} removed by {site.full_name(user)}"
        if todo["allocated_to"] == user:
            text = f"{site.full_name(user)} removed their assignment."
        timeline.note(site, user, *about, "Assignment Completed", text)
    recount(site, *about)


def recount(site: Site, doctype: str, name: str) -> None:
    """``_assign``: whose open ToDos point here, the oldest first."""
    whose = [todo["allocated_to"] for todo in open_todos(site, doctype, name)]
    site.set_column(doctype, name, "_assign", json.dumps(whose) if whose else "")


def open_todos(site: Site, doctype: str, name: str) -> list[Row]:
    here = site.find("ToDo", reference_type=doctype, reference_name=name)
    found = [todo for todo in here if todo["status"] not in _OVER and todo["allocated_to"]]
    return sorted(found, key=lambda todo: str(todo["creation"]))


# --- Notification Log ---------------------------------------------------------------------------


def notify(site: Site, user: str, whom: str, todo: Row, *, new: bool, text: str = "") -> None:
    """Queue a notification for a worker to write; it keeps the title that the document has now."""
    doctype, name = todo["reference_type"], todo["reference_name"]
    if todo["assigned_by"] == whom:
        return
    title = f'<b class="subject-title">{_title(site, doctype, name)}</b>'
    who = f"<strong>{site.full_name(user)}</strong>"
    subject = f"{who} assigned a new task <strong>{doctype}</strong> {title} to you"
    if not new:
        subject = f"Your assignment on <strong>{doctype}</strong> {title} has been removed by {who}"
    _tell(site, user, whom, "Assignment", doctype, name, subject, text)


def _tell(
    site: Site, user: str, whom: str, kind: str, doctype: str, name: str, subject: str, text: str
) -> None:
    if user == whom:
        return
    values = {
        "type": kind,
        "document_type": doctype,
        "document_name": name,
        "subject": subject,
        "from_user": user,
        "for_user": whom,
        "email_content": f"<div>{text}</div>" if text else None,
    }

    def job() -> None:
        site.make("Notification Log", owner=user, **values)

    site.background.append(job)


def tell_of_share(site: Site, user: str, whom: str, doctype: str, name: str) -> None:
    """``frappe.share.add`` with ``notify``."""
    title = f'<b class="subject-title">{_title(site, doctype, name)}</b>'
    who = f"<strong>{site.full_name(user)}</strong>"
    subject = f"{who} shared a document <strong>{doctype}</strong> {title} with you"
    _tell(site, user, whom, "Share", doctype, name, subject, "")


def _title(site: Site, doctype: str, name: str) -> str:
    row = site.row(doctype, name) or {}
    return str(row.get("subject") or name)


def shared(site: Site, user: str, share: Row) -> None:
    """After a DocShare was made."""
    who, whom = site.full_name(user), "everyone"
    if not share["everyone"]:
        whom = site.full_name(str(share["user"]))
    text = f"{who} shared this document with {whom}"
    timeline.note(site, user, share["share_doctype"], share["share_name"], "Shared", text)


# --- tags and likes -----------------------------------------------------------------------------


def tags_of(site: Site, doctype: str, name: str) -> list[str]:
    row = site.row(doctype, name) or {}
    return str(row.get("_user_tags") or "").strip().split(",")


def set_tags(site: Site, user: str, doctype: str, name: str, tags: list[str]) -> None:
    """``_user_tags``, and a Tag Link for each, which keeps the title that the document had."""
    wanted = list(dict.fromkeys(filter(None, tags)))
    lead = "," if site.frappe == OLD else ""
    site.set_column(doctype, name, "_user_tags", lead + ",".join(wanted))
    have = {row["tag"]: row["name"] for row in tag_links(site, doctype, name)}
    for tag in wanted:
        if site.row("Tag", tag) is None:
            site.make("Tag", tag, owner=user)
        if tag not in have:
            title = _title(site, doctype, name)
            site.make(
                "Tag Link",
                owner=user,
                document_type=doctype,
                document_name=name,
                tag=tag,
                title=title,
            )
    for tag, row in have.items():
        if tag not in wanted:
            site.remove("Tag Link", row)


def tag_links(site: Site, doctype: str, name: str) -> list[Row]:
    return site.find("Tag Link", document_type=doctype, document_name=name)


def like(site: Site, user: str, doctype: str, name: str, add: bool) -> None:
    row = site.row(doctype, name) or {}
    likers = [each for each in json.loads(row.get("_liked_by") or "[]") if each != user]
    if add:
        likers.append(user)
        timeline.note(site, user, doctype, name, "Like", "Liked")
    site.set_column(doctype, name, "_liked_by", json.dumps(likers))


def described(site: Site, text: str, doctype: str, name: str) -> str:
    """A ToDo's description: 15 escapes what was given, 16 takes HTML."""
    if site.frappe == OLD:
        return escape(text) if text else f"Assignment for {doctype} {name}"
    return text or f"Assignment for {doctype} {name}"
