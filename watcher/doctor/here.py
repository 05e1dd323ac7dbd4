"""This machine: settings, files, disk, keys, and who is told."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

from watcher.doctor import say
from watcher.doctor.case import Case
from watcher.errors import UserError
from watcher.ledger import keys
from watcher.settings import load

LITTLE, VERY_LITTLE = 1_000_000_000, 100_000_000
"""Bytes left on the disk."""


def settings(case: Case) -> say.Finding:
    """Complete, and read from where."""
    try:
        load(complete=True)
    except UserError as error:
        problems = error.message.partition("\n")[2].replace("  - ", "").splitlines()
        return say.fail("; ".join(problems), "watcher config show", error.exit_code)
    sources = set(case.loaded.sources.values()) - {"default"}
    places = sorted({source.partition(", ")[0] for source in sources})
    return say.ok(f"complete; read from {' and '.join(places) or 'where the process was started'}")


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
            f"every user of this machine can read {say.listed(open_ones)}",
            f"chmod o-rwx {' '.join(open_ones)}",
        )
    return (
        say.ok("other users of this machine cannot read them")
        if there
        else say.skip("there are none")
    )


def data_dir(case: Case) -> say.Finding:
    """The data directory can be written, and is ours alone."""
    folder = case.settings.data_dir.resolve()
    if not folder.is_dir():
        return say.missing(f"{folder} is not a directory", "watcher init")
    owner = folder.owner() if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid() else ""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        do = f"sudo -u {owner} watcher doctor" if owner else f"chmod u+rwx {folder}"
        return say.denied(f"{folder} cannot be written: {error.strerror}", do)
    if folder.stat().st_mode & 0o077:
        return say.warn(
            f"other users of this machine can look into {folder}", f"chmod 700 {folder}"
        )
    return say.ok(f"{folder} can be written")


def disk(case: Case) -> say.Finding:
    """Room for the ledger and the queue to grow."""
    folder = case.settings.data_dir.resolve()
    free = shutil.disk_usage(folder if folder.is_dir() else folder.parent).free
    said = f"{free / 1e9:.1f} GB free" if free >= LITTLE else f"{free / 1e6:.0f} MB free"
    if free < VERY_LITTLE:
        return say.fail(f"only {said} beside {folder}", f"df -h {folder}")
    if free < LITTLE:
        return say.warn(f"only {said} beside {folder}", f"df -h {folder}")
    return say.ok(said)


def secret_keys(case: Case) -> say.Finding:
    """Every secret of the ledger opens, and all are under the first key."""
    services = case.made
    keys.require_known(services.db, services.keyring)
    with services.db.reading() as session:
        used = keys.used(session)
    old = {key: count for key, count in used.items() if key != services.keyring.first}
    if old:
        return say.warn(
            f"{sum(old.values())} secrets are under an older key", "watcher keys rotate"
        )
    return say.ok(f"{sum(used.values())} secrets, all under the first of the keys")


def people(case: Case) -> say.Finding:
    """Somebody is told of trouble, and may look at the dashboard."""
    settings = case.settings
    told = settings.smtp_url.get_secret_value() or settings.notify_webhook_url.get_secret_value()
    if not told:
        return say.warn(
            "nobody is told of trouble: neither a mail server nor a webhook is set",
            "set WATCHER_SMTP_URL or WATCHER_NOTIFY_WEBHOOK_URL, then `watcher notify test`",
        )
    if not settings.admin_emails:
        return say.warn(
            "nobody may sign in to the dashboard", "set WATCHER_ADMIN_EMAILS to who may, by address"
        )
    return say.ok("admins are named, and there is a way to tell them")
