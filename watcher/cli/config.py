"""``init``, ``config`` and ``version``."""

from __future__ import annotations

import platform
import re
import secrets as random_secrets
from pathlib import Path

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
from watcher.cli.later import later
from watcher.doctor import say
from watcher.errors import ExitCode, WatcherError
from watcher.google.endpoints import CALENDAR_SCOPE

with later():
    from watcher import services as composed
    from watcher import settings as declared
    from watcher.doctor import table
    from watcher.ledger import db as database
    from watcher.ledger import ledger_file

_PASSWORD = re.compile(r"([?&](?:ssl)?password=)[^&]*", re.IGNORECASE)
HEADER = "# Watcher's settings. Lines that begin with # show the default.\n"


@click.command(short_help="Write a commented .env, make a secret key and a ledger.")
@pass_app
def init(_app: App) -> None:
    """Write a commented .env, make a secret key and an empty ledger; safe to repeat."""
    folder = Path.cwd()
    data_dir = Path(declared.Settings().data_dir)
    key_file = folder / data_dir / "secret.key"
    _write_key(key_file)
    path = folder / ".env"
    if path.exists():
        messages.print(f"{path} is there already and was left as it is")
    else:
        path.touch(mode=0o600)
        path.write_text(_template(key_file))
        messages.print(f"wrote {path}")
    _make_ledger()
    messages.print("next: fill it in, then `watcher config validate`, `watcher erpnext setup`")


def _write_key(key_file: Path) -> None:
    if key_file.exists():
        messages.print(f"{key_file} is there already and was kept")
        return
    ledger_file.private_folder(key_file.parent)
    key_file.touch(mode=0o600)
    key_file.write_text(random_secrets.token_urlsafe(48) + "\n")
    messages.print(f"made {key_file}: keep a copy beside your backups")


def _make_ledger() -> None:
    """Make the ledger that the settings name. Where they are wrong `init` says so and goes on."""
    try:
        db = database.Database(read_settings().settings.ledger_url)
        db.migrate()
        db.dispose()
    except WatcherError as error:
        messages.print(f"no ledger was made: {error.message}", markup=False)


def _template(key_file: Path) -> str:
    lines = [HEADER]
    for name, info in declared.fields().items():
        lines.append(f"# {info.description}")
        if name == "secret_keys":
            lines.append(f"{declared.env_name(name)}_FILE={key_file}\n")
        elif name in declared.NEEDED:
            lines.append(f"{declared.env_name(name)}=\n")
        else:
            lines.append(f"# {declared.env_name(name)}={declared.plain(info.default)}\n")
    return "\n".join(lines)


@click.group()
def config() -> None:
    """Show or check the settings."""


@config.command("show")
@json_option
@pass_app
def show(app: App) -> None:
    """All settings, secrets masked, with where each came from."""
    loaded = app.loaded
    rows = [
        (declared.env_name(name), _masked(loaded.settings, name), loaded.sources[name])
        for name in declared.fields()
    ]
    if app.as_json:
        emit({name: {"value": value, "source": source} for name, value, source in rows})
        return
    show_table(("setting", "value", "from"), rows, "no settings")


def _masked(settings: declared.Settings, name: str) -> str:
    value = getattr(settings, name)
    if name in declared.SECRETS:
        return "********" if value.get_secret_value() else ""
    if name == "erpnext_api_key" and value:
        return f"{value[:4]}****"  # no secret by itself, but half of one
    if name in ("database_url", "redis_url"):
        value = _PASSWORD.sub(r"\1********", value)
        scheme, _, rest = value.partition("://")
        return f"{scheme}://********@{rest.rpartition('@')[2]}" if "@" in rest else value
    return declared.plain(value)


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
        messages.print(f"    scope      {CALENDAR_SCOPE}", soft_wrap=True)
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
