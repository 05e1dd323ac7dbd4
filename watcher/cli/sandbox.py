"""``sandbox`` and ``demo``: the stand-ins. Production code never imports them but here."""

from __future__ import annotations

import click

from watcher.sandbox import demo as story
from watcher.sandbox.erpnext.app import run as run_erpnext
from watcher.sandbox.google import run as run_google

PORT = click.option("--port", default=0, type=click.IntRange(0, 65535), help="0: any free port.")


@click.group()
def sandbox() -> None:
    """Stand-ins for Google and ERPNext on this machine."""


@sandbox.command("google", short_help="A Google with Calendar API, push and OAuth.")
@PORT
def google(port: int) -> None:
    """A Google with Calendar API, push, OAuth and a control API under /_sandbox/."""
    run_google(port)


@sandbox.command("erpnext")
@PORT
def erpnext(port: int) -> None:
    """An ERPNext with the REST calls that Watcher uses."""
    run_erpnext(port)


@click.command(short_help="A small live company on this machine.")
@click.option("--for", "seconds", type=click.FloatRange(min=5), help="End by itself after so long.")
@click.option("--ics", type=click.Path(exists=True, dir_okay=False), help="Your calendar export.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Dashboard's port.")
def demo(seconds: float | None, ics: str | None, port: int) -> int:
    """Five employees, a live calendar, ERPNext following: all on this machine."""
    return story.run(seconds=seconds, ics=ics, port=port)
