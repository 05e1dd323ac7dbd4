"""``accounts list`` and ``accounts show``."""

from __future__ import annotations

import json
from typing import Any

import click

from watcher.cli.common import App, emit, iso, json_option, pass_app, short_time, show_table
from watcher.cli.later import later

with later():
    from watcher.ledger import accounts as ledger
    from watcher.ledger import calendars, models, standing, steps


@click.command("list")
@json_option
@pass_app
def list_(app: App) -> None:
    """All accounts with their state."""
    with app.services.db.reading() as session:
        everyone = ledger.everyone(session)
    if app.as_json:
        emit([_brief(account) for account in everyone])
        return
    rows = [
        (
            a.email,
            a.state,
            _cause(a),
            a.source,
            "same" if a.erpnext_user == a.email else a.erpnext_user,
            short_time(a.since),
        )
        for a in everyone
    ]
    show_table(
        ("account", "state", "cause", "via", "ERPNext user", "since (UTC)"),
        rows,
        "no accounts yet: watcher accounts invite EMAIL",
    )


def _brief(account: models.Account) -> dict[str, Any]:
    return {
        "email": account.email,
        "state": account.state,
        "cause": account.cause,
        "source": account.source,
        "erpnext_user": account.erpnext_user,
        "since": iso(account.since),
        "chosen_by_employee": _chosen(account),
    }


def _chosen(account: models.Account) -> dict[str, str]:
    """What the employee has chosen beyond the admin's setting: only ever less to be seen."""
    wishes = {
        "event_type": account.chosen_event_type,
        "private_events": account.chosen_private_events,
    }
    return {name: value for name, value in wishes.items() if value}


def _cause(account: models.Account) -> str:
    chosen = ", ".join(_chosen(account).values())
    return "; ".join(part for part in (account.cause, chosen and f"shows less: {chosen}") if part)


@click.command("show")
@click.argument("email")
@json_option
@pass_app
def show(app: App, email: str) -> None:
    """One account with its calendars."""
    services = app.services
    with services.db.reading() as session:
        account = ledger.get(session, email)
        seen = standing.moment(services.db, session, services.clock())
        document = _brief(account) | {
            "event_type": account.default_event_type or "default",
            "granted_scopes": json.loads(account.granted_scopes or "[]"),
            "next_step": steps.for_account(session, account),
            "calendars": [
                {
                    "id": c.google_id,
                    "state": state,
                    "message": standing.trouble(c, state),
                    "last_success": iso(c.last_success_at),
                    "push": c.push_supported,
                }
                for c in calendars.of_account(session, account.id)
                for state in [standing.calendar_status(c, account, seen)]
            ],
        }
    if app.as_json:
        emit(document)
        return
    for key, value in document.items():
        if key != "calendars":
            value = list(value.values()) if isinstance(value, dict) else value
            words = ", ".join(value) if isinstance(value, list) else value
            click.echo(f"{key:15} {words or '-'}")
    for calendar in document["calendars"]:
        last = calendar["last_success"] or "never"
        line = f"{calendar['state']}, last success {last}: {calendar['message']}"
        click.echo(f"calendar        {calendar['id']}: {line.removesuffix(': ')}")
