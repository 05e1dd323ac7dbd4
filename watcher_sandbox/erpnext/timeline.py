"""What a document's timeline shows beside its Versions: Comments, and the Communications that an
Event with participants makes."""

from __future__ import annotations

import json
from typing import Any

from watcher_sandbox.erpnext import versions
from watcher_sandbox.erpnext.db import Row
from watcher_sandbox.erpnext.sanitise import without_tags
from watcher_sandbox.erpnext.site import Site

IN_TIMELINE = frozenset({"Contact"})
"""Document types whose timeline shows the Events that they take part in."""
_MEDIUM = {"Call": "Phone", "Sent/Received Email": "Email", "Meeting": "Meeting", "Other": "Other"}
_KEPT_COMMENTS = 100
_CUT = 97


def note(site: Site, user: str, doctype: str, name: str, kind: str, text: str) -> None:
    """A Comment that Frappe writes by itself: "Assigned", "Shared", "Like"..."""
    site.make(
        "Comment",
        owner=user,
        comment_type=kind,
        comment_email=user,
        reference_doctype=doctype,
        reference_name=name,
        content=text,
    )


# --- ``_comments``: what lists show of comments -------------------------------------------------


def remember(site: Site, row: Row) -> None:
    """A Comment or Communication stands in ``_comments`` of its document too, cut short."""
    text = row["content"]
    if row.get("comment_type", "Comment") != "Comment" or not text:
        return
    entry = {"comment": text if len(text) <= 100 else f"{text[:_CUT]}...", "by": row["owner"]}
    kept = _comments(site, row)
    for each in kept:
        if each["name"] == row["name"]:
            each["comment"] = entry["comment"]
            break
    else:
        kept.append({**entry, "name": row["name"]})
    _keep(site, row, kept)


def forget(site: Site, row: Row) -> None:
    """A Comment is about to be deleted."""
    _keep(site, row, [each for each in _comments(site, row) if each["name"] != row["name"]])


def _comments(site: Site, row: Row) -> list[dict[str, Any]]:
    doctype, name = row["reference_doctype"], row["reference_name"]
    about = site.row(doctype, name) if doctype in site.types and name else None
    found = json.loads((about or {}).get("_comments") or "[]")
    return list(found)


def _keep(site: Site, row: Row, entries: list[dict[str, Any]]) -> None:
    text = json.dumps(entries[-_KEPT_COMMENTS:])
    site.set_column(row["reference_doctype"], row["reference_name"], "_comments", text)


# --- Communications of an Event -----------------------------------------------------------------


def communications(site: Site, doctype: str, name: str) -> list[Row]:
    """Those that belong to this document."""
    return site.find("Communication", reference_doctype=doctype, reference_name=name)


def follow(site: Site, user: str, event: Row) -> None:
    """After a save: each participant's Communication gets the Event's title and text, and a
    Contact that has none yet gets one. Who is no participant any more keeps theirs."""
    for one in event.get("event_participants", []):
        link = (one["reference_doctype"], one["reference_docname"])
        found = [each for each in communications(site, "Event", event["name"]) if _has(each, link)]
        for each in found:
            _rewrite(site, user, event, each, link)
        if not found and link[0] in IN_TIMELINE:
            _begin(site, user, event, link)


def _has(communication: Row, link: tuple[str, str]) -> bool:
    links = communication["timeline_links"]
    return link in [(each["link_doctype"], each["link_name"]) for each in links]


def _begin(site: Site, user: str, event: Row, link: tuple[str, str]) -> None:
    name = site.next_name("Communication")
    row = site.make("Communication", name, owner=user, user=user, **_said(site, event))
    row["timeline_links"] = [_link(site, row, link, 1)]
    site.put("Communication", row)
    remember(site, row)


def _rewrite(site: Site, user: str, event: Row, row: Row, link: tuple[str, str]) -> None:
    """Frappe adds the same link once more each time; and the old text stays in a Version."""
    links = row["timeline_links"]
    own = {"modified": site.now(), "modified_by": user}
    new = {**row, **_said(site, event), **own}
    new["timeline_links"] = [*links, _link(site, row, link, len(links) + 1)]
    site.put("Communication", new)
    site.set_column("Communication", row["name"], "_seen", json.dumps([user]))
    versions.write(site, user, "Communication", row, new)
    remember(site, new)


def _said(site: Site, event: Row) -> Row:
    return {
        "subject": event["subject"],
        "content": event["description"] or event["subject"],
        "communication_date": event["starts_on"],
        "communication_medium": _MEDIUM.get(event["event_category"], "Event"),
        "sender": event["owner"],
        "sender_full_name": site.full_name(event["owner"]),
        "reference_doctype": "Event",
        "reference_name": event["name"],
        "reference_owner": event["owner"],
        "status": "Linked",
    }


def _link(site: Site, row: Row, link: tuple[str, str], number: int) -> Row:
    return {
        "name": site.next_name("Communication Link"),
        "idx": number,
        "link_doctype": link[0],
        "link_name": link[1],
        "link_title": None,
        "parent": row["name"],
        "parentfield": "timeline_links",
        "parenttype": "Communication",
        "doctype": "Communication Link",
    }


# --- the search over all documents --------------------------------------------------------------


def index(site: Site, event: Row) -> None:
    """Title and text go to the queue of Frappe's global search, which writes them into a table of
    its own a quarter of an hour later, whatever became of the Event meanwhile."""
    found = (("Subject", "subject"), ("Description", "description"), ("Repeat On", "repeat_on"))
    content = " ||| ".join(
        f"{label} : {without_tags(event[name])}" for label, name in found if event.get(name)
    )
    site.search_queue.append((event["name"], event["subject"], content))
