"""``--no-input``, ``-v`` and ``--json`` are taken before a command and after it.

They are options of ``watcher`` itself. Each command and each group gets them too, unseen in its
help, so that nobody has to know on which side of the command they belong.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from watcher.cli.common import App, emit

PROCESSES = frozenset({"up", "web", "worker", "cron", "demo", "google", "erpnext"})
"""What runs until it is stopped; its messages are its log, and there is no document."""


def accept_everywhere(group: click.Group) -> None:
    """Give the three options to all that is below ``group``."""
    for command in group.commands.values():
        command.params += _options(command)
        if isinstance(command, click.Group):
            accept_everywhere(command)


def _options(command: click.Command) -> list[click.Option]:
    found = [
        _flag("no_input", "--no-input"),
        _flag("verbose", "-v", "--verbose"),
    ]
    if any("--json" in option.opts for option in command.params):
        return found  # ``json_option`` asks for both places itself
    if not isinstance(command, click.Group):
        assert command.callback is not None
        command.callback = _answered(command.callback, is_process=command.name in PROCESSES)
    return [*found, _flag("as_json", "--json")]


def _flag(name: str, *spelled: str) -> click.Option:
    """An option that is noted in the ``App`` and not handed to the command."""

    def note(ctx: click.Context, _option: click.Parameter, value: bool) -> None:
        if value:
            setattr(ctx.ensure_object(App), name, True)

    return click.Option(
        [*spelled],
        is_flag=True,
        hidden=True,
        expose_value=False,
        callback=note,
        help="See `watcher --help`.",
    )


def _answered(function: Callable[..., Any], *, is_process: bool) -> Callable[..., Any]:
    """A command without a document of its own prints the code that it ends with."""

    @functools.wraps(function)
    def run(*args: Any, **named: Any) -> Any:
        as_json = click.get_current_context().ensure_object(App).as_json
        if as_json and is_process:
            raise click.UsageError("it runs until it is stopped: there is no --json")
        code = function(*args, **named)
        if as_json:
            emit({"code": code if isinstance(code, int) else 0})
        return code

    return run
