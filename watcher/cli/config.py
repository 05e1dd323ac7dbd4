"""``config`` and ``version``."""

from __future__ import annotations

import platform

import click

from watcher import __version__
from watcher.cli import doctor
from watcher.cli.common import (
    App,
    emit,
    json_option,
    messages,
    pass_app,
    read_settings,
    show_table,
)
from watcher.cli.groups import Group
from watcher.cli.later import later
from watcher.doctor import say
from watcher.errors import ExitCode

with later():
    from watcher import services as composed
    from watcher import settings as declared
    from watcher.doctor import masks, table


@click.group(cls=Group)
def config() -> None:
    """Show or check the settings."""


@config.command("show")
@json_option
@pass_app
def show(app: App) -> None:
    """All settings, secrets masked, with where each came from."""
    loaded = app.loaded
    rows = [
        (declared.env_name(name), masks.masked(loaded.settings, name), loaded.sources[name])
        for name in declared.fields()
    ]
    if app.as_json:
        emit({name: {"value": value, "source": source} for name, value, source in rows})
        return
    show_table(("setting", "value", "from"), rows, "no settings")


@config.command("validate", short_help="Check all settings, and try both sides.")
@click.option("--offline", is_flag=True, help="Do not try Google and ERPNext.")
@pass_app
def validate(app: App, offline: bool) -> int:
    """Check all settings, and try both sides with them; every problem is named at once."""
    settings = read_settings(complete=True).settings
    _tell_service_account(settings)
    messages.print("the settings are complete")
    return ExitCode.OK if offline else _try_both_sides(app)


def _try_both_sides(app: App) -> int:
    """Returns the exit code of the first thing that fails."""
    report = doctor.examined(app, table.BOTH_SIDES)
    doctor.show(report.of(say.Verdict.WARN, say.Verdict.FAIL))
    failed = report.of(say.Verdict.FAIL)
    if not failed:
        messages.print("both sides accept them; `watcher doctor` looks at the rest")
    return next((each.code for each in failed.values()), ExitCode.OK)


def _tell_service_account(settings: declared.Settings) -> None:
    """What the Workspace admin has to enter."""
    account = composed.delegation(settings).key
    if account is not None:
        messages.print(
            f"service account {account.client_email}, key file {account.age_days} days old"
        )
        messages.print("  in the Admin console, under domain-wide delegation:")
        messages.print(f"    client ID  {account.client_id}", soft_wrap=True)
        wanted = composed.endpoints(settings).delegated_scopes
        named = "scopes    " if len(wanted) > 1 else "scope     "
        messages.print(f"    {named} {','.join(wanted)}", soft_wrap=True)
        for warning in account.warnings:
            messages.print(f"  warning: {warning}", soft_wrap=True, markup=False)
        if not settings.delegation_allow:
            messages.print("  warning: WATCHER_DELEGATION_ALLOW is empty, so it may act for nobody")


@click.command()
@json_option
@pass_app
def version(app: App) -> None:
    """Version of Watcher and Python."""
    if app.as_json:
        emit({"version": __version__, "python": platform.python_version()})
    else:
        click.echo(f"watcher {__version__} (Python {platform.python_version()})")
