"""Groups of commands that also know what people call them, and what was meant by a misspelled one.

Click suggests whatever is spelled alike, and of ``remove`` that is ``resume``. So a word is looked
for among the commands and among other words for them, and only what the closest one stands for is
named.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

import click

SAME: Mapping[tuple[str, str], str] = {("accounts", "remove"): "disconnect"}
"""Of a group: another name that does the same."""
_GONE = ("disconnect", "remove", "forget", "uninstall")
_MEANT: Mapping[str, tuple[str, ...]] = {
    "check": ("doctor", "validate", "verify"),
    "continue": ("resume",),
    "create": ("add", "invite"),
    "delete": _GONE,
    "disable": ("pause", "stop"),
    "enable": ("resume",),
    "health": ("doctor",),
    "help": ("--help",),
    "info": ("show", "status"),
    "ls": ("list",),
    "new": ("add", "init"),
    "remove": _GONE,
    "revoke": ("disconnect",),
    "rm": _GONE,
    "run": ("up",),
    "serve": ("up",),
    "start": ("up", "resume"),
    "stop": ("pause",),
    "suspend": ("pause",),
    "sync": ("resync",),
    "unpause": ("resume",),
    "why": ("explain",),
}
"""What people call a command: the first of these that the group has is meant."""


class Group(click.Group):
    """A group that takes the names of ``SAME``, and suggests what was meant."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, SAME.get((self.name or "", cmd_name), cmd_name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            error.possibilities = meant(error.command_name, self.list_commands(ctx))  # type: ignore[misc]
            raise


def meant(word: str, commands: list[str]) -> list[str]:
    """The command of these that was meant by an unknown word, if it can be told."""
    here = {
        other: next((name for name in names if name in (*commands, "--help")), "")
        for other, names in _MEANT.items()
    }
    known = {other: name for other, name in here.items() if name} | {
        name: name for name in commands
    }
    closest = get_close_matches(word.lower(), known, n=1, cutoff=0.65)
    return [known[each] for each in closest]
