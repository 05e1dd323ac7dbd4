"""``--config``, ``--no-input``, ``-v`` and ``--json`` are taken before a command and after it.

They are options of ``watcher`` itself. Each command and each group accepts them, too, hidden in its
help, so that nobody has to know on which side of the command they belong.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from watcher.cli.common import CONFIG_FILE, App, emit, note
from watcher.cli.later import load

PROCESSES = frozenset({"up", "web", "worker", "cron", "demo", "google", "erpnext"})
"""Commands that run until they are stopped: they write a log, and no JSON document."""

LIGHT = frozenset({"completion", "version"})
"""Commands whose body needs no room, so that none is loaded for them."""


def accept_everywhere(command: click.Command) -> click.Command:
    """Give the four options to a command, or to a group and all that is below it."""
    command.params += _options(command)
    if isinstance(command, click.Group):
        for below in command.commands.values():
            accept_everywhere(below)
    elif command.callback is not None and command.name not in LIGHT:
        command.callback = _loaded(command.callback)
    return command


def _options(command: click.Command) -> list[click.Option]:
    found = [
        _flag("no_input", "--no-input"),
        _flag("verbose", "-v", "--verbose"),
        click.Option(["--config"], hidden=True, **CONFIG_FILE),
    ]
    if any("--json" in option.opts for option in command.params):
        return found  # it shows the option, and prints a document of its own
    if not isinstance(command, click.Group):
        assert command.callback is not None
        wrap = _without_document if command.name in PROCESSES else _answered
        command.callback = wrap(command.callback)
    return [*found, _flag("as_json", "--json")]


def _flag(name: str, *spelled: str) -> click.Option:
    """An option that is noted in the ``App`` and not handed to the command."""
    return click.Option(
        [*spelled],
        is_flag=True,
        hidden=True,
        expose_value=False,
        callback=note(name),
        help="See `watcher --help`.",
    )


def _loaded(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command whose rooms are loaded before it runs."""

    @functools.wraps(function)
    def run(*args: Any, **named: Any) -> Any:
        load()
        return function(*args, **named)

    return run


def _answered(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command without a document of its own prints the code that it ends with, and what it has
    noted of its result."""

    @functools.wraps(function)
    def run(*args: Any, **named: Any) -> Any:
        app = click.get_current_context().ensure_object(App)
        code = function(*args, **named)
        if app.as_json:
            emit({"code": code if isinstance(code, int) else 0, **app.result})
        return code

    return run


def _without_document(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*args: Any, **named: Any) -> Any:
        if click.get_current_context().ensure_object(App).as_json:
            raise click.UsageError("it runs until it is stopped: there is no --json")
        return function(*args, **named)

    return run
