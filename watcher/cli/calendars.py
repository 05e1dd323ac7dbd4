"""``calendars``: list, add, remove."""

from __future__ import annotations

import click

from watcher import errors
from watcher.cli import common
from watcher.cli.common import (
    App,
    emit,
    iso,
    json_option,
    messages,
    pass_app,
    show_table,
    who,
)
from watcher.cli.groups import Group
from watcher.cli.later import later
from watcher.ledger.acts import What

with later():
    from watcher.accounts import disconnect, finding, verbs
    from watcher.channels import registry
    from watcher.ledger import accounts as ledger
    from watcher.ledger import audit, channels, standing
    from watcher.ledger import calendars as store


@click.group(cls=Group)
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
                name, last = who(account.email, c.google_id), common.short_time(c.last_success_at)
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
    common.result(calendar=added.google_id, was_there=added.was_there)
    if added.was_there:
        messages.print(
            f"{added.google_id} is mirrored already; a full sync is queued", markup=False
        )
    elif added.google_id != calendar_id.strip():
        messages.print(f"added as {added.google_id}; its first sync is queued", markup=False)
    else:
        messages.print("added; its first sync is queued")
    for other in added.also_by:
        messages.print(
            f"note: {other} mirrors it, too, so that its events stand in ERPNext twice; to end "
            f"that: watcher calendars remove {other} {added.google_id} --events delete",
            markup=False,
        )


@calendars.command("find", short_help="Look for a person's further calendars at Google.")
@click.argument("email")
@json_option
@pass_app
def find(app: App, email: str) -> None:
    """Ask Google which calendars a person has, and say how each is added. The names are shown here
    and kept nowhere. Needs WATCHER_FIND_CALENDARS."""
    found = finding.find(app.services, email, "admins")
    if app.as_json:
        emit([_found_document(each) for each in found])
        return
    rows = [
        (each.listed.name, each.listed.google_id, each.listed.role, in_words(each))
        for each in found
    ]
    show_table(("name", "calendar", "role", "state"), rows, "Google lists no calendar")
    lines = [each for each in found if each.standing == finding.ADDABLE]
    if lines:
        messages.print("\nto mirror one of them:")
    for each in lines:
        messages.print(f"  {finding.line(each)}", markup=False)


def _found_document(each: finding.Found) -> dict[str, object]:
    listed = each.listed
    return {
        "account": each.email,
        "calendar": listed.google_id,
        "name": listed.name,
        "role": listed.role,
        "kind": listed.kind,
        "time_zone": listed.time_zone,
        "hidden": listed.is_hidden,
        "standing": each.standing,
        "also_mirrored_by": list(each.also_by),
        "add": finding.line(each) if each.standing == finding.ADDABLE else None,
    }


def in_words(each: finding.Found) -> str:
    """What stands beside a calendar: what it is, and what has become or can become of it."""
    what = {
        "mirrored": "mirrored",
        "mirrored_for_another": f"mirrored for {', '.join(each.also_by)}",
        "free_busy_only": "cannot be mirrored: shows free and busy, no events",
        "can_be_added": "not mirrored",
    }[each.standing]
    kind = "" if each.listed.kind == "calendar" else each.listed.kind.replace("_", " ")
    hidden = "hidden in Google" if each.listed.is_hidden else ""
    return ", ".join(filter(None, (kind, what, hidden)))


@calendars.command("remove", short_help="Stop mirroring a calendar.")
@click.argument("email")
@click.argument("calendar_id")
@common.ends_a_mirror
@pass_app
def remove(app: App, email: str, calendar_id: str, events: str) -> None:
    """Stop mirroring a calendar; its events stay in ERPNext unless something else is asked."""
    # Each step may be repeated, for instance when ERPNext did not answer at the last one.
    services = app.services
    with services.db.reading() as session:
        account = ledger.get(session, email)
        found = store.find(session, account.id, calendar_id)
    if found is None or (found.removed and events == "keep"):
        raise errors.NotFound(
            f"{account.email} has no calendar {calendar_id}",
            next_step=f"watcher calendars list {account.email}",
        )
    if events != "keep":
        app.confirm(f"Remove {calendar_id} and {events} its mirrored events?")
    calendar_id = found.google_id  # which may have been typed in other letters
    common.result(calendar=calendar_id, events=events)
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
        except errors.WatcherError as error:
            messages.print(f"channel not stopped yet: {error.message}", markup=False)
    if events != "keep":
        disconnect.drain(services, [found.id])
    disconnect.treat_events(services, disconnect.Calendars(account.email, [calendar_id]), events)
    done = {"keep": "stay in ERPNext", "cancel": "are cancelled", "delete": "are deleted"}
    messages.print(f"removed; its events {done[events]}")
