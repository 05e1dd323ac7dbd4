"""``calendars``: list, add, remove."""

from __future__ import annotations

import click

from watcher.cli.common import (
    App,
    emit,
    ends_a_mirror,
    iso,
    json_option,
    messages,
    pass_app,
    short_time,
    show_table,
    who,
)
from watcher.cli.later import later
from watcher.errors import NotFound, WatcherError
from watcher.ledger.acts import What

with later():
    from watcher.accounts import disconnect, verbs
    from watcher.channels import registry
    from watcher.ledger import accounts as ledger
    from watcher.ledger import audit, channels, standing
    from watcher.ledger import calendars as store


@click.group()
def calendars() -> None:
    """Mirrored calendars: each employee's own, and others."""


@calendars.command("list")
@click.argument("email", required=False)
@json_option
@pass_app
def list_(app: App, email: str | None) -> None:
    """Calendars with their state and last success."""
    services = app.services
    found, rows = [], []
    with services.db.reading() as session:
        seen = standing.moment(services.db, session, services.clock())
        chosen = [ledger.get(session, email)] if email else ledger.everyone(session)
        for account in chosen:
            for c in store.of_account(session, account.id):
                state = standing.calendar_status(c, account, seen)
                push = {True: "push", False: "poll only", None: "-"}[c.push_supported]
                found.append(
                    {
                        "account": account.email,
                        "calendar": c.google_id,
                        "state": state,
                        "push": push,
                        "last_success": iso(c.last_success_at),
                        "message": standing.trouble(c, state),
                    }
                )
                name, last = who(account.email, c.google_id), short_time(c.last_success_at)
                rows.append((name, state, push, last, standing.trouble(c, state)))
    if app.as_json:
        emit(found)
    else:
        columns = ("calendar", "state", "push", "last success (UTC)", "message")
        show_table(columns, rows, "no calendars yet: watcher accounts invite EMAIL")


@calendars.command("add")
@click.argument("email")
@click.argument("calendar_id")
@pass_app
def add(app: App, email: str, calendar_id: str) -> None:
    """Mirror another calendar, once the account has read a little of it."""
    added = verbs.add_calendar(app.services, email, calendar_id)
    if added.was_there:
        messages.print(
            f"{added.google_id} is mirrored already; a full sync is queued", markup=False
        )
    elif added.google_id != calendar_id.strip():
        messages.print(f"added as {added.google_id}; its first sync is queued", markup=False)
    else:
        messages.print("added; its first sync is queued")


@calendars.command("remove", short_help="Stop mirroring a calendar.")
@click.argument("email")
@click.argument("calendar_id")
@ends_a_mirror
@pass_app
def remove(app: App, email: str, calendar_id: str, events: str) -> None:
    """Stop mirroring a calendar; its events stay in ERPNext unless something else is asked."""
    # Each step may be repeated, for instance when ERPNext did not answer at the last one.
    services = app.services
    with services.db.reading() as session:
        account = ledger.get(session, email)
        found = store.find(session, account.id, calendar_id)
    if found is None or (found.removed and events == "keep"):
        raise NotFound(
            f"{account.email} has no calendar {calendar_id}",
            next_step=f"watcher calendars list {account.email}",
        )
    if events != "keep":
        app.confirm(f"Remove {calendar_id} and {events} its mirrored events?")
    calendar_id = found.google_id  # which may have been typed in other letters
    with services.db.session() as session:
        act = audit.Act(
            What.CALENDAR_REMOVE, audit.calendar(email, calendar_id), {"events": events}
        )
        audit.record(session, act, services.clock())
        removed = store.locked(session, found.id)
        removed.removed, removed.sync_token = True, None
        open_ids = channels.retire_all(session, removed.id, services.clock())
    google = app.services.google(account.id, account.email, "poll")
    for channel_id in open_ids:
        try:
            registry.stop_channel(services, google, channel_id)
        except WatcherError as error:
            messages.print(f"channel not stopped yet: {error.message}", markup=False)
    if events != "keep":
        disconnect.drain(services, [found.id])
    disconnect.treat_events(services, disconnect.Calendars(account.email, [calendar_id]), events)
    done = {"keep": "stay in ERPNext", "cancel": "are cancelled", "delete": "are deleted"}
    messages.print(f"removed; its events {done[events]}")
