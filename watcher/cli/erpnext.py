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
    from watcher.erpnext import desk as forms
    from watcher.erpnext import fields
    from watcher.ledger import audit


@click.group()
def erpnext() -> None:
    """The ERPNext side."""


@erpnext.command("setup", short_help="Create custom fields, check permissions.")
@click.option("--connected-app", is_flag=True, help="Also make Frappe's Connected App for Google.")
@click.option(
    "--desk",
    type=click.Choice(["yes", "no"]),
    default="yes",
    show_default=True,
    help="Forms and lists in ERPNext say whose events they are; `no` takes it back.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be made, make nothing.")
@json_option
@pass_app
def setup(app: App, connected_app: bool, desk: str, dry_run: bool) -> int:
    """Create the custom fields on Event and check the API user's permissions; repeatable."""
    client = composed.erpnext_client(app.loaded.settings)
    report = fields.plan(client) if dry_run else fields.install(client)
    shown = _desk(client, desk, dry_run)
    made = _connected_app(app.loaded.settings, client, dry_run) if connected_app else None
    audit.figures(fields=len(report.created), mended=len(report.mended), desk=desk)
    if made is not None:
        audit.figures(connected_app=made.name)
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
                "desk": asdict(shown),
                "connected_app": asdict(made) if made else None,
            }
        )
    else:
        _tell(report, dry_run)
        _tell_desk(shown, desk, dry_run)
        if made is not None:
            _tell_app(made, dry_run)
    lacking = [word for word, allowed in report.permissions.items() if not allowed]
    if lacking:
        raise ErpForbidden(
            f"{report.user} lacks permissions on Event: {', '.join(lacking)}",
            next_step=f"give a role of {report.user} these in the Role Permissions Manager, then "
            "`watcher erpnext setup` again",
        )
    return ExitCode.ERROR if report.wrong or (made and made.wrong) else ExitCode.OK


def _desk(client: rest.ErpNextClient, wanted: str, dry_run: bool) -> forms.DeskReport:
    act = forms.fit if wanted == "yes" else forms.take_back
    return act(client, dry_run=dry_run)


def _tell(report: fields.SetupReport, dry_run: bool) -> None:
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


def _tell_desk(report: forms.DeskReport, wanted: str, dry_run: bool) -> None:
    what = "changed" if wanted == "yes" else "taken back"
    verb = f"would be {what}" if dry_run else what
    begins = "ERPNext's forms and lists"
    messages.print(f"{begins}, {verb}:" if report.changed else f"{begins}: nothing to be {what}")
    for sentence in report.changed:
        messages.print(f"  {sentence}", soft_wrap=True, markup=False)
    for sentence in report.by_hand:
        messages.print(f"  left as it is: {sentence}", soft_wrap=True, markup=False)
    if report.changed and wanted == "yes" and not dry_run:
        messages.print("  (to take this back: watcher erpnext setup --desk no)", soft_wrap=True)


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


def _tell_app(made: desk_apps.AppReport, dry_run: bool) -> None:
    if not made.name:
        messages.print("Connected App would be made")
        return
    messages.print(f"Connected App {made.name} {'made' if made.created else 'was there'}")
    messages.print(f"  redirect URI to register at Google: {made.redirect_uri}", soft_wrap=True)
    messages.print(f"  where employees authorise: {made.link}", soft_wrap=True)
    for what in made.wrong:
        messages.print(f"  wrong: {what}: correct it in the Desk", soft_wrap=True)
    messages.print("  then: watcher accounts import --via erpnext")
