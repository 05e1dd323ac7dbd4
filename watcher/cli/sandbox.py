"""``sandbox`` and ``demo``: the stand-ins. Production code never imports them but here."""

from __future__ import annotations

from pathlib import Path

import click

from watcher.errors import UserError
from watcher.sandbox import demo as story
from watcher.sandbox import ics as export
from watcher.sandbox.erpnext.app import run as run_erpnext
from watcher.sandbox.google import run as run_google

FRAPPE = click.Choice(["15", "16"])
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
@click.option("--frappe", type=FRAPPE, default="15", show_default=True, help="Its version.")
@click.option("--with-erpnext", is_flag=True, help="With Employee, Branch and Department.")
def erpnext(port: int, frappe: str, with_erpnext: bool) -> None:
    """An ERPNext with the REST calls that Watcher uses."""
    run_erpnext(port, frappe=int(frappe), erpnext=with_erpnext)


def _check_export(ics: str) -> None:
    """Before anything is started. Raises ``UserError``."""
    try:
        export.read(Path(ics))
    except ValueError as error:
        raise UserError(
            str(error), next_step="export the calendar once more, e.g. from Google or Outlook"
        ) from None


@click.command(short_help="A small live company on this machine.")
@click.option("--for", "seconds", type=click.FloatRange(min=5), help="End by itself after so long.")
@click.option("--ics", type=click.Path(exists=True, dir_okay=False), help="Your calendar export.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Dashboard's port.")
@click.option("--frappe", type=FRAPPE, default="16", show_default=True, help="ERPNext's version.")
def demo(seconds: float | None, ics: str | None, port: int, frappe: str) -> int:
    """Five employees, a live calendar, ERPNext following: all on this machine."""
    if ics is not None:
        _check_export(ics)
    return story.run(seconds=seconds, ics=ics, port=port, frappe=int(frappe))
