"""The command line: thin verbs over the same functions that cron and the web use."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from typing import Self

import click

from watcher import __version__
from watcher.cli import usage
from watcher.cli.common import CONFIG_FILE, json_option, messages, noted
from watcher.cli.everywhere import accept_everywhere
from watcher.cli.examples import FIRST, add_examples
from watcher.cli.groups import Group
from watcher.cli.recording import record_acts
from watcher.errors import LATER, ExitCode, Transient, WatcherError

log = logging.getLogger(__name__)


MODULES = {
    "init": "init",
    "config": "config",
    "version": "config",
    "completion": "completion",
    "doctor": "doctor",
    "up": "processes",
    "web": "processes",
    "worker": "processes",
    "cron": "processes",
    "erpnext": "erpnext",
    "accounts": "accounts",
    "calendars": "calendars",
    "channels": "channels",
    "tokens": "tokens",
    "resync": "sync",
    "verify": "sync",
    "explain": "explain",
    "status": "status",
    "audit": "audit",
    "queue": "queue",
    "keys": "keys",
    "backup": "backup",
    "restore": "backup",
    "uninstall": "uninstall",
    "notify": "notify",
    "sandbox": "sandbox",
    "demo": "sandbox",
}
"""Each command, and the module of ``watcher.cli`` that holds it, under the same name."""


class Commands(Group):
    """Imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        # Of an unknown name click says which known one may have been meant.
        for name in [cmd_name] if cmd_name in MODULES else MODULES:
            self._import(name)
        return self.commands.get(cmd_name)

    def _import(self, name: str) -> None:
        if name not in self.commands:
            module = importlib.import_module(f"watcher.cli.{MODULES[name]}")
            command = getattr(module, name)
            record_acts(command, name)
            accept_everywhere(command)
            add_examples(command, name)
            self.add_command(command)

    def complete(self) -> Self:
        """With all commands in ``commands``."""
        for name in MODULES:
            self._import(name)
        return self


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=FIRST,
)
@click.version_option(__version__, "--version", prog_name="watcher")
@noted("no_input", "--no-input", text="Never prompt; fail where a question would be.")
@noted("verbose", "-v", "--verbose", text="Show what is being done, on stderr.")
@click.option("--config", **CONFIG_FILE)
@json_option
def cli() -> None:
    """Watcher: a change in Google Calendar is in ERPNext seconds later.

    --config, --no-input, --verbose and --json may stand before the command or after it.
    """


def main() -> None:
    """Entry of the console script: errors become a line for people and an exit code."""
    try:
        code = cli.main(standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except click.UsageError as error:
        _tell(*usage.told(error))
        sys.exit(ExitCode.USAGE)
    except click.ClickException as error:
        _tell(error.format_message(), _MORE)
        sys.exit(ExitCode.ERROR)
    except (click.Abort, KeyboardInterrupt):
        # A terminal has just shown ^C, without an end of line.
        messages.print("\ninterrupted" if sys.stderr.isatty() else "interrupted")
        sys.exit(ExitCode.INTERRUPTED)
    except WatcherError as error:
        later = LATER.get(error.side, "") if isinstance(error, Transient) else ""
        _tell(error.message, error.next_step or later)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # e.g. `watcher accounts list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.OK)
    except OSError as error:
        _set_up_log()
        log.info("unexpected", exc_info=True)
        _tell(f"{error.filename or 'the system'}: {error.strerror or error}", _MORE)
        sys.exit(ExitCode.ERROR)
    except Exception as error:
        # Seen with -v, and in the logs of the long-running processes; people get the line below.
        _set_up_log()
        log.info("unexpected", exc_info=True)
        _tell(f"an unexpected {type(error).__name__}: this is a defect of Watcher", _MORE)
        sys.exit(ExitCode.ERROR)
    sys.exit(code if isinstance(code, int) else ExitCode.OK)


def _set_up_log() -> None:
    """A command can fail before it has set up its log: -v would show nothing then."""
    if not logging.getLogger().handlers:
        level = logging.INFO if {"-v", "--verbose"} & set(sys.argv) else logging.ERROR
        importlib.import_module("watcher.telemetry.log").configure(level=level)


_MORE = "`watcher -v ...` shows more"


def _tell(what: str, next_step: str) -> None:
    messages.print(f"error: {what}", style="red", markup=False)
    if next_step:
        messages.print(f"  do: {next_step}", markup=False)
