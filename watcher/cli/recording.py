"""Which commands change something, and that each of those is in the audit trail.

``COMMANDS`` names every command. A command that only looks has None; any other has the word that
the audit trail knows it by, and which of its parameters it is about. ``record_acts`` wraps it: a
row is written however it ends (``watcher.ledger.audit.attempt``).
"""

from __future__ import annotations

import functools
import os
import pwd
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import click

from watcher.cli.common import messages, read_settings
from watcher.cli.later import later
from watcher.errors import WatcherError
from watcher.ledger.acts import What

with later():
    from watcher import services as composed
    from watcher.ledger import audit
    from watcher.ledger import db as database


@dataclass(frozen=True, slots=True)
class Change:
    """``subject`` names the parameters that say what it is about; ``unless`` is a flag with which
    the command only looks."""

    what: What
    subject: tuple[str, ...] = ()
    unless: str = ""


_WHOSE = ("emails", "everyone")
COMMANDS: Mapping[str, Change | None] = {
    "init": Change(What.INSTALLATION_INIT),
    "config show": None,
    "config validate": None,
    "version": None,
    "completion": None,
    "doctor": None,
    # What the processes do of themselves they record themselves.
    "up": None,
    "web": None,
    "worker": None,
    "cron": None,
    "erpnext setup": Change(What.ERPNEXT_SETUP, unless="dry_run"),
    "accounts add": Change(What.ACCOUNT_ADD, ("email",)),
    "accounts invite": Change(What.ACCOUNT_INVITE, ("emails", "source")),
    "accounts import": Change(What.ACCOUNT_IMPORT, ("source",)),
    "accounts list": None,
    "accounts show": None,
    "accounts set": Change(What.ACCOUNT_SET, ("email",)),
    "accounts pause": Change(What.ACCOUNT_PAUSE, ("email",)),
    "accounts resume": Change(What.ACCOUNT_RESUME, ("email", "everyone")),
    "accounts disconnect": Change(What.ACCOUNT_DISCONNECT, ("email",)),
    "calendars list": None,
    "calendars find": None,
    "calendars add": Change(What.CALENDAR_ADD, ("email", "calendar_id")),
    "calendars remove": Change(What.CALENDAR_REMOVE, ("email", "calendar_id")),
    "channels list": None,
    "channels renew": Change(What.CHANNEL_RENEW, _WHOSE),
    "channels stop": Change(What.CHANNEL_STOP, ("email",)),
    "tokens list": None,
    "tokens renew": Change(What.TOKEN_RENEW, _WHOSE),
    "resync": Change(What.CALENDAR_RESYNC, (*_WHOSE, "only"), unless="dry_run"),
    "verify": None,
    "explain": None,
    "status": None,
    "audit": None,
    "queue show": None,
    "queue retry": Change(What.QUEUE_RETRY),
    "queue leave": Change(What.EVENT_LEAVE, ("email", "event", "cause")),
    "queue take-up": Change(What.EVENT_TAKE_UP, ("email", "event", "cause")),
    "keys list": None,
    "keys add": Change(What.KEY_ADD),
    "keys rotate": Change(What.KEY_ROTATE),
    "keys forget": Change(What.KEY_FORGET, ("key",)),
    "backup": Change(What.LEDGER_BACKUP, ("folder",)),
    "restore": Change(What.LEDGER_RESTORE, ("file",)),
    "uninstall": Change(What.INSTALLATION_REMOVE, unless="dry_run"),
    "notify test": Change(What.NOTICE_TEST),
    "notify list": None,
    "sandbox google": None,
    "sandbox erpnext": None,
    "demo": None,
}


def record_acts(command: click.Command, path: str) -> None:
    """Wrap the command of this path, and those below it, where they change something. Raises
    ``KeyError`` for one that ``COMMANDS`` does not name."""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            record_acts(below, f"{path} {name}")
        return
    change = COMMANDS[path]
    if change is not None:
        assert command.callback is not None
        command.callback = _recorded(command.callback, change)


def _recorded(function: Callable[..., Any], change: Change) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*args: Any, **named: Any) -> Any:
        if change.unless and named.get(change.unless):
            return function(*args, **named)
        subject = _subject(change, named)
        with audit.acting(_actor()), audit.attempt(change.what, write, subject):
            return _ended(function, args, named)

    return run


def _ended(function: Callable[..., Any], args: Any, named: Any) -> Any:
    try:
        code = function(*args, **named)
    except click.Abort:  # the question was answered by no
        audit.nothing()
        raise
    audit.ended(code)
    return code


def _subject(change: Change, named: Mapping[str, Any]) -> str:
    given = (named.get(name) for name in change.subject)
    words = {True: "all", False: "", None: ""}
    return " ".join(
        " ".join(each) if isinstance(each, tuple) else words.get(each, str(each))
        for each in given
        if each
    )


def _actor() -> audit.Actor:
    """The user of the operating system who runs the command. Who came by sudo is only said by the
    environment, so it stands behind the user that the system knows."""
    number = os.geteuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:  # as in a container that runs as a number
        name = str(number)
    by_sudo = os.environ.get("SUDO_USER", "")
    who = f"os:{name} (sudo by {by_sudo[:80]})" if by_sudo else f"os:{name}"
    return audit.Actor(who, f"cli {audit.here()}")


def write(act: audit.Act) -> None:
    """Write a row for which the command has no transaction of its own. Raises nothing: the command
    has ended by now, and how it ended is what counts."""
    try:
        _write(act)
    except WatcherError as error:
        # Of a failure the error itself is told; and what `init` makes need not be a ledger.
        if not act.cause and act.what != What.INSTALLATION_INIT:
            messages.print(f"not in the audit trail: {error.message}", markup=False)


def _write(act: audit.Act) -> None:
    db = database.Database(read_settings().settings.ledger_url)
    try:
        revision, is_newest = db.form()
        if revision is None:
            raise WatcherError("there is no ledger yet")
        if not is_newest:
            raise WatcherError("the ledger is an older version's; the next start brings it up")
        with db.session() as session:
            audit.record(session, act, composed.utc_now())
    finally:
        db.dispose()
