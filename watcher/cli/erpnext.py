"""``erpnext setup``."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import click

from watcher.cli import admin_key, setup_desk, setup_role
from watcher.cli.common import App, emit, json_option, messages, pass_app, yes_option
from watcher.cli.groups import Group
from watcher.cli.later import later
from watcher.cli.setup_role import Wanted, telling
from watcher.errors import ErpForbidden, ExitCode

with later():
    from watcher import services as composed
    from watcher import settings as declared
    from watcher.erpnext import client as rest
    from watcher.erpnext import connected_app as desk_apps
    from watcher.erpnext import fields
    from watcher.erpnext import role as roles
    from watcher.ledger import audit


@click.group(cls=Group)
def erpnext() -> None:
    """The ERPNext side."""


@erpnext.command("setup", short_help="Create custom fields, check permissions, make the role.")
@click.option("--connected-app", is_flag=True, help="Also make Frappe's Connected App for Google.")
@click.option(
    "--desk",
    type=click.Choice(["yes", "no"]),
    default="yes",
    show_default=True,
    help="Forms and lists in ERPNext say whose events they are; `no` takes it back.",
)
@click.option(
    "--drag",
    type=click.Choice(["stop", "allow"]),
    help="Whether mirrored events can be moved in ERPNext's calendar (by a Client Script).",
)
@click.option(
    "--role",
    type=click.Choice(["yes", "no"]),
    help="Make a role Watcher with the rights that are needed, and give the API user that one "
    "alone; `no` makes it a System Manager again.",
)
@click.option(
    "--admin-key",
    is_flag=True,
    help=f"Ask for the API key of a System Manager for this once; or {admin_key.NAME}=KEY:SECRET.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be made, make nothing.")
@yes_option
@json_option
@pass_app
def setup(app: App, /, **chosen: Any) -> int:
    """Create the custom fields on Event and check the API user's permissions; repeatable."""
    wanted = Wanted(**chosen)
    client = composed.erpnext_client(app.loaded.settings)
    admin = admin_key.chosen(app, client, asked=wanted.admin_key)
    user, dry_run = client.whoami(), wanted.dry_run
    if wanted.role == "yes":
        setup_role.refuse(app, connected_app=wanted.connected_app)
    report = fields.plan(admin) if dry_run else fields.install(admin, telling(app))
    shown = setup_desk.fit(app, admin, wanted)
    dragging = setup_desk.drag(admin, wanted)
    made = _connected_app(app.loaded.settings, admin, dry_run) if wanted.connected_app else None
    given = setup_role.carry_out(app, admin, user, wanted) if wanted.role else None
    report = replace(report, user=user, permissions={w: client.may(w) for w in fields.PERMISSIONS})
    if not (dry_run and wanted.role == "yes"):  # with the role it could read them
        report.warnings += fields.unseen_employees(client)
    if report.narrowing:
        report.warnings.append(f"{fields.narrowed(report)}: {fields.WIDEN}")
    audit.figures(fields=len(report.created), mended=len(report.mended), desk=wanted.desk)
    if made is not None:
        audit.figures(connected_app=made.name)
    if given is not None:
        audit.figures(role=str(wanted.role), roles_taken=len(given.taken))
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
                "drag": dragging,
                "connected_app": asdict(made) if made else None,
                "role": asdict(given) if given else None,
            }
        )
    else:
        _tell(report, client, dry_run)
        setup_desk.show(shown, wanted)
        setup_desk.show_drag(dragging, wanted)
        if made is not None:
            _tell_app(made, dry_run)
        if given is not None:
            setup_role.show(given, dry_run=dry_run)
    _refuse_lacking(client, report, wanted)
    return ExitCode.ERROR if report.wrong or (made and made.wrong) else ExitCode.OK


def _refuse_lacking(client: rest.ErpNextClient, report: fields.SetupReport, wanted: Wanted) -> None:
    lacking = [f"{word} Event" for word, allowed in report.permissions.items() if not allowed]
    if wanted.role == "yes" and not wanted.dry_run:
        lacking = [f"{permission} {doctype}" for doctype, permission in roles.lacking(client)]
    if lacking:
        raise ErpForbidden(
            f"{report.user} may not {', '.join(lacking)}",
            next_step=f"give a role of {report.user} these in the Role Permissions Manager, then "
            "`watcher erpnext setup` again",
        )


# --- what is made -------------------------------------------------------------------------------


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
        scopes=google.consent_scopes,
    )
    act = desk_apps.look_at_app if dry_run else desk_apps.install_app
    return act(client, wanted)


# --- telling ------------------------------------------------------------------------------------


def _tell(report: fields.SetupReport, client: rest.ErpNextClient, dry_run: bool) -> None:
    verb = "would be made" if dry_run else "made"
    made = report.missing if dry_run else report.created
    named = ", ".join(f"{app} {version}" for app, version in report.versions.items())
    messages.print(f"the site has {named or 'no version that it tells'}", soft_wrap=True)
    messages.print(f"API user {report.user}: {setup_role.called(client, report.user)}")
    messages.print(f"{len(report.present)} fields were there, {len(made)} {verb}")
    for name in made if dry_run else ():
        messages.print(f"  {verb}: {name}")
    for name in report.mended:
        messages.print(f"  made unique again: {name}")
    for name, why in report.wrong:
        messages.print(f"  wrong: {name} {why}, then repeat", soft_wrap=True, markup=False)
    for sentence in report.warnings:
        messages.print(f"  note: {sentence}", soft_wrap=True, markup=False)


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
