"""What ``erpnext setup --role`` does, and says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from watcher.cli.common import App, messages
from watcher.cli.later import later
from watcher.errors import UserError, WatcherError

with later():
    from watcher.erpnext import client as rest
    from watcher.erpnext import role as roles
    from watcher.ledger import accounts, states


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """The options of ``erpnext setup``. ``drag`` and ``role`` are None to leave alone what is
    there."""

    connected_app: bool
    desk: str
    drag: str | None
    role: str | None
    admin_key: bool
    dry_run: bool


def telling(app: App) -> Callable[[str], None]:
    """Says each thing when it is done: a setup may take half a minute."""

    def tell(line: str) -> None:
        if not app.as_json:
            messages.print(f"  {line}", soft_wrap=True, markup=False)

    return tell


def refuse(app: App, *, connected_app: bool) -> None:
    """Frappe gives tokens of its Connected App to System Managers alone."""
    whose = _by_desk(app)
    if connected_app or whose:
        about = f"{whose[0]} is" if len(whose) == 1 else f"{len(whose) or 'some'} accounts are"
        raise UserError(
            f"{about} connected by ERPNext's Connected App, whose tokens only a System Manager can "
            "read: the role Watcher is too small for that",
            next_step="connect them by consent or delegation, or leave --role out",
        )


def _by_desk(app: App) -> list[str]:
    try:
        with app.services.db.reading() as session:
            return [
                account.email
                for account in accounts.everyone(session)
                if account.source == "erpnext" and account.state not in states.LEAVING
            ]
    except WatcherError:
        return []  # before there is a ledger nobody is connected


def carry_out(app: App, admin: rest.ErpNextClient, user: str, wanted: Wanted) -> roles.RoleReport:
    """Make the role and give it, or take it back. Asks before roles are taken off that may be a
    person's."""
    tell, dry_run = telling(app), wanted.dry_run
    if wanted.role == "no":
        return roles.take_back(admin, user, tell, dry_run=dry_run)
    taken = roles.would_take(admin, user)
    if not dry_run and set(taken) - {roles.MANAGER}:
        app.confirm(f"{user} has {', '.join(taken)}: take these roles off?")
    return roles.give(admin, user, tell, dry_run=dry_run)


def show(given: roles.RoleReport, *, dry_run: bool) -> None:
    """Tell of the role at the end."""
    if dry_run:
        messages.print("of the role Watcher:" if given.changed else "the role Watcher is as wanted")
    for sentence in given.changed if dry_run else ():
        messages.print(f"  would be so: {sentence}", soft_wrap=True, markup=False)
    for sentence in given.left:
        messages.print(f"  left as it is: {sentence}", soft_wrap=True, markup=False)
    if given.taken and not dry_run:
        messages.print(f"  roles taken off {given.user}: {', '.join(given.taken)}")
        messages.print(
            "  a later setup needs the key of a System Manager: watcher erpnext setup --admin-key",
            soft_wrap=True,
        )


def called(client: rest.ErpNextClient, user: str) -> str:
    """What the API user is, for people."""
    has = client.roles(user)
    if roles.MANAGER in has:
        return roles.MANAGER
    return f"role {roles.ROLE}" if roles.ROLE in has else "roles of its own"
