"""``erpnext setup``."""

from __future__ import annotations

import click

from watcher.cli.common import App, emit, json_option, messages, pass_app
from watcher.connections import erpnext_client
from watcher.erpnext.fields import install
from watcher.errors import ExitCode


@click.group()
def erpnext() -> None:
    """The ERPNext side."""


@erpnext.command("setup")
@click.option("--dry-run", is_flag=True, help="Say what would be made, make nothing.")
@json_option
@pass_app
def setup(app: App, dry_run: bool, as_json: bool) -> int:
    """Create the custom fields on Event and check the API user's permissions; repeatable."""
    report = install(erpnext_client(app.loaded.settings), dry_run=dry_run)
    if as_json:
        emit(
            {
                "user": report.user, "present": report.present, "missing": report.missing,
                "created": report.created, "wrong": report.wrong, "dry_run": dry_run,
            }
        )  # fmt: skip
    else:
        verb = "would be made" if dry_run else "made"
        made = report.missing if dry_run else report.created
        messages.print(f"API user {report.user}: System Manager")
        messages.print(f"{len(report.present)} fields were there, {len(made)} {verb}")
        for name in made:
            messages.print(f"  {verb}: {name}")
        for name, why in report.wrong:
            messages.print(f"  wrong: {name} {why}: remove it in Customize Form, then repeat")
    return ExitCode.ERROR if report.wrong else ExitCode.OK
