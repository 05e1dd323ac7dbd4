"""ERPNext: what the API user may do, one by one, and what it may beyond need."""

from __future__ import annotations

from functools import partial

from watcher.doctor import say
from watcher.doctor.case import Case
from watcher.erpnext import role
from watcher.erpnext.errors import RowGone
from watcher.errors import ErpForbidden, WatcherError
from watcher.ledger import accounts

NEEDED = (
    ("Event", ("read", "write", "create", "delete", "share")),
    ("ToDo", ("create", "write")),
    ("User", ("read",)),
    ("Deleted Document", ("delete",)),
)
"""What Watcher does in ERPNext, by document type. Deleted Documents: what has become private is
taken out of ERPNext's own history."""
VERBS = {
    "read": say.sentence("read"),
    "write": say.sentence("write"),
    "create": say.sentence("create"),
    "delete": say.sentence("delete"),
    "share": say.sentence("share"),
}
_ERASED = tuple(each for each in role.GRANTS if each not in {"Employee", *dict(NEEDED)})
_GIVE = "watcher erpnext setup --role yes --admin-key"
_ENOUGH = frozenset({role.MANAGER, role.ROLE, role.READS_MAIL})
"""Roles that Watcher has a use for."""
_BY_FRAPPE = frozenset({"Desk User", "All", "Guest"})


def may(doctype: str, permission: str, case: Case) -> say.Finding:
    """One permission of the API user."""
    client = case.erpnext()
    try:
        allowed = client.may(permission, doctype)
    except (RowGone, ErpForbidden):
        return say.skip(say.sentence("the site has no %(doctype)s", doctype=say.Given(doctype)))
    what = VERBS[permission]
    if allowed:
        said = say.sentence(
            "the API user may %(verb)s %(doctype)s", verb=what, doctype=say.Given(doctype)
        )
        return say.ok(said)
    return say.denied(
        say.sentence(
            "the API user may not %(verb)s %(doctype)s", verb=what, doctype=say.Given(doctype)
        ),
        say.sentence(
            "%(command)s; or in ERPNext's Role Permissions Manager give a role of %(user)s "
            "%(verb)s on %(doctype)s",
            command=_GIVE,
            user=client.whoami(),
            verb=what,
            doctype=say.Given(doctype),
        ),
    )


def rights(case: Case) -> say.Finding:
    """Which role the API user has, and what it has beyond what Watcher has a use for."""
    client = case.erpnext()
    name = client.whoami()
    try:
        roles = client.roles(name) - _BY_FRAPPE
    except ErpForbidden:
        return say.skip(say.sentence("the API user may not see its own roles"))
    more = sorted(roles - _ENOUGH - {"HR User"})
    if more:
        return say.warn(
            say.sentence(
                "%(user)s has more roles than Watcher needs: %(roles)s",
                user=name,
                roles=say.listed(map(say.Given, more)),
            ),
            say.sentence(
                "take them off in ERPNext: %(site)s/app/user/%(user)s",
                site=case.settings.erpnext_url,
                user=name,
            ),
        )
    if role.ROLE in roles and role.MANAGER not in roles:
        return say.ok(
            say.sentence(
                "%(user)s has the role %(role)s alone", user=name, role=say.Given(role.ROLE)
            )
        )
    if role.MANAGER not in roles:
        return say.ok(say.sentence("%(user)s has no roles beyond need", user=name))
    if _desk_tokens(case):
        return say.ok(
            say.sentence(
                "%(user)s is System Manager, which reading the Connected App's tokens takes",
                user=name,
            )
        )
    return say.warn(
        say.sentence("%(user)s is System Manager, which is far more than Watcher needs", user=name),
        "watcher erpnext setup --role yes",
    )


def erasing(case: Case) -> say.Finding:
    """All rights that it takes to find and erase what ERPNext keeps of an event that has become
    private. Without one of them, what stays readable there would be found by nobody."""
    client = case.erpnext()
    lacking = [
        say.sentence("%(verb)s %(doctype)s", verb=VERBS[word], doctype=say.Given(doctype))
        for doctype, word in role.lacking(client, _ERASED)
    ]
    if not client.roles(client.whoami()) & role.SEES_MAIL:
        lacking.append(say.sentence("see mails about an event"))
    if lacking:
        return say.denied(
            say.sentence(
                "what becomes private would stay readable in ERPNext's history: the API user may "
                "not %(lacking)s",
                lacking=say.listed(lacking),
            ),
            _GIVE,
        )
    return say.ok(say.sentence("what becomes private can be taken out of ERPNext's history"))


def _desk_tokens(case: Case) -> bool:
    """Whether anybody is connected by ERPNext's Connected App."""
    try:
        with case.made.db.reading() as session:
            return any(each.source == "erpnext" for each in accounts.everyone(session))
    except WatcherError:
        return False


PERMISSIONS = {
    f"erpnext.may.{permission}.{doctype.lower().replace(' ', '_')}": partial(
        may, doctype, permission
    )
    for doctype, permissions in NEEDED
    for permission in permissions
}
"""A check for each permission, by its name."""
