"""``status`` and ``queue``."""

from __future__ import annotations

from typing import Any

import click
import redis

from watcher.cli.common import App, emit, json_option, messages, pass_app, show_table
from watcher.errors import ExitCode
from watcher.jobs.ringing import ring
from watcher.services import Services
from watcher.state import calendars, overview, runs


def waiting(services: Services) -> dict[str, int] | None:
    """Jobs waiting in each lane; None when the queue does not answer."""
    try:
        return {lane: len(jobs) for lane, jobs in services.doorbell.waiting().items()}
    except redis.RedisError:
        return None


@click.command()
@json_option
@pass_app
def status(app: App, as_json: bool) -> int:
    """One screen; exit 7 when something needs a person."""
    services = app.services
    lanes = waiting(services)
    with services.db.session() as session:
        document = overview.status(services.db, session, services.clock(), lanes)
    for problem in document["problems"]:
        if problem["state"] == "queue_down" and not services.settings.redis_url:
            problem["next_step"] = "start `watcher up`: it brings the queue along"
    if as_json:
        emit(document)
    else:
        _screen(document)
    return ExitCode.OK if document["healthy"] else ExitCode.UNHEALTHY


def _screen(document: dict[str, Any]) -> None:
    word = "healthy" if document["healthy"] else "needs attention"
    click.echo(f"Watcher {document['version']}: {word}")
    for part in ("accounts", "calendars", "channels", "queue"):
        values = ", ".join(f"{k.replace('_', ' ')} {_value(v)}" for k, v in document[part].items())
        click.echo(f"{part:12} {values}")
    fresh = document["freshness_seconds"]
    if fresh["count"]:
        click.echo(
            f"{'freshness':12} p50 {fresh['p50']} s, p95 {fresh['p95']} s, p99 {fresh['p99']} s "
            f"of {fresh['count']} pushed changes in 24 h"
        )
    else:
        click.echo(f"{'freshness':12} no pushed change in 24 h")
    calls = document["google_calls"]
    click.echo(
        f"{'google calls':12} {calls['today']} today, forecast {calls['forecast_day']} "
        f"of {calls['day_line']}"
    )
    click.echo(f"{'quarantined':12} {document['quarantined']}")
    for problem in document["problems"]:
        who = " ".join(str(p) for p in (problem["account"], problem["calendar"]) if p)
        click.echo(f"! {who or 'Watcher'}: {problem['state']} ({problem['cause']})")
        if problem.get("message"):
            click.echo(f"    {problem['message']}")
        click.echo(f"    do: {problem['next_step']}")


def _value(value: object) -> str:
    return "-" if value is None else str(value)


@click.group()
def queue() -> None:
    """Failed work and events that were set aside."""


@queue.command("show", short_help="Events that could not be mirrored, and why.")
@json_option
@pass_app
def show(app: App, as_json: bool) -> None:
    """Events that could not be mirrored, with the reason in ERPNext's words."""
    services = app.services
    with services.db.session() as session:
        found = [
            {
                "account": account.email, "calendar": calendar.google_id, "event": row.event_id,
                "message": row.message, "attempts": row.attempts,
                "last": f"{row.last_at:%Y-%m-%dT%H:%M:%SZ}",
            }
            for row, calendar, account in runs.quarantined(session)
        ]  # fmt: skip
    lanes = waiting(services)
    if as_json:
        emit({"waiting": lanes, "quarantined": found})
        return
    words = [f"{lane} {count}" for lane, count in (lanes or {}).items()]
    messages.print(f"waiting: {', '.join(words) or 'the queue does not answer'}")
    show_table(
        ("account", "calendar", "event", "message", "attempts", "last"),
        [tuple(row.values()) for row in found],
        "nothing is set aside",
    )


@queue.command("retry")
@pass_app
def retry(app: App) -> None:
    """Try again now what failed or was set aside."""
    services = app.services
    now = services.clock()
    with services.db.session() as session:
        ids = {calendar.id for _, calendar, _ in runs.quarantined(session)}
        ids |= {c.id for c in calendars.failed(session)}
        seqs = [(i, calendars.want_snapshot(session, i, "retry", now)) for i in sorted(ids)]
    for calendar_id, seq in seqs:
        ring(services, calendar_id, seq, "backfill", "retry")
    messages.print(f"{len(seqs)} calendars are tried again" if seqs else "nothing to try again")
