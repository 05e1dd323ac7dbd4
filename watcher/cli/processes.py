"""``up``, ``web``, ``worker`` and ``cron``: the processes. Imports are late on purpose: each
process loads only what it runs."""

from __future__ import annotations

import click

from watcher import cron as ticker
from watcher import up as supervisor
from watcher import web as server
from watcher import worker as rq_worker
from watcher.cli.common import App, pass_app
from watcher.jobs.enqueue import Lane
from watcher.settings import require

HOST = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
PORT = click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535))


@click.command()
@HOST
@PORT
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64))
@pass_app
def up(app: App, host: str, port: int, workers: int) -> int:
    """Web, workers and cron (and the embedded Valkey) in one; stops on Ctrl-C and SIGTERM."""
    settings = app.loaded.settings
    require(
        settings, "secret_keys", "public_url", "erpnext_url", "erpnext_api_key",
        "erpnext_api_secret", why="`watcher up`",
    )  # fmt: skip
    return supervisor.serve(settings, host, port, workers)


@click.command()
@HOST
@PORT
@pass_app
def web(app: App, host: str, port: int) -> int:
    """The web server alone: notifications, connect pages, dashboard."""
    supervisor.watch_parent()
    return server.serve(app.loaded.settings, host, port)


@click.command()
@click.option(
    "--queue", "lane", type=click.Choice(["live", "backfill"]), default="live", show_default=True
)
@pass_app
def worker(app: App, lane: Lane) -> int:
    """One RQ worker: `live` for pushes, `backfill` for bulk work."""
    supervisor.watch_parent()
    return rq_worker.serve(app.loaded.settings, lane)


@click.command()
@pass_app
def cron(app: App) -> int:
    """The ticker: sweep, poll, renew channels, refresh tokens, reconcile."""
    supervisor.watch_parent()
    return ticker.serve(app.loaded.settings)
