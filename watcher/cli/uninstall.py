"""``uninstall``: take an installation out of Google and ERPNext, and say what stays."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from watcher import errors
from watcher.cli import admin_key
from watcher.cli.common import App, emit, json_option, messages, pass_app, progress_bar, yes_option
from watcher.cli.later import later

with later():
    from rich import progress

    from watcher import settings as declared
    from watcher.accounts import uninstall as removing
    from watcher.erpnext import client as rest
    from watcher.ledger import audit
    from watcher.ledger import removal as last

KEEP_OR_DELETE = click.Choice(["keep", "delete"])
UNITS = Path("/etc/systemd/system")
LINK = Path("/usr/local/bin/watcher")
"""To the program, so that sudo finds it (deploy/README.md)."""
FOREIGN_SHOWN = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """The options."""

    rows: str
    fields: str
    admin_key: bool
    data: bool
    dry_run: bool

    @property
    def choices(self) -> removing.Choices:
        return removing.Choices(rows=self.rows, fields=self.fields)


@click.command(short_help="Take Watcher out of Google and ERPNext again.")
@click.option(
    "--rows",
    type=KEEP_OR_DELETE,
    default="keep",
    show_default=True,
    help="What becomes of the mirrored events in ERPNext.",
)
@click.option(
    "--fields",
    type=KEEP_OR_DELETE,
    default="keep",
    show_default=True,
    help="What becomes of Watcher's custom fields, Connected App and role in ERPNext.",
)
@click.option(
    "--admin-key",
    is_flag=True,
    help=f"Ask for the API key of a System Manager for this once; or {admin_key.NAME}=KEY:SECRET.",
)
@click.option("--data", is_flag=True, help="Also delete the ledger, the queue and the keys here.")
@click.option(
    "--dry-run", is_flag=True, help="Show what would be done, with figures, and do nothing."
)
@yes_option
@json_option
@pass_app
def uninstall(app: App, /, **chosen: Any) -> int:
    """End every channel and permission at Google, and take out of ERPNext what you choose.

    Watcher has to be stopped, except for --dry-run. Shows what it will do, and asks. If it broke
    off, or something was left over, run it again: it goes on where it was.
    """
    wanted = Wanted(**chosen)
    settings = app.loaded.settings
    if wanted.data and not wanted.dry_run and not last.is_there(settings):
        return _rest(app)
    admin = _admin(app, wanted)
    found = removing.look(app.services, admin)
    if not app.as_json:
        _tell_plan(app, found, wanted)
    if wanted.dry_run:
        if app.as_json:
            emit(_document(found, wanted, None) | {"dry_run": True, "code": 0})
        return errors.ExitCode.OK
    removing.require_stopped(app.services)
    app.confirm("Do all of this?")
    with _shown(app) as told:
        outcome = removing.Uninstall(app.services, wanted.choices, told, admin).run()
    audit.figures(**outcome.done, left=len(outcome.left))
    return _end(app, found, wanted, outcome)


def _admin(app: App, wanted: Wanted) -> rest.ErpNextClient | None:
    """None where nobody has given a key for this once."""
    if not wanted.admin_key and admin_key.NAME not in os.environ:
        return None
    return admin_key.chosen(app, app.services.erpnext, asked=wanted.admin_key)


def _end(app: App, found: removing.Found, wanted: Wanted, outcome: removing.Outcome) -> int:
    """The last step, if nothing is left of those before; and what is said of all of it."""
    gone: Sequence[Path] = []
    if wanted.data and not outcome.left:
        app.services.db.dispose()
        gone = _delete_files(app, outcome.left)
    code = errors.ExitCode.PARTLY if outcome.left else errors.ExitCode.OK
    if app.as_json:
        document = _document(found, wanted, outcome) | {"deleted": [str(path) for path in gone]}
        emit(document | {"by_hand": _by_hand(app, found), "dry_run": False, "code": code})
    else:
        _tell_outcome(outcome, gone, wanted)
        _tell_rest(app, found)
    return code


def _delete_files(app: App, left: list[removing.Left]) -> Sequence[Path]:
    """The ledger, the queue, the keys. What this user may not delete is left."""
    removed = last.remove(app.loaded.settings, _keys(app.loaded))
    for path, why in removed.stay.items():
        left.append(removing.Left(str(path), why, f"sudo rm -r {path}"))
    audit.nothing()  # the trail is gone with the ledger
    return removed.gone


def _rest(app: App) -> int:
    """The ledger is gone already: of a run that broke off at the end only files are left."""
    app.confirm(
        f"There is no ledger any more. Delete the files left in {app.loaded.settings.data_dir}?"
    )
    left: list[removing.Left] = []
    gone = _delete_files(app, left)
    code = errors.ExitCode.PARTLY if left else errors.ExitCode.OK
    if app.as_json:
        told = {"deleted": [str(path) for path in gone], "left": _left(left)}
        emit(told | {"dry_run": False, "code": code})
    else:
        _tell_left(left)
        _tell_gone(gone)
    return code


def _keys(loaded: declared.Loaded) -> tuple[Path, ...]:
    """The file of the encryption keys, where it is not among those of the data directory: without
    the ledger it opens nothing."""
    file = loaded.files.get("secret_keys")
    among = file is not None and file.resolve() in (
        path.resolve() for path in last.files(loaded.settings)
    )
    return () if file is None or among else (file,)


def _document(
    found: removing.Found, wanted: Wanted, outcome: removing.Outcome | None
) -> dict[str, Any]:
    site = found.erpnext
    document: dict[str, Any] = {
        "choices": asdict(wanted.choices),
        "found": {
            "accounts": len(found.accounts),
            "channels": found.channels,
            "consented": found.consented,
            "in_desk": found.in_desk,
            "delegated": found.delegated,
            "todos": found.todos,
            "rows": len(site.rows) if site else None,
            "rows_of_others": sum(site.foreign.values()) if site else None,
            "fields": site.fields if site else None,
            "desk": site.desk if site else None,
            "connected_app": site.app if site else None,
            "role": site.role if site else None,
            "authorisations": len(site.authorised) if site else None,
            "erpnext_error": found.why or (site.refused if site else ""),
        },
    }
    if outcome is not None:
        document["done"] = outcome.done
        document["left"] = _left(outcome.left)
    return document


def _left(left: Sequence[removing.Left]) -> list[dict[str, str]]:
    return [{"what": e.what, "message": e.why, "next_step": e.step} for e in left]


# --- for people ---------------------------------------------------------------------------------


def _say(text: str) -> None:
    messages.print(text, markup=False)


def _tell_plan(app: App, found: removing.Found, wanted: Wanted) -> None:
    settings = app.loaded.settings
    _say("At Google")
    _say(f"  stop {_many(found.channels, 'watch channel')}")
    _say(f"  revoke the permission of {_many(found.consented + found.in_desk, 'employee')}")
    if found.delegated:
        _say(f"  forget {_many(found.delegated, 'employee')} connected by delegation")
    _say(f"In ERPNext ({settings.erpnext_url or 'not set'})")
    if found.todos:
        _say(f"  close {_many(found.todos, 'ToDo')} of Watcher's")
    _tell_site(found, wanted)
    _say("Here")
    word = "delete" if wanted.data else "keep"
    for path in [*last.files(settings), *_keys(app.loaded)]:
        if not path.name.endswith(("-wal", "-shm")):  # parts of the ledger's file
            _say(f"  {word} {path}")
    if settings.database_url:
        _say(f"  {word} Watcher's tables in the database of WATCHER_DATABASE_URL")
    if not wanted.data:
        _say("  (--data deletes these)")


def _tell_site(found: removing.Found, wanted: Wanted) -> None:
    site = found.erpnext
    if site is None:
        _say(f"  not known: {found.why}")
        return
    deletes = wanted.rows == "delete"
    about = "" if deletes else " (--rows delete deletes them)"
    _say(f"  {wanted.rows} {_many(len(site.rows), 'mirrored event')}{about}")
    if site.foreign:
        others = ", ".join(sorted(site.foreign)[:FOREIGN_SHOWN])
        _say(f"  keep {_many(sum(site.foreign.values()), 'event')} of other accounts ({others})")
    if site.refused:
        _say(f"  forms, lists and fields are not known: {site.refused} (--admin-key)")
        return
    if site.authorised:
        number = _many(len(site.authorised), "authorisation")
        _say(f"  revoke {number} of the Connected App, and delete them")
    for sentence in site.desk:
        _say(f"  take back: {sentence}")
    about = "" if wanted.fields == "delete" else " (--fields delete deletes them)"
    _say(f"  {wanted.fields} {_many(len(site.fields), 'custom field')} on Event{about}")
    if site.app:
        _say(f"  {wanted.fields} the Connected App {site.app}")
    if site.role:
        _say(f"  {wanted.fields} the role Watcher")


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


@contextmanager
def _shown(app: App) -> Iterator[removing.Told]:
    """A bar for each step that takes long, where there is a terminal."""
    with progress_bar(app) as bar:
        tasks: dict[str, progress.TaskID] = {}

        def told(kind: str, done: int, total: int) -> None:
            if kind not in tasks:
                tasks[kind] = bar.add_task(kind, total=total)
            bar.update(tasks[kind], completed=done)

        yield told


WORDS = {
    "accounts": "disconnected {}",
    "todos": "ToDos closed {}",
    "authorisations": "authorisations in the Desk ended {}",
    "rows": "mirrored events deleted {}",
    "desk": "settings of forms and lists taken back {}",
    "fields": "custom fields deleted {}",
    "connected_app": "Connected App deleted {}",
    "role": "changes of the role Watcher {}",
}


def _tell_outcome(outcome: removing.Outcome, gone: Sequence[Path], wanted: Wanted) -> None:
    done = [WORDS[kind].format(number) for kind, number in outcome.done.items()]
    _say(f"done: {', '.join(done) or 'nothing was left to do'}")
    _tell_left(outcome.left)
    if wanted.data and outcome.left and not gone:
        _say("the ledger and the keys stay: they are needed for what is left")
    _tell_gone(gone)


def _tell_left(left: Sequence[removing.Left]) -> None:
    for each in left:
        _say(f"left: {each.what}: {each.why}\n  do: {each.step}")


def _tell_gone(gone: Sequence[Path]) -> None:
    for path in gone:
        _say(f"deleted {path}")


def _by_hand(app: App, found: removing.Found) -> list[str]:
    """What no program can do, or should not: what is outside of Watcher's own rooms."""
    settings, loaded = app.loaded.settings, app.loaded
    steps = []
    if settings.google_service_account_file:
        steps.append(
            "Google Admin console, Security > API controls > Domain-wide delegation: remove the "
            "client ID; Google Cloud: delete the service account and "
            f"{settings.google_service_account_file}"
        )
    if settings.google_client_id:
        steps.append("Google Cloud: delete the OAuth client")
    steps.append("ERPNext: take the API key from Watcher's user, or disable the user")
    named = [loaded.file, *loaded.files.values(), *last.files(settings)]
    files = sorted({str(path) for path in named if path is not None and path.exists()})
    units = sorted(str(path) for path in UNITS.glob("watcher*"))
    link = [str(LINK)] if LINK.is_symlink() else []
    if files or units or link:
        steps.append(f"this machine: {', '.join([*files, *units, *link])}")
    steps.append("the program's folder, the proxy's site, the backups, and the lines in cron")
    return steps


def _tell_rest(app: App, found: removing.Found) -> None:
    _say("by hand:")
    for step in _by_hand(app, found):
        _say(f"  {step}")
