"""``erpnext setup``."""

from __future__ import annotations

from dataclasses import asdict

import click

from watcher.cli.common import App, emit, json_option, messages, pass_app
from watcher.cli.later import later
from watcher.errors import ErpForbidden, ExitCode
from watcher.google.endpoints import OAUTH_SCOPES

with later():
    from watcher import services as composed
    from watcher import settings as declared
    from watcher.erpnext import client as rest
    from watcher.erpnext import connected_app as desk_apps
    from watcher.erpnext import fields


@click.group()
def erpnext() -> None:
    """The ERPNext side."""


@erpnext.command("setup", short_help="Create custom fields, check permissions.")
@click.option("--connected-app", is_flag=True, help="Also make Frappe's Connected App for Google.")
@click.option("--dry-run", is_flag=True, help="Say what would be made, make nothing.")
@json_option
@pass_app
def setup(app: App, connected_app: bool, dry_run: bool) -> int:
    """Create the custom fields on Event and check the API user's permissions; repeatable."""
    client = composed.erpnext_client(app.loaded.settings)
    report = fields.plan(client) if dry_run else fields.install(client)
    desk = _connected_app(app.loaded.settings, client, dry_run) if connected_app else None
    if app.as_json:
        emit(
            {
                "user": report.user,
                "present": report.present,
                "missing": report.missing,
                "created": report.created,
                "mended": report.mended,
                "wrong": report.wrong,
                "dry_run": dry_run,
                "versions": report.versions,
                "warnings": report.warnings,
                "connected_app": asdict(desk) if desk else None,
            }
        )
    else:
        verb = "would be made" if dry_run else "made"
        made = report.missing if dry_run else report.created
        named = ", ".join(f"{app} {version}" for app, version in report.versions.items())
        messages.print(f"the site has {named or 'no version that it tells'}", soft_wrap=True)
        messages.print(f"API user {report.user}: System Manager")
        messages.print(f"{len(report.present)} fields were there, {len(made)} {verb}")
        for name in made:
            messages.print(f"  {verb}: {name}")
        for name in report.mended:
            messages.print(f"  made unique again: {name}")
        for name, why in report.wrong:
            messages.print(f"  wrong: {name} {why}, then repeat", soft_wrap=True, markup=False)
        for sentence in report.warnings:
            messages.print(f"  note: {sentence}", soft_wrap=True, markup=False)
        if desk is not None:
            _tell_app(desk, dry_run)
    lacking = [word for word, allowed in report.permissions.items() if not allowed]
    if lacking:
        raise ErpForbidden(
            f"{report.user} lacks permissions on Event: {', '.join(lacking)}",
            next_step=f"give a role of {report.user} these in the Role Permissions Manager, then "
            "`watcher erpnext setup` again",
        )
    return ExitCode.ERROR if report.wrong or (desk and desk.wrong) else ExitCode.OK


def _connected_app(
    settings: declared.Settings, client: rest.ErpNextClient, dry_run: bool
) -> desk_apps.AppReport:
    declared.require(settings, "google_client_id", "google_client_secret", why="--connected-app")
    google = composed.endpoints(settings)
    wanted = desk_apps.WantedApp(
        client_id=google.client_id,
        client_secret=google.client_secret,
        auth_url=google.auth_url,
        token_url=google.token_url,
        revoke_url=google.revoke_url,
        scopes=OAUTH_SCOPES,
    )
    act = desk_apps.look_at_app if dry_run else desk_apps.install_app
    return act(client, wanted)


def _tell_app(desk: desk_apps.AppReport, dry_run: bool) -> None:
    if not desk.name:
        messages.print("Connected App would be made")
        return
    messages.print(f"Connected App {desk.name} {'made' if desk.created else 'was there'}")
    messages.print(f"  redirect URI to register at Google: {desk.redirect_uri}", soft_wrap=True)
    messages.print(f"  where employees authorise: {desk.link}", soft_wrap=True)
    for what in desk.wrong:
        messages.print(f"  wrong: {what}: correct it in the Desk", soft_wrap=True)
    messages.print("  then: watcher accounts import --via erpnext")
