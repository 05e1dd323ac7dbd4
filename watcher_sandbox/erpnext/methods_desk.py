"""The methods behind the buttons of a form: comment, assign, share, tag, like."""

from __future__ import annotations

from watcher_sandbox.erpnext import assignments, documents, permissions
from watcher_sandbox.erpnext.call import Call, Method, without_nulls
from watcher_sandbox.erpnext.db import Row
from watcher_sandbox.erpnext.errors import refusal, shown
from watcher_sandbox.erpnext.site import Site


def _readable(call: Call, doctype: str, name: str, permission: str = "read") -> Row:
    """Raises 404, 403."""
    row = documents.find(call.site, doctype, name)
    permissions.require_row(call.site, call.user, doctype, row, permission)
    return row


def _share(call: Call) -> Row:
    """Idempotent: one DocShare for each document and user."""
    site, user = call.site, call.user
    doctype, name, whom = call.text("doctype"), call.text("name"), call.text("user")
    with site.transaction():
        _readable(call, doctype, name, "share")
        if site.row("User", whom) is None:
            raise refusal(f"Could not find User: {whom}", "LinkValidationError")
        flags = {each: int(call.params.get(each) or 0) for each in ("write", "share")}
        share = _make_share(site, user, doctype, name, whom, {"read": 1, **flags})
        if int(call.params.get("notify") or 0):
            assignments.tell_of_share(site, user, whom, doctype, name)
        return without_nulls(documents.shown(site, "DocShare", share))


def _make_share(
    site: Site, user: str, doctype: str, name: str, whom: str, flags: dict[str, int]
) -> Row:
    about = {"share_doctype": doctype, "share_name": name, "user": whom}
    found = site.find("DocShare", **about)
    if found:
        share = found[0] | flags
        site.put("DocShare", share)
        return share
    values: Row = {**about, **flags}
    share = site.make("DocShare", owner=user, **values)
    assignments.shared(site, user, share)
    return share


def _add_comment(call: Call) -> Row:
    """Who may read the document may comment on it, whatever their roles say of Comments."""
    names = ("reference_doctype", "reference_name", "content", "comment_email", "comment_by")
    values = {name: call.text(name) for name in names}
    _readable(call, values["reference_doctype"], values["reference_name"])
    row = documents.insert(
        call.site, call.user, "Comment", {**values, "comment_type": "Comment"}, trusted=True
    )
    return without_nulls(row)


def _assign(call: Call) -> list[Row]:
    """A ToDo for each; who may not read the document gets a share."""
    site, doctype, name = call.site, call.text("doctype"), call.text("name")
    already, shared = [], []
    with site.transaction():
        for whom in call.value("assign_to") or []:
            row = _readable(call, doctype, name)
            mine = [todo["allocated_to"] for todo in _open(site, doctype, name)]
            if whom in mine:
                already.append(whom)
                continue
            _assign_one(call, doctype, name, whom)
            if not permissions.may(site, whom, doctype, row):
                _make_share(site, call.user, doctype, name, whom, {"read": 1})
                shared.append(whom)
    if shared:
        text = "Shared with the following Users with Read access:"
        call.messages.append(shown(f"{text}<br><br>{'<br>'.join(shared)}"))
    if already:
        text = "Already in the following Users ToDo list:"
        call.messages.append(shown(f"{text}<br><br>{'<br>'.join(already)}"))
    return _assigned(site, doctype, name)


def _assign_one(call: Call, doctype: str, name: str, whom: str) -> None:
    given = str(call.params.get("description") or "")
    text = assignments.described(call.site, given, doctype, name)
    body = {
        "allocated_to": whom,
        "reference_type": doctype,
        "reference_name": name,
        "description": text,
        "priority": call.params.get("priority", "Medium"),
        "assigned_by": call.user,
    }
    todo = documents.insert(call.site, call.user, "ToDo", body, trusted=True)
    assignments.notify(call.site, call.user, whom, todo, new=True, text=text)


def _unassign(call: Call) -> list[Row]:
    """The ToDo stays, and is Cancelled."""
    site, doctype, name = call.site, call.text("doctype"), call.text("name")
    whom = call.text("assign_to")
    with site.transaction():
        _readable(call, doctype, name)
        for todo in _open(site, doctype, name):
            if todo["allocated_to"] == whom:
                change = {"status": "Cancelled"}
                documents.update(site, call.user, "ToDo", todo["name"], change, trusted=True)
                assignments.notify(site, call.user, whom, todo, new=False)
                break
    return _assigned(site, doctype, name)


def _open(site: Site, doctype: str, name: str) -> list[Row]:
    return assignments.open_todos(site, doctype, name)


def _assigned(site: Site, doctype: str, name: str) -> list[Row]:
    found = _open(site, doctype, name)
    return [{"owner": todo["allocated_to"], "name": todo["name"]} for todo in found]


def _add_tag(call: Call) -> str:
    tag, doctype, name = call.text("tag"), call.text("dt"), call.text("dn")
    with call.site.transaction():
        _readable(call, doctype, name, "write")
        tags = assignments.tags_of(call.site, doctype, name)
        if tag not in tags:
            assignments.set_tags(call.site, call.user, doctype, name, [*tags, tag])
    return tag


def _remove_tag(call: Call) -> None:
    tag, doctype, name = call.text("tag"), call.text("dt"), call.text("dn")
    with call.site.transaction():
        _readable(call, doctype, name, "write")
        tags = assignments.tags_of(call.site, doctype, name)
        kept = [each for each in tags if each.casefold() != tag.casefold()]
        assignments.set_tags(call.site, call.user, doctype, name, kept)


def _like(call: Call) -> None:
    doctype, name = call.text("doctype"), call.text("name")
    with call.site.transaction():
        _readable(call, doctype, name)
        assignments.like(call.site, call.user, doctype, name, call.params.get("add") == "Yes")


METHODS: dict[str, Method] = {
    "frappe.desk.doctype.tag.tag.add_tag": _add_tag,
    "frappe.desk.doctype.tag.tag.remove_tag": _remove_tag,
    "frappe.desk.form.assign_to.add": _assign,
    "frappe.desk.form.assign_to.remove": _unassign,
    "frappe.desk.form.utils.add_comment": _add_comment,
    "frappe.desk.like.toggle_like": _like,
    "frappe.share.add": _share,
}
PRIVATE = frozenset({"frappe.desk.form.assign_to.get"})
"""Functions that are there and no address reaches: 403."""
