"""``tokens``: list, renew."""

from __future__ import annotations

from typing import Any

import click

from watcher.cli.common import (
    App,
    Whose,
    emit,
    iso,
    json_option,
    messages,
    pass_app,
    select_accounts,
    short_time,
    show_table,
    whose_option,
    worst,
)
from watcher.cli.groups import Group
from watcher.cli.later import later
from watcher.ledger.states import AccountState

with later():
    from watcher.accounts import tokens as access
    from watcher.ledger import accounts as ledger
    from watcher.ledger import audit


@click.group(cls=Group)
def tokens() -> None:
    """Google access tokens (the tokens themselves are never shown)."""


@tokens.command("list")
@json_option
@pass_app
def list_(app: App) -> None:
    """Per account: when the access token ends."""
    now = app.services.clock()
    with app.services.db.reading() as session:
        everyone = ledger.everyone(session)
        found: list[dict[str, Any]] = [
            {
                "account": a.email,
                "state": a.state,
                "via": a.source,
                "expires": iso(a.access_expires_at),
                "minutes_left": a.access_expires_at
                and round((a.access_expires_at - now).total_seconds() / 60, 1),
            }
            for a in everyone
        ]
        rows = [
            (f["account"], f["state"], f["via"], short_time(a.access_expires_at), f["minutes_left"])
            for f, a in zip(found, everyone, strict=True)
        ]
    if app.as_json:
        emit(found)
        return
    show_table(
        ("account", "state", "via", "expires (UTC)", "minutes left"),
        rows,
        "no accounts yet: watcher accounts invite EMAIL",
    )


@tokens.command("renew")
@whose_option("All active accounts.")
@json_option
@pass_app
def renew(app: App, whose: Whose) -> int:
    """Refresh access tokens now."""
    results = []
    for account in select_accounts(app, whose, (AccountState.ACTIVE,)):
        error = access.refresh_one(app.services, account.id)
        outcome = "renewed" if error is None else error.message
        results.append((account.email, outcome, 0 if error is None else error.exit_code))
        if not app.as_json:
            messages.print(f"{account.email}: {outcome}", markup=False)
            if error is not None and error.next_step:
                messages.print(f"  do: {error.next_step}", markup=False)
    bad = sum(code != 0 for _, _, code in results)
    audit.figures(renewed=len(results) - bad, failed=bad)
    if app.as_json:
        emit([{"account": email, "outcome": outcome} for email, outcome, _ in results])
    elif not results:
        messages.print("nothing to do: no account is active")
    return worst([code for _, _, code in results])
