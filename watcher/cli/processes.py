"""``up``, ``web``, ``worker`` and ``cron``: the processes."""

from __future__ import annotations

import logging
import os

import click

from watcher.cli.common import read_settings
from watcher.cli.later import later
from watcher.ledger.rings import Lane

with later():
    from watcher import services as composed
    from watcher import settings as declared
    from watcher import worker as rq_worker
    from watcher.processes import children
    from watcher.processes import cron as ticker
    from watcher.processes import up as supervisor
    from watcher.processes import web as server
    from watcher.processes.sockets import listening
    from watcher.telemetry import log as logs

log = logging.getLogger(__name__)

HOST = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
PORT = click.option(
    "--port",
    default=8080,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="Port to listen on.",
)


def _settings() -> declared.Settings:
    settings = read_settings(complete=True).settings
    account = composed.delegation(settings).key
    if account is not None and children.PARENT not in os.environ:
        logs.configure(settings.log_format, logs.LEVELS[settings.log_level])
        log.info(
            "service account %s (key file %s days old); in the Admin console: client ID %s, "
            "scope %s",
            account.client_email,
            account.age_days,
            account.client_id,
            ",".join(composed.endpoints(settings).delegated_scopes),
        )
    return settings


@click.command(short_help="Everything in one: web, workers, cron, Valkey.")
@HOST
@PORT
@click.option(
    "--workers",
    default=2,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Workers for pushes; one for bulk work is added.",
)
def up(host: str, port: int, workers: int) -> int:
    """Web, workers and cron (and the embedded Valkey) in one; stops on Ctrl-C and SIGTERM."""
    return supervisor.serve(_settings(), host, port, workers)


@click.command()
@HOST
@PORT
def web(host: str, port: int) -> int:
    """The web server alone: notifications, connect pages, dashboard."""
    children.watch_parent()
    settings = _settings()
    return server.serve(settings, listening(host, port))


@click.command()
@click.option(
    "--queue",
    "lane",
    type=click.Choice(["live", "backfill"]),
    default="live",
    show_default=True,
    help="Whose jobs it takes: for pushes, or bulk work.",
)
def worker(lane: Lane) -> int:
    """One RQ worker: `live` for pushes, `backfill` for bulk work."""
    children.watch_parent()
    return rq_worker.serve(_settings(), lane)


@click.command(short_help="The periodic work: polls, renewals, notices, what was left.")
def cron() -> int:
    """The periodic work: hand out what no worker has taken up, poll, renew channels and access
    tokens, read each calendar once a day in full, tell people of trouble."""
    children.watch_parent()
    return ticker.serve(_settings())
