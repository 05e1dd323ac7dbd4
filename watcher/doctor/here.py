"""This machine: settings, files, disk, keys, and who is told."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path

from watcher import settings as declared
from watcher.doctor import say
from watcher.doctor.case import Case
from watcher.errors import UserError
from watcher.ledger import keys

PROGRAM = Path(sys.executable).parent / "watcher"
"""By its whole path: sudo looks for commands in the system's folders only."""
LITTLE, VERY_LITTLE = 1_000_000_000, 100_000_000
"""Bytes left on the disk."""


def settings(case: Case) -> say.Finding:
    """Complete, and read from where."""
    try:
        declared.load(complete=True)
    except UserError as error:
        several = error.problems if isinstance(error, declared.BadSettings) else (error.message,)
        return say.fail(say.joined("; ", *several), "watcher config show", error.exit_code)
    sources = {each for each in case.loaded.sources.values() if not each.startswith("default")}
    places = sorted({source.partition(", ")[0] for source in sources})
    if not places:
        return say.ok(say.sentence("complete; read from where the process was started"))
    named = (say.sentence("environment") if each == "environment" else each for each in places)
    return say.ok(say.sentence("complete; read from %(places)s", places=say.joined(", ", *named)))


def secret_files(case: Case) -> say.Finding:
    """Files that hold secrets are nobody else's to read."""
    places = {source.partition(", ")[0] for source in case.loaded.sources.values()}
    held = [Path(place) for place in places if place not in ("default", "environment")]
    held += case.loaded.files.values()
    if case.settings.google_service_account_file:
        held.append(Path(case.settings.google_service_account_file))
    there = [path for path in sorted(set(held)) if path.is_file()]
    open_ones = [str(path) for path in there if path.stat().st_mode & stat.S_IRWXO]
    if open_ones:
        return say.warn(
            say.sentence(
                "every user of this machine can read %(files)s", files=say.listed(open_ones)
            ),
            f"chmod o-rwx {' '.join(open_ones)}",
        )
    return (
        say.ok(say.sentence("other users of this machine cannot read the files with secrets"))
        if there
        else say.skip(say.sentence("there are no files with secrets"))
    )


def data_dir(case: Case) -> say.Finding:
    """The data directory can be written, and is ours alone."""
    folder = case.settings.data_dir.resolve()
    if not folder.is_dir():
        return say.missing(
            say.sentence("%(folder)s is not a directory", folder=str(folder)), "watcher init"
        )
    owner = folder.owner() if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid() else ""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        do = f"sudo -u {owner} {PROGRAM} doctor" if owner else f"chmod u+rwx {folder}"
        said = say.sentence(
            "%(folder)s cannot be written: %(reason)s",
            folder=str(folder),
            reason=error.strerror or "",
        )
        return say.denied(said, do)
    if folder.stat().st_mode & 0o077:
        return say.warn(
            say.sentence(
                "other users of this machine can look into %(folder)s", folder=str(folder)
            ),
            f"chmod 700 {folder}",
        )
    return say.ok(say.sentence("%(folder)s can be written", folder=str(folder)))


def disk(case: Case) -> say.Finding:
    """Room for the ledger and the queue to grow."""
    folder = case.settings.data_dir.resolve()
    free = shutil.disk_usage(folder if folder.is_dir() else folder.parent).free
    if free >= LITTLE:
        return say.ok(say.sentence("%(size)s GB free", size=free / 1e9))
    said = say.sentence(
        "only %(size)s MB free beside %(folder)s", size=round(free / 1e6), folder=str(folder)
    )
    look = f"df -h {folder}"
    return say.fail(said, look) if free < VERY_LITTLE else say.warn(said, look)


def secret_keys(case: Case) -> say.Finding:
    """Every secret of the ledger opens, and all are under the first key."""
    services = case.made
    keys.require_known(services.db, services.keyring)
    with services.db.reading() as session:
        used = keys.used(session)
    old = {key: count for key, count in used.items() if key != services.keyring.first}
    if old:
        return say.warn(
            say.counted(
                "%(n)s secret is under an older key",
                "%(n)s secrets are under an older key",
                sum(old.values()),
            ),
            "watcher keys rotate",
        )
    return say.ok(
        say.counted(
            "%(n)s secret, under the first of the keys",
            "%(n)s secrets, all under the first of the keys",
            sum(used.values()),
        )
    )


def people(case: Case) -> say.Finding:
    """Somebody is told of trouble, and may look at the dashboard."""
    settings = case.settings
    told = settings.smtp_url.get_secret_value() or settings.notify_webhook_url.get_secret_value()
    if not told:
        return say.warn(
            say.sentence("nobody is told of trouble: neither a mail server nor a webhook is set"),
            say.sentence(
                "set WATCHER_SMTP_URL or WATCHER_NOTIFY_WEBHOOK_URL, then `watcher notify test`"
            ),
        )
    if not settings.admin_emails:
        return say.warn(
            say.sentence("nobody may sign in to the dashboard"),
            say.sentence("set WATCHER_ADMIN_EMAILS to who may, by address"),
        )
    return say.ok(say.sentence("admins are named, and there is a way to tell them"))
