"""``keys``: list, add, rotate, forget. The keys themselves are never shown."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

import click

from watcher.cli.common import (
    App,
    emit,
    json_option,
    messages,
    pass_app,
    read_settings,
    result,
    show_table,
    yes_option,
)
from watcher.cli.groups import Group
from watcher.cli.later import later
from watcher.errors import NotFound, UserError

with later():
    from rich import progress

    from watcher import services as composed
    from watcher.given import files
    from watcher.ledger import audit
    from watcher.ledger import keys as ledger


@click.group(cls=Group)
def keys() -> None:
    """Encryption keys: the first one encrypts, all decrypt."""


def _services() -> composed.Services:
    """The services, also where a key of the ledger is missing: these commands mend that."""
    return composed.build(read_settings().settings, ledger=composed.Ledger.WITHOUT_KEYS)


@keys.command("list")
@json_option
@pass_app
def list_(app: App) -> None:
    """Key ids and how many secrets of the ledger are under each."""
    services = _services()
    with services.db.reading() as session:
        used = ledger.used(session)
    given = services.keyring.ids
    found = [
        {
            "key": key,
            "secrets": used.get(key, 0),
            "given": key in given,
            "encrypts": key == services.keyring.first,
        }
        for key in [*given, *sorted(set(used) - set(given))]
    ]
    if app.as_json:
        emit(found)
        return
    words = {True: "encrypts", False: "decrypts"}
    rows = [
        (k["key"], k["secrets"], words[bool(k["encrypts"])] if k["given"] else "MISSING")
        for k in found
    ]
    show_table(("key", "secrets", ""), rows, "no keys")


@keys.command("add")
def add() -> None:
    """Make a new key and put it in front of the others in the key file."""
    loaded = read_settings()
    file = loaded.files.get("secret_keys")
    if file is None:
        raise UserError(
            "WATCHER_SECRET_KEYS is not kept in a file of its own",
            next_step="put a new key in front of it, separated by a comma, e.g. from "
            "`openssl rand -base64 48`; or keep the keys in a file: WATCHER_SECRET_KEYS_FILE",
        )
    _write(file, f"{secrets.token_urlsafe(48)},{file.read_text().strip()}\n")
    services = _services()
    audit.about(services.keyring.first)
    result(key=services.keyring.first, file=str(file))
    messages.print(f"key {services.keyring.first} is in front in {file}: keep a copy of the file")
    messages.print("running processes take it up by themselves; next: watcher keys rotate")


def _write(file: Path, text: str) -> None:
    """Replace the file at once, with the mode and the owner of the old one."""
    was = file.stat()
    with files.writing(file):
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=".keys-")
    with os.fdopen(handle, "w") as new:
        new.write(text)
        new.flush()
        os.fsync(new.fileno())
    os.chmod(name, was.st_mode & 0o777)
    if os.geteuid() == 0:
        os.chown(name, was.st_uid, was.st_gid)
    os.replace(name, file)


@keys.command("rotate", short_help="Bring every secret under the first key.")
@json_option
@pass_app
def rotate(app: App) -> None:
    """Bring every secret under the first key; may run beside a working bridge, and be repeated."""
    services = _services()
    ledger.require_known(services.db, services.keyring)
    with progress.Progress(console=messages.console, transient=True) as bar:
        task = bar.add_task("accounts", total=None)
        moved = ledger.rotate(
            services.db,
            services.keyring,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    audit.about(services.keyring.first)
    audit.figures(secrets=moved)
    if app.as_json:
        emit({"moved": moved, "key": services.keyring.first})
    else:
        messages.print(f"{moved} secrets are now under key {services.keyring.first}")
        messages.print("keys that `watcher keys list` shows with 0 secrets may be taken out")


@keys.command("forget", short_help="Give up the secrets under a lost key.")
@click.argument("key")
@yes_option
@pass_app
def forget(app: App, key: str) -> None:
    """Give up the secrets under a key that is lost; those accounts have to connect again."""
    services = _services()
    with services.db.reading() as session:
        count = ledger.used(session).get(key, 0)
    if not count:
        raise NotFound(f"no secret is under key {key}", next_step="watcher keys list")
    app.confirm(f"Drop {count} secrets under key {key}?")
    again = ledger.forget(services.db, key, services.clock())
    result(secrets=count, to_connect_again=list(again))
    for email in again:
        messages.print(f"{email} has to connect again: watcher accounts invite {email}")
    messages.print(f"{count} secrets dropped")
