"""The key of an ERPNext admin, given for one command: making fields and roles takes it, while the
API user itself may have few rights. Nothing keeps it."""

from __future__ import annotations

import os
import sys

import click

from watcher.cli.common import App, messages
from watcher.cli.later import later
from watcher.errors import UserError

with later():
    from watcher.erpnext import client as rest

NAME = "ERPNEXT_ADMIN_KEY"
"""Of the environment. No setting of Watcher's, and in none of its files."""


def chosen(app: App, client: rest.ErpNextClient, *, asked: bool) -> rest.ErpNextClient:
    """Who makes fields and roles: the admin whose key is given, or else the API user. With
    ``asked`` the key is asked for where the environment does not have it. Raises ``UserError``."""
    given = os.environ.get(NAME, "")
    if asked and not given:
        if app.no_input or not sys.stdin.isatty():
            raise UserError(
                "there is no terminal to ask for the admin's key on",
                next_step=f"{NAME}=KEY:SECRET watcher erpnext setup --admin-key",
            )
        given = ask()
    return client_of(app.loaded.settings.erpnext_url, given) if given else client


def ask() -> str:
    """``KEY:SECRET`` of the person at the terminal."""
    messages.print(
        "The API key of a System Manager of ERPNext. It is used for this command and kept nowhere."
    )
    key = click.prompt("  API key", err=True)
    return f"{key.strip()}:{click.prompt('  API secret', hide_input=True, err=True).strip()}"


def client_of(url: str, given: str) -> rest.ErpNextClient:
    """``given`` is ``KEY:SECRET``. Raises ``UserError``."""
    key, _, secret = given.partition(":")
    if not key or not secret:
        raise UserError(f"{NAME} is not of the form KEY:SECRET")
    return rest.ErpNextClient(url, key, secret)
