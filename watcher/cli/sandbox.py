"""``sandbox`` and ``demo``: the stand-ins, a package of its own that need not be installed."""

from __future__ import annotations

import importlib
import socket
from pathlib import Path
from typing import Any

import click

from watcher.cli.groups import Group
from watcher.errors import UserError

FRAPPE = click.Choice(["15", "16"])
PORT = click.option("--port", default=0, type=click.IntRange(0, 65535), help="0: any free port.")


def _stand_in(module: str) -> Any:
    """A module of ``watcher_sandbox``. Raises ``UserError`` where the extra is not installed."""
    try:
        return importlib.import_module(f"watcher_sandbox.{module}")
    except ModuleNotFoundError as error:
        raise UserError(
            f"the stand-ins are not installed: {error.name} is missing",
            next_step="pip install 'watcher[sandbox]'",
        ) from None


def _see_that_it_is_free(port: int) -> None:
    """Else the server says it in words of its own, and the demo ends with what follows from it.
    Raises ``UserError``."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(
                f"cannot listen on 127.0.0.1 port {port}: {error.strerror or error}",
                next_step="free it, or take another one: --port",
            ) from None


@click.group(cls=Group)
def sandbox() -> None:
    """Stand-ins for Google and ERPNext on this machine."""


@sandbox.command("google", short_help="A Google with Calendar API, push and OAuth.")
@PORT
def google(port: int) -> None:
    """A Google with Calendar API, push, OAuth and a control API under /_sandbox/."""
    _see_that_it_is_free(port)
    _stand_in("google").run(port)


@sandbox.command("erpnext")
@PORT
@click.option("--frappe", type=FRAPPE, default="15", show_default=True, help="Its version.")
@click.option("--with-erpnext", is_flag=True, help="With Employee, Branch and Department.")
def erpnext(port: int, frappe: str, with_erpnext: bool) -> None:
    """An ERPNext with the REST calls that Watcher uses."""
    _see_that_it_is_free(port)
    _stand_in("erpnext.app").run(port, frappe=int(frappe), erpnext=with_erpnext)


def _check_export(ics: str) -> None:
    """Before anything is started. Raises ``UserError``."""
    try:
        _stand_in("ics").read(Path(ics))
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
    _see_that_it_is_free(port)
    if ics is not None:
        _check_export(ics)
    code: int = _stand_in("demo").run(seconds=seconds, ics=ics, port=port, frappe=int(frappe))
    return code
