"""``channels``: list, renew, stop."""

from __future__ import annotations

from typing import Any

import click

from watcher.cli import common
from watcher.cli.common import (
    App,
    Whose,
    emit,
    iso,
    json_option,
    messages,
    pass_app,
    select_accounts,
    show_table,
    who,
    whose_option,
)
from watcher.cli.groups import Group
from watcher.cli.later import later
from watcher.errors import ExitCode
from watcher.ledger.states import AccountState

with later():
    from watcher.channels import registry, renewal
    from watcher.ledger import accounts as ledger
    from watcher.ledger import audit, models
    from watcher.ledger import channels as store

PATIENCE_SECONDS = 30.0
"""Cron renews every few seconds; the lease of a process that was killed ends after
``renewal.LEASE_SECONDS``, and this long after it nobody is waited for any more."""


@click.group(cls=Group)
def channels() -> None:
    """Google's watch channels."""


@channels.command("list", short_help="Open channels and what is left of them.")
@json_option
@pass_app
def list_(app: App) -> None:
    """Open channels, soonest expiry first, with what is left of their life."""
    now = app.services.clock()
    found: list[dict[str, Any]] = []
    rows: list[tuple[str, ...]] = []
    with app.services.db.reading() as session:
        for channel, calendar in store.everything(session):
            account = session.get_one(models.Account, calendar.account_id)
            left = life = None
            if channel.expires_at and channel.opened_at:
                life = (channel.expires_at - channel.opened_at).total_seconds()
                left = max(0.0, (channel.expires_at - now).total_seconds())
            found.append(
                {
                    "account": account.email,
                    "calendar": calendar.google_id,
                    "id": channel.id,
                    "state": channel.state,
                    "life_left": left and round(left / (life or 1), 3),
                    "expires": iso(channel.expires_at),
                    "renews": iso(channel.renew_at),
                    "heard": iso(channel.heard_at),
                }
            )
            rows.append(
                (
                    who(account.email, calendar.google_id),
                    channel.state,
                    common.life_bar(found[-1]["life_left"] or 0.0),
                    common.short_time(channel.expires_at),
                    common.short_time(channel.renew_at),
                    common.short_time(channel.heard_at) or "not yet",
                )
            )
    if app.as_json:
        emit(found)
        return
    columns = ("calendar", "state", "life left", "expires (UTC)", "renews (UTC)", "heard (UTC)")
    show_table(columns, rows, "no channels: they open by themselves, or: watcher channels renew")


@channels.command("renew")
@whose_option("All accounts.")
@click.option("--force", is_flag=True, help="Also those that are not due.")
@json_option
@pass_app
def renew(app: App, whose: Whose, force: bool) -> int:
    """Open missing channels and replace those that are due; reports each.

    Waits its turn while another process, such as cron, renews.
    """
    chosen = select_accounts(app, whose.or_all(), (AccountState.ACTIVE,))

    def report(result: renewal.Renewed) -> None:
        if not app.as_json:
            line = f"{who(result.account, result.calendar)}: {result.outcome} {result.message}"
            messages.print(line.rstrip(), markup=False)

    results = renewal.renew_due(
        app.services,
        renewal.Wanted(force, [a.id for a in chosen]),
        renewal.Patience(
            renewal.LEASE_SECONDS + PATIENCE_SECONDS,
            lambda: messages.print("waiting: another process is renewing channels"),
        ),
        report,
    )
    if app.as_json:
        emit(
            [
                {
                    "account": r.account,
                    "calendar": r.calendar,
                    "outcome": r.outcome,
                    "message": r.message,
                }
                for r in results
            ]
        )
    elif not results:
        messages.print("nothing is due")
    bad = sum(result.outcome in ("failed", "later") for result in results)
    audit.figures(renewed=len(results) - bad, failed=bad)
    if not bad:
        return ExitCode.OK
    return ExitCode.PARTLY if bad < len(results) else ExitCode.UNAVAILABLE


@channels.command("stop", short_help="Stop an account's channels at Google.")
@click.argument("email")
@common.yes_option
@pass_app
def stop(app: App, email: str) -> None:
    """Stop an account's channels at Google (cron opens new ones unless it is paused)."""
    with app.services.db.reading() as session:
        account = ledger.get(session, email)
        open_now = len(store.everything(session, [account.id]))
    app.confirm(f"Stop all channels of {account.email}?")
    stopped = len(registry.stop_all(app.services, account))
    audit.figures(stopped=stopped, left=open_now - stopped)
    common.result(account=account.email, stopped=stopped, left=open_now - stopped)
    messages.print(f"{account.email}: {stopped} channels stopped")
    if stopped < open_now:
        messages.print(f"  {open_now - stopped} end by themselves: Google would not stop them")
