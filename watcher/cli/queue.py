"""``queue``: what failed and what was set aside, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from watcher.cli.common import (
    App,
    called,
    emit,
    iso,
    json_option,
    messages,
    pass_app,
    result,
    show_table,
    who,
)
from watcher.cli.groups import Group
from watcher.cli.later import later
from watcher.errors import NotFound, UserError

with later():
    from watcher.explain import naming, words
    from watcher.ledger import aside, calendars, leaving, models
    from watcher.sync import asked


@click.group(cls=Group)
def queue() -> None:
    """Failed work and events that were set aside."""


@queue.command("show", short_help="What failed or was set aside, and why.")
@json_option
@pass_app
def show(app: App) -> None:
    """Calendars whose last try failed, and events that were set aside, each with the reason.

    Google is asked for the titles of these events, as far as an admin may know them."""
    services = app.services
    failed = _failed(app)
    with services.db.reading() as session:
        set_aside = aside.everything(session)
    found = _events(set_aside, naming.names_of(services, set_aside))
    lanes = services.doorbell.lengths()
    if app.as_json:
        emit({"waiting": lanes, "failed": failed, "quarantined": found})
        return
    waiting = [f"{lane} {count}" for lane, count in (lanes or {}).items()]
    messages.print(f"waiting: {', '.join(waiting) or 'the queue does not answer'}")
    show_table(
        ("calendar", "failed with", "attempts", "next try"),
        [
            (who(f["account"], f["calendar"]), f["message"], f["attempts"], f["next_try"])
            for f in failed
        ],
        "no calendar's last try failed",
    )
    show_table(
        ("calendar", "event set aside", "message", "attempts", "next try"),
        [
            (
                who(f["account"], f["calendar"]),
                called(f),
                f["message"],
                f["attempts"],
                "left aside" if f["left"] else f["next_try"] or "when it changes",
            )
            for f in found
        ],
        "no event is set aside",
    )
    for step in dict.fromkeys(f["next_step"] for f in found if f["next_step"]):
        messages.print(f"do: {step}", soft_wrap=True, markup=False)


def _failed(app: App) -> list[dict[str, Any]]:
    with app.services.db.reading() as session:
        return [
            {
                "account": session.get_one(models.Account, c.account_id).email,
                "calendar": c.google_id,
                "cause": c.cause,
                "message": c.message,
                "attempts": c.failures,
                "next_try": iso(c.retry_at),
            }
            for c in calendars.failed(session)
        ]


def _events(
    set_aside: Sequence[naming.SetAside], names: Mapping[str, words.Name]
) -> list[dict[str, Any]]:
    return [
        {
            "account": account.email,
            "calendar": calendar.google_id,
            "event": row.event_id,
            **names.get(row.sync_key, words.Name()).as_json(),
            "message": row.message,
            "attempts": row.attempts,
            "last": iso(row.last_at),
            "kind": row.kind,
            "cause": row.cause,
            "next_try": iso(row.next_try_at),
            "next_step": row.step,
            "left": row.left_at is not None,
        }
        for row, calendar, account in set_aside
    ]


@queue.command("retry")
@click.option("--cause", help="Only what failed or was set aside for this cause.")
@pass_app
def retry(app: App, cause: str | None) -> None:
    """Try again now what failed or was set aside."""
    count = asked.try_again(app.services, cause)
    result(calendars=count)
    many = f"{count} calendar{'s' if count > 1 else ''}"
    messages.print(f"to be tried again: {many}" if count else "nothing to try again")


def _which(command: click.decorators.FC) -> click.decorators.FC:
    """Of which events: of one, by EMAIL and EVENT, or of all of a cause."""
    cause = click.option("--cause", default="", help="All events that were set aside for it.")
    named = click.argument("email", default=""), click.argument("event", default="")
    for decorate in (cause, *reversed(named)):
        command = decorate(command)
    return command


@queue.command("leave", short_help="Tell nobody of an event that was set aside.")
@_which
@pass_app
def leave(app: App, email: str, event: str, cause: str) -> None:
    """Tell nobody any more of an event that was set aside (or of all of a cause), and do not try it
    again. That ends when it is changed in Google, or refused for another reason."""
    if not (email and event) and not cause:
        raise UserError("name an e-mail address and an event, or --cause")
    which = leaving.Which(cause=cause, email=email, event_id=event)
    count = asked.leave_aside(app.services, which)
    if not count:
        raise NotFound("no such event is set aside", next_step="watcher queue show")
    messages.print(f"left aside: {count} event{'s' if count > 1 else ''}")


@queue.command("take-up", short_help="Try again what was left aside.")
@_which
@pass_app
def take_up(app: App, email: str, event: str, cause: str) -> None:
    """Try again, and tell of, events that were left aside; all of them where none is named."""
    which = leaving.Which(cause=cause, email=email, event_id=event)
    count = asked.take_up(app.services, which)
    many = f"{count} calendar{'s' if count > 1 else ''}"
    messages.print(f"to be tried again: {many}" if count else "nothing was left aside")
