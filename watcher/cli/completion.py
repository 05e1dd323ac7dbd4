"""``completion``: what a shell needs to complete ``watcher`` with Tab."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click import shell_completion as shells

from watcher.cli.common import messages
from watcher.cli.later import later
from watcher.errors import UserError

with later():
    from watcher.given import files

KNOWN = ("bash", "zsh", "fish")
MARK = "# completion of watcher"
_ZSH_BEGINS = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }\n"
"""zsh completes nothing before somebody has called for it."""


@click.command(short_help="Complete commands with Tab in your shell.")
@click.argument("shell", type=click.Choice(KNOWN), required=False)
@click.option("--install", is_flag=True, help="Put the script where the shell finds it.")
@click.pass_context
def completion(ctx: click.Context, shell: str | None, install: bool) -> None:
    """Print the script with which a shell completes `watcher`, or install it for yourself. SHELL
    is that of SHELL in the environment unless it is named.

    \b
      watcher completion --install
      watcher completion bash > /etc/bash_completion.d/watcher
    """
    shell = shell or Path(os.environ.get("SHELL", "")).name
    if shell not in KNOWN:
        raise UserError(
            f"which shell? SHELL is {shell or 'not set'}", next_step=f"name it: {', '.join(KNOWN)}"
        )
    script = _script(ctx.find_root().command, shell)
    if not install:
        click.echo(script)
        return
    path, start = _places(shell)
    with files.writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script)
    messages.print(f"wrote {path}", markup=False)
    if start is not None and _add_line(start, f'[ -r "{path}" ] && . "{path}"  {MARK}\n'):
        messages.print(f"added a line to {start}", markup=False)
    messages.print("a shell that you open from now on completes watcher")


def _add_line(start: Path, line: str) -> bool:
    """Add the line unless one of its kind is there; says whether it was added."""
    text = start.read_text() if start.exists() else ""
    if MARK in text:
        return False
    with start.open("a") as file:
        file.write(line if not text or text.endswith("\n") else f"\n{line}")
    return True


def _script(command: click.Command, shell: str) -> str:
    made = shells.get_completion_class(shell)
    assert made is not None
    text = made(command, {}, "watcher", "_WATCHER_COMPLETE").source()
    return _ZSH_BEGINS + text if shell == "zsh" else text


def _places(shell: str) -> tuple[Path, Path | None]:
    """Where the script goes, and the file in which the shell has to be told of it, if it does not
    look there by itself. bash does only with the package bash-completion."""
    home = Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    if shell == "fish":
        config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
        return config / "fish" / "completions" / "watcher.fish", None
    if shell == "zsh":
        return data / "watcher" / "watcher.zsh", Path(os.environ.get("ZDOTDIR") or home) / ".zshrc"
    return data / "bash-completion" / "completions" / "watcher", home / ".bashrc"
