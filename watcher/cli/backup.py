"""``backup`` and ``restore`` of the ledger."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from watcher.cli.common import App, emit, json_option, messages, pass_app, yes_option
from watcher.cli.later import later
from watcher.errors import UserError

with later():
    from watcher import settings as declared
    from watcher.ledger import backup as copies
    from watcher.ledger import db as databases
    from watcher.ledger import keys as ledger_keys
    from watcher.ledger import restored
    from watcher.ledger import secrets as keyrings

DAYS = 14


@click.command(short_help="Copy the ledger while it is in use.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--keep-days",
    type=click.IntRange(1),
    default=DAYS,
    show_default=True,
    envvar="KEEP_DAYS",
    help="Older backups in FOLDER are deleted.",
)
@json_option
@pass_app
def backup(app: App, folder: Path, keep_days: int) -> None:
    """Write a copy of the ledger into FOLDER, check it, and print its name.

    The encryption keys are not in it: keep a copy of them elsewhere. Without them nobody can read
    the tokens in the copy, and with both anybody can.
    """
    now = datetime.now(UTC)
    made = copies.take(app.loaded.settings, folder, now)
    gone = copies.prune(folder, keep_days, now)
    if app.as_json:
        emit(
            {
                "file": str(made.file),
                "bytes": made.size,
                "revision": made.revision or None,
                "keys": None if made.keys is None else list(made.keys),
                "deleted": [str(file) for file in gone],
            }
        )
        return
    click.echo(str(made.file))
    messages.print(f"keep a copy of {_keys_of(app.loaded)} elsewhere: it is not in the backup")


def _keys_of(loaded: declared.Loaded) -> str:
    file = loaded.files.get("secret_keys")
    return str(file) if file is not None else "WATCHER_SECRET_KEYS"


@click.command(short_help="Put a backup of the ledger in its place.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--keys-lost", is_flag=True, help="Also where a key of its secrets is lost.")
@yes_option
@json_option
@pass_app
def restore(app: App, file: Path, keys_lost: bool) -> None:
    """Put the backup FILE in the ledger's place; Watcher has to be stopped.

    The ledger that is there now is kept beside it. After the start every calendar is read in full
    once and gets a new channel; nothing is doubled in ERPNext.
    """
    settings, now = app.loaded.settings, datetime.now(UTC)
    found = copies.examine(file)
    keyring = keyrings.Keyring.of(settings)
    if not keys_lost:
        _require_keys(found, keyring)
    restored.refuse_running(settings, now)
    app.confirm(f"Put {file} in the place of the ledger?")
    ended = restored.ended_since(settings)
    kept = copies.put_back(settings, file, now)
    db = databases.Database(settings.ledger_url)
    try:
        db.migrate()
        done = restored.begin_anew(db, ended, now)
        if not keys_lost:  # of a dump it is known only now
            ledger_keys.require_known(db, keyring)
    finally:
        db.dispose()
    if app.as_json:
        emit(
            {
                "file": str(file),
                "accounts": done.accounts,
                "calendars": done.calendars,
                "replaced": kept or None,
                "active_again": list(done.again),
            }
        )
        return
    _tell(done, kept)


def _require_keys(found: copies.Backup, keyring: keyrings.Keyring) -> None:
    """Raises ``UserError`` before anything is replaced."""
    missing = sorted(set(found.keys or ()) - set(keyring.ids))
    if missing:
        raise UserError(
            f"the secrets in {found.file} are under keys that WATCHER_SECRET_KEYS does not have: "
            f"{', '.join(missing)}",
            next_step="put the key that was kept with the backup behind yours, separated by a "
            "comma; if it is lost: --keys-lost, then `watcher keys forget KEY`",
        )


def _tell(done: restored.Restored, kept: str) -> None:
    messages.print(f"restored: {done.accounts} active accounts, {done.calendars} calendars")
    if kept:
        messages.print(f"the ledger that was there is kept: {kept}", markup=False)
    for email in done.again:
        messages.print(
            f"{email} had been paused or disconnected since, and is active again: "
            f"`watcher accounts disconnect {email}`, or pause it, before you start",
            markup=False,
        )
    messages.print(
        "start Watcher now: it reads every calendar in full once and opens new channels, as many a "
        "minute as WATCHER_RENEW_PER_MINUTE allows; until then changes may arrive late"
    )
