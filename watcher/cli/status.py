"""``status`` and ``queue``."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
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
    show_table,
    who,
)
from watcher.cli.later import later
from watcher.errors import ExitCode

with later():
    from watcher.explain import naming, words
    from watcher.ledger import aside, calendars, models, overview, owing
    from watcher.ledger import document as documents
    from watcher.ledger import problems as known


@click.command()
@json_option
@pass_app
def status(app: App) -> int:
    """One screen; exit 7 when something needs a person."""
    services = app.services
    lanes = services.doorbell.lengths()
    with services.db.reading() as session:
        document = overview.status(services.db, session, services.clock(), lanes)
    if not services.settings.redis_url:
        document = _with_own_queue(document)
    if app.as_json:
        emit(document.as_json())
    else:
        _screen(document)
    return ExitCode.OK if document.healthy else ExitCode.UNHEALTHY


def _with_own_queue(document: documents.Status) -> documents.Status:
    """Where no queue is set, it comes and goes with `watcher up`."""
    step = "start `watcher up`: it brings the queue along"
    problems = [
        replace(each, next_step=step) if each.state == known.ProblemState.QUEUE_DOWN else each
        for each in document.problems
    ]
    return replace(document, problems=tuple(problems))


def _screen(document: documents.Status) -> None:
    word = "healthy" if document.healthy else "needs attention"
    click.echo(f"Watcher {document.version}: {word}")
    shown = document.as_json()
    for part in ("accounts", "calendars", "channels", "queue"):
        values = ", ".join(f"{k.replace('_', ' ')} {_value(v)}" for k, v in shown[part].items())
        click.echo(f"{part:12} {values}")
    fresh = document.freshness_seconds
    if fresh.count:
        click.echo(
            f"{'freshness':12} p50 {fresh.p50} s, p95 {fresh.p95} s, p99 {fresh.p99} s "
            f"of {fresh.count} passes after a push in 24 h"
        )
    else:
        click.echo(f"{'freshness':12} no pushed change in 24 h")
    calls = document.google_calls
    click.echo(
        f"{'google calls':12} {calls.today} today, forecast {calls.forecast_day} "
        f"of {calls.day_line}"
    )
    _erpnext(document.erpnext)
    _set_aside(document.set_aside)
    for problem in document.problems:
        account, calendar = problem.account, problem.calendar
        name = who(account, calendar or account) if account else "Watcher"
        click.echo(f"! {name}: {problem.state} ({problem.cause})")
        if problem.message:
            _indented(problem.message)
        click.echo(f"    do: {problem.next_step}")


def _indented(text: str) -> None:
    """Print a sentence indented, in lines that fit a narrow terminal. Words are not broken, so that
    a command in it can be copied."""
    margin = " " * 4
    click.echo(
        textwrap.fill(
            text,
            80,
            initial_indent=margin,
            subsequent_indent=margin,
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def _erpnext(site: documents.SiteKnown) -> None:
    """The site's versions, and what is known of its Frappe."""
    named = ", ".join(f"{app} {version}" for app, version in site.versions.items())
    click.echo(f"{'erpnext':12} {named or 'not read yet'}")
    for sentence in site.warnings:
        _indented(f"note: {sentence}")


def _set_aside(found: documents.SetAside) -> None:
    """How many events were set aside and why, and when the next of them is tried again."""
    if not found.count:
        click.echo(f"{'set aside':12} 0")
        return
    again = f", next try {iso(found.next_try)}" if found.next_try else ""
    click.echo(f"{'set aside':12} {found.count}, the oldest since {iso(found.oldest)}{again}")
    for cause in found.causes:
        _indented(f"{cause.count} x {cause.cause}: {cause.message}")
    click.echo("    do: watcher queue show")


def _value(value: object) -> str:
    return "-" if value is None else str(value)


@click.group()
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
        "no calendar failed",
    )
    show_table(
        ("calendar", "event set aside", "message", "attempts", "next try"),
        [
            (
                who(f["account"], f["calendar"]),
                called(f),
                f["message"],
                f["attempts"],
                f["next_try"] or "when it changes",
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
        }
        for row, calendar, account in set_aside
    ]


@queue.command("retry")
@pass_app
def retry(app: App) -> None:
    """Try again now what failed or was set aside."""
    services = app.services
    now = services.clock()
    with services.db.session() as session:
        ids = {calendar.id for _, calendar, _ in aside.everything(session)}
        ids |= {c.id for c in calendars.failed(session)}
        owing.owe_now(session, ids, "retry", now)
    services.ring_all(ids, "backfill", "retry")
    many = f"{len(ids)} calendar{'s' if len(ids) > 1 else ''}"
    messages.print(f"to be tried again: {many}" if ids else "nothing to try again")
